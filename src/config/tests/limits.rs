//! `client.rate_limit` and what keeps revocations.

use super::*;

fn problem_of(command: &str, rest: &str) -> (String, String) {
    let text = format!(r#"{{"client": {{"rate_limit": {{"{command}": {rest}}}}}}}"#);
    let problem = Setup::new().json(&text).problem();
    (problem.key, problem.message)
}

#[test]
fn buckets_must_be_possible_even_where_they_are_off() {
    const TOO_SHORT: &str = "interval 500ms is not between 1s and 1h0m0s";
    for (layer, limit, key, message) in [
        (
            "client_command",
            r#"{"publish": {"buckets": [{"interval": "500ms", "rate": 1}]}}"#,
            "client_command.publish.buckets.[0].interval",
            TOO_SHORT,
        ),
        (
            "client_command",
            r#"{"total": {"buckets": [{"interval": "1s", "rate": 1}, {"interval": "1s"}]}}"#,
            "client_command.total.buckets.[1].rate",
            "rate must be at least 1",
        ),
        (
            "user_command",
            r#"{"connect": {"buckets": [{"interval": "2h", "rate": 1}]}}"#,
            "user_command.connect.buckets.[0].interval",
            "interval 2h0m0s is not between 1s and 1h0m0s",
        ),
        (
            "user_command",
            r#"{"default": {"buckets": [{"rate": 1}]}}"#,
            "user_command.default.buckets.[0].interval",
            "interval 0s is not between 1s and 1h0m0s",
        ),
        (
            "client_error",
            r#"{"total": {"buckets": [{"interval": "500ms", "rate": 1}]}}"#,
            "client_error.total.buckets.[0].interval",
            TOO_SHORT,
        ),
        (
            "client_command",
            r#"{"history": {"namespace_overrides": [{"enabled": true}]}}"#,
            "client_command.history.namespace_overrides.[0].namespace_name",
            "namespace_name is required",
        ),
        (
            "client_command",
            r#"{"rpc": {"method_overrides": [{"method": "a"}, {"method": "a"}]}}"#,
            "client_command.rpc.method_overrides.[1].method",
            "method must be unique: a",
        ),
        (
            "user_command",
            r#"{"rpc": {"method_overrides": [{"method": "a", "buckets": [{"interval": "1s"}]}]}}"#,
            "user_command.rpc.method_overrides.[0].buckets.[0].rate",
            "rate must be at least 1",
        ),
    ] {
        let expected = (format!("client.rate_limit.{key}"), message.to_owned());
        assert_eq!(problem_of(layer, limit), expected, "{limit}");
    }
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let (key, message) = problem_of("redis_user_command", r#"{"enabled": true}"#);
    assert_eq!(key, "client.rate_limit.redis_user_command.enabled");
    assert_eq!(
        message,
        "client.rate_limit.redis_user_command.enabled is not supported by this version"
    );
    for form in [
        r#"{"a": {"enabled": true}}"#,
        r#"[{"method": "a", "enabled": true}]"#,
    ] {
        let (key, _) = problem_of(
            "client_command",
            &format!(r#"{{"rpc": {{"method_override": {form}}}}}"#),
        );
        assert_eq!(key, "client.rate_limit.client_command.rpc.method_override");
    }
}

#[test]
fn limits_of_commands_that_are_not_there_are_named() {
    let text = r#"{"client": {"rate_limit": {"user_command": {"map_publish": {"enabled": true}},
        "redis_user_command": {"publish": {"enabled": true}, "redis": {"reuse_from_engine": true}}}}}"#;
    let keys = [
        "client.rate_limit.redis_user_command",
        "client.rate_limit.user_command.map_publish",
    ];
    let mut warnings = Setup::new().json(text).loaded().warnings;
    warnings.sort();
    assert_eq!(warnings, keys.map(|key| Warning::Unsupported(key.to_owned())));
}

#[test]
fn every_source_sets_limits() {
    let layer = |config: Config| config.client.rate_limit.user_command;
    let setup = Setup::new()
        .var("CENTRIFUGO_CLIENT_RATE_LIMIT_USER_COMMAND_ENABLED", "true")
        .var(
            "CENTRIFUGO_CLIENT_RATE_LIMIT_USER_COMMAND_CONNECT_BUCKETS",
            r#"[{"interval": "1m", "rate": 5}]"#,
        )
        .flag("client.rate_limit.user_command.connect.enabled", "true");
    let connect = layer(setup.config()).options.connect;
    assert!(connect.enabled);
    let bucket = Bucket {
        interval: Duration::from_secs(60),
        rate: 5,
    };
    assert_eq!(connect.buckets, [bucket]);
}

#[test]
fn revocations_are_kept_in_memory_only() {
    for section in ["user_block", "token_revoke", "user_tokens_invalidate"] {
        for storage in ["redis", "database"] {
            let text = format!(r#"{{"{section}": {{"storage_type": "{storage}"}}}}"#);
            let problem = Setup::new().json(&text).problem();
            assert_eq!(problem.key, format!("{section}.storage_type"));
            assert_eq!(
                problem.message,
                format!(
                    "storage_type {storage:?} is not supported by this version, which keeps entries in memory only: \
                     leave it empty"
                )
            );
        }
        let text = format!(r#"{{"{section}": {{"storage_type": "disk"}}}}"#);
        let message = Setup::new().json(&text).problem().message;
        assert_eq!(
            message,
            r#"unknown storage_type: "disk", possible choices are: redis, database"#
        );
        Setup::new().json(&format!(r#"{{"{section}": {{}}}}"#)).config();
    }
}

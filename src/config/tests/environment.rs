use std::time::Duration;

use super::super::value::Source;
use super::*;

#[test]
fn texts_are_read_strictly() {
    for (text, on) in [
        ("1", true),
        ("t", true),
        ("TRUE", true),
        ("True", true),
        ("0", false),
        ("F", false),
        ("False", false),
    ] {
        assert_eq!(
            Setup::new()
                .var("CENTRIFUGO_SSE_ENABLED", text)
                .config()
                .sse
                .enabled,
            on,
            "{text}"
        );
    }
    for (text, port) in [
        ("80", 80),
        ("0x50", 80),
        ("0o120", 80),
        ("0b101", 5),
        ("+7", 7),
        ("08", 8),
    ] {
        assert_eq!(
            Setup::new()
                .var("CENTRIFUGO_HTTP_SERVER_PORT", text)
                .config()
                .http_server
                .port,
            port,
            "{text}"
        );
    }
    for (text, list) in [
        ("a", &["a"][..]),
        ("a b", &["a", "b"]),
        ("a  b", &["a", "", "b"]),
        ("a,b", &["a,b"]),
        ("[\"a\",\"b\"]", &["[\"a\",\"b\"]"]),
    ] {
        let config = Setup::new().var("TIDEGATE_CLIENT_ALLOWED_ORIGINS", text).config();
        assert_eq!(config.client.allowed_origins, list, "{text}");
    }
    let config = Setup::new()
        .var("CENTRIFUGO_CLIENT_PING_INTERVAL", "1m30s")
        .config();
    assert_eq!(config.client.ping_interval, Some(Duration::from_secs(90)));
    let config = Setup::new()
        .var("CENTRIFUGO_HTTP_SERVER_TLS_CERT_PEM", "a\nb")
        .config();
    assert_eq!(config.http_server.tls.cert_pem, "a\nb");
}

#[test]
fn texts_that_cannot_be_read() {
    for (name, text, message) in [
        (
            "SSE_ENABLED",
            "yes",
            "cannot parse value as 'bool': \"yes\" is neither true (t, 1) nor false (f, 0)",
        ),
        (
            "HTTP_SERVER_PORT",
            "8k",
            "cannot parse value as 'int': \"8k\" is not a whole number of 64 bits",
        ),
        (
            "HTTP_SERVER_PORT",
            "--1",
            "cannot parse value as 'int': \"--1\" is not a whole number of 64 bits",
        ),
        (
            "HTTP_SERVER_PORT",
            "é",
            "cannot parse value as 'int': \"é\" is not a whole number of 64 bits",
        ),
        (
            "CLIENT_PING_INTERVAL",
            "25",
            "time: missing unit in duration \"25\"",
        ),
        (
            "CHANNEL_NAMESPACES",
            "[1",
            "the variable is not JSON: EOF while parsing a list at line 1 column 2",
        ),
    ] {
        let name = format!("CENTRIFUGO_{name}");
        let problem = Setup::new().var(&name, text).problem();
        assert_eq!(problem.message, message);
        assert_eq!(problem.source, Source::Environment(name));
    }
}

#[test]
fn empty_variables_are_not_set() {
    let config = Setup::new()
        .json("{\"http_server.port\": 1}")
        .var("TIDEGATE_HTTP_SERVER_PORT", "")
        .var("CENTRIFUGO_CHANNEL_NAMESPACES", "")
        .config();
    assert_eq!(config.http_server.port, 1);
}

fn names(setup: &Setup) -> Vec<String> {
    setup
        .config()
        .channel
        .namespaces
        .into_iter()
        .map(|namespace| namespace.name)
        .collect()
}

#[test]
fn lists_of_named_objects() {
    let file = r#"{"channel.namespaces": [{"name": "aa", "history_size": 3, "history_ttl": "1s"}, {"name": "b.b"}]}"#;
    let setup = || Setup::new().json(file);
    assert_eq!(names(&setup()), ["aa", "b.b"]);
    assert_eq!(
        names(&setup().var("CENTRIFUGO_CHANNEL_NAMESPACES", " cc  d-d aa")),
        ["aa", "b.b", "cc", "d-d"]
    );
    let replaced = setup().var(
        "CENTRIFUGO_CHANNEL_NAMESPACES",
        r#" [{"Name": "cc", "PRESENCE": true, "nope": 1}]"#,
    );
    assert_eq!(names(&replaced), ["cc"]);
    assert!(replaced.config().channel.namespaces[0].options.presence);
    assert_eq!(replaced.loaded().warnings, []);

    let items = setup()
        .var("TIDEGATE_CHANNEL_NAMESPACES", "c-c")
        .var("CENTRIFUGO_CHANNEL_NAMESPACES_AA_PRESENCE", "true")
        .var("CENTRIFUGO_CHANNEL_NAMESPACES_B_B_ALLOW_RECOVERY", "true")
        .var("TIDEGATE_CHANNEL_NAMESPACES_C_C_FORCE_RECOVERY_MODE", "cache");
    let loaded = items.loaded();
    assert_eq!(loaded.warnings, []);
    let [aa, bb, cc] = &loaded.config.channel.namespaces[..] else {
        panic!("{loaded:?}")
    };
    assert_eq!((aa.options.presence, aa.options.history_size), (true, 3));
    assert!(bb.options.allow_recovery && !bb.options.presence);
    assert_eq!(cc.options.force_recovery_mode, RecoveryMode::Cache);
    assert_eq!(
        Setup::new()
            .var("CENTRIFUGO_RPC_NAMESPACES", "rr ss")
            .config()
            .rpc
            .namespaces
            .len(),
        2
    );
}

#[test]
fn unknown_variables() {
    let setup = Setup::new()
        .var("CENTRIFUGO_NOPE", "1")
        .var("TIDEGATE_CLIENT_NOPE", "1")
        .var("CENTRIFUGO_CHANNEL_NAMESPACES_AA_PRESENCE", "1")
        .var("CENTRIFUGO_VAR_SECRET", "s")
        .var("TIDEGATE_VAR_SECRET", "s")
        .var("CENTRIFUGO_PORT", "tcp://10.0.0.1:80")
        .var("CENTRIFUGO_PORT_8000_TCP", "1")
        .var("CENTRIFUGO_SERVICE_HOST", "1")
        .var("CENTRIFUGO_INTERNAL_SERVICE_PORT_API", "1")
        .var("CENTRIFUGO_CLIENT_CONCURRENCY", "2")
        .var("PATH", "/bin")
        .var("centrifugo_x", "1");
    let unknown = [
        "CENTRIFUGO_CHANNEL_NAMESPACES_AA_PRESENCE",
        "CENTRIFUGO_NOPE",
        "TIDEGATE_CLIENT_NOPE",
    ];
    let loaded = setup.loaded();
    assert_eq!(
        loaded.warnings,
        unknown.map(|name| Warning::UnknownVariable(name.to_owned()))
    );
    assert_eq!(loaded.warnings[0].to_string(), "unknown var in environment");
    assert_eq!(loaded.warnings[0].field(), Some(("var", unknown[0])));
}

use std::time::Duration;

use super::*;

#[track_caller]
fn refused(text: &str, key: &str, message: &str) {
    let setup = Setup::new().json(text);
    let problem = setup.problem();
    assert_eq!(
        (problem.message.as_str(), problem.key.as_str()),
        (message, key),
        "{text}"
    );
    assert_eq!(setup.load().expect_err(text).summary(), "error validating config");
}

#[test]
fn channel_options() {
    const HISTORY: &str = r#""history_size": 1, "history_ttl": "1m""#;
    for (options, option, message) in [
        (
            r#""allowed_delta_types": ["fossil", "x"]"#,
            "allowed_delta_types",
            "unknown allowed delta type: \"x\"",
        ),
        (
            r#""history_size": 1"#,
            "history_ttl",
            "both history size and history ttl required for history",
        ),
        (
            r#""history_ttl": "1s""#,
            "history_size",
            "both history size and history ttl required for history",
        ),
        (
            r#""history_size": 1, "history_ttl": "1m", "history_meta_ttl": "30s""#,
            "history_ttl",
            "history ttl (1m0s) can not be greater than history meta ttl (30s)",
        ),
        (
            r#""history_size": 1, "history_ttl": "721h""#,
            "history_ttl",
            "history ttl (721h0m0s) can not be greater than history meta ttl (720h0m0s)",
        ),
        (
            r#""history_size": 1, "history_ttl": "1.5s""#,
            "history_ttl",
            "in history_ttl: malformed duration 1.5s, sub-second precision is not supported for this key",
        ),
        (
            r#""history_meta_ttl": "1500ms""#,
            "history_meta_ttl",
            "in history_meta_ttl: malformed duration 1.5s, sub-second precision is not supported for this key",
        ),
        (
            r#""force_recovery": true"#,
            "force_recovery",
            "both history size and history ttl required for recovery",
        ),
        (
            r#""auto_cache_recover": true, "force_recovery_mode": "cache""#,
            "auto_cache_recover",
            "auto_cache_recover requires force_recovery and force_recovery_mode set to cache",
        ),
        (
            r#""force_recovery_mode": "x""#,
            "force_recovery_mode",
            "unknown recovery mode: \"x\", possible choices are: stream, cache",
        ),
        (
            r#""publication_data_format": "x""#,
            "publication_data_format",
            "unknown publication_data_format: \"x\", possible choices are: json, json_object, binary",
        ),
        (
            r#""subscription_type": "x""#,
            "subscription_type",
            "unknown subscription_type: \"x\", possible choices are: stream, map, map_clients, map_users, shared_poll",
        ),
        (
            r#""subscription_type": "map""#,
            "subscription_type",
            "subscription_type: only \"stream\" is supported by this version",
        ),
        (
            r#""history_size": -1"#,
            "history_size",
            "-1 is negative, allowed are 0 and more",
        ),
        (
            r#""history_ttl": "-1s""#,
            "history_ttl",
            "duration -1s is negative, allowed are 0s and more",
        ),
        (
            r#""batch_flush_latest": true"#,
            "batch_flush_latest",
            "batch_flush_latest requires batch_max_size or batch_max_delay",
        ),
    ] {
        refused(
            &format!(r#"{{"channel": {{"without_namespace": {{{options}}}}}}}"#),
            &format!("channel.without_namespace.{option}"),
            &format!("in channel.without_namespace: {message}"),
        );
        refused(
            &format!(r#"{{"channel": {{"namespaces": [{{"name": "aa"}}, {{"name": "bb", {options}}}]}}}}"#),
            &format!("channel.namespaces.[1].{option}"),
            &format!("namespace bb: {message}"),
        );
    }
    let regex = Setup::new()
        .json(r#"{"channel.without_namespace.channel_regex": "("}"#)
        .problem();
    assert!(
        regex
            .message
            .starts_with("in channel.without_namespace: invalid channel regex (: "),
        "{regex}"
    );
    for options in [
        "",
        HISTORY,
        r#""force_recovery": true, "auto_cache_recover": true, "force_recovery_mode": "cache""#,
        r#""force_positioning": true, "allow_recovery": true, "allow_history_for_client": true"#,
        r#""channel_regex": "^[a-z]+$", "subscription_type": "stream", "force_recovery_mode": "stream""#,
        r#""history_meta_ttl": "30s""#,
        r#""batch_max_size": 10, "batch_max_delay": "200ms", "batch_flush_latest": true"#,
    ] {
        let comma = if options.is_empty() || options == HISTORY {
            ""
        } else {
            ","
        };
        let history = if options == HISTORY { "" } else { HISTORY };
        let text = if options.contains("history_meta_ttl") || options.is_empty() {
            format!(r#"{{"channel.without_namespace": {{{options}}}}}"#)
        } else {
            format!(r#"{{"channel.without_namespace": {{{options}{comma}{history}}}}}"#)
        };
        Setup::new().json(&text).loaded();
    }
}

#[test]
fn namespaces() {
    let expression = "(must match ^[-a-zA-Z0-9_.]{2,}$ regular expression)";
    for (list, what) in [("channel", "namespace name"), ("rpc", "rpc namespace name")] {
        let text = |names: &str| format!(r#"{{"{list}.namespaces": [{names}]}}"#);
        for name in ["", "a", "a b", "ä1", "a:b"] {
            refused(
                &text(&format!(r#"{{"name": "{name}"}}"#)),
                &format!("{list}.namespaces.[0].name"),
                &format!("invalid {what} – {name} {expression}"),
            );
        }
        refused(
            &text(r#"{"name": "aa"}, {"name": "bb"}, {"name": "aa"}"#),
            &format!("{list}.namespaces.[2].name"),
            &format!("{what} must be unique: aa"),
        );
        Setup::new()
            .json(&text(r#"{"name": "-a_B.9"}, {"name": "AA"}, {"name": "aa"}"#))
            .loaded();
    }
    refused(
        r#"{"channel.history_meta_ttl": "1.5s"}"#,
        "channel.history_meta_ttl",
        "in history_meta_ttl: malformed duration 1.5s, sub-second precision is not supported for this key",
    );
}

#[test]
fn personal_channels() {
    let key = "client.subscribe_to_user_personal_channel";
    let text = |rest: &str| {
        format!(r#"{{"{key}": {{"enabled": true, {rest}}}, "channel.namespaces": [{{"name": "aa"}}]}}"#)
    };
    for (rest, option, message) in [
        (
            r#""personal_channel_namespace": "zz""#,
            "personal_channel_namespace",
            "namespace for user personal channel not found: zz",
        ),
        (
            r#""single_connection": true"#,
            "single_connection",
            "presence must be enabled on top level to maintain single connection",
        ),
        (
            r#""single_connection": true, "personal_channel_namespace": "aa""#,
            "single_connection",
            "presence must be enabled for namespace aa to maintain single connection",
        ),
    ] {
        refused(&text(rest), &format!("{key}.{option}"), message);
        Setup::new()
            .json(&text(rest))
            .flag(&format!("{key}.enabled"), "false")
            .loaded();
    }
    Setup::new()
        .json(&text(r#""personal_channel_namespace": "aa""#))
        .loaded();
}

#[test]
fn listeners() {
    let key = "http_server.h2c_external";
    refused(
        r#"{"http_server.h2c_external": true}"#,
        key,
        "external_h2c requires custom separate internal_port to be configured",
    );
    let tls = r#""tls": {"enabled": true, "cert_pem": "c", "key_pem": "k"}"#;
    refused(
        &format!(r#"{{"http_server": {{"h2c_external": true, "internal_port": "9000", {tls}}}}}"#),
        key,
        "external_h2c cannot be used together with enabled TLS for external HTTP server",
    );
    refused(
        r#"{"http_server.http3.enabled": true}"#,
        "http_server.http3.enabled",
        "HTTP/3 requires TLS configured",
    );
    refused(
        r#"{"webtransport.enabled": true}"#,
        "webtransport.enabled",
        "can not enable webtransport without experimental HTTP/3",
    );
    refused(
        r#"{"http_server.tls": {"enabled": true, "cert_pem": "c"}}"#,
        "http_server.tls.enabled",
        "TLS is enabled without a certificate: both cert_pem and key_pem are required",
    );
    refused(
        r#"{"http_server": {"internal_tls": {"enabled": true}, "internal_address": "127.0.0.1"}}"#,
        "http_server.internal_tls.enabled",
        "TLS is enabled without a certificate: both cert_pem and key_pem are required",
    );
    refused(
        r#"{"http_server.internal_port": "http"}"#,
        "http_server.internal_port",
        "\"http\" is not a port, allowed are 0 to 65535",
    );
    refused(
        r#"{"http_server.port": 70000}"#,
        "http_server.port",
        "70000 is not between 0 and 65535",
    );
    refused(
        r#"{"http_server.tls.min_version": "1.1"}"#,
        "http_server.tls.min_version",
        "unknown TLS version: \"1.1\", possible choices are: 1.2, 1.3",
    );
    for good in [
        format!(r#"{{"http_server": {{"http3.enabled": true, {tls}}}, "webtransport.enabled": true}}"#),
        r#"{"http_server": {"http3.enabled": true, "development_certificate.enabled": true}}"#.to_owned(),
        r#"{"http_server": {"tls.enabled": true, "development_certificate.enabled": true}}"#.to_owned(),
        r#"{"http_server": {"internal_tls.enabled": true}}"#.to_owned(),
        r#"{"http_server": {"h2c_external": true, "internal_port": 9000}}"#.to_owned(),
    ] {
        Setup::new().json(&good).loaded();
    }
    let server = Setup::new()
        .json(r#"{"http_server": {"address": "h", "internal_port": 9000}}"#)
        .config()
        .http_server;
    assert_eq!(server.internal(), ("h".to_owned(), "9000".to_owned()));
    assert!(server.has_internal());
}

#[test]
fn paths() {
    refused(
        r#"{"websocket.handler_prefix": "ws"}"#,
        "websocket.handler_prefix",
        "path \"ws\" does not start with a slash",
    );
    refused(
        r#"{"websocket.handler_prefix": "/x", "init": {"enabled": true, "handler_prefix": "/x/"}}"#,
        "init.handler_prefix",
        "init and websocket can not both be served on path \"/x/\"",
    );
    let shared = r#""test_page.enabled": true, "health": {"enabled": true, "handler_prefix": "/"}"#;
    refused(
        &format!("{{{shared}}}"),
        "health.handler_prefix",
        "health and test_page can not both be served on path \"/\"",
    );
    for good in [
        format!(r#"{{{shared}, "http_server.internal_port": "9000"}}"#),
        r#"{"sse.handler_prefix": "/connection/websocket"}"#.to_owned(),
        r#"{"websocket": {"disabled": true, "handler_prefix": "ws"}}"#.to_owned(),
        r#"{"emulation.handler_prefix": "/api"}"#.to_owned(),
    ] {
        Setup::new().json(&good).loaded();
    }
}

#[test]
fn pings_and_pongs() {
    let key = "client.ping_interval";
    for text in [
        r#"{"client": {"ping_interval": "8s"}}"#,
        r#"{"client": {"pong_timeout": "25s"}}"#,
        r#"{"client": {"ping_interval": "-1s"}}"#,
    ] {
        refused(text, key, "ping_interval must be greater than pong_timeout");
    }
    for (ping, pong, expected) in [
        ("-1s", "-2s", (None, None)),
        ("9s", "-1s", (Some(9), None)),
        ("9s", "8s", (Some(9), Some(8))),
    ] {
        let client = Setup::new()
            .flag(key, ping)
            .flag("client.pong_timeout", pong)
            .config()
            .client;
        let expected = (
            expected.0.map(Duration::from_secs),
            expected.1.map(Duration::from_secs),
        );
        assert_eq!(
            (client.ping_interval, client.pong_timeout),
            expected,
            "{ping} {pong}"
        );
    }
}

#[test]
fn other_values() {
    refused(
        r#"{"websocket.compression_level": 10}"#,
        "websocket.compression_level",
        "compression level 10 does not exist, allowed are 1 to 9",
    );
    refused(
        r#"{"http_api.error_mode": "custom"}"#,
        "http_api.error_mode",
        "invalid value: custom, possible choices are: transport",
    );
    refused(
        r#"{"channel.publication_data_format": "xml"}"#,
        "channel.publication_data_format",
        "unknown publication_data_format: \"xml\", possible choices are: json, json_object, binary",
    );
    let error = Setup::new()
        .flag("http_api.error_mode", "x")
        .flag("webtransport.enabled", "1")
        .load();
    let text = error.expect_err("two problems").to_string();
    assert_eq!(
        text,
        "invalid value: x, possible choices are: transport (http_api.error_mode, flag --http_api.error_mode); \
         can not enable webtransport without experimental HTTP/3 (webtransport.enabled, flag --webtransport.enabled)"
    );
}

#[test]
fn channel_patterns() {
    for (pattern, message) in [
        ("users/:name", "channel pattern must start with /: users/:name"),
        ("/a//b", "channel pattern can not contain //: /a//b"),
        ("/a/*", "channel pattern can not contain *: /a/*"),
        ("/ü", "channel pattern must be ASCII: /ü"),
        ("/:a/:a", "channel pattern has the variable :a twice: /:a/:a"),
        (
            "/b/:y",
            "channel pattern /b/:y matches the same channels as that of namespace aa",
        ),
    ] {
        refused(
            &format!(
                r#"{{"channel": {{"patterns": true, "namespaces": [
                    {{"name": "aa", "pattern": "/b/:x"}}, {{"name": "bb", "pattern": "{pattern}"}}]}}}}"#
            ),
            "channel.namespaces.[1].pattern",
            &format!("namespace bb: {message}"),
        );
    }
    refused(
        r#"{"channel": {"namespaces": [{"name": "aa", "pattern": "/b/:x"}]}}"#,
        "channel.namespaces.[0].pattern",
        "namespace aa: channel pattern requires channel.patterns",
    );
    refused(
        r#"{"channel": {"patterns": true, "without_namespace": {"pattern": "/b/:x"}}}"#,
        "channel.without_namespace.pattern",
        "in channel.without_namespace: channel pattern can only be set in a namespace",
    );
    refused(
        r#"{"channel": {"patterns": true, "namespaces": [{"name": "aa", "pattern": "/b/:x"}]},
            "client": {"subscribe_to_user_personal_channel": {"enabled": true, "personal_channel_namespace": "aa"}}}"#,
        "client.subscribe_to_user_personal_channel.personal_channel_namespace",
        "namespace aa has a channel pattern, which user personal channels do not match",
    );
    Setup::new()
        .json(
            r#"{"channel": {"patterns": true, "namespaces": [{"name": "aa", "pattern": "/b/:x"},
                {"name": "bb", "pattern": "/b/x_:x"}, {"name": "cc"}]}}"#,
        )
        .loaded();
}

#[test]
fn engines() {
    for (text, key, message) in [
        (
            r#"{"engine.type": "foo"}"#,
            "engine.type",
            "unknown engine type: foo",
        ),
        (
            r#"{"broker.type": "foo"}"#,
            "broker.type",
            "unknown broker type: foo",
        ),
        (
            r#"{"broker": {"enabled": true, "type": "postgres"}}"#,
            "broker.type",
            "broker.type \"postgres\" is not supported by this version",
        ),
        (
            r#"{"presence_manager.type": "nats"}"#,
            "presence_manager.type",
            "unknown presence manager type: nats",
        ),
        (
            r#"{"engine": {"type": "redis", "redis": {"address": "here"}}}"#,
            "engine.redis.address",
            "malformed connection address, must be Redis URL or host:port",
        ),
        (
            r#"{"broker": {"enabled": true, "type": "redis", "redis": {"cluster_address": ["x"]}}}"#,
            "broker.redis.cluster_address",
            "malformed Redis Cluster address: x",
        ),
        (
            r#"{"presence_manager": {"enabled": true, "type": "redis", "redis": {"sentinel_address": ["a:1"]}}}"#,
            "presence_manager.redis.sentinel_address",
            "master name must be set when using Redis Sentinel",
        ),
    ] {
        let problem = Setup::new().json(text).problem();
        assert_eq!((problem.key.as_str(), problem.message.as_str()), (key, message));
    }
    for text in [
        r#"{"engine": {"type": "redis", "redis": {"address": ["a:1", "b:2"], "db": 3, "presence_ttl": "90s"}}}"#,
        r#"{"engine": {"type": "redis", "redis": {"address": "nowhere"}},
            "broker": {"enabled": true}, "presence_manager": {"enabled": true}}"#,
        r#"{"engine": {"type": "memory", "redis": {"address": "not in use"}}}"#,
        r#"{"broker": {"type": "postgres"}}"#,
    ] {
        Setup::new().json(text).loaded();
    }
    let set = Setup::new().var("CENTRIFUGO_ENGINE_REDIS_ADDRESS", "a:1 b:2");
    assert_eq!(set.loaded().config.engine.redis.redis.address, ["a:1", "b:2"]);
}

#[test]
fn nats() {
    let with = |nats: &str| format!(r#"{{"broker": {{"enabled": true, "type": "nats", "nats": {nats}}}}}"#);
    for (nats, key, message) in [
        (
            r#"{"url": "http://h"}"#,
            "broker.nats.url",
            "invalid address of NATS \"http://h\": the scheme must be nats or tls",
        ),
        (
            r#"{"prefix": "a.*"}"#,
            "broker.nats.prefix",
            "\"a.*\" is not a valid beginning of subjects",
        ),
        (
            r#"{"raw_mode": {"enabled": true, "prefix": ">"}}"#,
            "broker.nats.raw_mode.prefix",
            "a prefix has no wildcards",
        ),
        (
            r#"{"raw_mode": {"enabled": true}, "jetstream": {"enabled": true}}"#,
            "broker.nats.jetstream.enabled",
            "there is no history in raw mode, in which messages have no room for positions",
        ),
        (
            r#"{"jetstream": {"enabled": true, "storage": "s3"}}"#,
            "broker.nats.jetstream.storage",
            "unknown storage \"s3\": file or memory",
        ),
        (
            r#"{"jetstream": {"enabled": true, "replicas": 6}}"#,
            "broker.nats.jetstream.replicas",
            "6 replicas: from 1 to 5 are possible",
        ),
        (
            r#"{"jetstream": {"enabled": true, "max_age": "1m"}}"#,
            "broker.nats.jetstream.max_age",
            "must be 2m at least",
        ),
    ] {
        let problem = Setup::new().json(&with(nats)).problem();
        assert_eq!((problem.key.as_str(), problem.message.as_str()), (key, message));
    }
    let all = r#"{"url": "nats://u:p@a:1,b", "prefix": "p", "dial_timeout": "2s", "write_timeout": "3s",
        "allow_wildcards": true, "jetstream": {"enabled": true, "storage": "memory", "replicas": 3, "max_age": "48h"}}"#;
    Setup::new().json(&with(all)).loaded();
    // What is not used may say what it likes.
    Setup::new()
        .json(r#"{"broker": {"type": "nats", "nats": {"url": "http://h"}}}"#)
        .loaded();
    let set = Setup::new().var("CENTRIFUGO_BROKER_NATS_URL", "nats://n:1");
    assert_eq!(set.loaded().config.broker.nats.url, "nats://n:1");
}

#[test]
fn presence_is_read_from_replicas_that_are_connected() {
    let with = |redis: &str| format!(r#"{{"engine": {{"type": "redis", "redis": {{{redis}}}}}}}"#);
    let reads = r#""presence_read_from_replica": true"#;
    let problem = Setup::new().json(&with(reads)).problem();
    assert_eq!(problem.key, "engine.redis.presence_read_from_replica");
    assert_eq!(problem.message, "needs replica_client.enabled");
    let cluster = r#""address": "redis+cluster://h:1?replica_client_enabled=true""#;
    for redis in [
        format!(r#"{reads}, "replica_client": {{"enabled": true}}"#),
        format!("{reads}, {cluster}"),
        cluster.to_owned(),
    ] {
        Setup::new().json(&with(&redis)).loaded();
    }
}

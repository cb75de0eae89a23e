use super::*;

#[test]
fn unsupported_options_are_named() {
    for (text, keys) in [
        (r#"{"admin": {"password": "p", "secret": "s"}}"#, &["admin"][..]),
        (
            r#"{"admin": {"enabled": false, "handler_prefix": ""}, "engine": {"type": "memory"}}"#,
            &[],
        ),
        (
            r#"{"broker": {"type": "memory", "redis": {"prefix": "centrifugo", "io_timeout": "4s"}}}"#,
            &[],
        ),
        (r#"{"broker": {"nats": {"url": "nats://n"}}}"#, &[]),
        (r#"{"engine": {"redis": {"address": "redis://r:1"}}}"#, &[]),
        (
            r#"{"uni_websocket.enabled": true, "grpc_api": {"enabled": true}}"#,
            &["grpc_api", "uni_websocket"],
        ),
        (
            r#"{"client.proxy": {"connect": {"endpoint": "http://h"}}}"#,
            &["client.proxy"],
        ),
        (r#"{"proxies": [{"name": "px"}]}"#, &["proxies"]),
        (
            r#"{"consumers": [{"name": "cc", "type": "kafka"}]}"#,
            &["consumers"],
        ),
        (
            r#"{"channel.namespaces": [{"name": "aa", "map": {"mode": "x"}}]}"#,
            &["channel.namespaces.[0].map"],
        ),
        (
            r#"{"rpc.without_namespace.proxy_enabled": true}"#,
            &["rpc.without_namespace.proxy_enabled"],
        ),
        (
            r#"{"prometheus.native_histograms": true}"#,
            &["prometheus.native_histograms"],
        ),
        (
            r#"{"websocket": {"read_buffer_size": 512, "use_write_buffer_pool": true}, "usage_stats.disabled": true}"#,
            &[],
        ),
    ] {
        let warnings = Setup::new().json(text).loaded().warnings;
        let expected: Vec<_> = keys
            .iter()
            .map(|key| Warning::Unsupported((*key).to_owned()))
            .collect();
        let sorted = |mut warnings: Vec<Warning>| {
            warnings.sort();
            warnings
        };
        assert_eq!(sorted(warnings), sorted(expected), "{text}");
    }
    let loaded = Setup::new().var("CENTRIFUGO_ADMIN_ENABLED", "true").loaded();
    assert_eq!(
        loaded.warnings[0].to_string(),
        "option is not supported by this version"
    );
    assert_eq!(loaded.warnings[0].field(), Some(("key", "admin")));
}

#[test]
fn options_that_must_not_be_ignored_are_refused() {
    for (key, value, message) in [
        (
            "controller.enabled",
            "true",
            "controller.enabled is not supported by this version",
        ),
        (
            "client.proxy.connect.enabled",
            "true",
            "client.proxy.connect.enabled is not supported by this version",
        ),
        (
            "client.proxy.refresh.enabled",
            "true",
            "client.proxy.refresh.enabled is not supported by this version",
        ),
        (
            "http_server.tls_autocert.enabled",
            "true",
            "http_server.tls_autocert.enabled is not supported by this version",
        ),
    ] {
        let problem = Setup::new().flag(key, value).problem();
        assert_eq!((problem.message.as_str(), problem.key.as_str()), (message, key));
    }
    for option in ["subscribe", "publish", "sub_refresh", "subscribe_stream"] {
        let text = format!(r#"{{"channel.namespaces": [{{"name": "aa", "{option}_proxy_enabled": true}}]}}"#);
        let key = format!("channel.namespaces.[0].{option}_proxy_enabled");
        let message = format!("namespace aa: {key} is not supported by this version");
        assert_eq!(Setup::new().json(&text).problem().message, message);
    }
    let consumer = Setup::new()
        .json(r#"{"consumers": [{"name": "cc", "enabled": true}]}"#)
        .problem();
    assert_eq!(
        consumer.message,
        "consumers.[0].enabled is not supported by this version"
    );
}

#[test]
fn log_levels() {
    for (text, level) in [
        ("DEBUG", LogLevel::Debug),
        ("none", LogLevel::None),
        ("Fatal", LogLevel::Fatal),
    ] {
        let loaded = Setup::new().flag("log.level", text).loaded();
        assert_eq!((loaded.config.log.level, loaded.warnings.len()), (level, 0));
    }
    let loaded = Setup::new().flag("log.level", "foo").loaded();
    assert_eq!(loaded.config.log.level, LogLevel::Info);
    assert_eq!(
        loaded.warnings[0].to_string(),
        "unknown log level foo, defaulting to INFO"
    );
    assert_eq!(loaded.warnings[0].field(), None);
}

use std::time::Duration;

use super::super::coerce;
use super::super::definition::{Kind, Object, Section, join};
use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_default_can_be_read() {
    fn walk(section: &'static Section, key: &str) {
        let mut names = std::collections::HashSet::new();
        for field in section.fields() {
            let key = join(key, field.name);
            assert!(names.insert(field.name), "{key} is defined twice");
            match field.kind {
                Kind::Object(section) | Kind::Objects(section) | Kind::Named(section) => walk(section, &key),
                Kind::TextMap => assert_eq!(field.default, "", "{key}"),
                kind => {
                    let read = coerce::from_text(kind, field.default);
                    assert!(field.default.is_empty() || read.is_ok(), "{key}: {read:?}");
                }
            }
        }
    }
    walk(Config::SECTION, "");
    Setup::new().loaded();
}

#[test]
fn nothing_set_means_the_documented_defaults() {
    let config = Setup::new().config();
    assert_eq!(config, Config::default());
    assert_eq!(config.http_server.port, 8000);
    assert_eq!(config.http_server.internal(), (String::new(), "8000".to_owned()));
    assert!(!config.http_server.has_internal());
    assert_eq!(config.http_server.development_certificate.directory, ".tidegate");
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.shutdown.timeout, seconds(30));
    assert_eq!(config.node.info_metrics_aggregate_interval, seconds(60));
    let client = &config.client;
    assert!(client.allowed_origins.is_empty());
    assert_eq!(
        (client.ping_interval, client.pong_timeout),
        (Some(seconds(25)), Some(seconds(8)))
    );
    assert_eq!(
        (client.expired_close_delay, client.expired_sub_close_delay),
        (seconds(25), seconds(25))
    );
    assert_eq!(
        (client.stale_close_delay, client.presence_update_interval),
        (seconds(10), seconds(27))
    );
    assert_eq!(client.channel_position_check_delay, seconds(40));
    assert_eq!(client.channel_position_max_time_lag, None);
    assert_eq!(
        (client.channel_limit, client.queue_max_size),
        (Some(128), Some(1_048_576))
    );
    assert_eq!(
        (
            client.concurrency,
            client.connection_limit,
            client.user_connection_limit
        ),
        (0, None, None)
    );
    assert_eq!(client.history_max_publication_limit, Some(300));
    assert_eq!(client.recovery_max_publication_limit, Some(300));
    let channel = &config.channel;
    assert_eq!(channel.history_meta_ttl, seconds(720 * 3600));
    assert_eq!(channel.max_length, Some(255));
    let boundaries = [
        &channel.private_prefix,
        &channel.namespace_boundary,
        &channel.user_boundary,
    ];
    assert_eq!(boundaries, ["$", ":", "#"]);
    assert_eq!(channel.user_separator, ",");
    assert_eq!(channel.without_namespace.history_meta_ttl, None);
    assert_eq!(config.websocket.handler_prefix, "/connection/websocket");
    assert_eq!(
        (
            config.websocket.compression_level,
            config.websocket.message_size_limit
        ),
        (1, 65536)
    );
    assert_eq!(config.websocket.write_timeout, seconds(1));
    assert_eq!(config.sse.handler_prefix, "/connection/sse");
    assert_eq!(config.http_stream.handler_prefix, "/connection/http_stream");
    assert_eq!(config.webtransport.handler_prefix, "/connection/webtransport");
    assert_eq!(config.emulation.max_request_body_size, 65536);
    assert_eq!(config.http_api.handler_prefix, "/api");
    assert_eq!(
        (
            config.rpc.namespace_boundary.as_str(),
            config.rpc.ping.method.as_str()
        ),
        (":", "ping")
    );
    assert_eq!(config.prometheus.handler_prefix, "/metrics");
    assert_eq!(config.health.handler_prefix, "/health");
    assert_eq!(config.init.handler_prefix, "/connection/init");
}

#[test]
fn samples_are_read_back() {
    for (name, format) in [
        ("config.json", Format::Json),
        ("config.yaml", Format::Yaml),
        ("config.toml", Format::Toml),
    ] {
        let text = sample::file(&Sources::default(), format).expect("sample");
        let loaded = Setup::new().file(name, &text).loaded();
        assert_eq!(loaded.config, Config::default(), "{name}");
        assert_eq!(loaded.warnings, [], "{name}");
        assert!(loaded.file_found, "{name}");
    }
}

#[test]
fn samples_keep_what_is_set() {
    let base = r#"{
        "admin": {"password": "p"},
        "http_server": {"port": 9000, "tls": {"client_ca_pem": "a\nb"}},
        "client": {"allowed_origins": ["https://a.example", "https://b.example"], "ping_interval": "90s"},
        "channel": {"namespaces": [{"name": "a-b.c", "presence": true, "history_size": 5, "history_ttl": "1m"}]}
    }"#;
    let setup = Setup::new().json(base).var("TIDEGATE_CLIENT_CONCURRENCY", "8");
    let loaded = setup.loaded();
    for (name, format) in [
        ("config.json", Format::Json),
        ("config.yml", Format::Yaml),
        ("config.toml", Format::Toml),
    ] {
        let text = sample::file(&setup.sources, format).expect("sample");
        let again = Setup::new().file(name, &text).loaded();
        assert_eq!(
            (again.config, again.warnings),
            (loaded.config.clone(), loaded.warnings.clone()),
            "{text}"
        );
    }
    let json = sample::file(&setup.sources, Format::Json).expect("sample");
    assert!(
        json.contains("  \"client\": {\n    \"allowed_origins\": ["),
        "{json}"
    );
    assert!(json.contains("\"ping_interval\": \"1m30s\""), "{json}");
    assert!(
        json.contains("\"password\": \"p\"") && !json.contains("web_path"),
        "{json}"
    );

    let lines = sample::environment(&setup.sources, false).expect("sample");
    let from_lines = |lines: &str| {
        let mut setup = Setup::new();
        for line in lines.lines() {
            let (name, value) = line.split_once('=').expect("line");
            let value = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
            setup = setup.var(name, &value);
        }
        setup.loaded()
    };
    assert_eq!(from_lines(&lines).config, loaded.config);
    assert!(
        lines.contains("TIDEGATE_CHANNEL_NAMESPACES=\"a-b.c\"\n"),
        "{lines}"
    );
    assert!(
        lines.contains("TIDEGATE_CHANNEL_NAMESPACES_A_B_C_HISTORY_TTL=1m0s\n"),
        "{lines}"
    );
    assert!(!lines.contains("A_B_C_NAME"), "{lines}");
    assert!(lines.lines().is_sorted(), "{lines}");
    let few = sample::environment(&setup.sources, true).expect("sample");
    assert_eq!(from_lines(&few).config, loaded.config);
    assert!(
        !few.contains("=0\n") && !few.contains("=\"\"\n") && !few.contains("=false\n"),
        "{few}"
    );
}

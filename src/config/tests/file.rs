use std::time::Duration;

use proptest::prelude::*;

use super::super::value::Source;
use super::*;

#[test]
fn formats_say_the_same() {
    let json = r#"{"http_server": {"port": 8123}, "client": {"allowed_origins": ["a", "b"], "ping_interval": "5m"}}"#;
    let yaml = "http_server:\n  port: 8123\nclient:\n  allowed_origins: [a, b]\n  ping_interval: 5m\n";
    let toml = "[http_server]\nport = 8123\n[client]\nallowed_origins = ['a', 'b']\nping_interval = '5m'\n";
    let expected = Setup::new().json(json).config();
    assert_eq!(expected.http_server.port, 8123);
    assert_eq!(expected.client.allowed_origins, ["a", "b"]);
    assert_eq!(expected.client.ping_interval, Some(Duration::from_secs(300)));
    for (name, text) in [
        ("c.yaml", yaml),
        ("c.yml", yaml),
        ("c.toml", toml),
        ("c.JSON", json),
    ] {
        assert_eq!(Setup::new().file(name, text).config(), expected, "{name}");
    }
    assert_eq!(Setup::new().file("c.yaml", "").config(), Config::default());
    assert_eq!(Setup::new().file("c.toml", "").config(), Config::default());
}

#[test]
fn files_that_cannot_be_read() {
    for (name, text, reason) in [
        ("c.ini", "", "Unsupported Config Type \"ini\""),
        ("c", "", "Unsupported Config Type \"\""),
        ("c.json", "", "While parsing config: EOF"),
        ("c.json", "{} // comment", "While parsing config: trailing"),
        ("c.json", "[]", "While parsing config: the file is not an object"),
        (
            "c.json",
            "null",
            "While parsing config: the file is not an object",
        ),
        ("c.yaml", "a: b: c", "While parsing config: "),
        ("c.yaml", "- a", "While parsing config: the file is not an object"),
        ("c.toml", "a", "While parsing config: "),
    ] {
        let setup = Setup::new().file(name, text);
        let error = setup.load().expect_err(name);
        let expected = format!("error reading config file {}: {reason}", setup.path().display());
        assert!(error.to_string().starts_with(&expected), "{name}: {error}");
        assert_eq!(error.summary(), "error getting config");
    }
    let error = Setup::new().file("c.json", [0xff]).load().expect_err("not UTF-8");
    assert!(error.to_string().contains("utf-8"), "{error}");
}

#[test]
fn missing_files_are_no_error() {
    let mut setup = Setup::new().json("{}");
    assert!(setup.loaded().file_found);
    setup.sources.file = Some(setup.path().with_file_name("other.json"));
    assert!(!setup.loaded().file_found);
    // A directory cannot be read either.
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("directory.json");
    std::fs::create_dir(&path).expect("directory");
    setup.sources.file = Some(path);
    assert!(!setup.loaded().file_found);
    setup.sources.file = None;
    assert!(!setup.loaded().file_found);
}

#[test]
fn keys_ignore_case_and_may_be_paths() {
    let setup = Setup::new().json(
        r#"{
            "HTTP_Server.Port": 1,
            "http_server": {"ADDRESS": "h", "http3.Enabled": true, "TLS.enabled": true, "tls": {"cert_pem": "c", "key_pem": "k"}},
            "channel": {"Namespaces": [{"NAME": "aB", "Presence": true}]}
        }"#,
    );
    let Loaded { config, warnings, .. } = setup.loaded();
    assert_eq!(warnings, []);
    assert_eq!(
        (config.http_server.port, config.http_server.address.as_str()),
        (1, "h")
    );
    assert!(config.http_server.http3.enabled && config.http_server.tls.enabled);
    let namespace = &config.channel.namespaces[0];
    assert_eq!(
        (namespace.name.as_str(), namespace.options.presence),
        ("aB", true)
    );
}

#[test]
fn zero_means_the_default() {
    let zeros = r#"{
        "http_server": {"port": 0, "tls": null},
        "client": {"channel_limit": 0, "ping_interval": "0s", "pong_timeout": 0, "queue_max_size": "0"},
        "channel": {"user_boundary": "", "namespaces": [], "max_length": 0.4},
        "websocket": {"handler_prefix": ""},
        "http_api": null
    }"#;
    assert_eq!(Setup::new().json(zeros).config(), Config::default());
}

#[test]
fn coercions() {
    let config = |text: &str| Setup::new().json(text).config();
    for (text, port) in [
        ("\"8123\"", 8123),
        ("\"0x10\"", 16),
        ("5.7", 5),
        ("1e3", 1000),
        ("true", 1),
    ] {
        assert_eq!(
            config(&format!("{{\"http_server\": {{\"port\": {text}}}}}"))
                .http_server
                .port,
            port
        );
    }
    for (text, on) in [
        ("true", true),
        ("\"true\"", true),
        ("\"T\"", true),
        ("1", true),
        ("0", false),
        ("\"\"", false),
        ("\"0\"", false),
    ] {
        assert_eq!(
            config(&format!("{{\"sse.enabled\": {text}}}")).sse.enabled,
            on,
            "{text}"
        );
    }
    for (text, list) in [
        ("\"a b,c\"", &["a b,c"][..]),
        ("7", &["7"]),
        ("[\"a\", 1]", &["a", "1"]),
        ("\"\"", &[]),
        ("[]", &[]),
    ] {
        assert_eq!(
            config(&format!("{{\"client.allowed_origins\": {text}}}"))
                .client
                .allowed_origins,
            list
        );
    }
    for (text, nanos) in [
        ("25", 25),
        ("\"25\\u00b5s\"", 25_000),
        ("1.9", 1),
        ("\"1h\"", 3_600_000_000_000),
    ] {
        let config = config(&format!("{{\"shutdown.timeout\": {text}}}"));
        assert_eq!(config.shutdown.timeout, Duration::from_nanos(nanos), "{text}");
    }
    assert_eq!(
        config("{\"http_server.internal_port\": 9000}")
            .http_server
            .internal_port,
        "9000"
    );
    let negative = config(
        "{\"client\": {\"channel_limit\": -1, \"queue_max_size\": -1, \"ping_interval\": -1, \"pong_timeout\": \"-2s\"}, \"channel.max_length\": -1}",
    );
    assert_eq!(
        (negative.client.channel_limit, negative.client.queue_max_size),
        (None, None)
    );
    assert_eq!(
        (negative.client.ping_interval, negative.client.pong_timeout),
        (None, None)
    );
    assert_eq!(negative.channel.max_length, None);
}

#[test]
fn values_that_cannot_be_read() {
    for (text, key, message) in [
        (
            r#"{"client": {"channel_limit": "many"}}"#,
            "client.channel_limit",
            "cannot parse value as 'int': \"many\"",
        ),
        (
            r#"{"client": {"channel_limit": [1]}}"#,
            "client.channel_limit",
            "cannot parse value as 'int': found an array",
        ),
        (
            r#"{"client": {"channel_limit": 1e30}}"#,
            "client.channel_limit",
            "1e+30 is not a number of 64 bits",
        ),
        (
            r#"{"client": {"channel_limit": 18446744073709551615}}"#,
            "client.channel_limit",
            "18446744073709551615 is not",
        ),
        (
            r#"{"client": {"token": {"hmac_secret_key": ["s"]}}}"#,
            "client.token.hmac_secret_key",
            "cannot parse value as 'string': found an array",
        ),
        (
            r#"{"client": {"allowed_origins": [["a"]]}}"#,
            "client.allowed_origins",
            "cannot parse value as 'string'",
        ),
        (
            r#"{"client": 5}"#,
            "client",
            "cannot parse value as 'object': found a number",
        ),
        (
            r#"{"client.ping_interval": "8"}"#,
            "client.ping_interval",
            "time: missing unit in duration \"8\"",
        ),
        (
            r#"{"client.ping_interval": "1d"}"#,
            "client.ping_interval",
            "time: unknown unit \"d\" in duration \"1d\"",
        ),
        (
            r#"{"sse.enabled": "yes"}"#,
            "sse.enabled",
            "cannot parse value as 'bool': \"yes\" is neither",
        ),
        (
            r#"{"channel.namespaces": {"a": 1}}"#,
            "channel.namespaces",
            "cannot parse value as 'array of objects': found an object",
        ),
        (
            r#"{"channel.namespaces": [{"name": "aa"}, "bb"]}"#,
            "channel.namespaces.[1]",
            "cannot parse value as 'object'",
        ),
    ] {
        let setup = Setup::new().json(text);
        let problem = setup.problem();
        assert!(problem.message.starts_with(message), "{text}: {problem}");
        assert_eq!(problem.key, key, "{text}");
        assert_eq!(problem.source, Source::File(setup.path().into()), "{text}");
        assert!(
            problem.to_string().contains(&setup.path().display().to_string()),
            "{problem}"
        );
        assert_eq!(setup.load().expect_err(text).summary(), "error getting config");
    }
}

#[test]
fn maps_of_texts() {
    let headers = |text: &str| {
        let text = format!(r#"{{"client.proxy.connect.http.static_headers": {text}}}"#);
        Setup::new().json(&text).var("CENTRIFUGO_VAR_S", "x")
    };
    for good in [
        r#"{"X-Abc": "a"}"#,
        r#"[{"key": "X", "value": "${CENTRIFUGO_VAR_S}"}]"#,
        "null",
        r#"{"a": "${OTHER} $"}"#,
    ] {
        headers(good).loaded();
    }
    for (bad, message) in [
        (
            r#"[{"key": "X", "value": "a"}, {"key": "X", "value": "b"}]"#,
            "duplicate key \"X\" at element 1",
        ),
        (
            r#"[{"key": "X"}]"#,
            "element 0 does not consist of the strings key and value",
        ),
        (r#"{"X": 1}"#, "the value of \"X\" is not a string"),
        (r#""X""#, "cannot parse value as 'map': found a string"),
        (
            r#"{"X": "${CENTRIFUGO_VAR_Y}"}"#,
            "environment variable \"CENTRIFUGO_VAR_Y\" not found",
        ),
        (
            r#"{"X": "a${TIDEGATE_VAR_Z}"}"#,
            "environment variable \"TIDEGATE_VAR_Z\" not found",
        ),
    ] {
        assert_eq!(headers(bad).problem().message, message, "{bad}");
    }
}

#[test]
fn unknown_keys() {
    let setup = Setup::new().json(
        r#"{
            "License": "x", "client": {"Nope": {"deep": 1}},
            "channel": {"namespaces": [{"name": "aa", "nope": 1}]},
            "a.b.c": 1
        }"#,
    );
    let keys = ["a", "channel.namespaces.[0].nope", "client.nope", "license"];
    let mut warnings = setup.loaded().warnings;
    warnings.sort();
    assert_eq!(warnings, keys.map(|key| Warning::UnknownKey(key.to_owned())));
    assert_eq!(warnings[0].to_string(), "unknown key in configuration file");
    assert_eq!(warnings[0].field(), Some(("key", "a")));
}

#[test]
fn deep_files_do_no_harm() {
    const DEPTH: usize = 100_000;
    for (format, text) in [
        (Format::Json, "[".repeat(DEPTH)),
        (Format::Json, "{\"a\":".repeat(DEPTH)),
        (Format::Yaml, "[".repeat(DEPTH)),
        (Format::Yaml, "- ".repeat(DEPTH)),
        (Format::Toml, format!("a = {}", "[".repeat(DEPTH))),
        (Format::Toml, format!("a = {}", "{a=".repeat(DEPTH))),
    ] {
        assert!(
            format.parse(text.as_bytes()).is_err(),
            "{format:?} {}",
            &text[..8]
        );
    }
    let keys = format!("{{\"client{}\": 1}}", ".token".repeat(DEPTH));
    assert!(Setup::new().json(&keys).load().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_files_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Json, Format::Yaml, Format::Toml] {
            let _ = format.parse(&bytes);
        }
    }

    /// Values of any shape in place of options.
    #[test]
    fn random_trees_do_no_harm(
        section in prop::sample::select(vec!["client", "channel", "http_server", "proxies", "engine", "rpc"]),
        option in prop::sample::select(vec!["namespaces", "token", "port", "ping_interval", "", "proxy", "type", "tls.enabled"]),
        json in random_json(),
    ) {
        let text = serde_json::json!({ section: { option: json.clone() }, "consumers": json }).to_string();
        let _ = Setup::new().json(&text).load();
    }

    #[test]
    fn random_variables_do_no_harm(value: String, json in random_json()) {
        for name in ["CLIENT_PING_INTERVAL", "CHANNEL_NAMESPACES", "HTTP_SERVER_PORT", "CONSUMERS"] {
            for value in [&value, &json.to_string()] {
                let _ = Setup::new().var(&format!("TIDEGATE_{name}"), value).load();
            }
        }
    }
}

fn random_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[a-z0-9.${}_-]{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop::sample::select(vec![
            "name",
            "presence",
            "history_ttl",
            "tls",
            "a.b",
            "channel_regex",
            "",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

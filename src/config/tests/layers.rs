use super::*;

#[test]
fn the_strongest_layer_wins() {
    let port = |file: Option<&str>, ours: &str, theirs: &str, flag: Option<&str>| {
        let mut setup = Setup::new();
        if let Some(file) = file {
            setup = setup.json(&format!("{{\"http_server.port\": {file}}}"));
        }
        setup = setup
            .var("TIDEGATE_HTTP_SERVER_PORT", ours)
            .var("CENTRIFUGO_HTTP_SERVER_PORT", theirs);
        if let Some(flag) = flag {
            setup = setup.flag("http_server.port", flag);
        }
        setup.config().http_server.port
    };
    for (file, ours, theirs, flag, expected) in [
        (None, "", "", None, 8000),
        (Some("1"), "", "", None, 1),
        (Some("1"), "", "2", None, 2),
        (Some("1"), "3", "2", None, 3),
        (Some("1"), "3", "2", Some("4"), 4),
        (None, "", "2", None, 2),
        (None, "", "2", Some("4"), 4),
        (Some("1"), "", "", Some("4"), 4),
        // What is set to the default in a stronger layer wins over anything else in a weaker one.
        (Some("1"), "8000", "2", None, 8000),
        (Some("1"), "3", "2", Some("8000"), 8000),
        // Zero is absent in the file, but not in the other layers.
        (Some("0"), "", "", None, 8000),
        (Some("1"), "0", "", None, 0),
        (Some("1"), "3", "", Some("0"), 0),
    ] {
        assert_eq!(
            port(file, ours, theirs, flag),
            expected,
            "{file:?} {ours:?} {theirs:?} {flag:?}"
        );
    }
}

#[test]
fn layers_do_not_overwrite_what_they_do_not_set() {
    let setup = Setup::new()
        .json(r#"{"client": {"token": {"audience": "a"}, "concurrency": 3}, "health.enabled": true}"#)
        .var("CENTRIFUGO_CLIENT_TOKEN_ISSUER", "i")
        .flag("http_server.address", "h");
    let config = setup.config();
    assert_eq!(
        (
            config.client.token.audience.as_str(),
            config.client.token.issuer.as_str()
        ),
        ("a", "i")
    );
    assert_eq!(
        (config.client.concurrency, config.http_server.address.as_str()),
        (3, "h")
    );
    assert!(config.health.enabled);
    let off = Setup::new()
        .var("CENTRIFUGO_HEALTH_ENABLED", "true")
        .flag("health.enabled", "false");
    assert!(!off.config().health.enabled);
}

#[test]
fn zero_from_a_variable_is_replaced_where_it_makes_no_sense() {
    let mut setup = Setup::new();
    for name in [
        "CHANNEL_LIMIT",
        "QUEUE_MAX_SIZE",
        "STALE_CLOSE_DELAY",
        "PRESENCE_UPDATE_INTERVAL",
        "PING_INTERVAL",
    ] {
        setup = setup.var(&format!("CENTRIFUGO_CLIENT_{name}"), "0");
    }
    let client = setup.config().client;
    assert_eq!(
        (client.channel_limit, client.queue_max_size),
        (Some(128), Some(1_048_576))
    );
    assert_eq!(
        (
            client.stale_close_delay.as_secs(),
            client.presence_update_interval.as_secs()
        ),
        (15, 25)
    );
    assert_eq!(client.ping_interval.map(|interval| interval.as_secs()), Some(25));
    let config = Setup::new()
        .var("TIDEGATE_CLIENT_HISTORY_MAX_PUBLICATION_LIMIT", "0")
        .config();
    assert_eq!(config.client.history_max_publication_limit, None);
}

#[test]
fn flags_that_cannot_be_read() {
    let problem = Setup::new().flag("http_server.port", "x").problem();
    assert_eq!(
        problem.to_string(),
        "cannot parse value as 'int': \"x\" is not a whole number of 64 bits (http_server.port, flag --http_server.port)"
    );
    assert_eq!(Setup::new().flag("nope", "x").problem().message, "unknown option");
    assert_eq!(
        Setup::new().flag("client.token", "x").problem().message,
        "cannot parse text as 'object'"
    );
}

#[test]
fn everything_wrong_is_told_at_once() {
    let error = Setup::new()
        .json(r#"{"http_server.port": "x", "client.concurrency": "y"}"#)
        .var("CENTRIFUGO_SSE_ENABLED", "z")
        .load()
        .expect_err("three problems");
    let LoadError::Values(problems) = error else {
        panic!("{error:?}")
    };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["client.concurrency", "http_server.port", "sse.enabled"]);
}

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn minimal_files() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for name in ["config.json", "config.toml", "config.yaml", "config.yml"] {
        let path = directory.path().join(name);
        let path = text(&path);
        assert_eq!(run(&["genconfig", "-c", path]), Ok(String::new()));
        assert_eq!(
            std::fs::metadata(path).expect("file").permissions().mode() & 0o777,
            0o600
        );
        let sources = Sources {
            file: Some(path.into()),
            ..Sources::default()
        };
        let loaded = config::load(&sources).expect("valid");
        assert_eq!(loaded.warnings, []);
        let (token, key) = (
            &loaded.config.client.token.hmac_secret_key,
            &loaded.config.http_api.key,
        );
        assert_eq!((token.len(), key.len()), (86, 86));
        assert_ne!(token, key);
        assert_eq!(run(&["checkconfig", "--strict", "-c", path]), Ok(String::new()));
        let exists = format!("error: output config file already exists: {path}");
        assert_eq!(run(&["genconfig", "-c", path]), Err(exists));
    }
    let extension = "error: output config file must have one of supported extensions: json, toml, yaml, yml";
    assert_eq!(run(&["genconfig", "-c", "config.ini"]), Err(extension.to_owned()));
    let missing = directory.path().join("missing").join("config.json");
    assert!(run(&["genconfig", "-c", text(&missing)]).is_err());
}

#[test]
fn checks() {
    let check = |json: &str, strict: bool| {
        let (_directory, path) = config(json);
        let flag: &[&str] = if strict { &["--strict"] } else { &[] };
        run(&[&["checkconfig", "-c", path.as_str()], flag].concat())
    };
    assert_eq!(check("{}", true), Ok(String::new()));
    assert_eq!(
        check(r#"{"b": 1, "a": {"c": 1}, "admin.password": "x"}"#, false),
        Ok(String::new())
    );
    assert_eq!(
        check(r#"{"b": 1, "a": {"c": 1}}"#, true),
        Err("unknown keys in config: a, b".to_owned())
    );
    assert_eq!(
        check(r#"{"admin.password": "x"}"#, true),
        Err("unsupported options in config: admin".to_owned())
    );
    for (json, begin) in [
        ("{", "error getting config: error reading config file "),
        (
            r#"{"sse.enabled": "x"}"#,
            "error getting config: cannot parse value as 'bool'",
        ),
        (
            r#"{"webtransport.enabled": 1}"#,
            "error validating config: can not enable webtransport without",
        ),
        (
            r#"{"client.allowed_origins": "http://[a"}"#,
            "error validating config: malformed origin pattern: ",
        ),
        (
            r#"{"client.token.user_id_claim": "a1"}"#,
            "error validating config: invalid token custom user ID claim: a1, must match ^[a-zA-Z_]+$ regular",
        ),
        (
            r#"{"client.subscription_token": {"enabled": true, "audience": "a", "audience_regex": "b"}}"#,
            "error validating config: can not use both token_audience and token_audience_regex",
        ),
        (
            r#"{"client.token.rsa_public_key": "x"}"#,
            "error validating config: error parsing RSA public key: ",
        ),
    ] {
        let failure = check(json, false).expect_err(json);
        assert!(failure.starts_with(begin), "{json}: {failure}");
    }
    let directory = tempfile::tempdir().expect("temporary directory");
    let missing = directory.path().join("config.json");
    assert_eq!(
        run(&["checkconfig", "-c", text(&missing)]),
        Err("config file not found".to_owned())
    );
    let (_directory, path) = config("{}");
    let failure = run_with(
        &["checkconfig", "-c", &path],
        &[("CENTRIFUGO_SSE_ENABLED", "maybe")],
    );
    assert!(
        failure
            .expect_err("variable")
            .contains("environment variable CENTRIFUGO_SSE_ENABLED")
    );
}

#[test]
fn full_files() {
    let (directory, base) = config(r#"{"http_server.port": 9000}"#);
    let target = directory.path().join("full.yaml");
    let target = text(&target);
    let line = ["defaultconfig", "-c", target, "--base", &base];
    let printed = run(&[&line[..], &["--dry-run"]].concat()).expect("printed");
    assert!(printed.contains("\n  port: 9000\n"), "{printed}");
    assert!(!Path::new(target).exists());
    assert_eq!(run(&line), Ok(String::new()));
    assert_eq!(std::fs::read_to_string(target).expect("file"), printed);
    assert_eq!(
        run(&line),
        Err(format!("error: target file already exists: {target}"))
    );
    let json = run_with(&["defaultconfig", "-d"], &[("TIDEGATE_LOG_LEVEL", "debug")]).expect("printed");
    assert!(
        json.starts_with("{\n  \"http_server\": {\n    \"address\": \"\",\n    \"port\": 8000,"),
        "{json}"
    );
    assert!(json.contains("\"level\": \"debug\""), "{json}");
    let failure = run(&["defaultconfig", "-d", "-b", "missing.json"]).expect_err("no base");
    assert!(
        failure.starts_with("error: base config file missing.json: "),
        "{failure}"
    );
}

#[test]
fn variables() {
    let (_directory, base) = config(r#"{"http_server.port": 9000}"#);
    let all = run(&["defaultenv"]).expect("printed");
    for line in [
        "TIDEGATE_HTTP_SERVER_PORT=8000",
        "TIDEGATE_CLIENT_PING_INTERVAL=25s",
        "TIDEGATE_LOG_LEVEL=\"info\"",
        "TIDEGATE_SSE_ENABLED=false",
    ] {
        assert!(all.lines().any(|other| other == line), "{line}: {all}");
    }
    let few = run(&["defaultenv", "--base-non-zero-only", "-b", &base]).expect("printed");
    assert!(
        few.contains("TIDEGATE_HTTP_SERVER_PORT=9000\n") && !few.contains("SSE_ENABLED"),
        "{few}"
    );
}

#[test]
fn reference() {
    let whole = run(&["configdoc", "-m"]).expect("printed");
    assert!(
        whole.starts_with("# Configuration\n") && whole.contains("\n## `client`\n"),
        "{whole}"
    );
    let part = run(&["configdoc", "-m", "-s", "health", "-l", "4"]).expect("printed");
    assert!(part.starts_with("#### `health`\n"), "{part}");
    assert_eq!(
        run(&["configdoc", "--markdown", "--section", "nope"]),
        Ok(String::new())
    );
}

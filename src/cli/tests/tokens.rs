use super::*;

const CONFIG: &str = r#"{"client": {
    "token": {"hmac_secret_key": "secret"},
    "subscription_token": {"enabled": true, "hmac_secret_key": "other"}
}}"#;

#[test]
fn tokens_are_made_and_checked() {
    let (_directory, path) = config(CONFIG);
    let path = path.as_str();
    for (flags, line, valid) in [
        (
            &["-u", "42"][..],
            "HMAC SHA-256 JWT for user \"42\" with expiration TTL 168h0m0s:",
            "valid token for user 42",
        ),
        (
            &[],
            "HMAC SHA-256 JWT for anonymous user with expiration TTL 168h0m0s:",
            "valid token for anonymous user",
        ),
        (
            &["-u", "42", "-t", "-1"],
            "HMAC SHA-256 JWT for user \"42\" without expiration:",
            "valid token for user 42",
        ),
        (
            &["--user=42", "--ttl=0"],
            "HMAC SHA-256 JWT for user \"42\" without expiration:",
            "valid token for user 42",
        ),
    ] {
        let line_of = |tool, rest: &[&'static str]| [&[tool, "-c", path][..], flags, rest].concat();
        let printed = run(&line_of("gentoken", &[])).expect("token");
        let (first, token) = printed.trim_end().split_once('\n').expect("two lines");
        assert_eq!(first, line);
        assert_eq!(run(&line_of("gentoken", &["-q"])).as_deref(), Ok(token));
        let checked = run(&["checktoken", "-c", path, token]).expect("valid");
        let (first, payload) = checked.split_once('\n').expect("two lines");
        assert_eq!(first, valid);
        assert!(
            payload.starts_with("payload: {") && payload.contains("\"iat\":1700000000"),
            "{payload}"
        );
        assert_eq!(
            payload.contains("\"exp\":1700604800"),
            line.contains("TTL"),
            "{payload}"
        );
    }
}

#[test]
fn subscription_tokens() {
    let (_directory, path) = config(CONFIG);
    let path = path.as_str();
    let printed = run(&["gensubtoken", "-c", path, "-u", "42", "-s", "chan"]).expect("token");
    let (first, token) = printed.trim_end().split_once('\n').expect("two lines");
    assert_eq!(
        first,
        "HMAC SHA-256 JWT for user \"42\" and channel \"chan\" with expiration TTL 168h0m0s:"
    );
    let checked = run(&["checksubtoken", "-c", path, token]).expect("valid");
    assert!(
        checked.starts_with("valid subscription token for user \"42\" and channel \"chan\"\npayload: {"),
        "{checked}"
    );
    // It was signed with the key of its own section.
    assert!(
        run(&["checktoken", "-c", path, token])
            .expect_err("refused")
            .ends_with("signature is not valid")
    );
    assert_eq!(
        run(&["gensubtoken", "-c", path]),
        Err("channel is required".to_owned())
    );
}

#[test]
fn tokens_that_are_refused() {
    let (_directory, path) =
        config(r#"{"client.token": {"hmac_secret_key": "secret", "user_id_claim": "uid"}}"#);
    let path = path.as_str();
    let expired = crate::auth::sign_hs256(
        "secret",
        &crate::auth::GeneratedClaims {
            user: "42".to_owned(),
            expire_at: Some(NOW - 1),
            ..Default::default()
        },
    );
    let failure = run(&["checktoken", "-c", path, &expired]).expect_err("expired");
    assert!(
        failure.starts_with("error: token with algorithm HS256 and claims {"),
        "{failure}"
    );
    assert!(failure.ends_with("} has error: token expired"), "{failure}");
    let invalid = "error: token format is not valid";
    assert_eq!(run(&["checktoken", "-c", path, "x.y.z"]), Err(invalid.to_owned()));
    for tool in ["checktoken", "checksubtoken"] {
        let missing = format!("error: provide token to check [tidegate {tool} <TOKEN>]");
        assert_eq!(run(&[tool, "-c", path]), Err(missing));
    }
    let token = run(&["gentoken", "-c", path, "-q", "-u", "42"]).expect("token");
    let checked = run(&["checktoken", "-c", path, &token]).expect("valid");
    assert!(
        checked.contains("\"uid\":\"42\"") && checked.contains("\"sub\":\"42\""),
        "{checked}"
    );
}

#[test]
fn tokens_need_a_secret() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let missing = directory.path().join("config.json");
    for line in [&["gentoken"][..], &["gensubtoken", "-s", "chan"]] {
        let line = [line, &["-c", text(&missing)]].concat();
        let failure = run(&line).expect_err("no secret");
        let begin = format!(
            "error: {} only supports generating HMAC-signed tokens, but no HMAC secret key is set in the configuration",
            line[0]
        );
        assert!(failure.starts_with(&begin), "{failure}");
        // A variable is as good as a file.
        run_with(&line, &[("CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY", "s")]).expect("token");
    }
}

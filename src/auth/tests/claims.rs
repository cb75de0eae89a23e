//! Claims and the order of the checks (channels-and-auth.md 4.2 to 4.6).

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::channels::{Capabilities, Capability, Operations, Overrides};
use crate::protocol::message::FilterNode;
use crate::tags::{Filter, InvalidFilter};

fn connect_claims(claims: &Value) -> Result<ConnectToken, TokenError> {
    connect(&verifier(&with_secret()), &Signer::hs256(SECRET).sign(claims))
}

fn subscribe_claims(claims: &Value) -> Result<SubscribeToken, TokenError> {
    subscribe(&verifier(&with_secret()), &Signer::hs256(SECRET).sign(claims))
}

fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

fn filter(cmp: &str) -> Option<Arc<Filter>> {
    let node = FilterNode {
        key: "k".to_owned(),
        cmp: cmp.to_owned(),
        ..FilterNode::default()
    };
    Some(Arc::new(Filter::new(node).expect("valid")))
}

#[test]
fn a_filter_that_is_none_makes_the_token_invalid() {
    let invalid = TokenError::Invalid(InvalidReason::TagsFilter(InvalidFilter::Comparison));
    let claims = json!({"channel": "c", "server_tags_filter": {"key": "k"}});
    assert_eq!(subscribe_claims(&claims), Err(invalid));
    assert_eq!(
        connect_claims(&json!({"subs": {"c": {"server_tags_filter": {}}}})),
        Err(invalid)
    );
    for wrong in [json!("k"), json!([]), json!({"nodes": {}}), json!({"key": 1})] {
        let claims = json!({"channel": "c", "server_tags_filter": wrong});
        assert_eq!(
            subscribe_claims(&claims),
            Err(InvalidReason::Claims.into()),
            "{claims}"
        );
    }
    let none = subscribe_claims(&json!({"channel": "c", "server_tags_filter": null})).expect("valid");
    assert_eq!(none.server_filter, None);
}

fn capabilities(channel: &str, kind: &str, allow: &[&str]) -> Option<Box<Capabilities>> {
    let allow = Operations::from_names(allow.iter().copied());
    Capabilities::new(Capability::new(vec![channel.to_owned()], kind, allow)).map(Box::new)
}

#[test]
fn everything_a_connection_token_can_say() {
    let token = connect_claims(&json!({
        "sub": "42", "exp": NOW + 60, "nbf": NOW - 1, "iat": NOW - 5, "jti": "id", "iss": "i", "aud": ["a"],
        "info": {"name": "x"}, "meta": [1], "expire_at": NOW + 5, "channels": ["ignored"],
        "subs": {
            "": {"info": 1},
            "plain": null,
            "full": {
                "info": {"n": 1}, "b64data": "AQI=", "data": "loses",
                "override": {"presence": {"value": true}, "join_leave": {"value": false},
                    "force_push_join_leave": {}, "force_positioning": null, "unknown": 7},
                "server_tags_filter": {"key": "k", "cmp": "ex"},
            },
        },
        "caps": [{"channels": ["news"], "allow": ["sub", "other"]}], "allow": 1, "unknown": [{}],
    }))
    .expect("token");
    let overrides = Overrides {
        presence: Some(true),
        join_leave: Some(false),
        force_push_join_leave: Some(false),
        force_positioning: None,
        force_recovery: None,
    };
    let full = SubscribeOptions {
        info: bytes(r#"{"n":1}"#),
        data: bytes("\u{1}\u{2}"),
        overrides,
        server_filter: filter("ex"),
    };
    let expected = ConnectToken {
        user: "42".to_owned(),
        expire_at: NOW + 5,
        info: bytes(r#"{"name":"x"}"#),
        meta: bytes("[1]"),
        subs: [
            ("plain".to_owned(), SubscribeOptions::default()),
            ("full".to_owned(), full),
        ]
        .into(),
        capabilities: capabilities("news", "", &["sub"]),
        issued_at: Some(NOW - 5),
        token_id: Some("id".to_owned()),
    };
    assert_eq!(token, expected);
}

#[test]
fn everything_a_subscription_token_can_say() {
    let token = subscribe_claims(&json!({
        "sub": "42", "channel": "$c", "client": "id", "exp": NOW + 60, "iat": 1, "jti": "j",
        "b64info": "eyJhIjoxfQ==", "info": 1, "data": {"d": null}, "override": {"force_recovery": {"value": true}},
        "server_tags_filter": {"cmp": "nex", "key": "k", "unknown": 1},
        "allow": ["pub", "prs", "dance"], "subs": 7, "meta": {}, "channels": {}, "caps": 1,
    }))
    .expect("token");
    let expected = SubscribeToken {
        user: "42".to_owned(),
        channel: "$c".to_owned(),
        client: "id".to_owned(),
        expire_at: NOW + 60,
        info: bytes(r#"{"a":1}"#),
        data: bytes(r#"{"d":null}"#),
        overrides: Overrides {
            force_recovery: Some(true),
            ..Overrides::default()
        },
        server_filter: filter("nex"),
        allow: Operations::from_names(["pub", "prs"]),
        issued_at: Some(1),
        token_id: Some("j".to_owned()),
    };
    assert_eq!(token, expected);
    assert_eq!(token.check("$c", "42", "id"), Ok(()));
    assert_eq!(token.check("c", "42", "id"), Err(TokenMismatch::Channel));
    assert_eq!(token.check("$c", "", "id"), Err(TokenMismatch::User));
    assert_eq!(token.check("$c", "42", "other"), Err(TokenMismatch::Client));
    let any_client = SubscribeToken {
        client: String::new(),
        ..token
    };
    assert_eq!(any_client.check("$c", "42", "other"), Ok(()));
}

#[test]
fn absent_claims() {
    for claims in [
        json!({}),
        json!({"sub": null, "exp": null, "aud": null, "subs": null, "channels": null,
        "info": null, "b64info": null, "meta": null, "expire_at": null, "iss": null, "jti": null, "iat": null}),
    ] {
        assert_eq!(connect_claims(&claims), Ok(ConnectToken::default()), "{claims}");
    }
    let expected = SubscribeToken {
        channel: "c".to_owned(),
        ..SubscribeToken::default()
    };
    assert_eq!(
        subscribe_claims(&json!({"channel": "c", "client": null, "override": null})),
        Ok(expected)
    );
}

#[test]
fn claims_of_the_wrong_type() {
    let both = [
        json!({"sub": 42}),
        json!({"iss": 1}),
        json!({"jti": {}}),
        json!({"aud": 1}),
        json!({"aud": [1]}),
        json!({"aud": {}}),
        json!({"exp": "x"}),
        json!({"exp": true}),
        json!({"nbf": []}),
        json!({"iat": ""}),
        json!({"expire_at": 1.5}),
        json!({"expire_at": "1"}),
        json!({"b64info": 1}),
        json!({"channel": 1}),
        json!({"SUB": 42}),
    ];
    for mut claims in both {
        assert_eq!(
            connect_claims(&claims),
            invalid(InvalidReason::Claims),
            "{claims}"
        );
        if claims.get("channel").is_none() {
            claims["channel"] = "c".into();
        }
        assert_eq!(
            subscribe_claims(&claims),
            invalid(InvalidReason::Claims),
            "{claims}"
        );
    }
    for claims in [
        json!({"channels": "a"}),
        json!({"channels": [1]}),
        json!({"subs": []}),
        json!({"subs": {"a": 1}}),
        json!({"subs": {"a": {"b64info": 1}}}),
        json!({"subs": {"a": {"override": 1}}}),
        json!({"subs": {"a": {"override": {"presence": true}}}}),
        json!({"subs": {"a": {"override": {"presence": {"value": 1}}}}}),
        json!({"caps": {}}),
        json!({"caps": "sub"}),
        json!({"caps": [1]}),
        json!({"caps": [null]}),
        json!({"caps": [{"channels": "a"}]}),
        json!({"caps": [{"channels": [1]}]}),
        json!({"caps": [{"match": 1}]}),
        json!({"caps": [{"allow": "sub"}]}),
        json!({"caps": [{"allow": [1]}]}),
    ] {
        assert_eq!(
            connect_claims(&claims),
            invalid(InvalidReason::Claims),
            "{claims}"
        );
    }
    for claims in [
        json!({"channel": "c", "client": 1}),
        json!({"channel": "c", "override": []}),
        json!({"channel": "c", "allow": "pub"}),
        json!({"channel": "c", "allow": [1]}),
    ] {
        assert_eq!(
            subscribe_claims(&claims),
            invalid(InvalidReason::Claims),
            "{claims}"
        );
    }
    for payload in ["[]", "null", "1", "", "{", "{} x"] {
        let token = Signer::hs256(SECRET).sign_with(json!({"alg": "HS256"}), payload.as_bytes());
        assert_eq!(
            connect(&verifier(&with_secret()), &token),
            invalid(InvalidReason::Claims),
            "{payload}"
        );
    }
}

/// What cannot be understood grants nothing and does no harm.
#[test]
fn capabilities_for_other_versions() {
    for caps in [
        json!(null),
        json!([]),
        json!([{}]),
        json!([{"channels": ["a"]}]),
        json!([{"allow": ["sub"]}]),
        json!([{"channels": null, "match": null, "allow": null}]),
        json!([{"channels": ["a"], "allow": ["fly"]}]),
        json!([{"channels": ["a"], "match": "glob", "allow": ["sub"]}]),
    ] {
        let claims = json!({"caps": caps});
        assert_eq!(connect_claims(&claims), Ok(ConnectToken::default()), "{claims}");
    }
    let claims = json!({"Caps": [{"channels": ["b"], "match": "glob", "allow": ["sub"]},
        {"Channels": ["a*"], "Match": "wildcard", "Allow": ["hst"], "unknown": 1}]});
    let token = connect_claims(&claims).expect("token");
    assert_eq!(token.capabilities, capabilities("a*", "wildcard", &["hst"]));
    let expected = SubscribeToken {
        channel: "c".to_owned(),
        ..SubscribeToken::default()
    };
    let claims = json!({"channel": "c", "allow": null});
    assert_eq!(subscribe_claims(&claims), Ok(expected));
}

#[test]
fn claim_names_match_in_any_case() {
    let token = connect_claims(&json!({"Sub": "1", "EXPIRE_AT": NOW + 1, "Subs": {"A": {"INFO": 1}}}));
    let token = token.expect("token");
    assert_eq!((token.user.as_str(), token.expire_at), ("1", NOW + 1));
    assert_eq!(token.subs["A"].info, bytes("1"));
}

#[test]
fn validity_in_time() {
    for (claims, expected) in [
        (json!({"exp": NOW}), Err(TokenError::Expired)),
        (json!({"exp": NOW + 1}), Ok(NOW + 1)),
        (json!({"exp": NOW as f64 + 1.9}), Ok(NOW + 1)),
        (json!({"exp": (NOW + 1).to_string()}), Ok(NOW + 1)),
        (json!({"exp": 0}), Err(TokenError::Expired)),
        (json!({"nbf": NOW}), Err(TokenError::Expired)),
        (json!({"nbf": NOW - 1}), Ok(0)),
        (json!({"iat": NOW + 1000}), Ok(0)),
        (json!({"expire_at": NOW + 5}), Ok(NOW + 5)),
        (json!({"expire_at": NOW - 5}), Ok(NOW - 5)),
        (json!({"expire_at": 0, "exp": NOW + 1}), Ok(0)),
        (json!({"expire_at": -1, "exp": NOW + 1}), Ok(0)),
        (
            json!({"expire_at": NOW + 100, "exp": NOW - 1}),
            Err(TokenError::Expired),
        ),
        (json!({"exp": 1e30}), Ok(i64::MAX)),
    ] {
        assert_eq!(
            connect_claims(&claims).map(|token| token.expire_at),
            expected,
            "{claims}"
        );
        let mut claims = claims;
        claims["channel"] = "c".into();
        assert_eq!(
            subscribe_claims(&claims).map(|token| token.expire_at),
            expected,
            "{claims}"
        );
    }
}

#[test]
fn channels_and_channel() {
    let token = connect_claims(&json!({"channels": ["a", "", "b", "a"]})).expect("token");
    assert_eq!(token.subs.keys().collect::<Vec<_>>(), ["a", "b"]);
    let token = connect_claims(&json!({"channels": ["a"], "subs": {}})).expect("token");
    assert_eq!(token.subs.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        connect_claims(&json!({"channel": "a"})),
        invalid(InvalidReason::UnexpectedChannel)
    );
    assert_eq!(
        connect_claims(&json!({"channel": ""})),
        Ok(ConnectToken::default())
    );
    assert_eq!(
        subscribe_claims(&json!({})),
        invalid(InvalidReason::MissingChannel)
    );
    assert_eq!(
        subscribe_claims(&json!({"channel": ""})),
        invalid(InvalidReason::MissingChannel)
    );
}

#[test]
fn base64_claims() {
    assert_eq!(
        connect_claims(&json!({"b64info": "*"})),
        Err(TokenError::InternalInfo)
    );
    assert_eq!(
        connect_claims(&json!({"b64info": "AQ"})),
        Err(TokenError::InternalInfo),
        "unpadded"
    );
    let token = connect_claims(&json!({"b64info": "", "info": 1})).expect("token");
    assert_eq!(token.info, bytes("1"));
    for claims in [
        json!({"subs": {"a": {"b64info": "*"}}}),
        json!({"subs": {"a": {"b64data": "*"}}}),
    ] {
        assert_eq!(
            connect_claims(&claims),
            invalid(InvalidReason::Base64),
            "{claims}"
        );
    }
    for claims in [
        json!({"channel": "c", "b64info": "*"}),
        json!({"channel": "c", "b64data": "*"}),
    ] {
        assert_eq!(
            subscribe_claims(&claims),
            invalid(InvalidReason::Base64),
            "{claims}"
        );
    }
}

#[test]
fn an_earlier_step_decides() {
    let expired = json!({"exp": 1, "channel": "c", "aud": "x", "iss": "y", "b64info": "*"});
    let wrong_key = Signer::hs256("other");
    let options = TokenOptions {
        audience: "a".to_owned(),
        issuer: "i".to_owned(),
        ..with_secret()
    };
    let verifier = verifier(&options);
    let check = |signer: &Signer, claims: &Value| connect(&verifier, &signer.sign(claims));
    let mut claims = expired;
    assert_eq!(
        check(&wrong_key, &json!({"sub": 1})),
        invalid(InvalidReason::Claims)
    );
    assert_eq!(check(&wrong_key, &claims), invalid(InvalidReason::Signature));
    let signer = Signer::hs256(SECRET);
    assert_eq!(check(&signer, &claims), invalid(InvalidReason::Audience));
    claims["aud"] = json!(["b", "a"]);
    assert_eq!(check(&signer, &claims), invalid(InvalidReason::Issuer));
    claims["iss"] = "i".into();
    assert_eq!(check(&signer, &claims), invalid(InvalidReason::UnexpectedChannel));
    claims["channel"] = "".into();
    assert_eq!(check(&signer, &claims), Err(TokenError::Expired));
    claims["exp"] = (NOW + 1).into();
    assert_eq!(check(&signer, &claims), Err(TokenError::InternalInfo));
    claims["b64info"] = "".into();
    assert!(check(&signer, &claims).is_ok());
}

#[test]
fn issuer_and_audience_expressions() {
    let options = TokenOptions {
        issuer_regex: "^https://(one|two)$".to_owned(),
        audience_regex: "app".to_owned(),
        ..with_secret()
    };
    let verifier = verifier(&options);
    for (claims, expected) in [
        (json!({"iss": "https://one", "aud": "my app!"}), None),
        (json!({"iss": "https://two", "aud": ["x", "app"]}), None),
        (
            json!({"iss": "https://three", "aud": "app"}),
            Some(InvalidReason::Issuer),
        ),
        (json!({"aud": "app"}), Some(InvalidReason::Issuer)),
        (json!({"iss": "https://one"}), Some(InvalidReason::Audience)),
        (
            json!({"iss": "https://one", "aud": ["x"]}),
            Some(InvalidReason::Audience),
        ),
    ] {
        let result = connect(&verifier, &Signer::hs256(SECRET).sign(&claims));
        assert_eq!(result.err(), expected.map(TokenError::Invalid), "{claims}");
    }
    // Expressions come before the signature.
    let token = Signer::hs256("other").sign(&json!({"iss": "x"}));
    assert_eq!(connect(&verifier, &token), invalid(InvalidReason::Issuer));
}

#[test]
fn the_user_may_stand_in_another_claim() {
    let options = TokenOptions {
        user_id_claim: "user_id".to_owned(),
        ..with_secret()
    };
    let verifier = verifier(&options);
    for (claims, expected) in [
        (json!({"user_id": "a", "sub": "b"}), Ok("a")),
        (json!({"user_id": 42}), Ok("42")),
        (json!({"user_id": {"a": 1}}), Ok(r#"{"a":1}"#)),
        (json!({"user_id": null}), Ok("")),
        (json!({"sub": "b"}), Ok("")),
        (json!({"USER_ID": "a"}), Ok("")),
        (
            json!({"user_id": "a", "sub": 1}),
            Err(TokenError::Invalid(InvalidReason::Claims)),
        ),
    ] {
        let result = connect(&verifier, &Signer::hs256(SECRET).sign(&claims)).map(|token| token.user);
        assert_eq!(result, expected.map(str::to_owned), "{claims}");
    }
}

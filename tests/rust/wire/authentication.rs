//! Tokens and other credentials: the outcomes of channels-and-auth.md 4 and 5 that `connect`, `subscribe` and
//! `tokens` do not show.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::process::ServerProcess;
use crate::support::{Peer, TestServer, in_seconds, token, token_signed_with};

const CONNECTED: &str =
    r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#;
const TEMPORARY: &str = r#""error":{"code":100,"message":"internal server error","temporary":true}"#;

async fn knock(server: &TestServer, token: &str) -> Peer {
    let peer = server.websocket().await;
    peer.send(&format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#));
    peer
}

async fn server() -> TestServer {
    TestServer::start(json!({
        "channel": { "without_namespace": { "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true } }
    }))
    .await
}

/// The columns of the table in 4.3, for claims that only the later steps look at.
#[tokio::test(flavor = "multi_thread")]
async fn base64_that_is_none() {
    let server = server().await;
    let in_subs = json!({ "sub": "42", "subs": { "a": { "b64data": "*" } } });
    let top_level = json!({ "sub": "42", "b64info": "*" });
    let mut peer = knock(&server, &token(&top_level)).await;
    peer.expect(&format!(r#"{{"id":1,{TEMPORARY}}}"#)).await;
    let mut peer = knock(&server, &token(&in_subs)).await;
    peer.expect_close(3500, "invalid token").await;

    let refresh = |claims: &Value| format!(r#"{{"id":2,"refresh":{{"token":"{}"}}}}"#, token(claims));
    let mut peer = server.user("42").await;
    peer.ask(&refresh(&top_level), &format!(r#"{{"id":2,{TEMPORARY}}}"#))
        .await;
    peer.provoke(&refresh(&in_subs), 3500, "invalid token").await;

    let claims = token(&json!({ "sub": "42", "channel": "a", "b64info": "*" }));
    let mut peer = server.user("42").await;
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"a","token":"{claims}"}}}}"#),
        r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"a"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    peer.provoke(
        &format!(r#"{{"id":4,"sub_refresh":{{"channel":"a","token":"{claims}"}}}}"#),
        3500,
        "invalid token",
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_sub_refresh() {
    let server = server().await;
    let ask = |claims: Value| {
        let token = token(&claims);
        format!(r#"{{"id":3,"sub_refresh":{{"channel":"a","token":"{token}"}}}}"#)
    };
    let subscribed = async || {
        let mut peer = server.user("42").await;
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
        peer
    };
    let mut peer = subscribed().await;
    for (claims, outcome) in [
        (
            json!({ "sub": "42", "channel": "nowhere:a" }),
            r#""error":{"code":102,"message":"unknown channel"}"#,
        ),
        (
            json!({ "sub": "42", "channel": "a", "expire_at": in_seconds(-5) }),
            r#""error":{"code":110,"message":"expired"}"#,
        ),
        (
            json!({ "sub": "42", "channel": "a", "exp": in_seconds(100_000_000) }),
            r#""sub_refresh":{"expires":true,"ttl":31536000}"#,
        ),
        (
            json!({ "sub": "42", "channel": "a", "exp": in_seconds(100), "expire_at": 0 }),
            r#""sub_refresh":{}"#,
        ),
    ] {
        peer.ask(&ask(claims), &format!(r#"{{"id":3,{outcome}}}"#)).await;
    }
    for claims in [
        json!({ "sub": "42", "channel": "b" }),
        json!({ "sub": "43", "channel": "a" }),
        json!({ "sub": "42", "channel": "a", "client": "somebody else" }),
        json!({ "sub": "42" }),
    ] {
        let mut peer = subscribed().await;
        peer.provoke(&ask(claims), 3500, "invalid token").await;
    }
    // What the server subscribed to is not the client's to refresh.
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42", "channels": ["a"] })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"a":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    peer.provoke(&ask(json!({ "sub": "42", "channel": "a" })), 3501, "bad request")
        .await;
    server.stop().await;
}

/// The time of a subscription is told as it is, that of a connection up to a year.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_for_years() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let claims = json!({ "sub": "42", "channel": "a", "exp": in_seconds(100_000_000) });
    peer.bind("token", &token(&claims));
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a","token":"<token>"}}"#,
        r#"{"id":2,"subscribe":{"expires":true,"ttl":<ttl>}}"#,
    )
    .await;
    let ttl: u32 = peer.name("ttl").parse().unwrap();
    assert!((99_999_900..=100_000_000).contains(&ttl), "{ttl}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_compares_and_replaces() {
    let server = server().await;
    let refresh = |claims: Value| format!(r#"{{"id":3,"refresh":{{"token":"{}"}}}}"#, token(&claims));
    // Namespaces are looked up before users are compared.
    let mut peer = server.user("42").await;
    peer.ask(
        &refresh(json!({ "sub": "43", "channels": ["nowhere:a"] })),
        r#"{"id":3,"error":{"code":102,"message":"unknown channel"}}"#,
    )
    .await;
    // A channel of the first token is missing in the second.
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42", "channels": ["a", "b"] })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"a":{},"b":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    peer.ask(
        &refresh(json!({ "sub": "42", "channels": ["b", "a"] })),
        r#"{"id":3,"refresh":{}}"#,
    )
    .await;
    peer.provoke(
        &refresh(json!({ "sub": "42", "channels": ["a"] })),
        3010,
        "insufficient state",
    )
    .await;
    // Info is replaced everywhere; a token without info leaves it.
    let mut peer = server.connected(json!({ "sub": "42", "info": { "n": 1 } })).await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"c"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    for (claims, info) in [
        (json!({ "sub": "42", "info": { "n": 2 } }), 2),
        (json!({ "sub": "42" }), 2),
        (json!({ "sub": "42", "b64info": "eyJuIjozfQ==" }), 3),
    ] {
        peer.ask(&refresh(claims), r#"{"id":3,"refresh":{}}"#).await;
        peer.send(r#"{"id":4,"publish":{"channel":"c","data":0}}"#);
        peer.expect_all(&[
            r#"{"id":4,"publish":{}}"#,
            &format!(
                r#"{{"push":{{"channel":"c","pub":{{"data":0,"info":{{"user":"42","client":"<client>","conn_info":{{"n":{info}}}}}}}}}}}"#
            ),
        ])
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscription_tokens_of_their_own() {
    let server = TestServer::start(json!({
        "client": { "subscription_token": { "enabled": true, "hmac_secret_key": "another", "audience": "subs" } }
    }))
    .await;
    let mut peer = server.user("42").await;
    for (secret, audience, outcome) in [
        (
            "another",
            json!(["x"]),
            r#""error":{"code":103,"message":"permission denied"}"#,
        ),
        (
            crate::support::SECRET,
            json!("subs"),
            r#""error":{"code":103,"message":"permission denied"}"#,
        ),
        ("another", json!("subs"), r#""subscribe":{}"#),
    ] {
        let claims = json!({ "sub": "42", "channel": "$a", "aud": audience });
        peer.bind("token", &token_signed_with(secret, &claims));
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"$a","token":"<token>"}}"#,
            &format!(r#"{{"id":2,{outcome}}}"#),
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_claim_for_the_user() {
    let server = TestServer::start(json!({
        "client": {
            "token": { "user_id_claim": "user_id", "issuer_regex": "^https://(one|two)$" },
            "subscribe_to_user_personal_channel": { "enabled": true }
        }
    }))
    .await;
    for (claims, subs) in [
        (
            json!({ "iss": "https://one", "user_id": 42, "sub": "7" }),
            r##","subs":{"#42":{}}"##,
        ),
        (json!({ "iss": "https://two", "sub": "7" }), ""),
    ] {
        let mut peer = knock(&server, &token(&claims)).await;
        peer.expect(&format!(
            r#"{{"id":1,"connect":{{"client":"<client>","version":"<version>"{subs},"ping":25,"pong":true}}}}"#
        ))
        .await;
    }
    for claims in [
        json!({ "iss": "https://three", "user_id": "42" }),
        json!({ "user_id": "42" }),
        json!({ "iss": "https://one", "user_id": "42", "sub": 7 }),
    ] {
        let mut peer = knock(&server, &token(&claims)).await;
        peer.expect_close(3500, "invalid token").await;
    }
    server.stop().await;
}

/// Where credentials come from, in order (5).
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_header_is_the_last_resort() {
    let config = |anonymous: bool| {
        json!({
            "client": {
                "user_id_http_header": "X-User", "allow_anonymous_connect_without_token": anonymous,
                "subscribe_to_user_personal_channel": { "enabled": true }
            },
            "channel": { "without_namespace": { "allow_subscribe_for_client": true, "allow_publish_for_client": true,
                "allow_publish_for_anonymous": true, "allow_subscribe_for_anonymous": true } }
        })
    };
    let with_header = async |server: &TestServer, user: &str| {
        Peer::websocket(server.dial().await, "/connection/websocket", &[("x-user", user)]).await
    };
    let server = TestServer::start(config(false)).await;
    // No personal channel, and nothing of what the command asks for.
    let mut peer = with_header(&server, "7").await;
    peer.ask(
        r#"{"id":1,"connect":{"subs":{"a":{},"nowhere:a":{}}}}"#,
        CONNECTED,
    )
    .await;
    // A token goes first, good or bad.
    let mut peer = with_header(&server, "7").await;
    peer.bind("token", &token(&json!({ "sub": "42" })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r##"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"#42":{}},"ping":25,"pong":true}}"##,
    )
    .await;
    let mut peer = with_header(&server, "7").await;
    peer.provoke(r#"{"id":1,"connect":{"token":"x"}}"#, 3500, "invalid token")
        .await;
    // An empty header is none, and headers inside the protocol are no headers.
    let mut peer = with_header(&server, "").await;
    peer.provoke(r#"{"id":1,"connect":{}}"#, 3501, "bad request")
        .await;
    let mut peer = server.websocket().await;
    peer.provoke(
        r#"{"id":1,"connect":{"headers":{"X-User":"7"}}}"#,
        3501,
        "bad request",
    )
    .await;
    server.stop().await;

    // Whoever may be nobody is nobody, and may ask for subscriptions.
    let server = TestServer::start(config(true)).await;
    let mut peer = with_header(&server, "7").await;
    peer.ask(
        r#"{"id":1,"connect":{"subs":{"a":{}}}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"a":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    peer.send(r#"{"id":2,"publish":{"channel":"a","data":1}}"#);
    peer.expect_all(&[
        r#"{"id":2,"publish":{}}"#,
        r#"{"push":{"channel":"a","pub":{"data":1,"info":{"user":"","client":"<client>"}}}}"#,
    ])
    .await;
    server.stop().await;
}

/// A key server for one test: answers every request with the same document.
async fn serve_keys(keys: &[Value]) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let document = json!({ "keys": keys }).to_string();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let mut read = 0;
            while !request[..read].windows(4).any(|end| end == b"\r\n\r\n") {
                read += stream.read(&mut request[read..]).await.unwrap();
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                document.len()
            );
            stream.write_all((head + &document).as_bytes()).await.unwrap();
        }
    });
    (url, serving)
}

fn signed_by(key: &Ed25519KeyPair, kid: &str, claims: &Value) -> String {
    let head = json!({ "alg": "EdDSA", "kid": kid });
    let body = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = URL_SAFE_NO_PAD.encode(key.sign(body.as_bytes()));
    format!("{body}.{signature}")
}

/// Keys of a set (4.8), Ed25519 among them; keys that cannot be used do no harm.
#[tokio::test(flavor = "multi_thread")]
async fn keys_by_url() {
    let key = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let (url, serving) = serve_keys(&[
        json!({ "kty": "RSA", "use": "sig", "kid": "broken", "n": "AQ", "e": "AQAB" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "k", "x": x }),
    ])
    .await;
    let server = TestServer::start(json!({ "client": { "token": { "jwks_public_endpoint": url } } })).await;
    let claims = json!({ "sub": "42" });
    let mut peer = knock(&server, &signed_by(&key, "k", &claims)).await;
    peer.expect(CONNECTED).await;
    let mut other = knock(&server, &signed_by(&key, "other", &claims)).await;
    other.expect_close(3500, "invalid token").await;
    // The secret beside the URL does not count.
    let mut other = knock(&server, &token(&claims)).await;
    other.expect_close(3500, "invalid token").await;

    // Keys that cannot be fetched are nobody's fault: clients come back.
    serving.abort();
    let _ = serving.await;
    let mut refused = knock(&server, &signed_by(&key, "new", &claims)).await;
    refused.expect(&format!(r#"{{"id":1,{TEMPORARY}}}"#)).await;
    peer.bind(
        "new",
        &signed_by(&key, "new", &json!({ "sub": "42", "channel": "$a" })),
    );
    peer.bind(
        "known",
        &signed_by(&key, "k", &json!({ "sub": "42", "channel": "$a" })),
    );
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"$a","token":"<new>"}}"#,
        &format!(r#"{{"id":2,{TEMPORARY}}}"#),
    )
    .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"$a","token":"<known>"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"sub_refresh":{"channel":"$a","token":"<new>"}}"#,
        &format!(r#"{{"id":4,{TEMPORARY}}}"#),
    )
    .await;
    peer.bind("refresh", &signed_by(&key, "new", &claims));
    peer.ask(
        r#"{"id":5,"refresh":{"token":"<refresh>"}}"#,
        &format!(r#"{{"id":5,{TEMPORARY}}}"#),
    )
    .await;
    server.stop().await;
}

/// Whoever switches security off is told (3.1).
#[tokio::test(flavor = "multi_thread")]
async fn insecure_modes_are_warned_of() {
    let server = ServerProcess::start(json!({
        "client": { "insecure": true, "insecure_skip_token_signature_verify": true },
        "http_api": { "insecure": true }
    }))
    .await;
    for mode in ["client", "skip token signature verify", "HTTP API"] {
        let line = format!(r#""message":"INSECURE {mode} mode enabled, make sure you understand risks""#);
        server.until_logged(&line).await;
    }
    server.stop().await;
}

/// Without signatures everything else is checked still (3.1).
#[tokio::test(flavor = "multi_thread")]
async fn signatures_may_be_skipped_and_nothing_else() {
    let server = TestServer::start(json!({
        "client": { "insecure_skip_token_signature_verify": true, "token": { "audience": "app" } }
    }))
    .await;
    let unsigned = |claims: Value| {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}.", encode(&json!({ "alg": "none" })), encode(&claims))
    };
    let mut peer = knock(&server, &unsigned(json!({ "sub": "42", "aud": "app" }))).await;
    peer.expect(CONNECTED).await;
    let claims = json!({ "sub": "42", "aud": "app", "exp": in_seconds(-5) });
    let mut peer = knock(&server, &unsigned(claims)).await;
    peer.expect(r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#)
        .await;
    for claims in [
        json!({ "sub": "42" }),
        json!({ "sub": 42, "aud": "app" }),
        json!({ "sub": "42", "aud": "app", "channel": "a" }),
    ] {
        let mut peer = knock(&server, &unsigned(claims)).await;
        peer.expect_close(3500, "invalid token").await;
    }
    server.stop().await;
}

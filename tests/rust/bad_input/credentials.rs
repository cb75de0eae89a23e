//! Tokens that were made up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::{in_seconds, token, token_signed_with};
use crate::{Victim, noise};

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens() {
    let victim = Victim::new(json!({ "client": { "insecure": false } })).await;
    let claims = json!({ "sub": "admin" });
    let good = token(&claims);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signature = good.rsplit('.').next().unwrap();
    let mut forged = vec![
        token_signed_with("", &claims),
        token_signed_with("guess", &claims),
        format!("{}.{}.", part(r#"{"alg":"none"}"#), part(r#"{"sub":"admin"}"#)),
        format!(
            "{}.{}.{signature}",
            part(r#"{"alg":"HS256"}"#),
            part(r#"{"sub":"root"}"#)
        ),
        format!(
            "{}.{}.{signature}",
            part(r#"{"alg":"RS256"}"#),
            part(r#"{"sub":"admin"}"#)
        ),
        format!(
            "{}.{}.{signature}",
            part(r#"{"alg":["HS256"]}"#),
            part(r#"{"sub":"admin"}"#)
        ),
        format!("{good}x"),
        format!("{good}.{signature}"),
        good[..good.len() - 1].to_owned(),
        good.replace('.', ""),
        "..".to_owned(),
        ".".repeat(1000),
        "eyJ".to_owned(),
        format!("eyJ{}", "A".repeat(60_000)),
        token(&json!([])),
        token(&json!({ "sub": ["admin"] })),
        token(&json!({ "sub": "admin", "exp": "soon" })),
        token(&json!({ "sub": "admin", "exp": {} })),
        token(&json!({ "sub": "admin", "subs": [] })),
        token(&json!({ "sub": "admin", "channels": "a" })),
    ];
    forged.extend((0..20).map(|seed| URL_SAFE_NO_PAD.encode(noise(seed, 100))));
    for token in forged {
        let mut peer = victim.server.websocket().await;
        peer.send_raw(&json!({ "id": 1, "connect": { "token": token } }).to_string());
        peer.expect_close(3500, "invalid token").await;
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_tokens() {
    let victim = Victim::new(json!({ "client": { "insecure": false } })).await;
    for claims in [
        json!({ "sub": "late", "exp": in_seconds(-1) }),
        json!({ "sub": "late", "exp": 1 }),
        json!({ "sub": "early", "nbf": in_seconds(1000) }),
    ] {
        let mut peer = victim.server.websocket().await;
        peer.send_raw(&json!({ "id": 1, "connect": { "token": token(&claims) } }).to_string());
        peer.expect(r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#)
            .await;
        // Whoever stays without leaving is stale before long.
        peer.expect_close(3502, "stale").await;
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessed_keys_of_the_server_api() {
    use crate::support::http::Request;
    let victim = Victim::new(json!({})).await;
    let body = r#"{"channel":"calm","data":"lies"}"#;
    for (name, value) in [
        ("X-API-Key", ""),
        ("X-API-Key", "guess"),
        ("Authorization", "apikey guess"),
        ("Authorization", "Bearer guess"),
        ("X-Nothing", "x"),
    ] {
        let request = Request::post("/api/publish", body).header(name, value);
        assert_eq!(
            victim.server.request(request).await.status,
            401,
            "{name}: {value}"
        );
    }
    victim.end().await;
}

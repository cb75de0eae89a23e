//! Tokens that end, and their renewal (channels-and-auth.md 4.5, 4.7).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Peer, TestServer, in_seconds, token};

/// Seconds that a token lives which a test sees expire: full ones are counted, and a busy machine may need one.
const BRIEF: i64 = 3;

/// Longer than that and the server's grace.
const AFTER_BRIEF: Duration = Duration::from_secs(4);

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": {
            "expired_close_delay": "0.2s",
            "expired_sub_close_delay": "0.2s",
            "presence_update_interval": "0.4s"
        },
        "channel": { "without_namespace": { "allow_subscribe_for_client": true } }
    }))
    .await
}

async fn connected_for(server: &TestServer, seconds: i64) -> Peer {
    let mut peer = server.websocket().await;
    peer.bind(
        "token",
        &token(&json!({ "sub": "42", "exp": in_seconds(seconds) })),
    );
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","expires":true,"ttl":<ttl>,"ping":25,"pong":true}}"#,
    )
    .await;
    peer
}

fn refresh(claims: &Value) -> String {
    format!(r#"{{"id":2,"refresh":{{"token":"{}"}}}}"#, token(claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_token() {
    let server = server().await;
    let mut peer = connected_for(&server, BRIEF).await;
    peer.expect_close(3005, "connection expired").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_connection_goes_on() {
    let server = server().await;
    let mut peer = connected_for(&server, BRIEF).await;
    peer.ask(
        &refresh(&json!({ "sub": "42", "exp": in_seconds(100) })),
        r#"{"id":2,"refresh":{"expires":true,"ttl":<new ttl>}}"#,
    )
    .await;
    let ttl: i64 = peer.name("new ttl").parse().unwrap();
    assert!((95..=100).contains(&ttl), "{ttl}");
    tokio::time::sleep(AFTER_BRIEF).await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"a"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_without_an_end_takes_the_end_away() {
    let server = server().await;
    let mut peer = connected_for(&server, BRIEF).await;
    peer.ask(&refresh(&json!({ "sub": "42" })), r#"{"id":2,"refresh":{}}"#)
        .await;
    tokio::time::sleep(AFTER_BRIEF).await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"a"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_refresh() {
    let server = server().await;
    for (claims, code, reason) in [
        (
            json!({ "sub": "42", "exp": in_seconds(-5) }),
            3005,
            "connection expired",
        ),
        (
            json!({ "sub": "43", "exp": in_seconds(100) }),
            3500,
            "invalid token",
        ),
        (json!({ "sub": 42 }), 3500, "invalid token"),
        (
            json!({ "sub": "42", "channels": ["a"] }),
            3010,
            "insufficient state",
        ),
    ] {
        let mut peer = server.user("42").await;
        peer.provoke(&refresh(&claims), code, reason).await;
    }
    let mut peer = server.user("42").await;
    peer.ask(
        &refresh(&json!({ "sub": "42", "channels": ["nowhere:a"] })),
        r#"{"id":2,"error":{"code":102,"message":"unknown channel"}}"#,
    )
    .await;
    peer.ask(
        &refresh(&json!({ "sub": "42", "expire_at": in_seconds(-5) })),
        r#"{"id":2,"error":{"code":110,"message":"expired"}}"#,
    )
    .await;
    server.stop().await;
}

/// A connection that never ends with a subscription that does.
async fn subscribed_for(server: &TestServer, seconds: i64) -> Peer {
    let mut peer = server.user("42").await;
    let claims = json!({ "sub": "42", "channel": "$a", "exp": in_seconds(seconds) });
    peer.bind("token", &token(&claims));
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"$a","token":"<token>"}}"#,
        r#"{"id":2,"subscribe":{"expires":true,"ttl":<ttl>}}"#,
    )
    .await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_with_its_token() {
    let server = server().await;
    let mut peer = subscribed_for(&server, BRIEF).await;
    peer.expect(r#"{"push":{"channel":"$a","unsubscribe":{"code":2501,"reason":"subscription expired"}}}"#)
        .await;
    server
        .until_counts("no subscription", |counts| counts.subscriptions == 0)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_refreshed() {
    let server = server().await;
    let mut peer = subscribed_for(&server, BRIEF).await;
    let ask = |claims: Value| {
        format!(
            r#"{{"id":3,"sub_refresh":{{"channel":"$a","token":"{}"}}}}"#,
            token(&claims)
        )
    };
    // A token that has ended changes nothing, and the client is asked to try again.
    peer.ask(
        &ask(json!({ "sub": "42", "channel": "$a", "exp": in_seconds(-5) })),
        r#"{"id":3,"error":{"code":109,"message":"token expired","temporary":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"sub_refresh":{"channel":"$a"}}"#,
        r#"{"id":3,"error":{"code":107,"message":"bad request"}}"#,
    )
    .await;
    peer.ask(
        &ask(json!({ "sub": "42", "channel": "$a", "exp": in_seconds(100) })),
        r#"{"id":3,"sub_refresh":{"expires":true,"ttl":<new ttl>}}"#,
    )
    .await;
    tokio::time::sleep(AFTER_BRIEF).await;
    server.publish("$a", json!(1)).await;
    peer.expect(r#"{"push":{"channel":"$a","pub":{"data":1}}}"#).await;
    peer.provoke(
        &ask(json!({ "sub": "43", "channel": "$a" })),
        3500,
        "invalid token",
    )
    .await;
    let mut peer = subscribed_for(&server, 100).await;
    peer.provoke(
        &ask(json!({ "sub": "42", "channel": "$b" })),
        3500,
        "invalid token",
    )
    .await;
    let mut peer = subscribed_for(&server, 100).await;
    peer.provoke(
        r#"{"id":3,"sub_refresh":{"channel":"$a","token":"x"}}"#,
        3500,
        "invalid token",
    )
    .await;
    server.stop().await;
}

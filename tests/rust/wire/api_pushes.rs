//! What the server API does to clients (2.5).

use serde_json::json;

use crate::support::{TestServer, in_seconds};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "expired_close_delay": "0.2s", "channel_limit": 3 },
        "channel": {
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [{ "name": "st", "history_size": 10, "history_ttl": "60s", "force_recovery": true }]
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribe_and_unsubscribe() {
    let server = server().await;
    let mut peer = server.user("42").await;
    assert_eq!(
        server
            .api(
                "subscribe",
                json!({ "user": "42", "channel": "a", "data": { "x": 1 } })
            )
            .await,
        r#"{"result":{}}"#
    );
    peer.expect(r#"{"push":{"channel":"a","subscribe":{"data":{"x":1}}}}"#)
        .await;
    server.publish("a", json!(1)).await;
    peer.expect(r#"{"push":{"channel":"a","pub":{"data":1}}}"#).await;
    server.publish("st:a", json!(1)).await;
    server
        .api("subscribe", json!({ "user": "42", "channel": "st:a" }))
        .await;
    peer.expect(
        r#"{"push":{"channel":"st:a","subscribe":{"recoverable":true,"epoch":"<epoch>","offset":1,"positioned":true}}}"#,
    )
    .await;
    server
        .api("unsubscribe", json!({ "user": "42", "channel": "a" }))
        .await;
    peer.expect(r#"{"push":{"channel":"a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;
    // Subscriptions of the client end likewise.
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server
        .api("unsubscribe", json!({ "user": "42", "channel": "a" }))
        .await;
    peer.expect(r#"{"push":{"channel":"a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;
    server
        .until_counts("one subscription", |counts| counts.subscriptions == 1)
        .await;
    // One more than the limit closes the client.
    for channel in ["b", "c"] {
        server
            .api("subscribe", json!({ "user": "42", "channel": channel }))
            .await;
        peer.expect(r#"{"push":{"channel":"<_>","subscribe":{}}}"#).await;
    }
    assert_eq!(
        server
            .api("subscribe", json!({ "user": "42", "channel": "d" }))
            .await,
        r#"{"result":{}}"#
    );
    peer.expect_close(3505, "channel limit").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let mut other = server.user("43").await;
    server.api("disconnect", json!({ "user": "42" })).await;
    peer.expect_close(3503, "force disconnect").await;
    server
        .api(
            "disconnect",
            json!({ "user": "43", "disconnect": { "code": 4321, "reason": "for reasons" } }),
        )
        .await;
    other.expect_close(4321, "for reasons").await;
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect_one_of_several() {
    let server = server().await;
    let mut one = server.user("42").await;
    let mut two = server.user("42").await;
    server
        .api(
            "disconnect",
            json!({ "user": "42", "client": one.name("client") }),
        )
        .await;
    one.expect_close(3503, "force disconnect").await;
    server
        .api(
            "disconnect",
            json!({ "user": "42", "whitelist": [two.name("client")] }),
        )
        .await;
    two.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh() {
    let server = server().await;
    let mut peer = server.user("42").await;
    server
        .api("refresh", json!({ "user": "42", "expire_at": in_seconds(100) }))
        .await;
    peer.expect(r#"{"push":{"refresh":{"expires":true,"ttl":<ttl>}}}"#)
        .await;
    server.api("refresh", json!({ "user": "42" })).await;
    peer.expect(r#"{"push":{"refresh":{}}}"#).await;
    server
        .api("refresh", json!({ "user": "42", "expired": true }))
        .await;
    peer.expect_close(3005, "connection expired").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown() {
    let server = server().await;
    let mut peer = server.user("42").await;
    server.stop().await;
    peer.expect_close(3001, "shutdown").await;
}

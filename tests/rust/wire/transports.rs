//! The same conversation over each transport (1.1, 4.4).

use serde_json::json;

use crate::support::{Peer, TestServer, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "channel": { "without_namespace": { "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true } }
    }))
    .await
}

fn connect() -> String {
    format!(
        r#"{{"id":1,"connect":{{"token":"{}"}}}}"#,
        token(&json!({ "sub": "42" }))
    )
}

/// Once connected, every transport says the same.
async fn converse(server: &TestServer, mut peer: Peer) {
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server.publish("a", json!({ "from": "server" })).await;
    peer.expect(r#"{"push":{"channel":"a","pub":{"data":{"from":"server"}}}}"#)
        .await;
    peer.send("{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":\"é\"}}\n{\"id\":4,\"unsubscribe\":{\"channel\":\"a\"}}");
    peer.expect_all(&[
        r#"{"push":{"channel":"a","pub":{"data":"é","info":{"user":"42","client":"<client>"}}}}"#,
        r#"{"id":3,"publish":{}}"#,
        r#"{"id":4,"unsubscribe":{}}"#,
    ])
    .await;
    peer.ask(
        r#"{"id":5,"presence":{"channel":"a"}}"#,
        r#"{"id":5,"error":{"code":108,"message":"not available"}}"#,
    )
    .await;
    server
        .api(
            "disconnect",
            json!({ "user": "42", "disconnect": { "code": 4000, "reason": "enough" } }),
        )
        .await;
    peer.expect_close(4000, "enough").await;
    server.until_counts("nobody", |counts| counts.clients == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket() {
    let server = server().await;
    let peer = server.user("42").await;
    converse(&server, peer).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webtransport() {
    let server = server().await;
    let mut peer = Peer::webtransport(&server, "").await;
    peer.ask(
        &connect(),
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
    )
    .await;
    converse(&server, peer).await;
    server.stop().await;
}

const EMULATED: &str = r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true,"session":"<session>","node":"<node>"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn http_stream() {
    let server = server().await;
    let mut peer = Peer::http_stream(&server, &connect()).await;
    peer.expect(EMULATED).await;
    assert_eq!(peer.name("node"), server.node().id());
    converse(&server, peer).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sse() {
    let server = server().await;
    let mut peer = Peer::sse(&server, &connect()).await;
    peer.expect(EMULATED).await;
    converse(&server, peer).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_the_client_over_each() {
    let server = server().await;
    for mut peer in [
        Peer::webtransport(&server, "").await,
        Peer::http_stream(&server, r#"{"id":1,"connect":{"token":"bad"}}"#).await,
        Peer::sse(&server, r#"{"id":1,"connect":{"token":"bad"}}"#).await,
    ] {
        peer.send(r#"{"id":1,"connect":{"token":"bad"}}"#);
        peer.expect_close(3500, "invalid token").await;
    }
    // A client that leaves is noticed.
    let mut peer = Peer::http_stream(&server, &connect()).await;
    peer.expect(EMULATED).await;
    peer.close(0);
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    let mut peer = Peer::webtransport(&server, "").await;
    peer.send(&connect());
    peer.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#)
        .await;
    peer.close(0);
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    server.stop().await;
}

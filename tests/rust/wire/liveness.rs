//! Pings, pongs and connections that say nothing (3.1, 3.3).

use serde_json::json;

use crate::support::{Peer, TestServer};

const CONNECTED: &str =
    r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":1,"pong":true}}"#;

async fn server_that_pings() -> TestServer {
    TestServer::start(json!({
        "client": { "insecure": true, "ping_interval": "1s", "pong_timeout": "0.7s" }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_pings_stays() {
    let server = server_that_pings().await;
    let mut peer = server.websocket().await;
    peer.ask(r#"{"id":1,"connect":{}}"#, CONNECTED).await;
    for _ in 0..3 {
        peer.expect("{}").await;
        peer.send("{}");
    }
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_is_disconnected() {
    let server = server_that_pings().await;
    let mut peer = server.websocket().await;
    peer.ask(r#"{"id":1,"connect":{}}"#, CONNECTED).await;
    peer.expect("{}").await;
    // Other traffic is no pong.
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    peer.expect_close(3012, "no pong").await;
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pong_is_one_too_many() {
    let server = server_that_pings().await;
    let mut peer = server.websocket().await;
    peer.ask(r#"{"id":1,"connect":{}}"#, CONNECTED).await;
    peer.expect("{}").await;
    peer.provoke("{}\n{}", 3501, "bad request").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pong_without_a_ping_is_one_too_many() {
    let server = TestServer::insecure().await;
    for pong in ["{}", "null", r#"{"id":0}"#, r#"{"subscribe":{"channel":"a"}}"#] {
        let mut peer = server.user("42").await;
        peer.provoke(pong, 3501, "bad request").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_connects_is_stale() {
    let server =
        TestServer::start(json!({ "client": { "stale_close_delay": "0.3s", "insecure": true } })).await;
    server.websocket().await.expect_close(3502, "stale").await;
    Peer::webtransport(&server, "")
        .await
        .expect_close(3502, "stale")
        .await;
    // Who did connect is not concerned.
    let mut peer = server.user("42").await;
    let mut stale = server.websocket().await;
    stale.expect_close(3502, "stale").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_can_ping_by_its_own_frames() {
    let server = server_that_pings().await;
    let mut peer = server
        .websocket_at("/connection/websocket?cf_ws_frame_ping_pong=true")
        .await;
    peer.ask(
        r#"{"id":1,"connect":{}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>"}}"#,
    )
    .await;
    // Tungstenite answers the pings, which are no messages: what comes next is the reply, seconds later.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

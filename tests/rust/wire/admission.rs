//! What a connection may say, and when (3.1); what is left of one that failed to connect.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Heard, Peer, TestServer, in_seconds, token, within};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "stale_close_delay": "1s" },
        "channel": { "without_namespace": { "allow_subscribe_for_client": true } }
    }))
    .await
}

fn expired() -> String {
    let token = token(&json!({ "sub": "42", "exp": in_seconds(-5) }));
    format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#)
}

fn good() -> String {
    format!(
        r#"{{"id":1,"connect":{{"token":"{}"}}}}"#,
        token(&json!({ "sub": "42" }))
    )
}

const EXPIRED: &str = r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#;

/// The reply of the connect is told, and nothing is taken any more, on each transport.
#[tokio::test(flavor = "multi_thread")]
async fn who_failed_to_connect_is_closed_when_stale() {
    let server = server().await;
    let batch = expired() + "\n" + r#"{"id":2,"subscribe":{"channel":"a"}}"#;
    for mut peer in Peer::each(&server, &batch).await {
        peer.expect(EXPIRED).await;
        peer.send(&good());
        peer.expect_close(3502, "stale").await;
    }
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_before_connect_is_a_mistake_on_each_transport() {
    let server = server().await;
    for early in [
        "{}",
        r#"{"id":1,"subscribe":{"channel":"a"}}"#,
        r#"{"connect":{}}"#,
        r#"{"send":{"data":1}}"#,
    ] {
        for mut peer in Peer::each(&server, early).await {
            peer.expect_close(3501, "bad request").await;
        }
    }
    server.stop().await;
}

/// The client is given five seconds to close; then the connection ends without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_failed_to_connect_ends_without_a_code() {
    let server = TestServer::start(json!({})).await;
    let mut peer = server.websocket().await;
    peer.ask(&expired(), EXPIRED).await;
    peer.send("nonsense");
    assert_eq!(peer.hear("the end").await, Heard::End);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connect_is_a_mistake_on_each_transport() {
    let server = server().await;
    for mut peer in Peer::each(&server, &good()).await {
        let reply = peer.message("the reply to connect").await;
        assert!(reply.starts_with(r#"{"id":1,"connect":{"client":""#), "{reply}");
        peer.provoke(&good(), 3501, "bad request").await;
    }
    server.stop().await;
}

/// A client that does not answer the close holds its socket, but no place.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_closed_counts_no_more() {
    let server = TestServer::start(json!({ "client": { "user_connection_limit": 1 } })).await;
    let mut rude = server.dial().await;
    let head = "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    rude.write_all(head.as_bytes()).await.unwrap();
    let connect = good();
    let length = u16::try_from(connect.len()).unwrap().to_be_bytes();
    let frame = [&[0x81, 0xfe], &length[..], &[0; 4], connect.as_bytes()].concat();
    rude.write_all(&frame).await.unwrap();
    server
        .until_counts("a client", |counts| counts.clients == 1)
        .await;
    server.api("disconnect", json!({ "user": "42" })).await;
    let mut heard = Vec::new();
    while !heard.ends_with(b"force disconnect") {
        let count = within("the close frame", rude.read_buf(&mut heard))
            .await
            .unwrap();
        assert_ne!(count, 0, "{:?}", String::from_utf8_lossy(&heard));
    }
    server.user("42").await;
    server.stop().await;
}

/// Codes and reasons are never empty: clients need both (6).
#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_always_has_a_reason() {
    let server = server().await;
    for (disconnect, code, reason) in [
        (json!({ "code": 4500 }), 4500, "force disconnect"),
        (json!({ "reason": "go" }), 3503, "go"),
        (json!({}), 3503, "force disconnect"),
        (
            json!({ "code": 4999, "reason": "x".repeat(123) }),
            4999,
            "x".repeat(123).as_str(),
        ),
    ] {
        let mut peer = server.user("42").await;
        server
            .api("disconnect", json!({ "user": "42", "disconnect": disconnect }))
            .await;
        peer.expect_close(code, reason).await;
    }
    server.stop().await;
}

/// What was queued is told before the close.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_flushed_before_the_close() {
    let server = TestServer::start(json!({
        "client": { "insecure": true },
        "channel": { "without_namespace": { "presence": true, "join_leave": true, "force_push_join_leave": true } }
    }))
    .await;
    let mut watcher = server.user("7").await;
    watcher.send(r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    watcher.expect(r#"{"id":2,"subscribe":{}}"#).await;
    watcher
        .expect(r#"{"push":{"channel":"a","join":{"info":{"user":"7","client":"<client>"}}}}"#)
        .await;
    // A batch whose last command is a mistake: all before it is answered.
    let commands: String = (10..30)
        .map(|id| format!("{{\"id\":{id},\"presence\":{{\"channel\":\"b\"}}}}\n"))
        .collect();
    for mut peer in Peer::each(&server, &good()).await {
        let reply = peer.message("the reply to connect").await;
        assert!(reply.starts_with(r#"{"id":1,"connect":{"client":""#), "{reply}");
        peer.send(&format!(
            "{{\"id\":2,\"subscribe\":{{\"channel\":\"a\"}}}}\n{commands}{{}}"
        ));
        peer.expect(r#"{"id":2,"subscribe":{}}"#).await;
        peer.expect(r#"{"push":{"channel":"a","join":{"info":{"user":"42","client":"<_>"}}}}"#)
            .await;
        for id in 10..30 {
            peer.expect(&format!(r#"{{"id":{id},"presence":{{"presence":{{}}}}}}"#))
                .await;
        }
        peer.expect_close(3501, "bad request").await;
        watcher
            .expect(r#"{"push":{"channel":"a","join":{"info":{"user":"42","client":"<_>"}}}}"#)
            .await;
        watcher
            .expect(r#"{"push":{"channel":"a","leave":{"info":{"user":"42","client":"<_>"}}}}"#)
            .await;
        watcher
            .ask(
                r#"{"id":3,"presence_stats":{"channel":"a"}}"#,
                r#"{"id":3,"presence_stats":{"num_clients":1,"num_users":1}}"#,
            )
            .await;
    }
    server.stop().await;
}

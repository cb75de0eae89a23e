//! Writes that collect, and how much shares a frame (3.1 "Writer", history-and-recovery.md 12).
//!
//! Where a test needs messages to be held it delays them by an hour, and has something else end the wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Heard, Peer, TestServer};

/// A server that holds everything but replies.
async fn holding(changes: Value) -> TestServer {
    let mut config = json!({
        "client": { "insecure": true, "write_delay": "1h", "reply_without_queue": true },
        "rpc": { "ping": { "enabled": true } }
    });
    crate::support::merge(&mut config, changes);
    TestServer::start(config).await
}

async fn publish(server: &TestServer, numbers: std::ops::Range<u32>) {
    for n in numbers {
        server.publish("a", json!(n)).await;
    }
}

fn push(n: u32) -> String {
    format!(r#"{{"push":{{"channel":"a","pub":{{"data":{n}}}}}}}"#)
}

/// The lines of the next WebSocket message.
async fn frame(peer: &mut Peer) -> Vec<String> {
    match peer.hear("a frame").await {
        Heard::Frame(frame) => {
            let text = String::from_utf8(frame).unwrap();
            text.split('\n').map(str::to_owned).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_takes_along_what_was_held_before_it() {
    for (limit, sizes) in [(16, &[16, 5][..]), (4, &[4, 4, 4, 4, 4, 1]), (-1, &[21])] {
        let server = holding(json!({ "client": { "max_messages_in_frame": limit } })).await;
        let mut peer = server.user("42").await;
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
        publish(&server, 0..20).await;
        peer.send(r#"{"id":3,"rpc":{"method":"ping"}}"#);
        let mut lines = Vec::new();
        for size in sizes {
            let frame = frame(&mut peer).await;
            assert_eq!(frame.len(), *size, "{frame:?}");
            lines.extend(frame);
        }
        let mut expected: Vec<String> = (0..20).map(push).collect();
        expected.push(r#"{"id":3,"rpc":{}}"#.to_owned());
        assert_eq!(lines, expected);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_holds() {
    let server = holding(json!({})).await;
    let connect = r#"{"id":1,"connect":{}}"#;
    let mut peers = [
        server.websocket().await,
        Peer::webtransport(&server, "").await,
        Peer::http_stream(&server, connect).await,
        Peer::sse(&server, connect).await,
    ];
    for (index, peer) in peers.iter_mut().enumerate() {
        if index < 2 {
            peer.send(connect);
        }
        let _ = peer.message("the connect reply").await;
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
    }
    publish(&server, 0..3).await;
    for peer in &mut peers {
        // Had they not been held, there would be nothing to tell from this; but had the reply overtaken them, there
        // would.
        peer.send(r#"{"id":3,"rpc":{"method":"ping"}}"#);
        for n in 0..3 {
            peer.expect(&push(n)).await;
        }
        peer.expect(r#"{"id":3,"rpc":{}}"#).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_not_held() {
    let server = holding(json!({ "client": { "queue_max_size": 1000 } })).await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    // 42 bytes each: the twelfth lifts the queue above its half.
    publish(&server, 10..22).await;
    let first = frame(&mut peer).await;
    assert_eq!(first, (10..22).map(push).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_comes_after_what_was_held() {
    let server = holding(json!({})).await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    publish(&server, 0..2).await;
    server.api("disconnect", json!({ "user": "42" })).await;
    assert_eq!(frame(&mut peer).await, [push(0), push(1)]);
    peer.expect_close(3503, "force disconnect").await;
    server.stop().await;
}

/// Without `reply_without_queue` replies wait like everything else.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_before_its_time() {
    const DELAY: Duration = Duration::from_millis(50);
    let server = TestServer::start(json!({
        "client": { "insecure": true, "write_delay": "50ms", "queue_shrink_delay": "1ms" }
    }))
    .await;
    for transport in 0..2 {
        let mut peer = match transport {
            0 => server.websocket().await,
            _ => Peer::webtransport(&server, "").await,
        };
        let started = Instant::now();
        peer.ask(
            r#"{"id":1,"connect":{}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
        )
        .await;
        assert!(started.elapsed() >= DELAY);
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
        for round in 0..3 {
            let started = Instant::now();
            publish(&server, 0..20).await;
            peer.expect(&push(0)).await;
            assert!(started.elapsed() >= DELAY, "round {round}");
            for n in 1..20 {
                peer.expect(&push(n)).await;
            }
        }
    }
    server.stop().await;
}

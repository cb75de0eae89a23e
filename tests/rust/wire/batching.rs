//! Per-channel batching (history-and-recovery.md 12): pushes of a channel collect for each connection.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Peer, TestServer};

async fn server(options: Value) -> TestServer {
    let mut namespace = json!({ "name": "bb", "join_leave": true, "force_push_join_leave": true });
    crate::support::merge(&mut namespace, options);
    TestServer::start(json!({
        "client": { "insecure": true },
        "rpc": { "ping": { "enabled": true } },
        "channel": { "namespaces": [namespace, { "name": "plain" }] }
    }))
    .await
}

async fn subscriber(server: &TestServer) -> Peer {
    let mut peer = server.user("42").await;
    for (id, channel) in [(2, "bb:a"), (3, "plain:a")] {
        peer.ask(
            &format!(r#"{{"id":{id},"subscribe":{{"channel":"{channel}"}}}}"#),
            &format!(r#"{{"id":{id},"subscribe":{{}}}}"#),
        )
        .await;
    }
    peer
}

async fn publish(server: &TestServer, channel: &str, numbers: std::ops::RangeInclusive<u32>) {
    for n in numbers {
        server.publish(channel, json!(n)).await;
    }
}

async fn expect(peer: &mut Peer, channel: &str, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        let push = format!(r#"{{"push":{{"channel":"{channel}","pub":{{"data":{n}}}}}}}"#);
        peer.expect(&push).await;
    }
}

/// The answer to a question shows that nothing was sent before it.
async fn expect_silence(peer: &mut Peer) {
    peer.ask(r#"{"id":9,"rpc":{"method":"ping"}}"#, r#"{"id":9,"rpc":{}}"#)
        .await;
}

const JOIN: &str = r#"{"push":{"channel":"bb:a","join":{"info":{"user":"42","client":"<client>"}}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_leaves_when_it_is_full() {
    let server = server(json!({ "batch_max_size": 3 })).await;
    let mut peer = subscriber(&server).await;
    // The subscriber's own join is the first of the batch.
    publish(&server, "bb:a", 1..=1).await;
    expect_silence(&mut peer).await;
    // Other channels do not wait.
    publish(&server, "plain:a", 1..=1).await;
    expect(&mut peer, "plain:a", 1..=1).await;
    publish(&server, "bb:a", 2..=2).await;
    peer.expect(JOIN).await;
    expect(&mut peer, "bb:a", 1..=2).await;
    publish(&server, "bb:a", 3..=4).await;
    expect_silence(&mut peer).await;
    publish(&server, "bb:a", 5..=5).await;
    expect(&mut peer, "bb:a", 3..=5).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_leaves_after_its_delay() {
    const DELAY: Duration = Duration::from_millis(50);
    let server = server(json!({ "batch_max_delay": "50ms" })).await;
    let mut peer = subscriber(&server).await;
    peer.expect(JOIN).await;
    for _ in 0..3 {
        let started = Instant::now();
        publish(&server, "bb:a", 1..=20).await;
        expect(&mut peer, "bb:a", 1..=1).await;
        assert!(started.elapsed() >= DELAY);
        expect(&mut peer, "bb:a", 2..=20).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_subscription_comes_after_its_batch() {
    let server = server(json!({ "batch_max_size": 100, "batch_max_delay": "1h" })).await;
    let mut peer = subscriber(&server).await;
    publish(&server, "bb:a", 1..=2).await;
    peer.send(r#"{"id":4,"unsubscribe":{"channel":"bb:a"}}"#);
    peer.expect(JOIN).await;
    expect(&mut peer, "bb:a", 1..=2).await;
    peer.expect(r#"{"id":4,"unsubscribe":{}}"#).await;

    peer.ask(
        r#"{"id":5,"subscribe":{"channel":"bb:a"}}"#,
        r#"{"id":5,"subscribe":{}}"#,
    )
    .await;
    publish(&server, "bb:a", 3..=4).await;
    server
        .api("unsubscribe", json!({ "user": "42", "channel": "bb:a" }))
        .await;
    peer.expect(JOIN).await;
    expect(&mut peer, "bb:a", 3..=4).await;
    peer.expect(r#"{"push":{"channel":"bb:a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;

    peer.ask(
        r#"{"id":6,"subscribe":{"channel":"bb:a"}}"#,
        r#"{"id":6,"subscribe":{}}"#,
    )
    .await;
    publish(&server, "bb:a", 5..=6).await;
    server.api("disconnect", json!({ "user": "42" })).await;
    peer.expect(JOIN).await;
    expect(&mut peer, "bb:a", 5..=6).await;
    peer.expect_close(3503, "force disconnect").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_publication_of_a_batch_stands_for_all() {
    let server = server(json!({
        "batch_max_size": 4, "batch_flush_latest": true,
        "history_size": 10, "history_ttl": "60s", "force_recovery": true
    }))
    .await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"bb:a"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    publish(&server, "bb:a", 1..=3).await;
    // Joins and leaves come first, whenever they came.
    peer.expect(JOIN).await;
    peer.expect(r#"{"push":{"channel":"bb:a","pub":{"data":3,"offset":3}}}"#)
        .await;
    publish(&server, "bb:a", 4..=7).await;
    peer.expect(r#"{"push":{"channel":"bb:a","pub":{"data":7,"offset":7}}}"#)
        .await;
    // The position went on with every publication, and what was skipped can still be recovered.
    let mut again = server.user("43").await;
    again.bind("epoch", peer.name("epoch"));
    again
        .ask(
            r#"{"id":2,"subscribe":{"channel":"bb:a","recover":true,"offset":5,"epoch":"<epoch>"}}"#,
            r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":6,"offset":6},{"data":7,"offset":7}],"recovered":true,"offset":5,"positioned":true,"was_recovering":true}}"#,
        )
        .await;
    server.stop().await;
}

/// A patch is from a publication that may have been left out: with deltas, the latest one is sent whole.
#[tokio::test(flavor = "multi_thread")]
async fn with_deltas_no_publication_is_left_out() {
    let server = server(json!({
        "batch_max_size": 2, "batch_flush_latest": true, "join_leave": false,
        "history_size": 10, "history_ttl": "60s", "allowed_delta_types": ["fossil"], "delta_publish": true
    }))
    .await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"bb:a","delta":"fossil"}}"#,
        r#"{"id":2,"subscribe":{"delta":true}}"#,
    )
    .await;
    let text = "a text that is long enough to be worth a patch";
    for n in 1..=4 {
        server.publish("bb:a", json!(format!("{text} {n} {text}"))).await;
    }
    let first =
        format!(r#"{{"push":{{"channel":"bb:a","pub":{{"data":"\"{text} 1 {text}\"","offset":1}}}}}}"#);
    peer.expect(&first).await;
    for n in 2..=4 {
        let patch = format!(
            r#"{{"push":{{"channel":"bb:a","pub":{{"data":"<patch{n}>","offset":{n},"delta":true}}}}}}"#
        );
        peer.expect(&patch).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_the_server_collect_too() {
    let server = server(json!({ "batch_max_size": 2, "join_leave": false })).await;
    let mut peer = server.websocket().await;
    let claims = json!({ "sub": "42", "channels": ["bb:a"] });
    peer.bind("token", &crate::support::token(&claims));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"bb:a":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    publish(&server, "bb:a", 1..=1).await;
    expect_silence(&mut peer).await;
    publish(&server, "bb:a", 2..=2).await;
    expect(&mut peer, "bb:a", 1..=2).await;
    server.stop().await;
}

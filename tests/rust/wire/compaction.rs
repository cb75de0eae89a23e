//! Channel compaction (history-and-recovery.md 12): numbers in place of names, for those who offer it.

use serde_json::json;

use crate::support::{Peer, TestServer, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "insecure": true },
        "channel": { "namespaces": [
            { "name": "co", "allow_channel_compaction": true, "join_leave": true, "force_push_join_leave": true },
            { "name": "st", "allow_channel_compaction": true, "history_size": 10, "history_ttl": "60s",
              "force_recovery": true },
            { "name": "de", "allow_channel_compaction": true, "history_size": 10, "history_ttl": "60s",
              "force_recovery": true, "allowed_delta_types": ["fossil"], "delta_publish": true },
            { "name": "plain" }
        ] }
    }))
    .await
}

async fn subscribe(peer: &mut Peer, channel: &str, flag: u32, result: &str) {
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}","flag":{flag}}}}}"#),
        &format!(r#"{{"id":2,"subscribe":{result}}}"#),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_carry_the_number() {
    let server = server().await;
    let mut peer = server.user("42").await;
    subscribe(&mut peer, "co:a", 1, r#"{"id":1}"#).await;
    peer.expect(r#"{"push":{"id":1,"join":{"info":{"user":"42","client":"<client>"}}}}"#)
        .await;
    let mut named = server.user("43").await;
    subscribe(&mut named, "co:a", 0, "{}").await;
    named
        .expect(r#"{"push":{"channel":"co:a","join":{"info":{"user":"43","client":"<client>"}}}}"#)
        .await;
    peer.expect(r#"{"push":{"id":1,"join":{"info":{"user":"43","client":"<other>"}}}}"#)
        .await;
    server.publish("co:a", json!("x")).await;
    peer.expect(r#"{"push":{"id":1,"pub":{"data":"x"}}}"#).await;
    named
        .expect(r#"{"push":{"channel":"co:a","pub":{"data":"x"}}}"#)
        .await;
    named
        .ask(
            r#"{"id":3,"unsubscribe":{"channel":"co:a"}}"#,
            r#"{"id":3,"unsubscribe":{}}"#,
        )
        .await;
    peer.expect(r#"{"push":{"id":1,"leave":{"info":{"user":"43","client":"<other>"}}}}"#)
        .await;
    // The end of a subscription is told by name: SDKs look for that.
    server
        .api("unsubscribe", json!({ "user": "42", "channel": "co:a" }))
        .await;
    peer.expect(r#"{"push":{"channel":"co:a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_per_channel_and_used_again() {
    let server = server().await;
    let mut first = server.user("42").await;
    let mut second = server.user("43").await;
    subscribe(
        &mut first,
        "st:a",
        1,
        r#"{"recoverable":true,"epoch":"<a>","positioned":true,"id":1}"#,
    )
    .await;
    subscribe(
        &mut second,
        "st:b",
        1,
        r#"{"recoverable":true,"epoch":"<b>","positioned":true,"id":2}"#,
    )
    .await;
    second.bind("a", first.name("a"));
    subscribe(
        &mut second,
        "st:a",
        3,
        r#"{"recoverable":true,"epoch":"<a>","positioned":true,"id":1}"#,
    )
    .await;
    // The first subscriber leaves, the number stays with the channel.
    first
        .ask(
            r#"{"id":3,"unsubscribe":{"channel":"st:a"}}"#,
            r#"{"id":3,"unsubscribe":{}}"#,
        )
        .await;
    subscribe(
        &mut first,
        "st:c",
        1,
        r#"{"recoverable":true,"epoch":"<c>","positioned":true,"id":3}"#,
    )
    .await;
    server.publish("st:a", json!(1)).await;
    second
        .expect(r#"{"push":{"id":1,"pub":{"data":1,"offset":1,"epoch":"<a>"}}}"#)
        .await;
    // The last one leaves, and the number goes to the next channel.
    second
        .ask(
            r#"{"id":3,"unsubscribe":{"channel":"st:a"}}"#,
            r#"{"id":3,"unsubscribe":{}}"#,
        )
        .await;
    subscribe(
        &mut second,
        "st:d",
        1,
        r#"{"recoverable":true,"epoch":"<d>","positioned":true,"id":1}"#,
    )
    .await;
    server.publish("st:d", json!(2)).await;
    second
        .expect(r#"{"push":{"id":1,"pub":{"data":2,"offset":1,"epoch":"<d>"}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_late_gets_the_number_too() {
    let server = server().await;
    let mut named = server.user("42").await;
    subscribe(
        &mut named,
        "st:a",
        2,
        r#"{"recoverable":true,"epoch":"<epoch>","positioned":true}"#,
    )
    .await;
    let mut numbered = server.user("43").await;
    numbered.bind("epoch", named.name("epoch"));
    subscribe(
        &mut numbered,
        "st:a",
        1,
        r#"{"recoverable":true,"epoch":"<epoch>","positioned":true,"id":1}"#,
    )
    .await;
    server.publish("st:a", json!(1)).await;
    named
        .expect(r#"{"push":{"channel":"st:a","pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    numbered
        .expect(r#"{"push":{"id":1,"pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_carry_the_number_too() {
    let server = server().await;
    let mut numbered = server.user("42").await;
    let mut named = server.user("43").await;
    numbered
        .ask(
            r#"{"id":2,"subscribe":{"channel":"de:a","flag":1,"delta":"fossil"}}"#,
            r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true,"delta":true,"id":1}}"#,
        )
        .await;
    named.bind("epoch", numbered.name("epoch"));
    named
        .ask(
            r#"{"id":2,"subscribe":{"channel":"de:a","delta":"fossil"}}"#,
            r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true,"delta":true}}"#,
        )
        .await;
    let text = "a text that is long enough to be worth a patch";
    for n in 1..=2 {
        server.publish("de:a", json!([text, n])).await;
    }
    let first = named.message("a publication").await;
    let patch = named.message("a patch").await;
    assert!(patch.contains(r#""delta":true"#), "{patch}");
    for message in [first, patch] {
        let expected = message.replacen(r#""channel":"de:a""#, r#""id":1"#, 1);
        assert_ne!(expected, message);
        assert_eq!(numbered.message("the same by number").await, expected);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_other_namespaces_nor_subscriptions_of_the_server_compact() {
    let server = server().await;
    let mut peer = server.user("42").await;
    subscribe(&mut peer, "plain:a", 1, "{}").await;
    server.publish("plain:a", json!(1)).await;
    peer.expect(r#"{"push":{"channel":"plain:a","pub":{"data":1}}}"#)
        .await;

    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "43", "channels": ["co:a"] })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"co:a":{"flag":1}}}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"co:a":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    peer.expect(r#"{"push":{"channel":"co:a","join":{"info":{"user":"43","client":"<client>"}}}}"#)
        .await;
    server.stop().await;
}

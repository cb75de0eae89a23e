//! Positions of streams while time passes and publications are suppressed (history-and-recovery.md 2, 3, 6), and
//! what a refresh changes (3.2).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::Request;
use crate::support::{Peer, TestServer, in_seconds, token, within};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "channel_position_check_delay": "2s", "presence_update_interval": "2s",
            "expired_sub_close_delay": "0.2s" },
        "channel": { "namespaces": [
            { "name": "st", "history_size": 10, "history_ttl": "60s", "force_recovery": true,
              "allow_subscribe_for_client": true, "allow_history_for_client": true },
            { "name": "short", "history_size": 10, "history_ttl": "1s", "force_recovery": true,
              "allow_subscribe_for_client": true, "allow_history_for_client": true },
            { "name": "none", "force_positioning": true, "allow_subscribe_for_client": true },
            { "name": "fickle", "history_size": 10, "history_ttl": "1s", "history_meta_ttl": "1s",
              "force_recovery": true, "allow_subscribe_for_client": true },
            { "name": "chat", "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true,
              "presence": true, "allow_presence_for_subscriber": true }
        ] }
    }))
    .await
}

async fn subscribed(server: &TestServer, channel: &str, result: &str) -> Peer {
    let mut peer = server.user("42").await;
    let command = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#);
    let reply = format!(r#"{{"id":2,"subscribe":{result}}}"#);
    peer.ask(&command, &reply).await;
    peer
}

const FRESH: &str = r#"{"recoverable":true,"epoch":"<epoch>","positioned":true}"#;

async fn publish(server: &TestServer, request: Value) {
    let answer = server.api("publish", request).await;
    assert!(answer.starts_with(r#"{"result":{"#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_offset_moves_no_position() {
    let server = server().await;
    let mut peer = subscribed(&server, "st:a", FRESH).await;
    publish(
        &server,
        json!({ "channel": "st:a", "data": 1, "skip_history": true }),
    )
    .await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":1}}}"#)
        .await;
    publish(&server, json!({ "channel": "st:a", "data": 2 })).await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":2,"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    publish(
        &server,
        json!({ "channel": "st:a", "data": 3, "skip_history": true }),
    )
    .await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":3}}}"#)
        .await;
    publish(&server, json!({ "channel": "st:a", "data": 4 })).await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":4,"offset":2}}}"#)
        .await;
    // Positions without history stay where they are.
    let mut peer = subscribed(&server, "none:a", r#"{"epoch":"<epoch>","positioned":true}"#).await;
    for n in 1..=3 {
        publish(&server, json!({ "channel": "none:a", "data": n })).await;
        peer.expect(&format!(
            r#"{{"push":{{"channel":"none:a","pub":{{"data":{n}}}}}}}"#
        ))
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_publication_reaches_nobody() {
    let server = server().await;
    let mut peer = subscribed(&server, "st:a", FRESH).await;
    for _ in 0..3 {
        publish(
            &server,
            json!({ "channel": "st:a", "data": 1, "idempotency_key": "k" }),
        )
        .await;
    }
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    for (version, epoch) in [(5, "a"), (5, "a"), (4, "a"), (4, ""), (1, "b"), (6, "")] {
        let request =
            json!({ "channel": "st:a", "data": version, "version": version, "version_epoch": epoch });
        publish(&server, request).await;
    }
    // Five of "a" is new, one of "b" counts from the beginning, and six is newer than that.
    for (offset, version) in [(2, 5), (3, 1), (4, 6)] {
        let push = format!(
            r#"{{"push":{{"channel":"st:a","pub":{{"data":{version},"offset":{offset},"version":{version}}}}}}}"#
        );
        peer.expect(&push).await;
    }
    peer.ask(
        r#"{"id":3,"history":{"channel":"st:a","limit":1,"reverse":true}}"#,
        r#"{"id":3,"history":{"publications":[{"data":6,"offset":4,"version":6}],"epoch":"<epoch>","offset":4}}"#,
    )
    .await;
    // Backwards from just behind the top is everything, from further on nothing.
    for (offset, items) in [(5, r#"{"data":6,"offset":4,"version":6}"#), (6, "")] {
        peer.ask(
            &format!(
                r#"{{"id":4,"history":{{"channel":"st:a","limit":1,"reverse":true,"since":{{"offset":{offset}}}}}}}"#
            ),
            &format!(r#"{{"id":4,"history":{{"publications":[{items}],"epoch":"<epoch>","offset":4}}}}"#),
        )
        .await;
    }
    server.stop().await;
}

/// Items expire, positions do not: whoever was at the top has missed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_leaves_its_position() {
    let server = server().await;
    let mut peer = subscribed(&server, "short:a", FRESH).await;
    publish(&server, json!({ "channel": "short:a", "data": 1 })).await;
    peer.expect(r#"{"push":{"channel":"short:a","pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    peer.ask(
        r#"{"id":3,"history":{"channel":"short:a","limit":-1}}"#,
        r#"{"id":3,"history":{"publications":[],"epoch":"<epoch>","offset":1}}"#,
    )
    .await;
    for (offset, recovered) in [(1, r#""recovered":true,"#), (0, "")] {
        let mut again = server.user("42").await;
        again.bind("epoch", peer.name("epoch"));
        again
            .ask(
                &format!(
                    r#"{{"id":2,"subscribe":{{"channel":"short:a","recover":true,"offset":{offset},"epoch":"<epoch>"}}}}"#
                ),
                &format!(
                    r#"{{"id":2,"subscribe":{{"recoverable":true,"epoch":"<epoch>",{recovered}"offset":1,"positioned":true,"was_recovering":true}}}}"#
                ),
            )
            .await;
    }
    server.stop().await;
}

/// A stream that begins anew is found by the periodic check, or by its first publication.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_ends_subscriptions_and_connections() {
    let server = server().await;
    let mut client_side = subscribed(&server, "fickle:a", FRESH).await;
    let mut server_side = server.websocket().await;
    server_side.bind("token", &token(&json!({ "sub": "43", "channels": ["fickle:a"] })));
    server_side
        .ask(
            r#"{"id":1,"connect":{"token":"<token>"}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"fickle:a":{"recoverable":true,"epoch":"<epoch>","positioned":true}},"ping":25,"pong":true}}"#,
        )
        .await;
    // Nothing keeps the position alive for longer than a second but the check, which comes no sooner.
    client_side
        .expect(
            r#"{"push":{"channel":"fickle:a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}"#,
        )
        .await;
    server_side.expect_close(3010, "insufficient state").await;
    server.stop().await;
}

/// What a refresh tells of the connection is told at once, in every channel.
#[tokio::test(flavor = "multi_thread")]
async fn refreshed_info_is_told_everywhere() {
    let server = server().await;
    let mut peer = server.connected(json!({ "sub": "42", "info": { "n": 1 } })).await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"chat:a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    let says = |n: u32| {
        [
            format!(
                r#"{{"push":{{"channel":"chat:a","pub":{{"data":1,"info":{{"user":"42","client":"<client>","conn_info":{{"n":{n}}}}}}}}}}}"#
            ),
            r#"{"id":3,"publish":{}}"#.to_owned(),
        ]
    };
    let publish = r#"{"id":3,"publish":{"channel":"chat:a","data":1}}"#;
    peer.send(publish);
    peer.expect_all(&says(1).each_ref().map(String::as_str)).await;
    let refresh = token(&json!({ "sub": "42", "info": { "n": 2 } }));
    peer.ask(
        &format!(r#"{{"id":4,"refresh":{{"token":"{refresh}"}}}}"#),
        r#"{"id":4,"refresh":{}}"#,
    )
    .await;
    peer.send(publish);
    peer.expect_all(&says(2).each_ref().map(String::as_str)).await;
    server
        .api(
            "refresh",
            json!({ "user": "42", "expire_at": in_seconds(600), "info": { "n": 3 } }),
        )
        .await;
    peer.expect(r#"{"push":{"refresh":{"expires":true,"ttl":<ttl>}}}"#)
        .await;
    peer.send(publish);
    peer.expect_all(&says(3).each_ref().map(String::as_str)).await;
    server.stop().await;
}

/// A refresh that lacks a subscription of the token before it: the client is to come again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_with_other_subscriptions() {
    let server = server().await;
    let claims = |channels: &[&str]| token(&json!({ "sub": "42", "channels": channels }));
    for (then, accepted) in [
        (&["chat:a"][..], true),
        (&[], false),
        (&["chat:a", "chat:b"], false),
    ] {
        let mut peer = server.websocket().await;
        peer.bind("token", &claims(&["chat:a"]));
        peer.ask(
            r#"{"id":1,"connect":{"token":"<token>"}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"chat:a":{}},"ping":25,"pong":true}}"#,
        )
        .await;
        let refresh = format!(r#"{{"id":2,"refresh":{{"token":"{}"}}}}"#, claims(then));
        if accepted {
            peer.ask(&refresh, r#"{"id":2,"refresh":{}}"#).await;
            let command = r#"{"id":3,"sub_refresh":{"channel":"chat:a","token":"x"}}"#;
            peer.provoke(command, 3501, "bad request").await;
        } else {
            peer.provoke(&refresh, 3010, "insufficient state").await;
        }
    }
    server.stop().await;
}

/// A connection is told of a year at most, a subscription of all its time; its renewal of a year again.
#[tokio::test(flavor = "multi_thread")]
async fn far_ends() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let far = token(&json!({ "sub": "42", "channel": "chat:a", "expire_at": in_seconds(100_000_000) }));
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"chat:a","token":"{far}"}}}}"#),
        r#"{"id":2,"subscribe":{"expires":true,"ttl":<ttl>}}"#,
    )
    .await;
    let ttl: u32 = peer.name("ttl").parse().unwrap();
    assert!((99_999_900..=100_000_000).contains(&ttl), "{ttl}");
    peer.ask(
        &format!(r#"{{"id":3,"sub_refresh":{{"channel":"chat:a","token":"{far}"}}}}"#),
        r#"{"id":3,"sub_refresh":{"expires":true,"ttl":31536000}}"#,
    )
    .await;
    server.stop().await;
}

/// A subscription that the server made for a time takes the connection with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_of_the_server_that_expires() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let call = json!({ "user": "42", "channel": "chat:a", "expire_at": in_seconds(2) });
    server.api("subscribe", call).await;
    peer.expect(r#"{"push":{"channel":"chat:a","subscribe":{}}}"#)
        .await;
    peer.expect_close(3006, "subscription expired").await;
    server.stop().await;
}

/// Of all who subscribe to a quiet channel one looks at its stream, and the others need not.
#[tokio::test(flavor = "multi_thread")]
async fn one_look_is_one_for_all() {
    const SUBSCRIBERS: usize = 100;
    let server = TestServer::start(json!({
        "prometheus": { "enabled": true },
        "client": { "channel_position_check_delay": "1s", "presence_update_interval": "0.1s" },
        "channel": { "namespaces": [
            { "name": "st", "history_size": 10, "history_ttl": "60s", "force_recovery": true,
              "allow_subscribe_for_client": true }
        ] }
    }))
    .await;
    let mut peers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        peers.push(subscribed(&server, "st:quiet", FRESH).await);
    }
    // Each subscription has read it once.
    let before = looks(&server).await;
    let two_turns = async {
        while looks(&server).await < before + 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("two looks", two_turns).await;
    // Whoever did not take the word of others would have had his own turn by then.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let looks = looks(&server).await - before;
    assert!(looks < SUBSCRIBERS, "{looks}");
    publish(&server, json!({ "channel": "st:quiet", "data": 1 })).await;
    for peer in &mut peers {
        peer.expect(r#"{"push":{"channel":"st:quiet","pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
            .await;
    }
    server.stop().await;
}

async fn looks(server: &TestServer) -> usize {
    let page = server.request(Request::get("/metrics")).await.text();
    let series = |line: &&str| {
        line.starts_with("centrifugo_node_action_count") && line.contains(r#""history_stream_top""#)
    };
    let line = page.lines().find(series);
    line.and_then(|line| line.split(' ').next_back()?.parse().ok())
        .unwrap_or(0)
}

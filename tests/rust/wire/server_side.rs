//! Subscriptions made by the server at connect (channels-and-auth.md 6).

use serde_json::json;

use crate::support::{TestServer, token};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_brings_subscriptions() {
    let server = TestServer::start(json!({
        "channel": { "namespaces": [
            { "name": "st", "history_size": 10, "history_ttl": "60s", "force_recovery": true },
            { "name": "closed" }
        ] }
    }))
    .await;
    server.publish("st:a", json!(1)).await;
    let claims = json!({ "sub": "42", "subs": { "closed:b": { "data": { "x": 1 } }, "st:a": null } });
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&claims));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"closed:b":{"data":{"x":1}},"st:a":{"recoverable":true,"epoch":"<epoch>","offset":1,"positioned":true}},"ping":25,"pong":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"closed:b"}}"#,
        r#"{"id":2,"error":{"code":105,"message":"already subscribed"}}"#,
    )
    .await;
    server.publish("closed:b", json!("hello")).await;
    peer.expect(r#"{"push":{"channel":"closed:b","pub":{"data":"hello"}}}"#)
        .await;
    peer.ask(
        r#"{"id":3,"unsubscribe":{"channel":"closed:b"}}"#,
        r#"{"id":3,"unsubscribe":{}}"#,
    )
    .await;
    server.publish("closed:b", json!("nobody hears this")).await;
    server.publish("st:a", json!(2)).await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":2,"offset":2}}}"#)
        .await;

    // A client that returns says where it was.
    server.publish("st:a", json!(3)).await;
    let mut again = server.websocket().await;
    again.bind("token", &token(&claims));
    again.bind("epoch", peer.name("epoch"));
    again
        .ask(
            r#"{"id":1,"connect":{"token":"<token>","subs":{"st:a":{"recover":true,"offset":1,"epoch":"<epoch>"}}}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"closed:b":{"data":{"x":1}},"st:a":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":2,"offset":2},{"data":3,"offset":3}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}},"ping":25,"pong":true}}"#,
        )
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_ask_for_what_it_could_subscribe_to() {
    let server = TestServer::start(json!({
        "channel": {
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [{ "name": "closed" }]
        }
    }))
    .await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42" })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"a":{},"$private":{},"closed:a":{}}}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"a":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42" })));
    peer.provoke(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"nowhere:a":{}}}}"#,
        3501,
        "bad request",
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_subscriptions_in_a_token() {
    let server = TestServer::start(json!({ "client": { "channel_limit": 2 } })).await;
    let mut peer = server.websocket().await;
    peer.bind(
        "token",
        &token(&json!({ "sub": "42", "channels": ["a", "b", "c"] })),
    );
    peer.provoke(r#"{"id":1,"connect":{"token":"<token>"}}"#, 3505, "channel limit")
        .await;
    server
        .until_counts("nothing left", |counts| counts.subscriptions == 0)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_a_personal_channel() {
    let server = TestServer::start(json!({
        "client": { "subscribe_to_user_personal_channel": { "enabled": true, "personal_channel_namespace": "mine" } },
        "channel": { "namespaces": [{ "name": "mine" }] }
    }))
    .await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42" })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"mine:#42":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    server.publish("mine:#42", json!("for you")).await;
    peer.expect(r#"{"push":{"channel":"mine:#42","pub":{"data":"for you"}}}"#)
        .await;
    // The anonymous are nobody in particular.
    server.connected(json!({})).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_connection_replaces_the_last() {
    let server = TestServer::start(json!({
        "client": { "subscribe_to_user_personal_channel": { "enabled": true, "single_connection": true } },
        "channel": { "without_namespace": { "presence": true } }
    }))
    .await;
    let reply = r##"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"#42":{}},"ping":25,"pong":true}}"##;
    let mut first = server.websocket().await;
    first.bind("token", &token(&json!({ "sub": "42" })));
    first
        .ask(r#"{"id":1,"connect":{"token":"<token>"}}"#, reply)
        .await;
    let mut second = server.websocket().await;
    second.bind("token", &token(&json!({ "sub": "42" })));
    second
        .ask(r#"{"id":1,"connect":{"token":"<token>"}}"#, reply)
        .await;
    first.expect_close(3504, "connection limit").await;
    server
        .until_counts("one connection", |counts| counts.clients == 1)
        .await;
    second
        .ask(
            r##"{"id":2,"unsubscribe":{"channel":"#42"}}"##,
            r#"{"id":2,"unsubscribe":{}}"#,
        )
        .await;
    server.stop().await;
}

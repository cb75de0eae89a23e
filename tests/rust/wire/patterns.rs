//! Channel patterns (channels-and-auth.md 7.6).

use serde_json::json;

use crate::support::{TestServer, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "channel": {
            "patterns": true,
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [
                { "name": "users_name", "pattern": "/users/:name", "allow_subscribe_for_client": true,
                  "allow_publish_for_subscriber": true, "presence": true, "allow_presence_for_subscriber": true,
                  "history_size": 10, "history_ttl": "60s", "allow_history_for_subscriber": true },
                { "name": "admin", "pattern": "/users/admin" },
                { "name": "events", "pattern": "/events/:project/type_:type", "allow_subscribe_for_client": true,
                  "channel_regex": "^/events/[0-9]+/type_[a-z]+$" },
                { "name": "dialog", "pattern": "/dialog/:list", "allow_user_limited_channels": true }
            ]
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_starts_with_a_slash_has_the_options_of_its_pattern() {
    let server = server().await;
    let mut peer = server.user("42").await;
    for (channel, outcome) in [
        ("/users/mario", r#""subscribe":{}"#),
        ("/users/ns:a", r#""subscribe":{}"#),
        (
            "/users/admin",
            r#""error":{"code":103,"message":"permission denied"}"#,
        ),
        ("/users/", r#""error":{"code":102,"message":"unknown channel"}"#),
        (
            "/users/mario/x",
            r#""error":{"code":102,"message":"unknown channel"}"#,
        ),
        ("/nothing", r#""error":{"code":102,"message":"unknown channel"}"#),
        ("/users/ü", r#""error":{"code":107,"message":"bad request"}"#),
        ("/events/42/type_news", r#""subscribe":{}"#),
        (
            "/events/x/type_news",
            r#""error":{"code":107,"message":"bad request"}"#,
        ),
        (
            "/events/42/news",
            r#""error":{"code":102,"message":"unknown channel"}"#,
        ),
        ("/dialog/a#41,42", r#""subscribe":{}"#),
        (
            "/dialog/a#41,43",
            r#""error":{"code":103,"message":"permission denied"}"#,
        ),
        // The name of a namespace with a pattern means nothing; other channels are what they were.
        (
            "users_name:mario",
            r#""error":{"code":102,"message":"unknown channel"}"#,
        ),
        ("users/mario", r#""subscribe":{}"#),
        (
            "$/users/mario",
            r#""error":{"code":103,"message":"permission denied"}"#,
        ),
    ] {
        let command = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#);
        peer.ask(&command, &format!(r#"{{"id":2,{outcome}}}"#)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_names_a_channel_knows_patterns() {
    let server = server().await;
    let claims = json!({ "sub": "42", "channels": ["/users/admin"] });
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&claims));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"/users/mario":{},"/dialog/a#42":{},"/dialog/a#43":{}}}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"/dialog/a#42":{},"/users/admin":{},"/users/mario":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    peer.send(r#"{"id":2,"publish":{"channel":"/users/mario","data":1}}"#);
    peer.expect_all(&[
        r#"{"id":2,"publish":{}}"#,
        r#"{"push":{"channel":"/users/mario","pub":{"data":1,"info":{"user":"42","client":"<client>"},"offset":1,"epoch":"<epoch>"}}}"#,
    ])
    .await;
    peer.ask(
        r#"{"id":3,"history":{"channel":"/users/mario","limit":0}}"#,
        r#"{"id":3,"history":{"publications":[],"epoch":"<epoch>","offset":1}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"presence_stats":{"channel":"/users/mario"}}"#,
        r#"{"id":4,"presence_stats":{"num_clients":1,"num_users":1}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":5,"presence_stats":{"channel":"/nothing"}}"#,
        r#"{"id":5,"error":{"code":102,"message":"unknown channel"}}"#,
    )
    .await;
    server.publish("/users/admin", json!("from the API")).await;
    peer.expect(r#"{"push":{"channel":"/users/admin","pub":{"data":"from the API"}}}"#)
        .await;
    let unknown = server
        .api("publish", json!({ "channel": "/nothing", "data": 1 }))
        .await;
    assert_eq!(unknown, r#"{"error":{"code":102,"message":"unknown channel"}}"#);

    // Tokens and connect `subs` of channels without a pattern.
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42", "channels": ["/nothing"] })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"error":{"code":102,"message":"unknown channel"}}"#,
    )
    .await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42" })));
    peer.provoke(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"/nothing":{}}}}"#,
        3501,
        "bad request",
    )
    .await;
    server.stop().await;
}

//! Connecting (3.1, 3.2).

use serde_json::json;

use crate::support::{Peer, TestServer, in_seconds, token, token_signed_with};

/// Tries to connect with this token.
async fn knock(server: &TestServer, token: &str) -> Peer {
    let peer = server.websocket().await;
    peer.send(&format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#));
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_a_connection() {
    let server = TestServer::start(json!({})).await;
    let mut peer = knock(&server, &token(&json!({ "sub": "42" }))).await;
    peer.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#)
        .await;
    assert_eq!(peer.name("client").len(), 36, "a UUID");
    server
        .until_counts("one client", |counts| counts.clients == 1 && counts.users == 1)
        .await;
    peer.close(1000);
    server
        .until_counts("no client", |counts| counts.clients == 0)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_says_when() {
    let server = TestServer::start(json!({})).await;
    let mut peer = knock(&server, &token(&json!({ "sub": "42", "exp": in_seconds(600) }))).await;
    peer.expect(
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","expires":true,"ttl":<ttl>,"ping":25,"pong":true}}"#,
    )
    .await;
    let ttl: u32 = peer.name("ttl").parse().unwrap();
    assert!((590..=600).contains(&ttl), "{ttl}");

    // A year is the most that a client is told.
    let far = in_seconds(100_000_000);
    let mut peer = knock(&server, &token(&json!({ "sub": "42", "exp": far }))).await;
    peer.expect(
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","expires":true,"ttl":31536000,"ping":25,"pong":true}}"#,
    )
    .await;

    // `expire_at` replaces `exp`: this connection never expires.
    let claims = json!({ "sub": "42", "exp": in_seconds(600), "expire_at": 0 });
    let mut peer = knock(&server, &token(&claims)).await;
    peer.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_connect_is_told_why() {
    let server = TestServer::start(json!({})).await;
    let expired = token(&json!({ "sub": "42", "exp": in_seconds(-5) }));
    let mut peer = knock(&server, &expired).await;
    peer.expect(r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#)
        .await;

    let too_early = token(&json!({ "sub": "42", "nbf": in_seconds(600) }));
    let mut peer = knock(&server, &too_early).await;
    peer.expect(r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#)
        .await;

    let ended = token(&json!({ "sub": "42", "expire_at": in_seconds(-5) }));
    let mut peer = knock(&server, &ended).await;
    peer.expect(r#"{"id":1,"error":{"code":110,"message":"expired"}}"#)
        .await;

    let elsewhere = token(&json!({ "sub": "42", "channels": ["nowhere:a"] }));
    let mut peer = knock(&server, &elsewhere).await;
    peer.expect(r#"{"id":1,"error":{"code":102,"message":"unknown channel"}}"#)
        .await;

    let forged = token_signed_with("another secret", &json!({ "sub": "42" }));
    for bad in [
        forged.as_str(),
        "nonsense",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.",
        &token(&json!({ "sub": 42 })),
        &token(&json!({ "sub": "42", "channel": "a" })),
    ] {
        let mut peer = knock(&server, bad).await;
        peer.expect_close(3500, "invalid token").await;
    }
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_a_user_only_where_that_is_allowed() {
    let server = TestServer::start(json!({})).await;
    let mut peer = server.websocket().await;
    peer.provoke(r#"{"id":1,"connect":{}}"#, 3501, "bad request")
        .await;
    // An anonymous token is a token.
    server.connected(json!({})).await;
    server.stop().await;

    let server =
        TestServer::start(json!({ "client": { "disallow_anonymous_connection_tokens": true } })).await;
    let mut peer = knock(&server, &token(&json!({}))).await;
    peer.expect_close(3507, "permission denied").await;
    server.stop().await;

    for option in ["allow_anonymous_connect_without_token", "insecure"] {
        let server = TestServer::start(json!({ "client": { (option): true } })).await;
        let mut peer = server.websocket().await;
        peer.ask(
            r#"{"id":1,"connect":{}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
        )
        .await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_header_names_the_user() {
    let server = TestServer::start(json!({
        "client": { "user_id_http_header": "X-User" },
        "channel": { "without_namespace": { "presence": true, "allow_subscribe_for_client": true,
            "allow_presence_for_subscriber": true } }
    }))
    .await;
    let path = "/connection/websocket";
    let mut peer = Peer::websocket(server.dial().await, path, &[("x-user", "7")]).await;
    peer.ask(
        r#"{"id":1,"connect":{}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"presence":{"channel":"a"}}"#,
        r#"{"id":3,"presence":{"presence":{"<client>":{"user":"7","client":"<client>"}}}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_command_is_connect_and_there_is_one() {
    let server = TestServer::insecure().await;
    for early in [
        r#"{"id":1,"subscribe":{"channel":"a"}}"#,
        r#"{"id":0,"connect":{}}"#,
        r#"{"connect":{}}"#,
        "{}",
        r#"{"id":1}"#,
        r#"{"send":{"data":{}}}"#,
    ] {
        let mut peer = server.websocket().await;
        peer.provoke(early, 3501, "bad request").await;
    }
    let mut peer = server.user("42").await;
    peer.provoke(r#"{"id":2,"connect":{}}"#, 3501, "bad request")
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_time_is_told_on_demand() {
    let server = TestServer::start(json!({
        "client": { "insecure": true, "connect_include_server_time": true, "ping_interval": "40s", "pong_timeout": "-1s" }
    }))
    .await;
    let mut peer = server.websocket().await;
    peer.ask(
        r#"{"id":1,"connect":{}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":40,"time":<time>}}"#,
    )
    .await;
    let seconds = peer.name("time").parse::<i64>().unwrap() / 1000;
    assert!((in_seconds(-10)..=in_seconds(1)).contains(&seconds), "{seconds}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_only_so_many_connections() {
    let server = TestServer::start(json!({ "client": { "user_connection_limit": 2 } })).await;
    let first = server.user("42").await;
    let _second = server.user("42").await;
    let mut third = knock(&server, &token(&json!({ "sub": "42" }))).await;
    third.expect_close(3504, "connection limit").await;
    // Others, and the anonymous, are not concerned.
    server.user("43").await;
    let _anonymous = [
        server.connected(json!({})).await,
        server.connected(json!({})).await,
        server.connected(json!({})).await,
    ];
    drop(first);
    server
        .until_counts("a place for 42", |counts| counts.clients <= 4)
        .await;
    server.user("42").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connect_makes_the_connection_unusable() {
    let server = TestServer::start(json!({ "client": { "stale_close_delay": "1s" } })).await;
    let expired = token(&json!({ "sub": "42", "exp": in_seconds(-5) }));
    let good = token(&json!({ "sub": "42" }));
    let mut peer = server.websocket().await;
    // The rest of the batch is dropped, and what follows is ignored until the connection is stale.
    peer.send(&format!(
        "{{\"id\":1,\"connect\":{{\"token\":\"{expired}\"}}}}\n{{\"id\":2,\"subscribe\":{{\"channel\":\"a\"}}}}"
    ));
    peer.expect(r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#)
        .await;
    peer.send(&format!(r#"{{"id":3,"connect":{{"token":"{good}"}}}}"#));
    peer.expect_close(3502, "stale").await;
    server.stop().await;
}

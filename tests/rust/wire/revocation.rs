//! Blocked users and revoked tokens (channels-and-auth.md 7.3, server-api.md 5).

use prost::Message;
use serde_json::{Value, json};
use tidegate::protocol::message::{Command, ConnectRequest, Reply, SubscribeRequest};

use crate::support::http::Request;
use crate::support::{API_KEY, Heard, Peer, TestServer, in_seconds, token};

const DONE: &str = r#"{"result":{}}"#;
const EXPIRED: &str = r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#;

async fn server() -> TestServer {
    TestServer::start(json!({})).await
}

/// Calls a method that must succeed.
async fn call(server: &TestServer, method: &str, body: Value) {
    assert_eq!(server.api(method, body).await, DONE, "{method}");
}

fn subscribe(claims: &Value) -> String {
    format!(
        r#"{{"id":2,"subscribe":{{"channel":"$news","token":"{}"}}}}"#,
        token(claims)
    )
}

async fn subscribed(server: &TestServer, claims: &Value) -> Peer {
    let mut peer = server.user("42").await;
    peer.ask(&subscribe(claims), r#"{"id":2,"subscribe":{}}"#).await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_user() {
    let server = server().await;
    let mut live = [server.user("42").await, server.user("42").await];
    let mut other = server.user("43").await;
    call(&server, "block_user", json!({ "user": "42" })).await;
    for peer in &mut live {
        peer.expect_close(3507, "permission denied").await;
    }
    call(
        &server,
        "block_user",
        json!({ "user": "42", "expire_at": in_seconds(100) }),
    )
    .await;
    server
        .connecting(&json!({ "sub": "42" }))
        .await
        .expect_close(3507, "permission denied")
        .await;
    call(&server, "unblock_user", json!({ "user": "42" })).await;
    call(&server, "unblock_user", json!({ "user": "42" })).await;
    server.user("42").await;
    other
        .ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#,
        )
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_over_was_none() {
    let server = server().await;
    let mut live = server.user("42").await;
    call(
        &server,
        "block_user",
        json!({ "user": "42", "expire_at": in_seconds(-1) }),
    )
    .await;
    call(
        &server,
        "block_user",
        json!({ "user": "nobody", "expire_at": in_seconds(9) }),
    )
    .await;
    live.ask(
        r#"{"id":2,"unsubscribe":{"channel":"a"}}"#,
        r#"{"id":2,"unsubscribe":{}}"#,
    )
    .await;
    server.user("42").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_user_of_a_trusted_header() {
    let server = TestServer::start(json!({ "client": { "user_id_http_header": "X-User" } })).await;
    call(&server, "block_user", json!({ "user": "42" })).await;
    let path = "/connection/websocket";
    let mut peer = Peer::websocket(server.dial().await, path, &[("X-User", "42")]).await;
    peer.provoke(r#"{"id":1,"connect":{}}"#, 3507, "permission denied")
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token() {
    let server = server().await;
    let claims = json!({ "sub": "42", "jti": "a" });
    let mut live = server.connected(claims.clone()).await;
    let mut other = server.connected(json!({ "sub": "42", "jti": "b" })).await;
    call(
        &server,
        "revoke_token",
        json!({ "uid": "a", "expire_at": in_seconds(100) }),
    )
    .await;
    call(&server, "revoke_token", json!({ "uid": "unknown" })).await;
    live.expect_close(3014, "state invalidated").await;
    server.connecting(&claims).await.expect(EXPIRED).await;
    let refresh = |claims: &Value| format!(r#"{{"id":2,"refresh":{{"token":"{}"}}}}"#, token(claims));
    other
        .ask(
            &refresh(&json!({ "sub": "42", "jti": "c" })),
            r#"{"id":2,"refresh":{}}"#,
        )
        .await;
    other.provoke(&refresh(&claims), 3014, "state invalidated").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_issued_too_early() {
    let server = server().await;
    let claims = json!({ "sub": "42", "iat": in_seconds(-10) });
    let mut live = server.connected(claims.clone()).await;
    let mut other = server
        .connected(json!({ "sub": "43", "iat": in_seconds(-10) }))
        .await;
    let mut timeless = server.user("42").await;
    let before = json!({ "user": "42", "issued_before": in_seconds(-11) });
    call(&server, "invalidate_user_tokens", before).await;
    live.ask(
        r#"{"id":2,"unsubscribe":{"channel":"a"}}"#,
        r#"{"id":2,"unsubscribe":{}}"#,
    )
    .await;
    call(&server, "invalidate_user_tokens", json!({ "user": "42" })).await;
    call(&server, "invalidate_user_tokens", json!({ "user": "42" })).await;
    live.expect_close(3014, "state invalidated").await;
    server.connecting(&claims).await.expect(EXPIRED).await;
    server
        .connected(json!({ "sub": "42", "iat": in_seconds(1) }))
        .await;
    for peer in [&mut other, &mut timeless] {
        peer.ask(
            r#"{"id":2,"unsubscribe":{"channel":"a"}}"#,
            r#"{"id":2,"unsubscribe":{}}"#,
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_of_a_subscription() {
    const PUSH: &str =
        r#"{"push":{"channel":"$news","unsubscribe":{"code":2502,"reason":"state invalidated"}}}"#;
    const REFUSED: &str = r#"{"id":2,"error":{"code":109,"message":"token expired"}}"#;
    let server = server().await;
    let by_id = json!({ "sub": "42", "channel": "$news", "jti": "a" });
    let mut live = subscribed(&server, &by_id).await;
    call(&server, "revoke_token", json!({ "uid": "a" })).await;
    live.expect(PUSH).await;
    live.ask(&subscribe(&by_id), REFUSED).await;

    let by_time = json!({ "sub": "42", "channel": "$news", "iat": in_seconds(-10) });
    live.ask(&subscribe(&by_time), r#"{"id":2,"subscribe":{}}"#).await;
    // Neither another channel nor connections.
    call(
        &server,
        "invalidate_user_tokens",
        json!({ "user": "42", "channel": "$other" }),
    )
    .await;
    call(&server, "invalidate_user_tokens", json!({ "user": "42" })).await;
    live.ask(
        r#"{"id":3,"unsubscribe":{"channel":"a"}}"#,
        r#"{"id":3,"unsubscribe":{}}"#,
    )
    .await;
    call(
        &server,
        "invalidate_user_tokens",
        json!({ "user": "42", "channel": "$news" }),
    )
    .await;
    live.expect(PUSH).await;
    live.ask(&subscribe(&by_time), REFUSED).await;

    let fresh = json!({ "sub": "42", "channel": "$news" });
    live.ask(&subscribe(&fresh), r#"{"id":2,"subscribe":{}}"#).await;
    let sub_refresh = format!(
        r#"{{"id":3,"sub_refresh":{{"channel":"$news","token":"{}"}}}}"#,
        token(&by_time)
    );
    live.ask(
        &sub_refresh,
        r#"{"id":3,"error":{"code":109,"message":"token expired","temporary":true}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_calling() {
    let server = server().await;
    let batch = json!({ "commands": [
        { "block_user": { "user": "1" } }, { "revoke_token": { "uid": "a" } },
        { "invalidate_user_tokens": { "user": "2" } }, { "unblock_user": { "user": "" } }
    ] });
    assert_eq!(
        server.api("batch", batch).await,
        r#"{"replies":[{"block_user":{}},{"revoke_token":{}},{"invalidate_user_tokens":{}},{"error":{"code":107,"message":"bad request"}}]}"#
    );
    let lines =
        r#"{"id":1,"method":"BLOCK_USER","params":{"user":"3"}}{"id":2,"method":19,"params":{"user":"1"}}"#;
    let request = Request::post("/api", lines).header("X-API-Key", API_KEY);
    let answer = server.request(request).await.text();
    assert_eq!(answer, "{\"id\":1,\"result\":{}}\n{\"id\":2,\"result\":{}}");
    server
        .connecting(&json!({ "sub": "3" }))
        .await
        .expect_close(3507, "permission denied")
        .await;
    server.user("1").await;
    for (method, body) in [
        ("block_user", json!({})),
        ("unblock_user", json!({})),
        ("revoke_token", json!({ "uid": "" })),
        ("revoke_token", json!({ "uid": "a", "expire_at": -1 })),
        ("invalidate_user_tokens", json!({ "channel": "$news" })),
        (
            "invalidate_user_tokens",
            json!({ "user": "1", "issued_before": -1 }),
        ),
    ] {
        assert_eq!(
            server.api(method, body).await,
            r#"{"error":{"code":107,"message":"bad request"}}"#,
            "{method}"
        );
    }
    server.stop().await;
}

/// Over a transport that tells a disconnect by a push.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_told_why_it_ends() {
    let server = server().await;
    let connect = |claims: Value| format!(r#"{{"id":1,"connect":{{"token":"{}"}}}}"#, token(&claims));
    let mut blocked = Peer::http_stream(&server, &connect(json!({ "sub": "42" }))).await;
    let mut revoked = Peer::sse(&server, &connect(json!({ "sub": "43", "jti": "a" }))).await;
    for peer in [&mut blocked, &mut revoked] {
        peer.message("the reply to connect").await;
    }
    call(&server, "block_user", json!({ "user": "42" })).await;
    call(&server, "revoke_token", json!({ "uid": "a" })).await;
    blocked.expect_close(3507, "permission denied").await;
    revoked.expect_close(3014, "state invalidated").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_in_protobuf() {
    let server = server().await;
    let claims = json!({ "sub": "42", "jti": "a" });
    let mut peer = protobuf(&server, &claims).await;
    assert!(reply(&mut peer).await.connect.is_some());
    let request = SubscribeRequest {
        channel: "$news".into(),
        token: token(&json!({ "sub": "42", "channel": "$news", "jti": "b" })),
        ..SubscribeRequest::default()
    };
    let command = Command {
        id: 2,
        subscribe: Some(request),
        ..Command::default()
    };
    peer.send_bytes(command.encode_length_delimited_to_vec());
    assert!(reply(&mut peer).await.subscribe.is_some());
    call(&server, "revoke_token", json!({ "uid": "b" })).await;
    let push = reply(&mut peer).await.push.unwrap();
    let unsubscribe = push.unsubscribe.unwrap();
    assert_eq!(
        (
            push.channel.as_str(),
            unsubscribe.code,
            unsubscribe.reason.as_str()
        ),
        ("$news", 2502, "state invalidated")
    );
    peer.send_bytes(command.encode_length_delimited_to_vec());
    let error = reply(&mut peer).await.error.unwrap();
    assert_eq!((error.code, error.temporary), (109, false));

    call(&server, "revoke_token", json!({ "uid": "a" })).await;
    peer.expect_close(3014, "state invalidated").await;
    let mut peer = protobuf(&server, &claims).await;
    let error = reply(&mut peer).await.error.unwrap();
    assert_eq!((error.code, error.message.as_str()), (109, "token expired"));
    call(&server, "block_user", json!({ "user": "42" })).await;
    let mut peer = protobuf(&server, &json!({ "sub": "42" })).await;
    peer.expect_close(3507, "permission denied").await;
    server.stop().await;
}

async fn protobuf(server: &TestServer, claims: &Value) -> Peer {
    let path = "/connection/websocket?format=protobuf";
    let peer = Peer::websocket(server.dial().await, path, &[]).await;
    let connect = ConnectRequest {
        token: token(claims),
        ..ConnectRequest::default()
    };
    let command = Command {
        id: 1,
        connect: Some(connect),
        ..Command::default()
    };
    peer.send_bytes(command.encode_length_delimited_to_vec());
    peer
}

async fn reply(peer: &mut Peer) -> Reply {
    let Heard::Frame(frame) = peer.hear("a reply").await else {
        panic!("closed");
    };
    Reply::decode_length_delimited(&frame[..]).unwrap()
}

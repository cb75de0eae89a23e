//! Operation rate limits (channels-and-auth.md 7.5). Intervals are hours where nothing is to come back in time.

use prost::Message;
use serde_json::{Value, json};
use tidegate::protocol::message::{Command, ConnectRequest, PublishRequest, Reply, UnsubscribeRequest};

use crate::support::{Heard, Peer, TestServer, token};

/// So many in an hour.
fn per_hour(rate: usize) -> Value {
    json!({ "enabled": true, "buckets": [{ "interval": "1h", "rate": rate }] })
}

async fn server(rate_limit: Value) -> TestServer {
    TestServer::start(json!({
        "client": { "rate_limit": rate_limit },
        "rpc": { "ping": { "enabled": true } },
        "channel": {
            "without_namespace": { "allow_publish_for_client": true, "allow_subscribe_for_client": true },
            "namespaces": [{ "name": "chat", "allow_publish_for_client": true }]
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_commands_of_a_connection() {
    let server = server(json!({ "client_command": { "enabled": true, "publish": per_hour(1) } })).await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"publish":{"channel":"a","data":1}}"#,
        r#"{"id":2,"publish":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"publish":{"channel":"a","data":1}}"#,
        r#"{"id":3,"error":{"code":111,"message":"too many requests","temporary":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"a"}}"#,
        r#"{"id":4,"subscribe":{}}"#,
    )
    .await;
    // Another connection of the same user has its own tokens.
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"publish":{"channel":"a","data":1}}"#,
        r#"{"id":2,"publish":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_back() {
    let limit = json!({ "enabled": true, "buckets": [{ "interval": "1s", "rate": 1 }] });
    let server = server(json!({ "client_command": { "enabled": true, "default": limit } })).await;
    let mut peer = server.user("42").await;
    peer.ask(r#"{"id":2,"rpc":{"method":"ping"}}"#, r#"{"id":2,"rpc":{}}"#)
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    peer.ask(r#"{"id":3,"rpc":{"method":"ping"}}"#, r#"{"id":3,"rpc":{}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_methods() {
    let mut publish = per_hour(1);
    let mut chat = per_hour(2);
    chat["namespace_name"] = json!("chat");
    publish["namespace_overrides"] = json!([chat]);
    let mut rpc = per_hour(9);
    let mut ping = per_hour(1);
    ping["method"] = json!("ping");
    rpc["method_overrides"] = json!([ping]);
    let server =
        server(json!({ "client_command": { "enabled": true, "publish": publish, "rpc": rpc } })).await;
    let mut peer = server.user("42").await;
    for id in [2, 3] {
        peer.ask(
            &format!(r#"{{"id":{id},"publish":{{"channel":"chat:a","data":1}}}}"#),
            &format!(r#"{{"id":{id},"publish":{{}}}}"#),
        )
        .await;
    }
    peer.ask(r#"{"id":4,"rpc":{"method":"ping"}}"#, r#"{"id":4,"rpc":{}}"#)
        .await;
    for command in [
        r#"{"id":5,"publish":{"channel":"chat:b","data":1}}"#,
        r#"{"id":5,"rpc":{"method":"ping"}}"#,
    ] {
        peer.ask(
            command,
            r#"{"id":5,"error":{"code":111,"message":"too many requests","temporary":true}}"#,
        )
        .await;
    }
    peer.ask(
        r#"{"id":6,"publish":{"channel":"a","data":1}}"#,
        r#"{"id":6,"publish":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":7,"rpc":{"method":"other"}}"#,
        r#"{"id":7,"error":{"code":104,"message":"method not found"}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_commands_of_a_user() {
    let server = server(
        json!({ "user_command": { "enabled": true, "publish": per_hour(2), "connect": per_hour(3) } }),
    )
    .await;
    let mut first = server.user("42").await;
    let mut second = server.user("42").await;
    for peer in [&mut first, &mut second] {
        peer.ask(
            r#"{"id":2,"publish":{"channel":"a","data":1}}"#,
            r#"{"id":2,"publish":{}}"#,
        )
        .await;
    }
    for peer in [&mut first, &mut second] {
        peer.ask(
            r#"{"id":3,"publish":{"channel":"a","data":1}}"#,
            r#"{"id":3,"error":{"code":111,"message":"too many requests","temporary":true}}"#,
        )
        .await;
    }
    server.user("42").await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42" })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"error":{"code":111,"message":"too many requests","temporary":true}}"#,
    )
    .await;
    server.user("43").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_users_have_no_limits_as_a_user() {
    let server = server(json!({ "user_command": { "enabled": true, "total": per_hour(1) } })).await;
    let mut peer = server.connected(json!({})).await;
    for id in [2, 3, 4] {
        peer.ask(
            &format!(r#"{{"id":{id},"rpc":{{"method":"ping"}}}}"#),
            &format!(r#"{{"id":{id},"rpc":{{}}}}"#),
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribe_is_never_refused() {
    let server = server(
        json!({ "client_command": { "enabled": true, "total": per_hour(2), "unsubscribe": per_hour(1) } }),
    )
    .await;
    let mut peer = server.user("42").await;
    for id in [2, 3] {
        peer.ask(
            &format!(r#"{{"id":{id},"unsubscribe":{{"channel":"a"}}}}"#),
            &format!(r#"{{"id":{id},"unsubscribe":{{}}}}"#),
        )
        .await;
    }
    peer.ask(
        r#"{"id":4,"rpc":{"method":"ping"}}"#,
        r#"{"id":4,"error":{"code":111,"message":"too many requests","temporary":true}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_errors() {
    let server = server(json!({ "client_error": { "enabled": true, "total": per_hour(2) } })).await;
    let mut peer = server.user("42").await;
    for id in [2, 3] {
        peer.ask(
            &format!(r#"{{"id":{id},"history":{{"channel":"nope:a"}}}}"#),
            &format!(r#"{{"id":{id},"error":{{"code":102,"message":"unknown channel"}}}}"#),
        )
        .await;
    }
    peer.provoke(
        r#"{"id":4,"history":{"channel":"nope:a"}}"#,
        3509,
        "too many errors",
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_in_protobuf() {
    let server = server(json!({
        "client_command": { "enabled": true, "publish": per_hour(1), "unsubscribe": per_hour(1) },
        "client_error": { "enabled": true, "total": per_hour(1) }
    }))
    .await;
    let mut peer = Peer::websocket(server.dial().await, "/connection/websocket?format=protobuf", &[]).await;
    let connect = Command {
        id: 1,
        connect: Some(ConnectRequest {
            token: token(&json!({ "sub": "42" })),
            ..ConnectRequest::default()
        }),
        ..Command::default()
    };
    peer.send_bytes(connect.encode_length_delimited_to_vec());
    assert!(matches!(peer.hear("the reply to connect").await, Heard::Frame(_)));
    let publish = Command {
        id: 2,
        publish: Some(PublishRequest {
            channel: "a".into(),
            data: "1".into(),
            ..PublishRequest::default()
        }),
        ..Command::default()
    };
    // id 2, an empty publish result.
    peer.send_bytes(publish.encode_length_delimited_to_vec());
    assert_eq!(peer.hear("a reply").await, Heard::Frame(vec![4, 8, 2, 66, 0]));
    peer.send_bytes(publish.encode_length_delimited_to_vec());
    let Heard::Frame(frame) = peer.hear("a refusal").await else {
        panic!("closed");
    };
    let reply = Reply::decode_length_delimited(&frame[..]).unwrap();
    let error = reply.error.unwrap();
    assert_eq!(
        (reply.id, error.code, error.message.as_str(), error.temporary),
        (2, 111, "too many requests", true)
    );
    let unsubscribe = Command {
        id: 3,
        unsubscribe: Some(UnsubscribeRequest { channel: "a".into() }),
        ..Command::default()
    };
    for _ in 0..2 {
        peer.send_bytes(unsubscribe.encode_length_delimited_to_vec());
        assert_eq!(peer.hear("a reply").await, Heard::Frame(vec![4, 8, 3, 58, 0]));
    }
    peer.send_bytes(publish.encode_length_delimited_to_vec());
    peer.expect_close(3509, "too many errors").await;
    server.stop().await;
}

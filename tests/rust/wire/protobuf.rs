//! Protobuf on a WebSocket (1.3, 1.4).

use bytes::Bytes;
use prost::Message;
use serde_json::json;
use tidegate::protocol::message::{
    Command, ConnectRequest, PublishRequest, Reply, SubscribeRequest, UnsubscribeRequest,
};

use crate::support::{Heard, Peer, TestServer};

fn encode(commands: &[Command]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        command.encode_length_delimited(&mut bytes).unwrap();
    }
    bytes
}

async fn replies(peer: &mut Peer, count: usize) -> Vec<Reply> {
    let mut replies = Vec::new();
    while replies.len() < count {
        let Heard::Frame(frame) = peer.hear("a Protobuf frame").await else {
            panic!("closed after {replies:?}");
        };
        let mut frame = Bytes::from(frame);
        while !frame.is_empty() {
            replies.push(Reply::decode_length_delimited(&mut frame).unwrap());
        }
    }
    replies
}

fn connect() -> Command {
    Command {
        id: 1,
        connect: Some(ConnectRequest::default()),
        ..Command::default()
    }
}

fn subscribe(id: u32, channel: &str) -> Command {
    let request = SubscribeRequest {
        channel: channel.into(),
        ..SubscribeRequest::default()
    };
    Command {
        id,
        subscribe: Some(request),
        ..Command::default()
    }
}

async fn connected(server: &TestServer, path: &str, headers: &[(&'static str, &str)]) -> Peer {
    let mut peer = Peer::websocket(server.dial().await, path, headers).await;
    peer.send_bytes(encode(&[connect()]));
    let reply = replies(&mut peer, 1).await.remove(0);
    assert_eq!(reply.id, 1);
    let result = reply.connect.unwrap();
    assert_eq!(
        (result.version.as_str(), result.ping, result.pong),
        (tidegate::server::VERSION, 25, true)
    );
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_asks_for_it() {
    let server = TestServer::insecure().await;
    for query in ["format=protobuf", "cf_protocol=protobuf"] {
        connected(&server, &format!("/connection/websocket?{query}"), &[]).await;
    }
    server.stop().await;
}

/// Numbers in place of names, and pushes that collect, are the same in Protobuf.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_and_batches() {
    // An SDK that is known to read numbers, and one that is known not to.
    let server = TestServer::start(json!({
        "client": { "insecure": true },
        "channel": { "without_namespace": { "allow_channel_compaction": true, "batch_max_size": 2 } }
    }))
    .await;
    for (name, id, channel) in [("python", 1, ""), ("js", 0, "a")] {
        let mut peer = server.websocket_at("/connection/websocket?format=protobuf").await;
        let mut hello = connect();
        hello.connect.as_mut().unwrap().name = name.into();
        let mut command = subscribe(2, "a");
        command.subscribe.as_mut().unwrap().flag = 1;
        peer.send_bytes(encode(&[hello, command]));
        let reply = replies(&mut peer, 2).await.remove(1);
        assert_eq!(reply.subscribe.unwrap().id, id);
        server.publish("a", json!(1)).await;
        server.publish("a", json!(2)).await;
        for (reply, data) in replies(&mut peer, 2).await.into_iter().zip([&b"1"[..], b"2"]) {
            let push = reply.push.unwrap();
            assert_eq!((push.id, push.channel.as_str()), (id, channel));
            assert_eq!(&push.r#pub.unwrap().data[..], data);
        }
        peer.close(1000);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_bytes() {
    let server = TestServer::insecure().await;
    let mut peer = connected(&server, "/connection/websocket?format=protobuf", &[]).await;
    // The simplest command there is, spelt out: 02 = two bytes, field 1 = 2; no request at all is a mistake,
    // so what is asked here is a subscription.
    peer.send_bytes(encode(&[subscribe(2, "a"), subscribe(3, "a")]));
    let heard = replies(&mut peer, 2).await;
    assert_eq!((heard[0].id, heard[0].subscribe.is_some()), (2, true));
    assert_eq!((heard[1].id, heard[1].error.as_ref().unwrap().code), (3, 105));

    // Any bytes are data.
    let data = Bytes::from_static(b"\x00\xff\n{");
    let request = PublishRequest {
        channel: "a".into(),
        data: data.clone(),
        ..PublishRequest::default()
    };
    peer.send_bytes(encode(&[Command {
        id: 4,
        publish: Some(request),
        ..Command::default()
    }]));
    let heard = replies(&mut peer, 2).await;
    let publication = heard.iter().find_map(|reply| reply.push.clone()).unwrap();
    assert_eq!(publication.channel, "a");
    assert_eq!(publication.r#pub.unwrap().data, data);

    let request = UnsubscribeRequest { channel: "a".into() };
    peer.send_bytes(encode(&[Command {
        id: 5,
        unsubscribe: Some(request),
        ..Command::default()
    }]));
    peer_expects_bytes(&mut peer, &[4, 8, 5, 58, 0]).await;
    server.stop().await;
}

async fn peer_expects_bytes(peer: &mut Peer, bytes: &[u8]) {
    assert_eq!(peer.hear("bytes").await, Heard::Frame(bytes.to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_and_pong_are_one_byte() {
    let server = TestServer::start(json!({
        "client": { "insecure": true, "ping_interval": "1s", "pong_timeout": "0.5s" }
    }))
    .await;
    let mut peer = Peer::websocket(server.dial().await, "/connection/websocket?format=protobuf", &[]).await;
    peer.send_bytes(b"\x04\x08\x01\x22\x00".to_vec());
    replies(&mut peer, 1).await;
    for _ in 0..2 {
        peer_expects_bytes(&mut peer, &[0]).await;
        peer.send_bytes(vec![0]);
    }
    peer_expects_bytes(&mut peer, &[0]).await;
    peer.expect_close(3012, "no pong").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_protobuf() {
    let server = TestServer::insecure().await;
    for bytes in [
        &b""[..],
        b"\x05\x08\x02",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        br#"{"id":2,"subscribe":{"channel":"a"}}"#,
        b"\x02\x08\x80",
        b"\x03\x22\x05\x0a",
    ] {
        let mut peer = connected(&server, "/connection/websocket?format=protobuf", &[]).await;
        peer.send_bytes(bytes.to_vec());
        peer.expect_close(3501, "bad request").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_json_cannot_say_ends_json_connections_only() {
    let server = TestServer::insecure().await;
    let mut text = server.user("42").await;
    text.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    let mut bytes = connected(&server, "/connection/websocket?format=protobuf", &[]).await;
    bytes.send_bytes(encode(&[subscribe(2, "a")]));
    replies(&mut bytes, 1).await;
    server
        .api("publish", json!({ "channel": "a", "b64data": "/w==" }))
        .await;
    text.expect_close(3506, "inappropriate protocol").await;
    let heard = replies(&mut bytes, 1).await.remove(0);
    assert_eq!(
        heard.push.unwrap().r#pub.unwrap().data,
        Bytes::from_static(b"\xff")
    );
    server.stop().await;
}

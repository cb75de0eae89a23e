//! The transports other than WebSocket where they differ from it (5.2 to 5.5): pings and pongs, Protobuf, requests
//! beside the stream.

use bytes::Bytes;
use prost::Message;
use serde_json::json;
use tidegate::protocol::message::{
    Command, ConnectRequest, EmulationRequest, Reply, SubscribeRequest, SubscribeResult, UnsubscribeRequest,
    UnsubscribeResult,
};

use crate::support::http::{Request, Stream};
use crate::support::{Heard, Peer, TestServer, within};

const CONNECT: &str = r#"{"id":1,"connect":{}}"#;

async fn server_that_pings() -> TestServer {
    TestServer::start(json!({
        "client": { "insecure": true, "ping_interval": "1s", "pong_timeout": "0.7s" }
    }))
    .await
}

/// Who answers stays, whoever does not is closed, over each transport.
#[tokio::test(flavor = "multi_thread")]
async fn pings_of_each_transport() {
    let server = server_that_pings().await;
    let converse = |mut peer: Peer| async move {
        let reply = peer.message("the reply to connect").await;
        assert!(reply.contains(r#""ping":1,"pong":true"#), "{reply}");
        for _ in 0..2 {
            peer.expect("{}").await;
            peer.send("{}");
        }
        peer.expect("{}").await;
        peer.expect_close(3012, "no pong").await;
    };
    let peers = Peer::each(&server, CONNECT).await;
    futures_util::future::join_all(peers.into_iter().map(converse)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webtransport_in_protobuf() {
    let server = server_that_pings().await;
    let mut stream = crate::binary::WebTransport::open(&server).await;
    let connect = Command {
        id: 1,
        connect: Some(ConnectRequest::default()),
        ..Default::default()
    };
    // Two commands in three writes: nothing depends on how bytes travel.
    let bytes = [
        connect.encode_length_delimited_to_vec(),
        subscribe(2).encode_length_delimited_to_vec(),
    ]
    .concat();
    for part in bytes.chunks(bytes.len().div_ceil(3)) {
        stream.write(part).await;
    }
    let reply = stream.reply().await;
    assert!(
        reply
            .connect
            .is_some_and(|result| result.ping == 1 && result.pong && result.session.is_empty())
    );
    assert_eq!(stream.reply().await, subscribed(2));
    // A pong is one byte, also here.
    for _ in 0..2 {
        assert_eq!(stream.reply().await, Reply::default());
        stream.write(&[0]).await;
    }
    stream
        .write(&unsubscribe(3).encode_length_delimited_to_vec())
        .await;
    let expected = Reply {
        id: 3,
        unsubscribe: Some(UnsubscribeResult::default()),
        ..Default::default()
    };
    let mut reply = stream.reply().await;
    if reply == Reply::default() {
        reply = stream.reply().await;
    }
    assert_eq!(reply, expected);
    // A length beyond the limit is refused before anything of it has come.
    stream.write(b"\xff\xff\xff\xff\x0f").await;
    let mut reply = stream.reply().await;
    if reply == Reply::default() {
        reply = stream.reply().await;
    }
    let disconnect = reply
        .push
        .and_then(|push| push.disconnect)
        .expect("a push before the end");
    assert_eq!(
        (disconnect.code, disconnect.reason.as_str(), disconnect.reconnect),
        (3501, "bad request", false)
    );
    assert_eq!(
        stream.closed().await,
        Heard::Close(3501, "bad request".to_owned())
    );
    server.stop().await;
}

/// Replies of a stream in Protobuf.
struct Replies {
    stream: Stream,
    unread: Vec<u8>,
}

impl Replies {
    async fn next(&mut self) -> Reply {
        loop {
            let mut rest = &self.unread[..];
            if !rest.is_empty()
                && let Ok(reply) = Reply::decode_length_delimited(&mut rest)
            {
                self.unread = rest.to_vec();
                return reply;
            }
            let chunk = within("a reply", self.stream.chunk())
                .await
                .expect("the stream goes on");
            self.unread.extend_from_slice(&chunk);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_stream_in_protobuf() {
    let server = TestServer::insecure().await;
    let connect = Command {
        id: 1,
        connect: Some(ConnectRequest::default()),
        ..Default::default()
    };
    let first = [
        connect.encode_length_delimited_to_vec(),
        subscribe(2).encode_length_delimited_to_vec(),
    ]
    .concat();
    let request =
        Request::post("/connection/http_stream", first).header("Content-Type", "application/octet-stream");
    let stream = within("the head", request.send(server.dial().await)).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("application/octet-stream"));
    let mut replies = Replies {
        stream,
        unread: Vec::new(),
    };
    let result = replies.next().await.connect.expect("connected");
    assert_eq!(
        (result.session.len(), result.node.as_str()),
        (36, server.node().id())
    );
    assert_eq!(replies.next().await, subscribed(2));

    let emulate = |data: Vec<u8>| {
        let request = EmulationRequest {
            node: result.node.clone(),
            session: result.session.clone(),
            data: Bytes::from(data),
        };
        Request::post("/emulation", request.encode_to_vec())
            .header("Content-Type", "application/octet-stream")
    };
    let answer = server
        .request(emulate(unsubscribe(3).encode_length_delimited_to_vec()))
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let expected = Reply {
        id: 3,
        unsubscribe: Some(UnsubscribeResult::default()),
        ..Default::default()
    };
    assert_eq!(replies.next().await, expected);
    assert_eq!(
        server
            .request(
                Request::post("/emulation", b"\x0a\xff".to_vec())
                    .header("Content-Type", "application/octet-stream")
            )
            .await
            .status,
        400
    );
    // JSON where Protobuf is spoken is malformed, and so told on the stream.
    let answer = server.request(emulate(br#"{"id":4}"#.to_vec())).await;
    assert_eq!(answer.status, 204);
    let disconnect = replies
        .next()
        .await
        .push
        .and_then(|push| push.disconnect)
        .expect("a push before the end");
    assert_eq!(
        (disconnect.code, disconnect.reason.as_str()),
        (3501, "bad request")
    );
    assert_eq!(within("the end", replies.stream.chunk()).await, None);
    server.stop().await;
}

/// Only exactly this type means Protobuf.
#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_a_body() {
    let server = TestServer::insecure().await;
    for kind in [
        "application/octet-stream; charset=utf-8",
        "application/json",
        "text/plain",
    ] {
        let request = Request::post("/connection/http_stream", CONNECT).header("Content-Type", kind);
        let mut stream = within("the head", request.send(server.dial().await)).await;
        assert_eq!(
            stream.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{kind}"
        );
        let chunk = within("the reply", stream.chunk()).await.expect("a chunk");
        assert!(
            chunk.starts_with(br#"{"id":1,"connect":"#) && chunk.ends_with(b"}\n"),
            "{kind}"
        );
    }
    server.stop().await;
}

/// What is no string holds no commands, however much it looks like one.
#[tokio::test(flavor = "multi_thread")]
async fn data_of_an_emulation_request_is_a_string() {
    let server = TestServer::insecure().await;
    for data in [
        json!({ "id": 2, "subscribe": { "channel": "a" } }),
        json!(5),
        json!(null),
        json!(""),
    ] {
        let mut peer = Peer::http_stream(&server, CONNECT).await;
        let reply = peer.message("the reply to connect").await;
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        let body =
            json!({ "session": reply["connect"]["session"], "node": reply["connect"]["node"], "data": data });
        assert_eq!(
            server
                .request(Request::post("/emulation", body.to_string()))
                .await
                .status,
            204
        );
        peer.expect_close(3501, "bad request").await;
        assert_eq!(server.node().counts().subscriptions, 0);
    }
    server.stop().await;
}

/// The commands of the request that opens a stream are a batch like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_begin_with_more_than_connect() {
    let server = TestServer::insecure().await;
    let batch = format!("{CONNECT}\n{}\n", r#"{"id":2,"subscribe":{"channel":"é"}}"#);
    let replies = [
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true,"session":"<session>","node":"<node>"}}"#,
        r#"{"id":2,"error":{"code":107,"message":"bad request"}}"#,
    ];
    for mut peer in [
        Peer::http_stream(&server, &batch).await,
        Peer::sse(&server, &batch).await,
    ] {
        for reply in replies {
            peer.expect(reply).await;
        }
    }
    let query: String = batch.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let request = Request::get(&format!("/connection/sse?cf_connect={query}")).header("Last-Event-ID", "7");
    let mut stream = within("the head", request.send(server.dial().await)).await;
    let mut text = String::new();
    while !text.ends_with("}}\n\n") || !text.contains(r#""id":2"#) {
        text += std::str::from_utf8(&within("a chunk", stream.chunk()).await.unwrap()).unwrap();
    }
    let (connect, rest) = text.split_once("\n\n").unwrap();
    assert!(connect.starts_with("\r\ndata: {\"id\":1,\"connect\":{"), "{text}");
    assert_eq!(rest, format!("data: {}\n\n", replies[1]));
    server.stop().await;
}

fn subscribe(id: u32) -> Command {
    let subscribe = SubscribeRequest {
        channel: "a".into(),
        ..Default::default()
    };
    Command {
        id,
        subscribe: Some(subscribe),
        ..Default::default()
    }
}

fn subscribed(id: u32) -> Reply {
    Reply {
        id,
        subscribe: Some(SubscribeResult::default()),
        ..Default::default()
    }
}

fn unsubscribe(id: u32) -> Command {
    Command {
        id,
        unsubscribe: Some(UnsubscribeRequest { channel: "a".into() }),
        ..Default::default()
    }
}

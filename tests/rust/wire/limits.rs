//! Limits, and what happens beyond them (3.8).

use std::io::Write;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http::Request;
use crate::support::{Heard, Peer, TestServer, within};

const CONNECTED: &str =
    r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#;
const HEAD: &str = "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[first, 0xfe], &length[..], &[0; 4], payload].concat()
}

/// Everything that the server says after these frames.
async fn after(server: &TestServer, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = server.dial().await;
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    for frame in frames {
        stream.write_all(frame).await.unwrap();
    }
    let mut heard = Vec::new();
    // A close frame ends what is said; the socket stays until it is answered.
    while !heard.windows(2).any(|pair| pair == [0x03, 0xf1]) {
        let count = within("the close", stream.read_buf(&mut heard)).await.unwrap();
        assert_ne!(count, 0, "{:?}", String::from_utf8_lossy(&heard));
    }
    heard
}

fn deflated(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.flush().unwrap();
    let mut bytes = encoder.get_ref().clone();
    assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// What is compressed counts as it is on the wire, and once more as it is.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_websocket() {
    let server = TestServer::start(json!({
        "client": { "insecure": true },
        "websocket": { "compression": true, "message_size_limit": 1000, "decompressed_message_size_limit": 5000 }
    }))
    .await;
    let command = r#"{"id":1,"connect":{}}"#;
    // 5,000 bytes of little content pass, one more does not.
    let mut stream = server.dial().await;
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    stream
        .write_all(&frame(0xc1, &deflated(&format!("{command:<5000}"))))
        .await
        .unwrap();
    server
        .until_counts("a client", |counts| counts.clients == 1)
        .await;
    let heard = after(&server, &[frame(0xc1, &deflated(&format!("{command:<5001}")))]).await;
    assert!(
        heard.ends_with(b"\x88\x25\x03\xf1message too big after decompression"),
        "{}",
        heard.escape_ascii()
    );
    // 1,000 bytes in fragments, and one more.
    let parts = |last: usize| {
        let (first, second) = (format!("{command:<500}"), " ".repeat(last));
        [frame(0x01, first.as_bytes()), frame(0x80, second.as_bytes())]
    };
    let mut stream = server.dial().await;
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    stream.write_all(&parts(500).concat()).await.unwrap();
    server
        .until_counts("another client", |counts| counts.clients == 2)
        .await;
    let heard = after(&server, &parts(501)).await;
    assert!(heard.ends_with(b"\x88\x02\x03\xf1"), "{}", heard.escape_ascii());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_webtransport() {
    let server = TestServer::start(json!({
        "client": { "insecure": true }, "webtransport": { "message_size_limit": 100 }
    }))
    .await;
    let mut peer = Peer::webtransport(&server, "").await;
    peer.ask(&format!("{:<100}", r#"{"id":1,"connect":{}}"#), CONNECTED)
        .await;
    peer.provoke(&format!("{:<101}", r#"{"id":2,"rpc":{}}"#), 3501, "bad request")
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_requests() {
    let server = TestServer::start(json!({
        "client": { "insecure": true },
        "http_stream": { "max_request_body_size": 100 },
        "sse": { "max_request_body_size": 100 },
        "emulation": { "max_request_body_size": 100 }
    }))
    .await;
    for path in ["/connection/http_stream", "/connection/sse", "/emulation"] {
        let answer = server.request(Request::post(path, vec![b' '; 101])).await;
        assert_eq!(answer.status, 413, "{path}");
        let fits = Request::post(path, vec![b' '; 100]);
        let answer = within("an answer", fits.send(server.dial().await)).await;
        assert_ne!(answer.status, 413, "{path}");
    }
    server.stop().await;
}

/// A second's worth of connections may come at once; then the others wait for their second.
#[tokio::test(flavor = "multi_thread")]
async fn connections_by_rate() {
    let server = TestServer::start(json!({
        "client": { "insecure": true, "connection_rate_limit": 2 }
    }))
    .await;
    let mut statuses = Vec::new();
    let mut open = Vec::new();
    for _ in 0..20 {
        let stream = Request::websocket("/connection/websocket").send(server.dial().await);
        let stream = within("an answer", stream).await;
        statuses.push(stream.status);
        open.push(stream);
    }
    assert_eq!(statuses[..2], [101, 101]);
    assert!(statuses.contains(&503), "{statuses:?}");
    within("the next second", async {
        loop {
            let answer = Request::websocket("/connection/websocket")
                .send(server.dial().await)
                .await;
            if answer.status == 101 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_token_are_counted_before_connections_of_the_user() {
    let server = TestServer::start(json!({
        "client": { "user_connection_limit": 1, "channel_limit": 1 }
    }))
    .await;
    let _first = server.user("42").await;
    for (claims, code, reason) in [
        (
            json!({ "sub": "42", "channels": ["a", "b"] }),
            3505,
            "channel limit",
        ),
        (
            json!({ "sub": "42", "channels": ["a"], "expire_at": 1 }),
            3504,
            "connection limit",
        ),
    ] {
        let mut peer = server.websocket().await;
        peer.bind("token", &crate::support::token(&claims));
        peer.provoke(r#"{"id":1,"connect":{"token":"<token>"}}"#, code, reason)
            .await;
    }
    let mut peer = server.websocket().await;
    let claims = json!({ "sub": "43", "channels": ["a"], "expire_at": 1 });
    peer.bind("token", &crate::support::token(&claims));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        r#"{"id":1,"error":{"code":110,"message":"expired"}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_nothing() {
    let server = TestServer::insecure().await;
    let mut peer = server.user("42").await;
    peer.send_bytes(Vec::new());
    assert_eq!(
        peer.hear("the close").await,
        Heard::Close(3501, "bad request".to_owned())
    );
    server.stop().await;
}

//! A client that does not read (3.8: 3008) costs nobody else anything.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::http::Request;
use crate::support::{PATIENCE, TestServer, until};

/// A WebSocket frame of a client, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A write may take a minute here: what ends the subscription is the length of the queue.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_disconnected() {
    let server = TestServer::start(json!({
        "client": { "insecure": true, "queue_max_size": 100_000 },
        "websocket": { "write_timeout": "60s" }
    }))
    .await;
    let mut fast = server.user("42").await;
    fast.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    let mut slow = server.dial().await;
    let head = "GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&frame(r#"{"id":1,"connect":{}}"#)).await.unwrap();
    slow.write_all(&frame(r#"{"id":2,"subscribe":{"channel":"a"}}"#))
        .await
        .unwrap();
    server
        .until_counts("two subscribers", |counts| counts.subscriptions == 2)
        .await;

    let data = "x".repeat(50_000);
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut published = 0;
    while server.node().counts().subscriptions == 2 {
        assert!(
            std::time::Instant::now() < deadline,
            "the slow client is still there after {published}"
        );
        server.publish("a", json!([published, data])).await;
        published += 1;
        // What the other reads does not depend on the one who does not.
        let expected = format!(
            r#"{{"push":{{"channel":"a","pub":{{"data":[{},"{data}"]}}}}}}"#,
            published - 1
        );
        fast.expect(&expected).await;
    }
    let answer = server.request(Request::get("/health")).await;
    assert_eq!(answer.status, 200);
    server.publish("a", json!("still here")).await;
    fast.expect(r#"{"push":{"channel":"a","pub":{"data":"still here"}}}"#)
        .await;
    drop(slow);
    until("the slow client gone", || server.node().counts().clients == 1).await;
    server.stop().await;
}

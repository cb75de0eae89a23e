//! Streams and the requests that stand for the other direction (5.2, 5.3, 5.4).

use serde_json::json;

use crate::support::http::Request;
use crate::support::{Peer, TestServer, within};

const CONNECT: &str = r#"{"id":1,"connect":{}}"#;

async fn emulate(server: &TestServer, body: impl Into<Vec<u8>>) -> u16 {
    let request = Request::post("/emulation", body).header("Content-Type", "application/json");
    server.request(request).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses() {
    let server = TestServer::insecure().await;
    let mut peer = Peer::http_stream(&server, CONNECT).await;
    peer.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true,"session":"<session>","node":"<node>"}}"#).await;
    let (session, node) = (peer.name("session").to_owned(), peer.name("node").to_owned());
    let body = |session: &str, node: &str, data: &str| {
        json!({ "session": session, "node": node, "data": data }).to_string()
    };
    let subscribe = r#"{"id":2,"subscribe":{"channel":"a"}}"#;
    assert_eq!(emulate(&server, body(&session, &node, subscribe)).await, 204);
    peer.expect(r#"{"id":2,"subscribe":{}}"#).await;

    assert_eq!(emulate(&server, "not json").await, 400);
    assert_eq!(
        emulate(&server, body(&session, "another node", subscribe)).await,
        404
    );
    // Unknown sessions are no concern of the one who asks.
    assert_eq!(
        emulate(&server, body("another session", &node, subscribe)).await,
        204
    );
    assert_eq!(emulate(&server, vec![b' '; 65_537]).await, 413);
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        assert_eq!(
            server.request(Request::new(method, "/emulation")).await.status,
            405,
            "{method}"
        );
    }
    let answer = server.request(Request::new("OPTIONS", "/emulation")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-max-age"), Some("300"));
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("POST, OPTIONS")
    );

    // Malformed commands are told on the stream.
    assert_eq!(emulate(&server, body(&session, &node, "nonsense")).await, 204);
    peer.expect_close(3501, "bad request").await;
    assert_eq!(emulate(&server, body(&session, &node, subscribe)).await, 204);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_a_websocket_cannot_be_had() {
    let server = TestServer::insecure().await;
    let peer = server.user("42").await;
    let body = json!({ "session": peer.name("client"), "node": server.node().id(),
        "data": r#"{"id":2,"subscribe":{"channel":"a"}}"# });
    assert_eq!(emulate(&server, body.to_string()).await, 204);
    assert_eq!(server.node().counts().subscriptions, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_stream_answers_like_this() {
    let server = TestServer::insecure().await;
    let request = Request::post("/connection/http_stream", format!("{CONNECT}\n"));
    let mut stream = within("the head", request.send(server.dial().await)).await;
    assert_eq!(stream.status, 200);
    for (name, value) in [
        ("x-accel-buffering", "no"),
        (
            "cache-control",
            "private, no-cache, no-store, must-revalidate, max-age=0",
        ),
        ("pragma", "no-cache"),
        ("expire", "0"),
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(stream.header(name), Some(value), "{name}");
    }
    let chunk = within("the reply to connect", stream.chunk()).await.unwrap();
    let text = String::from_utf8(chunk).unwrap();
    assert!(
        text.starts_with(r#"{"id":1,"connect":{"#) && text.ends_with("}\n"),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sse_answers_like_this() {
    let server = TestServer::insecure().await;
    let path = "/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D";
    for request in [Request::get(path), Request::post("/connection/sse", CONNECT)] {
        let mut stream = within("the head", request.send(server.dial().await)).await;
        assert_eq!(stream.status, 200);
        assert_eq!(
            stream.header("content-type"),
            Some("text/event-stream; charset=utf-8")
        );
        let mut text = String::new();
        while !text.ends_with("\n\n") || text.trim().is_empty() {
            let chunk = within("the reply to connect", stream.chunk()).await.unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert!(text.starts_with("\r\ndata: {\"id\":1,\"connect\":{"), "{text}");
        assert!(text.ends_with("}\n\n"), "{text}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stream() {
    let server = TestServer::insecure().await;
    for (method, path, status) in [
        ("GET", "/connection/http_stream", 405),
        ("PUT", "/connection/http_stream", 405),
        ("OPTIONS", "/connection/http_stream", 204),
        ("GET", "/connection/sse", 400),
        ("OPTIONS", "/connection/sse", 405),
        ("PUT", "/connection/sse", 405),
        ("GET", "/connection/http_stream/", 404),
        ("GET", "/nowhere", 404),
    ] {
        let answer = server.request(Request::new(method, path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    for path in ["/connection/http_stream", "/connection/sse"] {
        let answer = server.request(Request::post(path, vec![b' '; 65_537])).await;
        assert_eq!(answer.status, 413, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_is_answered_on_the_stream() {
    let server = TestServer::insecure().await;
    for body in ["", "\n", "nonsense", r#"{"id":"1","connect":{}}"#] {
        Peer::http_stream(&server, body)
            .await
            .expect_close(3501, "bad request")
            .await;
        Peer::sse(&server, body)
            .await
            .expect_close(3501, "bad request")
            .await;
    }
    server.stop().await;
}

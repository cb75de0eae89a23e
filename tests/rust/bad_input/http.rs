//! Bytes and requests that no client sends.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http::Request;
use crate::support::within;
use crate::{Victim, noise};

#[tokio::test(flavor = "multi_thread")]
async fn noise_in_place_of_http() {
    let mut victim = Victim::new(json!({})).await;
    for seed in 0..50 {
        let mut stream = victim.server.dial().await;
        let length = 1 + usize::try_from(seed).unwrap() * 97;
        let _ = stream.write_all(&noise(seed, length)).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = within(
            "the end of a connection of noise",
            stream.read_to_end(&mut answer),
        )
        .await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    victim.check().await;
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_do_not_exist() {
    let victim = Victim::new(json!({})).await;
    for path in [
        "/connection/websocket",
        "/connection/webtransport",
        "/connection/http_stream",
        "/connection/sse",
        "/emulation",
        "/api/publish",
        "/health",
    ] {
        for method in ["BREW", "TRACE", "PATCH", "CONNECT"] {
            let answer = victim.server.request(Request::new(method, path)).await;
            assert!(
                (400..500).contains(&answer.status) || path == "/health",
                "{method} {path}: {answer:?}"
            );
        }
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large() {
    let victim = Victim::new(json!({})).await;
    for request in [
        Request::get("/health").header("X-Large", &"x".repeat(2_000_000)),
        (0..5000).fold(Request::get("/health"), |request, n| {
            request.header(&format!("X-{n}"), "x")
        }),
    ] {
        let answer = victim.server.request(request).await;
        // The server may close while we still write, and then the answer can get lost.
        assert!(matches!(answer.status, 431 | 0), "{}", answer.status);
    }
    let answer = victim
        .server
        .request(Request::get(&format!("/{}", "x".repeat(100_000))))
        .await;
    assert!(matches!(answer.status, 404 | 414 | 431 | 0), "{}", answer.status);
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_lie_about_their_length() {
    let victim = Victim::new(json!({})).await;
    for path in [
        "/connection/http_stream",
        "/connection/sse",
        "/emulation",
        "/api/publish",
    ] {
        for head in [
            "Content-Length: 1000\r\n\r\nshort",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: 99999999999999999999999\r\n\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "Content-Length: 18446744073709551615\r\n\r\nx",
        ] {
            let mut stream = victim.server.dial().await;
            let text = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{head}");
            stream.write_all(text.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = within("the end of a request that lies", stream.read_to_end(&mut answer)).await;
        }
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_as_bodies() {
    let victim = Victim::new(json!({})).await;
    for seed in 0..20 {
        for content_type in ["application/octet-stream", "application/json"] {
            let body = noise(seed, 500);
            let request = Request::post("/emulation", body.clone()).header("Content-Type", content_type);
            let status = victim.server.request(request).await.status;
            assert!(matches!(status, 400 | 404), "{status}");
            for path in ["/connection/http_stream", "/connection/sse"] {
                let request = Request::post(path, body.clone()).header("Content-Type", content_type);
                // The stream tells of the mistake and ends.
                let answer = victim.server.request(request).await;
                assert_eq!(answer.status, 200, "{path}");
                assert!(!answer.body.is_empty(), "{path}");
            }
        }
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_that_are_none() {
    let victim = Victim::new(json!({ "client": { "allowed_origins": ["https://good.example"] } })).await;
    for origin in [
        "",
        "null",
        "https://",
        "good.example",
        "https://good.example:1",
        "\u{1}",
        "http://[::1",
    ] {
        let request = Request::websocket("/connection/websocket").header("Origin", origin);
        let status = victim.server.request(request).await.status;
        // An empty header is no origin.
        let allowed: &[u16] = if origin.is_empty() {
            &[403, 101]
        } else {
            &[403, 400]
        };
        assert!(allowed.contains(&status), "{origin:?}: {status}");
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_never_end() {
    let mut victim = Victim::new(json!({})).await;
    let mut open = Vec::new();
    for text in [
        "",
        "G",
        "GET /health HTTP/1.1\r\n",
        "POST /connection/http_stream HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        "POST /emulation HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\u{1}",
    ] {
        for _ in 0..10 {
            let mut stream = victim.server.dial().await;
            stream.write_all(text.as_bytes()).await.unwrap();
            open.push(stream);
        }
    }
    // They are all still there, and nobody is worse off.
    victim.check().await;
    drop(open);
    victim.end().await;
}

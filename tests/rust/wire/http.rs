//! Origins, CORS, `Alt-Svc`, and upgrades that are none (5, 5.1).

use serde_json::json;

use crate::support::http::Request;
use crate::support::{Peer, TestServer};

const PATH: &str = "/connection/websocket";

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "insecure": true, "allowed_origins": ["https://*.example.com"] }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_are_checked_in_this_order() {
    let server = server().await;
    for (request, status) in [
        (Request::get(PATH), 400),
        (Request::post(PATH, ""), 400),
        (Request::new("OPTIONS", PATH), 400),
        (
            Request::new("POST", PATH)
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket"),
            405,
        ),
        (
            Request::get(PATH)
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "8"),
            400,
        ),
        (
            Request::get(PATH)
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "13")
                .header("Sec-WebSocket-Key", "short"),
            400,
        ),
        (Request::websocket(PATH).header("Origin", "https://evil.com"), 403),
    ] {
        let answer = server.request(request.clone()).await;
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.header("sec-websocket-version"), Some("13"), "{request:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_that_may_open_a_websocket() {
    let server = server().await;
    for origin in [
        "https://a.example.com",
        "https://A.Example.COM",
        "https://a.b.example.com",
    ] {
        let headers = [("origin", origin)];
        let mut peer = Peer::websocket(server.dial().await, PATH, &headers).await;
        peer.ask(
            r#"{"id":1,"connect":{}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
        )
        .await;
    }
    for origin in [
        "https://example.com",
        "http://a.example.com",
        "null",
        "https://a.example.com.evil.com",
    ] {
        let answer = server
            .request(Request::websocket(PATH).header("Origin", origin))
            .await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cors() {
    let server = server().await;
    let origin = "https://a.example.com";
    let preflight = |path: &str| {
        Request::new("OPTIONS", path).header("Access-Control-Request-Headers", "content-type, x-thing")
    };
    for path in ["/connection/http_stream", "/emulation"] {
        let answer = server.request(preflight(path).header("Origin", origin)).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(origin),
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("content-type, x-thing")
        );

        let answer = server
            .request(preflight(path).header("Origin", "https://evil.com"))
            .await;
        assert_eq!(answer.status, 204, "{path}");
        for name in ["origin", "credentials", "headers"] {
            assert_eq!(
                answer.header(&format!("access-control-allow-{name}")),
                None,
                "{path} {name}"
            );
        }
        let answer = server.request(preflight(path)).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(""), "{path}");
    }
    // Refusals carry them as well, so that a page can read why.
    let answer = server
        .request(Request::get("/connection/sse").header("Origin", origin))
        .await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (400, Some(origin))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_points_to_quic() {
    let server = server().await;
    let expected = format!("h3=\":{}\"; ma=2592000", server.address().port());
    for path in ["/health", "/nowhere", PATH] {
        let answer = server.request(Request::get(path)).await;
        assert_eq!(answer.header("alt-svc"), Some(expected.as_str()), "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subprotocols() {
    let server = server().await;
    for (offered, chosen) in [
        ("centrifuge-protobuf", Some("centrifuge-protobuf")),
        (
            "unknown, centrifuge-json, centrifuge-protobuf",
            Some("centrifuge-json"),
        ),
        ("unknown", None),
    ] {
        let request = Request::websocket(PATH).header("Sec-WebSocket-Protocol", offered);
        let stream = crate::support::within("an upgrade", request.send(server.dial().await)).await;
        assert_eq!(stream.status, 101);
        assert_eq!(stream.header("sec-websocket-protocol"), chosen, "{offered}");
        assert_eq!(
            stream.header("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        assert_eq!(stream.header("access-control-allow-origin"), None);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_says_so_before_the_upgrade() {
    let server = TestServer::start(json!({ "client": { "insecure": true, "connection_limit": 1 } })).await;
    let peer = server.user("42").await;
    assert_eq!(server.request(Request::websocket(PATH)).await.status, 503);
    assert_eq!(
        server
            .request(Request::post("/connection/http_stream", "{}"))
            .await
            .status,
        503
    );
    // The requests of those who are there already are not limited.
    assert_eq!(server.request(Request::post("/emulation", "x")).await.status, 400);
    peer.close(1000);
    server.until_counts("room", |counts| counts.clients == 0).await;
    server.user("42").await;
    server.stop().await;
}

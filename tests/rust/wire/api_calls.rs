//! The server API over HTTP/1.1: a plain call is answered without the HTTP stack, and nobody can tell.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{API_KEY, TestServer, within};

/// A field that changes nothing for the API, but is unusual enough to bring a request to the HTTP stack.
const UNUSUAL: &str = "TE: trailers\r\n";

fn call(target: &str, fields: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn keyed(target: &str, body: &str) -> String {
    call(target, &format!("x-api-key: {API_KEY}\r\n"), body)
}

/// Reads one answer, without its date.
async fn answer(stream: &mut TcpStream) -> String {
    let read = async {
        let mut text = Vec::new();
        let head = loop {
            text.push(stream.read_u8().await.expect("an answer"));
            if text.ends_with(b"\r\n\r\n") {
                break String::from_utf8_lossy(&text).into_owned();
            }
        };
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = field("content-length: ").expect("a length").parse().unwrap();
        assert_eq!(field("date: ").expect("a date").len(), 29);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
        format!("{}\n{}", lines.join("\n"), String::from_utf8(body).unwrap())
    };
    within("an answer", read).await
}

async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_answer_alike() {
    let server = TestServer::insecure().await;
    let mut kept = server.dial().await;
    let key = format!("X-API-Key: {API_KEY}\r\n");
    let authorization = format!("Authorization: apikey {API_KEY}\r\n");
    let transport = format!("{key}X-Centrifugo-Error-Mode: transport\r\n");
    let by_query = format!("/api/publish?api_key={API_KEY}");
    let publish = r#"{"channel":"c","data":{"a":1}}"#;
    for (target, fields, body) in [
        ("/api/publish", key.as_str(), publish),
        ("/api/publish", &authorization, publish),
        (&by_query, "", publish),
        ("/api/publish", "", publish),
        ("/api/publish", "X-API-Key: wrong\r\n", publish),
        ("/api/publish", &key, r#"{"data":{}}"#),
        ("/api/publish", &transport, r#"{"data":{}}"#),
        ("/api/publish", &transport, r#"{"channel":"no:ns","data":{}}"#),
        ("/api/publish", &key, ""),
        ("/api/publish", &key, "{"),
        ("/api/publish", &key, r#"{"channel":1}"#),
        ("/api/broadcast", &key, r#"{"channels":["a",""],"data":1}"#),
        (
            "/api/batch",
            &key,
            r#"{"commands":[{"publish":{"channel":"c","data":1}}]}"#,
        ),
        ("/api/presence", &key, r#"{"channel":"c"}"#),
        ("/api/channels", &key, "{}"),
        (
            "/api",
            &key,
            r#"{"method":"publish","params":{"channel":"c","data":1}}"#,
        ),
    ] {
        let plain = ask(&mut kept, &call(target, fields, body)).await;
        let unusual = ask(
            &mut server.dial().await,
            &call(target, &format!("{fields}{UNUSUAL}"), body),
        )
        .await;
        assert_eq!(plain, unusual, "{target} {fields}{body}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_come_in_pieces_and_in_crowds() {
    let server = TestServer::insecure().await;
    let mut stream = server.dial().await;
    let publish = keyed("/api/publish", r#"{"channel":"c","data":{}}"#);
    let channels = keyed("/api/channels", "{}");
    for end in 1..publish.len() {
        let (first, second) = publish.split_at(end);
        stream.write_all(first.as_bytes()).await.unwrap();
        // Two segments, which may or may not be read apart.
        tokio::task::yield_now().await;
        assert!(ask(&mut stream, second).await.ends_with(r#"{"result":{}}"#));
    }
    let crowd = format!("{publish}{channels}{publish}");
    stream.write_all(crowd.as_bytes()).await.unwrap();
    for body in [
        r#"{"result":{}}"#,
        r#"{"result":{"channels":{}}}"#,
        r#"{"result":{}}"#,
    ] {
        assert!(answer(&mut stream).await.ends_with(body));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_else_may_follow_on_the_connection() {
    let server = TestServer::insecure().await;
    let publish = keyed("/api/publish", r#"{"channel":"c","data":{}}"#);
    for (request, status) in [
        (
            "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "200",
        ),
        (keyed("/nowhere", "{}"), "404"),
        (keyed("/api/nothing", "{}"), "404"),
        (publish.replacen("Host", "Expect: nothing\r\nHost", 1), "200"),
        (
            publish.replacen("HTTP/1.1", "HTTP/1.0\r\nConnection: keep-alive", 1),
            "200",
        ),
        (
            keyed(
                "/api/publish",
                &json!({ "channel": "c", "data": "x".repeat(60_000) }).to_string(),
            ),
            "200",
        ),
        (
            keyed(
                "/api/publish",
                &json!({ "channel": "c", "data": "x".repeat(200_000) }).to_string(),
            ),
            "200",
        ),
    ] {
        let mut stream = server.dial().await;
        assert!(ask(&mut stream, &publish).await.ends_with(r#"{"result":{}}"#));
        let shown = request.chars().take(80).collect::<String>();
        let head = ask(&mut stream, &request).await;
        assert_eq!(head.split(' ').nth(1), Some(status), "{shown}: {head}");
        assert!(
            ask(&mut stream, &publish).await.ends_with(r#"{"result":{}}"#),
            "{shown}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_after_a_call_are_refused() {
    let server = TestServer::insecure().await;
    let publish = keyed("/api/publish", r#"{"channel":"c","data":{}}"#);
    for request in [
        "POST /api/publish HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "POST /api/publish HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /api/publish HTTP/1.1\r\nContent-Length 2\r\n\r\n{}",
        "POST /api/publish HTTP/1.1\r\nContent-Length: 2\r\n folded\r\n\r\n{}",
        "POST /api/\0 HTTP/1.1\r\n\r\n",
        "POST /api/publish HTTP/7.3\r\n\r\n",
    ] {
        let mut stream = server.dial().await;
        assert!(ask(&mut stream, &publish).await.ends_with(r#"{"result":{}}"#));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // However it ends: it ends, and nothing was taken for a call.
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 400"),
            "{request:?}: {rest}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_kept_connections() {
    let server = TestServer::insecure().await;
    let mut stream = server.dial().await;
    let publish = keyed("/api/publish", r#"{"channel":"c","data":{}}"#);
    assert!(ask(&mut stream, &publish).await.ends_with(r#"{"result":{}}"#));
    server.stop().await;
    let mut rest = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
}

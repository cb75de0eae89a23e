//! What stands around a method: routes, verbs, keys, bodies, error modes (server-api.md 1).

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use ::http::Request;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;

use super::super::http::MAX_BODY_SIZE;
use super::{Server, text};

const NOT_FOUND: &str =
    "404\ncontent-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n\n404 page not found\n";
const BAD_REQUEST: &str =
    "400\ncontent-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n\nBad Request\n";
const UNAUTHORIZED: &str = "401\n\n";
const METHOD_NOT_ALLOWED: &str = "405\n\n";

#[tokio::test]
async fn faults_have_a_precedence() {
    let server = Server::new();
    for (request, expected) in [
        ("GET /api/nothing\n\n{", NOT_FOUND),
        ("POST /api/publish/\n\n{", NOT_FOUND),
        ("POST /api/\n\n{", NOT_FOUND),
        ("POST /api/Publish\n\n{", NOT_FOUND),
        ("POST /apipublish\n\n{", NOT_FOUND),
        ("POST /\n\n{", NOT_FOUND),
        ("POST /api/connections\nX-API-Key: secret\n\n{}", NOT_FOUND),
        ("GET /api/publish\n\n{", METHOD_NOT_ALLOWED),
        ("OPTIONS /api/publish\nOrigin: http://a\n\n", METHOD_NOT_ALLOWED),
        ("GET /api\n\n", METHOD_NOT_ALLOWED),
        ("POST /api/publish\n\n{", UNAUTHORIZED),
        (
            "POST /api/publish\nAuthorization: Bearer secret\n\n{",
            UNAUTHORIZED,
        ),
        ("POST /api\n\n{", UNAUTHORIZED),
        ("POST /api/publish\nX-API-Key: secret\n\n{", BAD_REQUEST),
        (
            "POST /api/publish?api_key=secret\nX-API-Key: wrong\n\n{",
            BAD_REQUEST,
        ),
        ("POST /api\nX-API-Key: secret\n\n{", BAD_REQUEST),
    ] {
        assert_eq!(server.exchange(request).await, expected, "{request}");
    }
    assert!(server.fake.publications.lock().is_empty());
}

#[tokio::test]
async fn bodies_are_objects_of_the_right_types() {
    let server = Server::new();
    for method in ["publish", "info", "channels", "batch"] {
        for body in [
            "",
            " ",
            "[]",
            "[{}]",
            "\"{}\"",
            "1",
            "true",
            "{} {}",
            "{}x",
            "{\"a\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(server.call(method, body).await, BAD_REQUEST, "{method} {body}");
        }
    }
    for body in [
        r#"{"channel":1}"#,
        r#"{"channel":["a"]}"#,
        r#"{"channel":"a","data":{},"version":"4"}"#,
        r#"{"channel":"a","data":{},"version":-1}"#,
        r#"{"channel":"a","data":{},"version":1.0}"#,
        r#"{"channel":"a","data":{},"version":18446744073709551616}"#,
        r#"{"channel":"a","data":{},"tags":{"a":1}}"#,
        r#"{"channel":"a","data":{},"tags":[]}"#,
        r#"{"channel":"a","data":{},"delta":"true"}"#,
        r#"{"channel":"a","data":nothing}"#,
    ] {
        assert_eq!(server.call("publish", body).await, BAD_REQUEST, "{body}");
    }
    assert_eq!(
        server.call("history", r#"{"channel":"a","limit":1.0}"#).await,
        BAD_REQUEST
    );
    assert_eq!(
        server
            .call("subscribe", r#"{"channel":"a","override":{"presence":true}}"#)
            .await,
        BAD_REQUEST
    );
    assert!(server.fake.publications.lock().is_empty());
}

#[tokio::test]
async fn names_match_in_any_case_and_unknown_ones_are_ignored() {
    let server = Server::new();
    let body =
        r#"{"Channel":"a","CHANNEL":"test","DATA":{"a": "<b>"},"more":[1],"tags":null,"version":null}"#;
    assert_eq!(
        server.call("publish", body).await,
        r#"{"result":{"offset":1,"epoch":"jAkhOcHV"}}"#
    );
    let (request, _) = server.fake.publications.lock()[0].clone();
    assert_eq!(
        (request.channel.as_str(), &request.data[..]),
        ("test", &br#"{"a": "<b>"}"#[..])
    );
}

#[tokio::test]
async fn null_as_body_is_an_empty_request() {
    let server = Server::new();
    assert_eq!(server.call("disconnect", "null").await, r#"{"result":{}}"#);
    assert_eq!(
        server.call("publish", " null ").await,
        r#"{"error":{"code":107,"message":"bad request"}}"#
    );
}

#[tokio::test]
async fn content_types_of_requests_are_ignored() {
    let server = Server::new();
    let request = "POST /api/info\nX-API-Key: secret\nContent-Type: text/xml\nAccept: text/xml\n\n{}";
    assert!(
        server
            .exchange(request)
            .await
            .starts_with("200\ncontent-type: application/json\n\n{\"result\"")
    );
}

#[tokio::test]
async fn errors_have_a_status_on_demand() {
    let rows = [
        ("broken:a", 100, "internal server error", 500),
        ("unknown:a", 102, "unknown channel", 404),
        ("", 107, "bad request", 400),
        ("off:a", 108, "not available", 400),
        ("epoch:a", 112, "unrecoverable position", 416),
        ("conflict:a", 113, "conflict", 409),
    ];
    let by_request = Server::new();
    let by_option = Server::with(|options| options.transport_errors = true);
    for (channel, code, message, status) in rows {
        let head = "POST /api/presence\nX-API-Key: secret";
        let body = format!(r#"{{"channel":"{channel}"}}"#);
        let error = format!(r#"{{"code":{code},"message":"{message}"}}"#);

        let in_body = format!("200\ncontent-type: application/json\n\n{{\"error\":{error}}}");
        for mode in [
            "",
            "\nX-Centrifugo-Error-Mode: Transport",
            "\nX-Centrifugo-Error-Mode: body",
        ] {
            assert_eq!(
                by_request.exchange(&format!("{head}{mode}\n\n{body}")).await,
                in_body
            );
        }
        let as_status = format!("{status}\ncontent-type: application/json\n\n{error}");
        let asking = format!("{head}\nx-centrifugo-error-mode: transport\n\n{body}");
        assert_eq!(by_request.exchange(&asking).await, as_status);
        // A request can turn the mode on but not off.
        assert_eq!(
            by_option
                .exchange(&format!("{head}\nX-Centrifugo-Error-Mode: body\n\n{body}"))
                .await,
            as_status
        );
    }
    let not_found = "404\ncontent-type: application/json\n\n{\"code\":104,\"message\":\"not found\"}";
    assert_eq!(
        by_option
            .exchange("POST /api/rpc\nX-API-Key: secret\n\n{\"method\":\"a\"}")
            .await,
        not_found
    );
}

#[tokio::test]
async fn only_errors_of_the_whole_call_become_a_status() {
    let server = Server::with(|options| options.transport_errors = true);
    let one = r#"{"result":{"responses":[{"error":{"code":102,"message":"unknown channel"}}]}}"#;
    assert_eq!(
        server
            .call("broadcast", r#"{"channels":["unknown:a"],"data":1}"#)
            .await,
        one
    );
    let whole = "400\ncontent-type: application/json\n\n{\"code\":107,\"message\":\"bad request\"}";
    assert_eq!(server.call("broadcast", r#"{"data":1}"#).await, whole);
    let batch = r#"{"replies":[{"error":{"code":104,"message":"not found"}}]}"#;
    assert_eq!(server.call("batch", r#"{"commands":[{}]}"#).await, batch);
    let legacy = server
        .exchange("POST /api\nX-API-Key: secret\n\n{\"params\":{}}")
        .await;
    assert!(legacy.starts_with("200\n"), "{legacy}");
    assert_eq!(server.call("publish", "{").await, BAD_REQUEST);
}

#[tokio::test]
async fn access_may_be_open_or_closed_altogether() {
    let open = Server::with(|options| {
        options.key.clear();
        options.insecure = true;
    });
    assert!(open.exchange("POST /api/info\n\n{}").await.starts_with("200\n"));
    assert!(
        open.exchange("POST /api/info\nX-API-Key: wrong\n\n{}")
            .await
            .starts_with("200\n")
    );
    let closed = Server::with(|options| options.key.clear());
    assert_eq!(
        closed.exchange("POST /api/info\nX-API-Key: \n\n{}").await,
        UNAUTHORIZED
    );
}

#[tokio::test]
async fn prefixes() {
    let server = Server::with(|options| options.handler_prefix = "/deep/api//".to_owned());
    assert!(
        server
            .exchange("POST /deep/api/info?api_key=secret\n\n{}")
            .await
            .starts_with("200\n")
    );
    assert!(
        server
            .exchange("POST /deep/api?api_key=secret\n\n ")
            .await
            .starts_with("200\n")
    );
    assert_eq!(
        server.exchange("POST /api/info?api_key=secret\n\n{}").await,
        NOT_FOUND
    );

    let root = Server::with(|options| options.handler_prefix = "/".to_owned());
    let result = "200\ncontent-type: application/json\n\n{\"result\":{\"num_clients\":0,\"num_users\":0}}";
    let call = r#"{"channel":"empty"}"#;
    assert_eq!(
        root.exchange(&format!("POST /presence_stats?api_key=secret\n\n{call}"))
            .await,
        result
    );
    for path in ["/", "/any/other", "/presence_stats/"] {
        let legacy = format!("POST {path}?api_key=secret\n\n{{\"method\":5,\"params\":{call}}}");
        assert_eq!(root.exchange(&legacy).await, result);
    }
}

#[tokio::test]
async fn the_legacy_endpoint_closes_first() {
    let server = Server::new();
    server.fake.stopping.store(true, Ordering::Relaxed);
    let answer = server.exchange("POST /api?api_key=secret\n\n{}").await;
    assert!(answer.starts_with("503\n"), "{answer}");
    assert!(
        server
            .exchange("POST /api/info?api_key=secret\n\n{}")
            .await
            .starts_with("200\n")
    );
}

#[tokio::test]
async fn what_cannot_be_encoded_is_the_servers_fault() {
    let server = Server::new();
    let expected = "500\ncontent-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n\n\
                    Internal Server Error\n";
    assert_eq!(server.call("history", r#"{"channel":"binary"}"#).await, expected);
    assert_eq!(
        server.observed.take(),
        ["http history", "http history error marshal"]
    );
    let batch = r#"{"commands":[{"history":{"channel":"binary"}},{"info":{}}]}"#;
    assert_eq!(server.call("batch", batch).await, expected);
    let legacy = r#"{"method":"history","params":{"channel":"binary"}}"#;
    assert_eq!(
        server
            .exchange(&format!("POST /api?api_key=secret\n\n{legacy}"))
            .await,
        expected
    );
}

#[tokio::test]
async fn bodies_may_be_large_but_not_boundless() {
    let server = Server::new();
    let large = format!(r#"{{"channel":"test","data":"{}"}}"#, "x".repeat(3 << 20));
    assert_eq!(
        server.call("publish", &large).await,
        r#"{"result":{"offset":1,"epoch":"jAkhOcHV"}}"#
    );

    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let endless = stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(chunk.clone())));
    let request = Request::post("/api/publish?api_key=secret")
        .body(StreamBody::new(endless))
        .expect("a request");
    let answer = text(server.api.answer(request).await).await;
    assert!(answer.starts_with("413\n"), "over {MAX_BODY_SIZE}: {answer}");
    assert_eq!(
        server.observed.take().last().map(String::as_str),
        Some("http publish error read_body")
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_500() {
    let server = Server::new();
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"{\"chan"))),
        Err(std::io::Error::other("gone")),
    ];
    let request = Request::post("/api/publish?api_key=secret")
        .body(StreamBody::new(stream::iter(frames)))
        .expect("a request");
    let answer = text(server.api.answer(request).await).await;
    assert_eq!(
        answer,
        "500\ncontent-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n\nInternal Server Error\n"
    );
}

#[tokio::test]
async fn telemetry_is_told_of_each_method() {
    let server = Server::new();
    server.call("publish", r#"{"channel":"test","data":1}"#).await;
    server
        .call("publish", r#"{"channel":"unknown:a","data":1}"#)
        .await;
    server.call("publish", "{").await;
    server
        .call("broadcast", r#"{"channels":["test","unknown:a"],"data":1}"#)
        .await;
    server.call("batch", r#"{"commands":[{"rpc":{}},{}]}"#).await;
    server
        .exchange("POST /api?api_key=secret\n\n{\"method\":\"what\"}")
        .await;
    let expected = [
        "http publish",
        "http publish",
        "http publish error 102",
        "http publish error unmarshal",
        "http broadcast",
        "http rpc",
        "http rpc error 107",
        "http batch",
        "http - error unmarshal",
    ];
    assert_eq!(server.observed.take(), expected);
}

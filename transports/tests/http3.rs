//! HTTP/3 requests, by h3's client and by one that breaks the rules.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]

mod h3_support;

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use h3_support::raw::{self, RawClient};
use h3_support::{TestServer, body, not_found, options, until, within};
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tidegate_transports::http::{Body, BodyError, ConnectionFacts};
use tidegate_transports::http3::Http3Options;
use tidegate_transports::http3::error::Code;
use tokio::sync::mpsc;

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

async fn client(server: &TestServer) -> Sender {
    let connection = h3_quinn::Connection::new(server.connect().await);
    let (mut driver, sender) = within(h3::client::new(connection)).await.unwrap();
    tokio::spawn(async move { poll_fn(|cx| driver.poll_close(cx)).await });
    sender
}

async fn exchange(sender: &mut Sender, request: Request<()>, body: &[u8]) -> Response<Vec<u8>> {
    let mut stream = within(sender.send_request(request)).await.unwrap();
    if !body.is_empty() {
        within(stream.send_data(Bytes::copy_from_slice(body)))
            .await
            .unwrap();
    }
    within(stream.finish()).await.unwrap();
    let (parts, ()) = within(stream.recv_response()).await.unwrap().into_parts();
    let mut received = Vec::new();
    while let Some(mut chunk) = within(stream.recv_data()).await.unwrap() {
        received.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
    }
    Response::from_parts(parts, received)
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://localhost{path}")).body(()).unwrap()
}

async fn echo(request: Request<Body>) -> Response<Body> {
    match request.into_body().collect().await {
        Ok(collected) => Response::new(body(collected.to_bytes())),
        Err(_) => Response::builder()
            .status(StatusCode::BAD_REQUEST)
            .body(body(""))
            .unwrap(),
    }
}

/// A response body that a test feeds.
fn fed() -> (mpsc::Sender<Bytes>, Body) {
    let (feed, mut frames) = mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        frames
            .poll_recv(cx)
            .map(|frame| frame.map(|data| Ok::<_, BodyError>(Frame::data(data))))
    });
    (feed, StreamBody::new(stream).boxed_unsync())
}

#[tokio::test]
async fn answers_a_request_with_what_it_knows_of_it() {
    let service = |request: Request<Body>| async move {
        let facts = request.extensions().get::<ConnectionFacts>().unwrap();
        assert!(facts.peer.ip().is_loopback());
        assert_eq!(
            facts.tls.as_ref().unwrap().server_name.as_deref(),
            Some("localhost")
        );
        assert_eq!(request.version(), Version::HTTP_3);
        assert_eq!(request.headers()["x-test"], "a");
        let text = format!("{} {}", request.method(), request.uri());
        Response::builder()
            .header("connection", "keep-alive")
            .header("x-reply", "b")
            .body(body(text))
            .unwrap()
    };
    let server = TestServer::start(service, options());
    let mut sender = client(&server).await;
    let mut request = get("/some?query=1");
    request.headers_mut().insert("x-test", "a".parse().unwrap());
    let response = exchange(&mut sender, request, b"").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-reply"], "b");
    assert_eq!(response.headers()["content-length"], "34");
    assert!(response.headers().contains_key("date"));
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(response.body(), b"GET https://localhost/some?query=1");
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let server = TestServer::start(not_found, options());
    let mut sender = client(&server).await;
    let request = Request::head("https://localhost/").body(()).unwrap();
    let response = exchange(&mut sender, request, b"").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["content-length"], "19");
    assert!(response.body().is_empty());
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let server = TestServer::start(echo, options());
    let mut sender = client(&server).await;
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let request = Request::post("https://localhost/")
        .header("content-length", sent.len())
        .body(())
        .unwrap();
    let response = exchange(&mut sender, request, &sent).await;
    assert!(response.body() == &sent);
}

#[tokio::test]
async fn an_unread_body_holds_the_client_back() {
    let (release, released) = tokio::sync::watch::channel(false);
    let service = move |request: Request<Body>| {
        let mut released = released.clone();
        async move {
            released.wait_for(|released| *released).await.unwrap();
            echo(request).await
        }
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;
    let (mut send, mut recv) = client.stream(&raw::request("POST", "/", &[])).await;
    let data = vec![7; 1 << 20];
    let writing = tokio::spawn(async move {
        send.write_all(&raw::frame(0, &data)).await.unwrap();
        send.finish().unwrap();
        let _ = send.stopped().await;
    });
    let stuck = tokio::time::timeout(Duration::from_millis(200), async {
        while !writing.is_finished() {
            tokio::task::yield_now().await;
        }
    });
    assert!(stuck.await.is_err(), "a megabyte does not fit into the window");
    release.send(true).unwrap();
    assert_eq!(raw::status(&mut recv).await, "200");
    let mut length = 0;
    while let Some(chunk) = within(recv.read_chunk(1 << 16, true)).await.unwrap() {
        length += chunk.bytes.len();
    }
    assert!(length > 1 << 20);
    within(writing).await.unwrap();
}

#[tokio::test]
async fn each_body_frame_is_a_data_frame_at_once() {
    let (feed, stream) = fed();
    let slot = Arc::new(parking_lot::Mutex::new(Some(stream)));
    let service = move |_: Request<Body>| {
        let stream = slot.lock().take().unwrap();
        async move { Response::new(stream) }
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;
    let (mut send, mut recv) = client.stream(&raw::request("GET", "/sse", &[])).await;
    send.finish().unwrap();
    assert_eq!(raw::status(&mut recv).await, "200");
    for text in [&b"data: {}\n\n"[..], b"data: {\"a\":1}\n\n"] {
        feed.send(Bytes::copy_from_slice(text)).await.unwrap();
        assert_eq!(raw::read_frame(&mut recv).await, (0, text.to_vec()));
    }
    drop(feed);
    assert_eq!(within(recv.read_to_end(10)).await.unwrap(), b"");
}

#[tokio::test]
async fn a_client_that_leaves_ends_body_and_service() {
    let (feed, stream) = fed();
    let slot = Arc::new(parking_lot::Mutex::new(Some(stream)));
    let guard = Arc::new(());
    let held = Arc::downgrade(&guard);
    let service = move |request: Request<Body>| {
        let guard = (request.uri().path() == "/wait").then(|| guard.clone());
        let slot = slot.clone();
        async move {
            if let Some(_guard) = guard {
                pending::<()>().await;
            }
            Response::new(slot.lock().take().unwrap())
        }
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;

    let (mut send, mut recv) = client.stream(&raw::request("GET", "/sse", &[])).await;
    send.finish().unwrap();
    assert_eq!(raw::status(&mut recv).await, "200");
    recv.stop(Code::REQUEST_CANCELLED.into()).unwrap();
    within(feed.closed()).await;

    let (_send, mut recv) = client.stream(&raw::request("GET", "/wait", &[])).await;
    until(|| held.strong_count() == 2).await;
    recv.stop(Code::REQUEST_CANCELLED.into()).unwrap();
    until(|| held.strong_count() == 1).await;

    let (_send, _recv) = client.stream(&raw::request("GET", "/wait", &[])).await;
    until(|| held.strong_count() == 2).await;
    client.connection.close(0u32.into(), b"");
    until(|| held.strong_count() == 1).await;
}

#[tokio::test]
async fn a_hundred_requests_run_at_once_and_no_more() {
    let (release, released) = tokio::sync::watch::channel(false);
    let service = move |request: Request<Body>| {
        let mut released = released.clone();
        async move {
            released.wait_for(|released| *released).await.unwrap();
            not_found(request).await
        }
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(client.stream(&raw::request("GET", "/", &[])).await);
    }
    let more = tokio::time::timeout(Duration::from_millis(100), client.connection.open_bi()).await;
    assert!(more.is_err(), "the 101st stream was allowed");
    release.send(true).unwrap();
    for (mut send, mut recv) in streams {
        send.finish().unwrap();
        assert_eq!(raw::status(&mut recv).await, "404");
    }
    within(client.connection.open_bi()).await.unwrap();
}

#[tokio::test]
async fn a_failing_body_resets_the_stream() {
    let service = |_: Request<Body>| async {
        let frames = [Ok(Frame::data(Bytes::from_static(b"part"))), Err("broken".into())];
        let stream = StreamBody::new(futures_util::stream::iter(frames));
        Response::new(BodyExt::boxed_unsync(stream))
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;
    let (_send, mut recv) = client.stream(&raw::request("GET", "/", &[])).await;
    assert_eq!(raw::reset_code(&mut recv).await, Code::INTERNAL_ERROR.0);
}

#[tokio::test]
async fn malformed_requests_lose_their_stream_only() {
    let server = TestServer::start(echo, options());
    let client = RawClient::new(server.connect().await).await;
    for bytes in [
        raw::headers(&[(":method", "GET")]),
        raw::request("GET", "/", &[("Upper", "a")]),
        raw::request("GET", "/", &[("connection", "close")]),
        raw::request("GET", "/", &[("content-length", "x")]),
        [
            raw::request("POST", "/", &[("content-length", "2")]),
            raw::frame(0, b"abc"),
        ]
        .concat(),
        [
            raw::request("POST", "/", &[("content-length", "4")]),
            raw::frame(0, b"abc"),
        ]
        .concat(),
    ] {
        let (mut send, mut recv) = client.stream(&bytes).await;
        let _ = send.finish();
        assert_eq!(raw::reset_code(&mut recv).await, Code::MESSAGE_ERROR.0);
    }
    let (mut send, mut recv) = client.stream(&raw::request("POST", "/", &[])).await;
    send.write_all(&raw::frame(0x21, b"unknown frames are skipped"))
        .await
        .unwrap();
    send.write_all(&raw::frame(0, b"abc")).await.unwrap();
    send.finish().unwrap();
    assert_eq!(raw::status(&mut recv).await, "200");
    assert_eq!(raw::read_frame(&mut recv).await, (0, b"abc".to_vec()));
}

#[tokio::test]
async fn a_large_header_section_is_answered_with_431() {
    let server = TestServer::start(
        not_found,
        Http3Options {
            max_field_section: 50_000,
            ..options()
        },
    );
    let client = RawClient::new(server.connect().await).await;
    let value = "x".repeat(49_900);
    for (bytes, expected) in [
        (raw::request("GET", "/", &[("a", &value)]), "431"),
        (raw::request("GET", "/", &[("a", &value[..40_000])]), "404"),
        (raw::request("GET", "/", &[("a", &value.repeat(2))]), "431"),
    ] {
        let (_send, mut recv) = client.stream(&bytes).await;
        assert_eq!(raw::status(&mut recv).await, expected);
    }
}

#[tokio::test]
async fn faults_of_the_connection_have_their_codes() {
    let server = TestServer::start(echo, options());
    let bidi: &[(&[u8], Code)] = &[
        (&[0x00, 1, b'x'], Code::FRAME_UNEXPECTED),
        (&[0x04, 0], Code::FRAME_UNEXPECTED),
        (&[0x06, 0], Code::FRAME_UNEXPECTED),
        (&[0x01, 3, 0, 0, 0x80], Code::QPACK_DECOMPRESSION_FAILED),
        (&[0x01, 3, 1, 0, 0x80], Code::QPACK_DECOMPRESSION_FAILED),
        (&[0x01, 9, 0, 0], Code::FRAME_ERROR),
        (&[0x40, 0x41, 0x01], Code::ID_ERROR),
    ];
    for (bytes, code) in bidi {
        let client = RawClient::new(server.connect().await).await;
        let (mut send, _recv) = client.stream(bytes).await;
        let _ = send.finish();
        assert_eq!(client.close_code().await, code.0, "{bytes:x?}");
    }
    let uni: &[(&[u8], Code)] = &[
        (&[0x00], Code::STREAM_CREATION_ERROR),
        (&[0x01], Code::STREAM_CREATION_ERROR),
        (&[0x02, 0x3f, 0xe1, 0x1f], Code::QPACK_ENCODER_STREAM_ERROR),
        (&[0x03, 0x80], Code::QPACK_DECODER_STREAM_ERROR),
    ];
    for (bytes, code) in uni {
        let client = RawClient::new(server.connect().await).await;
        let _send = client.uni(bytes).await;
        assert_eq!(client.close_code().await, code.0, "{bytes:x?}");
    }
    for (bytes, code) in [
        (&[0x04, 0x00][..], Code::FRAME_UNEXPECTED),
        (&[0x00, 0x00], Code::FRAME_UNEXPECTED),
    ] {
        let mut client = RawClient::new(server.connect().await).await;
        client.control.write_all(bytes).await.unwrap();
        assert_eq!(client.close_code().await, code.0, "{bytes:x?}");
    }
    let mut client = RawClient::new(server.connect().await).await;
    client.control.finish().unwrap();
    assert_eq!(client.close_code().await, Code::CLOSED_CRITICAL_STREAM.0);
}

#[tokio::test]
async fn frames_after_the_request_must_fit() {
    let server = TestServer::start(echo, options());
    for (tail, code) in [
        (raw::headers(&[("x", "y")]), None),
        (
            [raw::headers(&[]), raw::frame(0, b"x")].concat(),
            Some(Code::FRAME_UNEXPECTED),
        ),
        (raw::frame(0x07, &[0]), Some(Code::FRAME_UNEXPECTED)),
        (vec![0x00, 9, 1], Some(Code::FRAME_ERROR)),
    ] {
        let client = RawClient::new(server.connect().await).await;
        let bytes = [raw::request("POST", "/", &[]), tail].concat();
        let (mut send, mut recv) = client.stream(&bytes).await;
        send.finish().unwrap();
        match code {
            Some(code) => assert_eq!(client.close_code().await, code.0),
            None => assert_eq!(raw::status(&mut recv).await, "200"),
        }
    }
}

#[tokio::test]
async fn unknown_streams_are_stopped() {
    let server = TestServer::start(not_found, options());
    let client = RawClient::new(server.connect().await).await;
    let uni = client.uni(&[0x21, 1, 2, 3]).await;
    assert_eq!(raw::stop_code(&uni).await, Code::STREAM_CREATION_ERROR.0);
    // QPACK streams that say nothing of a dynamic table are fine.
    let _encoder = client.uni(&[0x02, 0x20]).await;
    let _decoder = client.uni(&[0x03, 0x44]).await;
    let (_send, mut recv) = client.stream(&raw::request("GET", "/", &[])).await;
    assert_eq!(raw::status(&mut recv).await, "404");
}

#[tokio::test]
async fn slow_peers_are_dropped() {
    let brief = Http3Options {
        setup_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(300),
        ..options()
    };
    let server = TestServer::start(not_found, brief);
    // No SETTINGS.
    let connection = server.connect().await;
    let silent = RawClient {
        control: connection.open_uni().await.unwrap(),
        connection,
    };
    assert_eq!(silent.close_code().await, Code::MISSING_SETTINGS.0);
    // Half a header section; half a stream type.
    let client = RawClient::new(server.connect().await).await;
    let (_send, mut recv) = client.stream(&[0x01, 0x10, 0]).await;
    let uni = client.uni(&[0x40]).await;
    assert_eq!(raw::reset_code(&mut recv).await, Code::REQUEST_INCOMPLETE.0);
    raw::stop_code(&uni).await;
    // Then nothing at all.
    assert_eq!(client.close_code().await, Code::NO_ERROR.0);
}

/// A client whose handshake begins and never goes on: its path swallows everything after the first packet.
async fn half_a_handshake(server: &TestServer) -> quinn::Connecting {
    let path = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let through = path.local_addr().unwrap();
    let client = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = client
        .connect_with(server.client_config(), through, "localhost")
        .unwrap();
    let mut packet = [0; 2000];
    let (len, _) = within(path.recv_from(&mut packet)).await.unwrap();
    path.send_to(&packet[..len], server.address).await.unwrap();
    until(|| server.endpoint.open_connections() == 1).await;
    connecting
}

#[tokio::test]
async fn an_unfinished_handshake_is_dropped() {
    let brief = Http3Options {
        setup_timeout: Duration::from_millis(100),
        ..options()
    };
    let server = TestServer::start(not_found, brief);
    let _connecting = half_a_handshake(&server).await;
    until(|| server.endpoint.open_connections() == 0).await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_an_unfinished_handshake() {
    let patient = Http3Options {
        setup_timeout: Duration::from_secs(3600),
        ..options()
    };
    let server = TestServer::start(not_found, patient);
    let _connecting = half_a_handshake(&server).await;
    server.stop.cancel();
    within(server.task).await.unwrap();
}

/// Bytes without sense, from a seed.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[tokio::test]
async fn noise_on_any_stream_harms_nobody_else() {
    let server = TestServer::start(echo, options());
    let bystander = RawClient::new(server.connect().await).await;
    for seed in 0..40 {
        let client = RawClient::new(server.connect().await).await;
        let starts: [&[u8]; 5] = [&[], &[0x01, 0x20, 0, 0], &[0x00], &[0x40, 0x41], &[0x02]];
        let start = starts[seed as usize % starts.len()];
        let bytes = [start, &noise(seed, 300)].concat();
        // The server may close the connection at any point of this.
        let work = async {
            if let Ok(mut uni) = client.connection.open_uni().await {
                let _ = uni.write_all(&bytes).await;
            }
            if let Ok((mut send, mut recv)) = client.connection.open_bi().await {
                let _ = send.write_all(&bytes).await;
                let _ = send.finish();
                let _ = recv.read_to_end(10_000).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(200), work).await;
        client.connection.close(0u32.into(), b"");
    }
    let (mut send, mut recv) = bystander.stream(&raw::request("GET", "/", &[])).await;
    send.finish().unwrap();
    assert_eq!(raw::status(&mut recv).await, "200");
    assert!(!server.task.is_finished());
}

#[tokio::test]
async fn stopping_says_goaway_and_lets_requests_finish() {
    let (feed, stream) = fed();
    let slot = Arc::new(parking_lot::Mutex::new(Some(stream)));
    let service = move |_: Request<Body>| {
        let stream = slot.lock().take().unwrap();
        async move { Response::new(stream) }
    };
    let mut server = TestServer::start(service, options());
    let idle = RawClient::new(server.connect().await).await;
    let client = RawClient::new(server.connect().await).await;
    let (_send, mut recv) = client.stream(&raw::request("GET", "/sse", &[])).await;
    assert_eq!(raw::status(&mut recv).await, "200");

    server.stop.cancel();
    assert_eq!(idle.close_code().await, Code::NO_ERROR.0);
    let mut control = within(client.connection.accept_uni()).await.unwrap();
    let mut kind = [9];
    within(control.read_exact(&mut kind)).await.unwrap();
    assert_eq!(kind, [0x00]);
    assert_eq!(raw::read_frame(&mut control).await.0, 0x04);
    assert_eq!(raw::read_frame(&mut control).await, (0x07, vec![4]));
    let (_send, mut late) = client.stream(&raw::request("GET", "/late", &[])).await;
    assert_eq!(raw::reset_code(&mut late).await, Code::REQUEST_REJECTED.0);

    feed.send(Bytes::from_static(b"last words")).await.unwrap();
    drop(feed);
    assert_eq!(raw::read_frame(&mut recv).await, (0, b"last words".to_vec()));
    assert_eq!(client.close_code().await, Code::NO_ERROR.0);
    within(&mut server.task).await.unwrap();
}

#[tokio::test]
async fn dropping_the_server_ends_everything() {
    let guard = Arc::new(());
    let held = Arc::downgrade(&guard);
    let service = move |_: Request<Body>| {
        let guard = guard.clone();
        async move {
            let _guard = guard;
            pending::<Response<Body>>().await
        }
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;
    let (_send, _recv) = client.stream(&raw::request("GET", "/", &[])).await;
    until(|| held.strong_count() == 2).await;
    server.task.abort();
    until(|| held.strong_count() == 0).await;
}

#[tokio::test]
async fn a_panicking_service_costs_its_stream_only() {
    let service = |request: Request<Body>| async move {
        assert_ne!(request.uri().path(), "/panic", "a defect");
        not_found(request).await
    };
    let server = TestServer::start(service, options());
    let client = RawClient::new(server.connect().await).await;
    let (_send, mut recv) = client.stream(&raw::request("GET", "/panic", &[])).await;
    assert_eq!(raw::reset_code(&mut recv).await, Code::INTERNAL_ERROR.0);
    let (_send, mut recv) = client.stream(&raw::request("GET", "/", &[])).await;
    assert_eq!(raw::status(&mut recv).await, "404");
}

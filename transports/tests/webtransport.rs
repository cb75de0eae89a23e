//! WebTransport sessions, seen by a foreign client and by one that breaks the rules.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]

mod h3_support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use h3_support::raw::{self, RawClient};
use h3_support::{TestServer, WT_PATH, not_found, options, options_with, until, within};
use tidegate_transports::http3::error::Code;
use tidegate_transports::webtransport::{STREAM_REFUSED, capsule::CapsuleDecoder};
use tidegate_transports::{Close, Encoding, EndCause, Frame, TransportKind};
use web_transport_quinn::{SessionError, WebTransportError};

async fn read_exactly(recv: &mut web_transport_quinn::RecvStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    within(recv.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(bytes, expected);
}

/// The close of the session, as the CONNECT stream tells it.
async fn read_close(recv: &mut quinn::RecvStream) -> (u32, String) {
    let rest = within(recv.read_to_end(10_000)).await.unwrap();
    let close = CapsuleDecoder::default()
        .decode(&rest)
        .unwrap()
        .expect("no capsule");
    (close.code, close.reason)
}

#[tokio::test]
async fn a_session_carries_json_both_ways() {
    let server = TestServer::start(not_found, options());
    let session = server.session(&format!("{WT_PATH}?a=b")).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    send.write_all(b"{\"id\":1}\n{\"id\":2}\n{\"id\"").await.unwrap();
    read_exactly(&mut recv, b"{\"id\":1}\n{\"id\":2}\n").await;
    send.write_all(b":3}\n").await.unwrap();
    read_exactly(&mut recv, b"{\"id\":3}\n").await;

    let record = server.acceptor.record(0).unwrap();
    assert_eq!(record.handshake.transport, TransportKind::Webtransport);
    assert_eq!(record.handshake.encoding, Encoding::Json);
    assert_eq!(record.handshake.uri.path(), WT_PATH);
    assert_eq!(record.handshake.uri.query(), Some("a=b"));
    assert_eq!(
        record.handshake.tls.as_ref().unwrap().server_name.as_deref(),
        Some("localhost")
    );

    // What the client did not end, it did not say.
    send.write_all(b"{\"id\":4}").await.unwrap();
    send.finish().unwrap();
    until(|| server.acceptor.end(0).is_some()).await;
    assert_eq!(server.acceptor.end(0), Some(EndCause::PeerClosed));
    assert_eq!(record.received.lock().len(), 3);
}

#[tokio::test]
async fn a_session_carries_protobuf() {
    let server = TestServer::start(not_found, options());
    let session = server.session(&format!("{WT_PATH}?cf_protocol=protobuf")).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    send.write_all(b"\x03abc").await.unwrap();
    // The fake session echoes the command with its length, and each message gets its own.
    read_exactly(&mut recv, b"\x04\x03abc").await;
    assert_eq!(
        server.acceptor.record(0).unwrap().handshake.encoding,
        Encoding::Protobuf
    );
}

#[tokio::test]
async fn the_client_sees_code_and_reason_of_a_close() {
    let server = TestServer::start(not_found, options());
    let session = server.session(WT_PATH).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    send.write_all(b"close\n").await.unwrap();
    let rest = within(recv.read_to_end(100)).await.unwrap();
    assert_eq!(rest, b"bye\n");
    let closed = within(session.closed()).await;
    let SessionError::WebTransportError(WebTransportError::Closed(code, reason)) = closed else {
        panic!("closed otherwise: {closed}");
    };
    assert_eq!((code, reason.as_str()), (3503, "force disconnect"));
    assert_eq!(server.acceptor.end(0), Some(EndCause::Delivered));
}

#[tokio::test]
async fn a_close_by_the_client_ends_the_session() {
    let server = TestServer::start(not_found, options());
    let session = server.session(WT_PATH).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    send.write_all(b"{}\n").await.unwrap();
    read_exactly(&mut recv, b"{}\n").await;
    session.close(7, b"enough");
    until(|| server.acceptor.end(0).is_some()).await;
    assert_eq!(server.acceptor.end(0), Some(EndCause::PeerClosed));
}

#[tokio::test]
async fn a_lost_connection_ends_the_session() {
    let server = TestServer::start(not_found, options());
    let client = RawClient::new(server.connect().await).await;
    let (_connect, _answer, id) = client.session().await;
    let (_send, _recv) = client.stream(&raw::session_stream(id)).await;
    until(|| server.acceptor.opened() == 1).await;
    client.connection.close(0u32.into(), b"");
    until(|| server.acceptor.end(0).is_some()).await;
    assert_eq!(server.acceptor.end(0), Some(EndCause::PeerClosed));
}

#[tokio::test]
async fn sessions_and_requests_share_a_connection() {
    let server = TestServer::start(not_found, options());
    let client = RawClient::new(server.connect().await).await;
    let (first_connect, mut first_answer, first) = client.session().await;
    let (_second_connect, _second_answer, second) = client.session().await;
    for (id, text) in [(second, b"two\n"), (first, b"one\n")] {
        let (mut send, mut recv) = client.stream(&raw::session_stream(id)).await;
        send.write_all(text).await.unwrap();
        let mut echo = [0; 4];
        within(recv.read_exact(&mut echo)).await.unwrap();
        assert_eq!(&echo, text);
        if id == first {
            // Closing one session leaves the other alone.
            send.write_all(b"close\n").await.unwrap();
            within(recv.read_to_end(100)).await.unwrap();
            assert_eq!(
                read_close(&mut first_answer).await,
                (3503, "force disconnect".into())
            );
        } else {
            // Keep the stream of the second session open.
            tokio::spawn(async move {
                let _keep = (send, recv.read_to_end(100).await);
            });
        }
    }
    drop(first_connect);
    let (mut send, mut recv) = client.stream(&raw::request("GET", "/x", &[])).await;
    send.finish().unwrap();
    assert_eq!(raw::status(&mut recv).await, "404");
    assert_eq!(server.acceptor.end(0), None);
    assert_eq!(server.acceptor.end(1), Some(EndCause::Delivered));
}

#[tokio::test]
async fn a_stream_may_overtake_its_connect_and_a_connect_its_settings() {
    let server = TestServer::start(not_found, options());
    let connection = server.connect().await;
    let (mut connect, mut answer) = connection.open_bi().await.unwrap();
    let id = quinn::VarInt::from(connect.id()).into_inner();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&raw::session_stream(id)).await.unwrap();
    send.write_all(b"early\n").await.unwrap();
    connect
        .write_all(&raw::connect(WT_PATH, "webtransport-h3"))
        .await
        .unwrap();
    // Nothing is answered before SETTINGS, which other streams can outrun.
    let early = tokio::time::timeout(Duration::from_millis(100), answer.read_chunk(1, true)).await;
    assert!(early.is_err(), "answered before SETTINGS");
    let _client = RawClient::new(connection).await;
    assert_eq!(raw::status(&mut answer).await, "200");
    let mut echo = [0; 6];
    within(recv.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"early\n");
}

#[tokio::test]
async fn refusals_have_a_status() {
    let server = TestServer::start(not_found, options());
    let client = RawClient::new(server.connect().await).await;
    let ask = async |path: &str, protocol: &str| {
        let (_send, mut recv) = client.stream(&raw::connect(path, protocol)).await;
        raw::status(&mut recv).await
    };
    assert_eq!(ask("/elsewhere", "webtransport").await, "404");
    assert_eq!(ask(&format!("{WT_PATH}/"), "webtransport").await, "404");
    assert_eq!(ask(WT_PATH, "websocket").await, "400");
    server.acceptor.forbids_origin.store(true, Ordering::Relaxed);
    assert_eq!(ask(WT_PATH, "webtransport").await, "400");
    server.acceptor.forbids_origin.store(false, Ordering::Relaxed);
    server.acceptor.is_full.store(true, Ordering::Relaxed);
    assert_eq!(ask(WT_PATH, "webtransport").await, "503");
    assert_eq!(server.acceptor.opened(), 0);
}

#[tokio::test]
async fn a_session_without_a_stream_is_stale() {
    let server = TestServer::start(
        not_found,
        options_with(|wt| wt.stream_timeout = Duration::from_millis(50)),
    );
    let client = RawClient::new(server.connect().await).await;
    let (_connect, mut answer, _) = client.session().await;
    assert_eq!(read_close(&mut answer).await, (3502, "stale".into()));
    assert_eq!(server.acceptor.opened(), 0);
}

#[tokio::test]
async fn further_streams_are_refused_and_too_many_end_the_session() {
    let server = TestServer::start(not_found, options());
    let client = RawClient::new(server.connect().await).await;
    let (_connect, mut answer, id) = client.session().await;
    let (mut send, mut recv) = client.stream(&raw::session_stream(id)).await;
    send.write_all(b"first\n").await.unwrap();
    let mut echo = [0; 6];
    within(recv.read_exact(&mut echo)).await.unwrap();

    for count in 0..50 {
        let (mut extra, mut reply) = client.stream(&raw::session_stream(id)).await;
        if count == 0 {
            assert_eq!(raw::stop_code(&extra).await, STREAM_REFUSED.0);
        }
        assert_eq!(raw::reset_code(&mut reply).await, STREAM_REFUSED.0);
        let _ = extra.reset(0u32.into());
        let mut uni = client.uni(&[0x40, 0x54, id as u8]).await;
        assert_eq!(raw::stop_code(&uni).await, STREAM_REFUSED.0);
        let _ = uni.reset(0u32.into());
    }
    assert_eq!(server.acceptor.end(0), None, "exactly 100 are forgiven");
    let _one_more = client.uni(&[0x40, 0x54, id as u8]).await;
    assert_eq!(read_close(&mut answer).await, (3501, "bad request".into()));
    assert_eq!(
        server.acceptor.end(0),
        Some(EndCause::Violation(Close::new(3501, "bad request")))
    );
    assert_eq!(raw::reset_code(&mut recv).await, Code::WT_SESSION_GONE.0);
}

#[tokio::test]
async fn datagrams_are_dropped() {
    let server = TestServer::start(not_found, options());
    let session = server.session(WT_PATH).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    for _ in 0..1000 {
        within(session.send_datagram_wait(Bytes::from_static(&[0; 1000])))
            .await
            .unwrap();
    }
    send.write_all(b"{}\n").await.unwrap();
    read_exactly(&mut recv, b"{}\n").await;
}

#[tokio::test]
async fn input_that_cannot_be_framed_is_answered() {
    for (bytes, fault) in [(&[b'x'; 101][..], "TooLarge"), (b"\n", "Malformed")] {
        let server = TestServer::start(not_found, options_with(|wt| wt.message_size_limit = 100));
        let session = server.session(WT_PATH).await;
        let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
        send.write_all(bytes).await.unwrap();
        let rest = within(recv.read_to_end(100)).await.unwrap();
        assert_eq!(rest, format!("{fault}\n").into_bytes());
        until(|| server.acceptor.end(0).is_some()).await;
        assert_eq!(server.acceptor.end(0), Some(EndCause::Delivered));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_session() {
    let server = TestServer::start(
        not_found,
        options_with(|wt| {
            wt.write_timeout = Duration::from_millis(50);
            wt.outbox.limit = None;
        }),
    );
    let client = RawClient::new(server.connect().await).await;
    let (_connect, mut answer, id) = client.session().await;
    let (mut send, mut recv) = client.stream(&raw::session_stream(id)).await;
    send.write_all(b"flood\n").await.unwrap();
    assert_eq!(read_close(&mut answer).await, (3009, "write error".into()));
    assert_eq!(server.acceptor.end(0), Some(EndCause::WriteTimeout));
    let reset = within(recv.read_to_end(usize::MAX)).await;
    assert!(reset.is_err(), "a cut-off stream must not look complete");
}

#[tokio::test]
async fn many_frames_arrive_whole_and_in_order() {
    let server = TestServer::start(not_found, options_with(|wt| wt.outbox.limit = None));
    let session = server.session(WT_PATH).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    send.write_all(b"{}\n").await.unwrap();
    read_exactly(&mut recv, b"{}\n").await;
    let record = server.acceptor.record(0).unwrap();
    let mut expected = Vec::new();
    for index in 0..2000usize {
        let payload = vec![b'a' + (index % 26) as u8; 1 + index % 5000];
        expected.extend_from_slice(&payload);
        expected.push(b'\n');
        let _ = record.outbox.push(Frame::new(Bytes::from(payload)));
    }
    record.outbox.close(Close::new(3001, "shutdown"));
    let received = within(recv.read_to_end(usize::MAX)).await.unwrap();
    assert!(
        received == expected,
        "{} of {} bytes",
        received.len(),
        expected.len()
    );
}

#[tokio::test]
async fn stopping_waits_for_sessions() {
    let mut server = TestServer::start(not_found, options());
    let session = server.session(WT_PATH).await;
    let (mut send, mut recv) = within(session.open_bi()).await.unwrap();
    send.write_all(b"{}\n").await.unwrap();
    read_exactly(&mut recv, b"{}\n").await;
    let waiting = RawClient::new(server.connect().await).await;
    let (_connect, mut answer, _) = waiting.session().await;

    server.stop.cancel();
    // A session that never opened its stream has no owner to close it.
    assert_eq!(read_close(&mut answer).await, (3001, "shutdown".into()));
    send.write_all(b"still here\n").await.unwrap();
    read_exactly(&mut recv, b"still here\n").await;
    assert!(!server.task.is_finished());
    server
        .acceptor
        .record(0)
        .unwrap()
        .outbox
        .close(Close::new(3001, "shutdown"));
    let closed = within(session.closed()).await.to_string();
    assert!(closed.contains("3001"), "{closed}");
    within(&mut server.task).await.unwrap();
}

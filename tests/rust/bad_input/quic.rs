//! What breaks QUIC, HTTP/3 and WebTransport.

use serde_json::json;
use tokio::net::UdpSocket;

use crate::support::peer::{quic_connection, webtransport_session};
use crate::support::{Heard, Peer, within};
use crate::{Victim, noise};

const CONNECTED: &str =
    r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#;

/// WebTransport still works.
async fn check_webtransport(victim: &Victim) {
    let mut peer = Peer::webtransport(&victim.server, "").await;
    peer.ask(r#"{"id":1,"connect":{}}"#, CONNECTED).await;
    peer.close(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_in_datagrams() {
    let victim = Victim::new(json!({})).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for seed in 0..500 {
        let length = usize::try_from(seed % 1400).unwrap() + 1;
        let mut bytes = noise(seed, length);
        if seed % 2 == 0 && length > 5 {
            // The head of a first packet of QUIC 1, for a handshake that never comes.
            bytes[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
            bytes.resize(1200, 0);
        }
        socket.send_to(&bytes, victim.server.address()).await.unwrap();
    }
    check_webtransport(&victim).await;
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_are_never_finished() {
    let victim = Victim::new(json!({})).await;
    // The certificate of the server is not one this client would trust: it gives up half way, without a word
    // because its endpoint is gone.
    let mut tls =
        rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(std::sync::Arc::new(tls));
    for _ in 0..20 {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint
            .connect_with(config.clone(), victim.server.address(), "localhost")
            .unwrap();
        let half_way = tokio::time::timeout(std::time::Duration::from_millis(2), connecting).await;
        assert!(
            !matches!(half_way, Ok(Ok(_))),
            "an untrusted certificate was trusted"
        );
        drop(endpoint);
    }
    check_webtransport(&victim).await;
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_stream_of_a_session() {
    let victim = Victim::new(json!({})).await;
    for seed in 0..10 {
        for query in ["", "?cf_protocol=protobuf"] {
            let session = webtransport_session(&victim.server, query).await;
            let (mut send, mut recv) = within("a stream", session.open_bi()).await.unwrap();
            let mut bytes = noise(seed, 400);
            bytes.push(b'\n');
            let _ = send.write_all(&bytes).await;
            let _ = send.finish();
            let rest = within("the end of the stream", recv.read_to_end(10_000)).await;
            if let Ok(rest) = rest {
                assert!(rest.len() < 200, "{rest:?}");
            }
        }
    }
    check_webtransport(&victim).await;
    victim.end().await;
}

/// Opens streams in both directions next to the one that counts.
async fn open_more(session: &web_transport_quinn::Session, pairs: u32) {
    for _ in 0..pairs {
        if let Ok((mut send, _recv)) = within("a stream more", session.open_bi()).await {
            let _ = send.write_all(b"{\"id\":1,\"connect\":{}}\n").await;
        }
        if let Ok(mut send) = within("a stream more", session.open_uni()).await {
            let _ = send.write_all(b"noise").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_nobody_asked_for() {
    let victim = Victim::new(json!({})).await;
    let session = webtransport_session(&victim.server, "").await;
    let (mut send, mut recv) = within("a stream", session.open_bi()).await.unwrap();
    send.write_all(b"{\"id\":1,\"connect\":{}}\n").await.unwrap();
    let mut head = [0; 9];
    within("the reply", recv.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"{\"id\":1,\"");
    // Some are ignored, and the one that counts is none the worse.
    open_more(&session, 40).await;
    send.write_all(b"{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n")
        .await
        .unwrap();
    let mut heard = String::new();
    while !heard.ends_with("{\"id\":2,\"subscribe\":{}}\n") {
        let mut chunk = vec![0; 1000];
        let count = within("the reply to subscribe", recv.read(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        heard.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
    }
    // Too many are not.
    open_more(&session, 100).await;
    let closed = within("the end of a session of many streams", session.closed()).await;
    assert!(closed.to_string().contains("3501"), "{closed}");
    check_webtransport(&victim).await;
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_datagrams() {
    let victim = Victim::new(json!({})).await;
    let mut peer = Peer::webtransport(&victim.server, "").await;
    peer.ask(r#"{"id":1,"connect":{}}"#, CONNECTED).await;
    let session = webtransport_session(&victim.server, "").await;
    for n in 0..20_000_u32 {
        let _ = session.send_datagram(n.to_be_bytes().to_vec().into());
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    session.close(0, b"");
    peer.close(0);
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_in_place_of_http3() {
    let victim = Victim::new(json!({})).await;
    for seed in 0..20 {
        let connection = quic_connection(&victim.server).await;
        let mut control = within("a stream", connection.open_uni()).await.unwrap();
        let _ = control.write_all(&noise(seed, 200)).await;
        let (mut send, mut recv) = within("a stream", connection.open_bi()).await.unwrap();
        let _ = send.write_all(&noise(seed + 100, 200)).await;
        let _ = send.finish();
        let reading = recv.read_to_end(10_000);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), reading).await;
        connection.close(0u32.into(), b"");
    }
    check_webtransport(&victim).await;
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_says_nothing_after_its_stream() {
    let victim = Victim::new(json!({})).await;
    let mut peer = Peer::webtransport(&victim.server, "").await;
    peer.expect_close(3502, "stale").await;
    // A command without its end is none.
    let mut peer = Peer::webtransport(&victim.server, "").await;
    peer.send_bytes(b"{\"id\":1,\"connect\":{}}".to_vec());
    peer.expect_close(3502, "stale").await;
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_protobuf() {
    let victim = Victim::new(json!({})).await;
    let path = "/connection/websocket?format=protobuf";
    // Connect, and then the length of a subscription followed by ever less of it.
    let subscribe = b"\x07\x08\x02\x2a\x03\x0a\x01a";
    for length in 1..subscribe.len() {
        let mut peer = Peer::websocket(victim.server.dial().await, path, &[]).await;
        peer.send_bytes(b"\x04\x08\x01\x22\x00".to_vec());
        assert!(matches!(peer.hear("the reply to connect").await, Heard::Frame(_)));
        peer.send_bytes(subscribe[..length].to_vec());
        peer.expect_close(3501, "bad request").await;
    }
    for command in [
        &b"\x03\x08\x02\x2a"[..],
        b"\x05\x08\x02\x2a\x7f\x0a",
        b"\x07\x08\x02\x2a\x03\x0a\x01\xff",
        b"\x03\x08\x02\x0f",
        b"\x02\x2b\x2b",
    ] {
        let mut peer = Peer::websocket(victim.server.dial().await, path, &[]).await;
        peer.send_bytes(b"\x04\x08\x01\x22\x00".to_vec());
        assert!(matches!(peer.hear("the reply to connect").await, Heard::Frame(_)));
        peer.send_bytes(command.to_vec());
        peer.expect_close(3501, "bad request").await;
    }
    victim.end().await;
}

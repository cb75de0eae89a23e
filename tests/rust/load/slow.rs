//! Who does not read is disconnected as slow (3008) when its queue is full. Nobody else is disturbed.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::crowd::{CHANNEL, Crowd, Ended, leftovers, stuck};
use crate::kind::{Encoding, Kind, SECURE, SESSIONS, STREAMS};
use crate::link::Heard;
use crate::message::Command;
use crate::patiently;
use crate::server::LoadedServer;
use crate::support::peer::trusting_tls;

/// Two publications fill a queue.
const QUEUE: usize = 60_000;
/// Stuck readers of each kind.
const EACH: usize = 3;
/// A transport with a write timeout of its own finds a stuck reader even before its queue is full, on a machine that
/// stands still for a second. Then it is tried again.
const ATTEMPTS: u32 = 5;
/// Growth of the process that is no queue: buffers of connections and of the allocator.
const SLACK: f64 = 48e6;

async fn start(with_tls: bool) -> LoadedServer {
    LoadedServer::start(json!({
        "http_server": { "tls": { "enabled": with_tls } },
        "client": { "queue_max_size": QUEUE },
        "websocket": { "write_timeout": "60s" }
    }))
    .await
}

async fn slow_among_fast(with_tls: bool, kinds: &[Kind]) {
    let server = start(with_tls).await;
    let mut crowd = Crowd::gather(&server, kinds.iter().flat_map(|kind| [*kind; 2])).await;
    crowd.publish().await;
    let resident = server.metrics().await.resident_bytes();
    for attempt in 1.. {
        let first = crowd.published;
        let links = stuck(&server, kinds.iter().flat_map(|kind| [*kind; EACH])).await;
        let ended = Ended::by(&server)
            .await
            .until(links.len(), &server, &mut crowd)
            .await;
        let readers = crowd.len() as u64;
        server
            .until_counts("the slow ones to be forgotten", |counts| {
                (counts.clients, counts.subscriptions, counts.channels) == (readers, readers, 1)
            })
            .await;
        for link in links {
            let kind = link.kind;
            match (kind, leftovers(link, first).await) {
                (Kind::HttpStream(_) | Kind::Sse, end) => {
                    assert!(matches!(end, Heard::End), "{kind:?}: {end:?}");
                }
                (Kind::WebTransport(_), Heard::Close(3009, _)) if ended.stuck > 0 => {}
                (_, Heard::Close(3008, reason)) if reason == "slow" => {}
                (_, end) => panic!("{kind:?}: {end:?}"),
            }
        }
        if ended.stuck == 0 {
            break;
        }
        assert!(attempt < ATTEMPTS, "not slow, but stuck: {ended:?}");
    }
    let growth = server.metrics().await.resident_bytes() - resident;
    assert!(
        growth < SLACK,
        "{growth} bytes are held for clients that have gone"
    );
    crowd.disperse().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_are_disconnected_and_others_hear_everything() {
    slow_among_fast(false, &SESSIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_slow_readers_of_streams() {
    slow_among_fast(false, &STREAMS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_slow_readers_over_tls() {
    slow_among_fast(true, &SECURE).await;
}

/// A client that opens a stream over HTTP/2, and takes nothing of it beyond the window that it gave at first.
async fn stuck_over_http2(server: &LoadedServer) -> Response<Incoming> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(trusting_tls("h2")));
    let stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(65_535)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let commands = [Command::connect(1, String::new()), Command::subscribe(2, CHANNEL)];
    let body = Kind::HttpStream(Encoding::Json).encode(&commands);
    let request = Request::post("https://localhost/connection/http_stream").body(Full::<Bytes>::from(body));
    let response = patiently("an answer over HTTP/2", sender.send_request(request.unwrap()))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// Its session is forgotten although nothing can be written any more.
#[tokio::test(flavor = "multi_thread")]
async fn so_are_slow_readers_over_http2() {
    let server = start(true).await;
    let mut crowd = Crowd::gather(&server, SECURE).await;
    let readers = crowd.len() as u64;
    let stuck = stuck_over_http2(&server).await;
    server
        .until_counts("a subscriber more", |counts| counts.subscriptions == readers + 1)
        .await;
    Ended::by(&server).await.until(1, &server, &mut crowd).await;
    server
        .until_counts("the slow one to be forgotten", |counts| counts.clients == readers)
        .await;
    drop(stuck);
    crowd.disperse().await;
    server.stop().await;
}

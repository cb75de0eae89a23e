//! Who takes nothing of a write within the write timeout is disconnected (3009), however much its queue could hold.

use serde_json::json;

use crate::crowd::{Crowd, Ended, leftovers, stuck};
use crate::kind::{Kind, SECURE, SESSIONS, STREAMS};
use crate::link::Heard;
use crate::server::LoadedServer;

/// Stuck readers of each kind.
const EACH: usize = 2;

/// The queue holds whatever comes: only time can tell. Streams and WebTransport have a timeout of one second.
async fn stuck_among_fast(with_tls: bool, kinds: &[Kind]) {
    let server = LoadedServer::start(json!({
        "http_server": { "tls": { "enabled": with_tls } },
        "client": { "queue_max_size": 1 << 30 },
        "websocket": { "write_timeout": "300ms" }
    }))
    .await;
    let mut crowd = Crowd::gather(&server, kinds.iter().flat_map(|kind| [*kind; 2])).await;
    crowd.publish().await;
    let files = server.metrics().await.open_files();
    let first = crowd.published;
    let links = stuck(&server, kinds.iter().flat_map(|kind| [*kind; EACH])).await;
    let ended = Ended::by(&server)
        .await
        .until(links.len(), &server, &mut crowd)
        .await;
    assert_eq!((ended.slow, ended.stuck as usize), (0, links.len()));
    let readers = crowd.len() as u64;
    server
        .until_counts("the stuck ones to be forgotten", |counts| {
            (counts.clients, counts.subscriptions, counts.channels) == (readers, readers, 1)
        })
        .await;
    // Nothing is left of them, although they do not read yet.
    server.until_open_files(files).await;
    for link in links {
        let kind = link.kind;
        match (kind, leftovers(link, first).await) {
            (Kind::WebTransport(_), Heard::Close(3009, reason)) if reason == "write error" => {}
            // TCP that takes nothing takes no close frame either.
            (Kind::WebTransport(_), end) => panic!("{kind:?}: {end:?}"),
            (_, end) => assert!(matches!(end, Heard::End), "{kind:?}: {end:?}"),
        }
    }
    crowd.disperse().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_readers_are_disconnected_and_others_hear_everything() {
    stuck_among_fast(false, &SESSIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_stuck_readers_of_streams() {
    stuck_among_fast(false, &STREAMS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_stuck_readers_over_tls() {
    stuck_among_fast(true, &SECURE).await;
}

//! Who does not read is disconnected as slow (3008) when its queue is full. Nobody else is disturbed.

use serde_json::json;

use crate::crowd::{Crowd, Ended, leftovers, stuck};
use crate::kind::{Kind, SECURE, SESSIONS, STREAMS};
use crate::link::Heard;
use crate::server::LoadedServer;

/// Two publications fill a queue.
const QUEUE: usize = 60_000;
/// Stuck readers of each kind.
const EACH: usize = 3;
/// A transport with a write timeout of its own finds a stuck reader even before its queue is full, on a machine that
/// stands still for a second. Then it is tried again.
const ATTEMPTS: u32 = 5;
/// Growth of the process that is no queue: buffers of connections and of the allocator.
const SLACK: f64 = 48e6;

async fn slow_among_fast(with_tls: bool, kinds: &[Kind]) {
    let server = LoadedServer::start(json!({
        "http_server": { "tls": { "enabled": with_tls } },
        "client": { "queue_max_size": QUEUE },
        "websocket": { "write_timeout": "60s" }
    }))
    .await;
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

//! SIGTERM in the middle of a burst: everybody is told, nothing acknowledged before is lost, and the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::all;
use crate::crowd::stuck;
use crate::kind::{Encoding, KINDS, Kind, SESSIONS, STREAMS};
use crate::link::{Buffers, Heard, Link};
use crate::message::{Command, Item, Reply};
use crate::record::assert_same;
use crate::server::{Api, LoadedServer};

const CHANNEL: &str = "a";
const EACH: usize = 6;
/// Heard by a subscriber before the signal comes.
const BEFORE: u32 = 500;

/// Numbers that were acknowledged, by publisher.
type Acknowledged = Arc<[AtomicU32; 4]>;

async fn publish_by_api(mut api: Api, source: u32, acknowledged: Acknowledged) {
    for number in 0.. {
        let data = Item::new(source, number).to_data(100);
        let answer = api
            .try_call("publish", json!({ "channel": CHANNEL, "data": data }))
            .await;
        // Gone, or stopping.
        if !answer.is_some_and(|answer| answer["result"].is_object()) {
            return;
        }
        acknowledged[source as usize].store(number + 1, Ordering::SeqCst);
    }
}

async fn publish_as_client(mut link: Link, source: u32, acknowledged: Acknowledged) {
    for number in 0.. {
        link.try_say(&[Command::publish(number + 2, CHANNEL, Item::new(source, number))])
            .await;
        match link.hear().await {
            Heard::Reply(reply) => {
                assert_eq!((reply.id, reply.error), (number + 2, None));
                acknowledged[source as usize].store(number + 1, Ordering::SeqCst);
            }
            Heard::Close(3001, reason) if reason == "shutdown" => return,
            end => panic!("publisher {source}: {end:?}"),
        }
    }
}

/// Reads to the end, which must be that of a shutdown in the way of the transport (protocol.md 4.4).
async fn read(mut link: Link, progress: watch::Sender<u32>) -> Vec<Item> {
    let kind = link.kind;
    let mut heard = Vec::new();
    let mut told = false;
    loop {
        match link.hear().await {
            Heard::Reply(Reply { push: Some(push), .. }) => {
                assert!(!told, "{kind:?}: {push:?} after the disconnect");
                if let Some(publication) = push.publication {
                    heard.push(publication.item());
                    let _ = progress.send(u32::try_from(heard.len()).unwrap());
                } else {
                    let disconnect = push
                        .disconnect
                        .unwrap_or_else(|| panic!("{kind:?} heard something else"));
                    assert_eq!(
                        (disconnect.code, disconnect.reason.as_str()),
                        (3001, "shutdown"),
                        "{kind:?}"
                    );
                    told = true;
                }
            }
            end => {
                let is_right = match (kind, &end) {
                    (Kind::WebSocket(_), Heard::Close(code, reason)) => {
                        !told && (*code, &**reason) == (3001, "shutdown")
                    }
                    (Kind::WebTransport(_), Heard::Close(code, reason)) => {
                        told && (*code, &**reason) == (3001, "shutdown")
                    }
                    (Kind::HttpStream(_) | Kind::Sse, Heard::End) => told,
                    _ => false,
                };
                assert!(is_right, "{kind:?}: {end:?}, told {told}");
                return heard;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_middle_of_a_burst() {
    let server = LoadedServer::start(json!({ "client": { "queue_max_size": 64 << 20 } })).await;
    let mut reading = JoinSet::new();
    let (tell, mut progress) = watch::channel(0);
    for kind in KINDS.into_iter().flat_map(|kind| [kind; EACH]) {
        reading.spawn(read(server.subscribed(kind, &[CHANNEL]).await, tell.clone()));
    }
    drop(tell);
    let acknowledged = Acknowledged::default();
    let mut publishing = JoinSet::new();
    for source in [0, 1] {
        publishing.spawn(publish_by_api(server.api().await, source, acknowledged.clone()));
    }
    for (source, encoding) in [(2, Encoding::Json), (3, Encoding::Protobuf)] {
        let link = Link::subscribed(server.address(), Kind::WebSocket(encoding), Buffers::Usual, &[]).await;
        publishing.spawn(publish_as_client(link, source, acknowledged.clone()));
    }
    progress
        .wait_for(|heard| *heard >= BEFORE)
        .await
        .expect("a burst");

    let owed: Vec<u32> = acknowledged
        .iter()
        .map(|count| count.load(Ordering::SeqCst))
        .collect();
    server.terminate().await;
    let records = all(reading).await;
    all(publishing).await;
    let longest = records.iter().max_by_key(|record| record.len()).unwrap();
    for record in &records {
        assert_same(CHANNEL, record, &longest[..record.len()]);
        for (source, owed) in (0..).zip(&owed) {
            let heard = record.iter().filter(|item| item.source == source).count();
            assert!(
                heard >= *owed as usize,
                "{owed} of {source} were acknowledged before, {heard} heard"
            );
        }
    }
    server.ended().await;
}

/// Nobody who does not read holds up the end.
async fn end_with_stuck_readers(kinds: &[Kind]) {
    let server = LoadedServer::start(json!({
        "client": { "queue_max_size": 1 << 30 },
        "websocket": { "write_timeout": "60s" }
    }))
    .await;
    let links = stuck(&server, kinds.iter().copied()).await;
    let mut api = server.api().await;
    for number in 0..150 {
        api.publish_padded(CHANNEL, Item::new(0, number), 40_000).await;
    }
    server.stop().await;
    drop(links);
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_readers_do_not_keep_the_server() {
    end_with_stuck_readers(&SESSIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stuck_readers_of_streams_do_not_keep_the_server() {
    end_with_stuck_readers(&STREAMS).await;
}

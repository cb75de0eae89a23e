//! One huge channel that is never quiet, and a thousand small ones: neither starves the other, nor any subscriber.
//!
//! Measured in progress, not in time: what is said on a small channel arrives before the huge one has delivered more
//! than so many further publications.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::kind::{Encoding, Kind};
use crate::link::Link;
use crate::message::Item;
use crate::server::{Api, LoadedServer};
use crate::{all, patiently, turn};

const HUGE: usize = 2000;
const SMALL: usize = 1000;
/// Publications of the huge channel under way at any time.
const AHEAD: u32 = 8;
/// Publications of the huge channel that one subscriber may hear while one on a small channel is under way.
const OVERTAKING: u32 = 100;
/// Backends that publish on small channels, one after the other each.
const BACKENDS: usize = 20;

/// How far each subscriber of the huge channel is.
struct Progress {
    heard: Vec<AtomicU32>,
    moved: Notify,
    is_over: AtomicBool,
}

impl Progress {
    /// What the slowest has heard.
    fn least(&self) -> u32 {
        self.heard
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .min()
            .unwrap()
    }

    /// What one of them has heard.
    fn reference(&self) -> u32 {
        self.heard[HUGE / 2].load(Ordering::Relaxed)
    }

    async fn until_least(&self, count: u32) {
        let reaching = async {
            loop {
                let moved = self.moved.notified();
                if self.least() >= count {
                    return;
                }
                moved.await;
            }
        };
        patiently("the slowest subscriber of the huge channel", reaching).await;
    }
}

/// Opens connections, some at a time.
async fn open(server: &Arc<LoadedServer>, channels: impl Iterator<Item = String>) -> Vec<Link> {
    let at_once = Arc::new(Semaphore::new(32));
    let mut opening = JoinSet::new();
    for (number, channel) in channels.enumerate() {
        let (server, at_once) = (server.clone(), at_once.clone());
        let encoding = if number % 4 == 0 {
            Encoding::Protobuf
        } else {
            Encoding::Json
        };
        opening.spawn(async move {
            let _permit = at_once.acquire().await;
            (
                number,
                server.subscribed(Kind::WebSocket(encoding), &[&channel]).await,
            )
        });
    }
    let mut links = all(opening).await;
    links.sort_unstable_by_key(|(number, _)| *number);
    links.into_iter().map(|(_, link)| link).collect()
}

async fn read_huge(mut link: Link, index: usize, progress: Arc<Progress>) {
    for number in 0.. {
        let (_, publication) = link.publication().await;
        if publication.item() == Item::END {
            return;
        }
        assert_eq!(publication.item(), Item::new(0, number), "subscriber {index}");
        progress.heard[index].store(number + 1, Ordering::Relaxed);
        // Of all that hear a publication, the last one has something to tell.
        if number + 1 == progress.least() {
            progress.moved.notify_waiters();
        }
    }
}

/// Keeps the huge channel busy until it is over.
async fn publish_huge(mut api: Api, progress: Arc<Progress>) {
    let mut published = 0;
    while !progress.is_over.load(Ordering::SeqCst) {
        api.publish("huge", Item::new(0, published)).await;
        published += 1;
        progress.until_least(published.saturating_sub(AHEAD)).await;
    }
    api.publish("huge", Item::END).await;
}

/// Says something on each of these channels and waits until it was heard.
async fn publish_small(mut api: Api, links: Vec<(usize, Link)>, progress: Arc<Progress>) {
    for (number, mut link) in links {
        let before = progress.reference();
        let (source, channel) = (u32::try_from(number).unwrap(), format!("small-{number}"));
        api.publish(&channel, Item::new(source, 0)).await;
        let (heard_on, publication) = link.publication().await;
        assert_eq!((heard_on, publication.item()), (channel, Item::new(source, 0)));
        let overtaken = progress.reference() - before;
        assert!(
            overtaken <= OVERTAKING,
            "small channel {number}: overtaken by {overtaken}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_channel_and_a_thousand_small_ones() {
    let _turn = turn().await;
    let server = Arc::new(
        LoadedServer::start(json!({
            "client": { "queue_max_size": 64 << 20 },
            "websocket": { "write_timeout": "60s" }
        }))
        .await,
    );
    let huge = open(&server, (0..HUGE).map(|_| "huge".to_owned())).await;
    let small = open(&server, (0..SMALL).map(|number| format!("small-{number}"))).await;
    let progress = Arc::new(Progress {
        heard: (0..HUGE).map(|_| AtomicU32::new(0)).collect(),
        moved: Notify::new(),
        is_over: AtomicBool::new(false),
    });
    let mut reading = JoinSet::new();
    for (index, link) in huge.into_iter().enumerate() {
        reading.spawn(read_huge(link, index, progress.clone()));
    }
    let publishing = tokio::spawn(publish_huge(server.api().await, progress.clone()));
    progress.until_least(1).await;

    let mut shares: Vec<Vec<_>> = (0..BACKENDS).map(|_| Vec::new()).collect();
    for (number, link) in small.into_iter().enumerate() {
        shares[number % BACKENDS].push((number, link));
    }
    let mut saying = JoinSet::new();
    for links in shares {
        saying.spawn(publish_small(server.api().await, links, progress.clone()));
    }
    all(saying).await;
    progress.is_over.store(true, Ordering::SeqCst);
    publishing.await.unwrap();
    all(reading).await;
    server
        .until_counts("everybody to leave", |counts| counts.clients == 0)
        .await;
    Arc::into_inner(server).expect("nobody else has it").stop().await;
}

//! Recovery while a burst goes on: every offset is heard once, or the subscriber is told that it is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kind::{Encoding, KINDS, Kind};
use crate::link::{Buffers, Heard, Link};
use crate::message::{Command, Item, Publication, Subscribed};
use crate::server::{Api, LoadedServer};
use crate::{all, patiently};

const CHANNEL: &str = "st:a";
/// Kept of the stream: who was away for longer cannot recover.
const KEPT: u32 = 60;
const PUBLISHERS: u32 = 3;
const EACH: u32 = 700;
const BATCH: usize = 10;
/// Everything has been published then.
const LAST: u64 = (PUBLISHERS * EACH) as u64;

/// How a subscriber stays away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// Back at once.
    Blink,
    /// Until more was published than is kept.
    Long,
}

/// What one subscriber has learned over all its connections.
#[derive(Default)]
struct Learned {
    heard: BTreeMap<u64, Item>,
    /// After this offset of this epoch it wants to go on.
    offset: u64,
    epoch: String,
    recovered: u32,
    refused: u32,
}

impl Learned {
    /// Takes the next publication, which must continue what was heard.
    fn hear(&mut self, publication: &Publication) {
        assert_eq!(
            publication.offset,
            self.offset + 1,
            "a publication is missing or came twice"
        );
        self.offset = publication.offset;
        self.heard.insert(publication.offset, publication.item());
    }

    fn resume(&mut self, result: &Subscribed) {
        assert!(
            self.epoch.is_empty() || self.epoch == result.epoch,
            "another epoch: {result:?}"
        );
        self.epoch.clone_from(&result.epoch);
        if result.recovered {
            assert_eq!(
                result.offset, self.offset,
                "recovery starts elsewhere: {result:?}"
            );
            result
                .publications
                .iter()
                .for_each(|publication| self.hear(publication));
        } else {
            // Told: it goes on from the top, which is never behind what was heard.
            assert!(result.publications.is_empty(), "{result:?}");
            assert!(
                result.offset >= self.offset,
                "{} was heard: {result:?}",
                self.offset
            );
            self.offset = result.offset;
        }
        if result.was_recovering {
            self.recovered += u32::from(result.recovered);
            self.refused += u32::from(!result.recovered);
        }
    }

    /// Connects and subscribes where it left off.
    async fn connect(&mut self, server: std::net::SocketAddr, kind: Kind) -> Link {
        let subscribe = match self.epoch.as_str() {
            "" => Command::subscribe(2, CHANNEL),
            epoch => Command::recover(2, CHANNEL, epoch, self.offset),
        };
        let commands = [Command::connect(1, String::new()), subscribe];
        let mut link = Link::open(server, kind, Buffers::Usual, &commands).await;
        link.reply(1).await;
        self.resume(&link.subscription(2).await);
        link
    }

    /// Hears so many publications, and less only if the last is among them.
    async fn listen(&mut self, link: &mut Link, count: u32) {
        for _ in 0..count {
            if self.offset == LAST {
                return;
            }
            let Heard::Reply(reply) = link.hear().await else {
                panic!("{:?} was closed", link.kind)
            };
            // Neither is a position lost on a single node: that would be told by an unsubscription (2500).
            let push = reply.push.expect("a push");
            let publication = push
                .publication
                .unwrap_or_else(|| panic!("{:?}: {:?}", link.kind, push.unsubscribe));
            self.hear(&publication);
        }
    }
}

/// Comes and goes until there is nothing more to hear.
async fn come_and_go(
    server: std::net::SocketAddr,
    kind: Kind,
    seed: u32,
    mut published: watch::Receiver<u32>,
) -> Learned {
    let mut learned = Learned::default();
    for stay in seed + 1.. {
        let mut link = learned.connect(server, kind).await;
        learned.listen(&mut link, 10 + stay * 7 % 40).await;
        if learned.offset == LAST {
            break;
        }
        let absence = if stay.is_multiple_of(3) {
            Absence::Long
        } else {
            Absence::Blink
        };
        if stay.is_multiple_of(2) {
            link.close().await;
        } else {
            drop(link);
        }
        if absence == Absence::Long {
            let missed = u32::try_from(learned.offset).unwrap() + KEPT + 1;
            // Nothing published any longer counts as long enough.
            let _ = published.wait_for(|published| *published >= missed).await;
        }
    }
    learned
}

async fn publish(mut api: Api, source: u32, published: Arc<watch::Sender<u32>>) {
    let items: Vec<_> = (0..EACH)
        .map(|number| (CHANNEL, Item::new(source, number)))
        .collect();
    for batch in items.chunks(BATCH) {
        api.publish_all(batch.iter().copied()).await;
        published.send_modify(|published| *published += BATCH as u32);
        // Others are to come back within the burst, not after it.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_offset_is_heard_once_or_is_told_to_be_lost() {
    let server = LoadedServer::start(json!({ "channel": { "namespaces": [
        { "name": "st", "history_size": KEPT, "history_ttl": "60s", "force_recovery": true }
    ] } }))
    .await;
    let (published, progress) = watch::channel(0);
    let published = Arc::new(published);
    let mut whole = Learned::default();
    let mut staying = whole
        .connect(server.address(), Kind::WebSocket(Encoding::Json))
        .await;
    let staying = tokio::spawn(async move {
        whole.listen(&mut staying, u32::MAX).await;
        whole
    });
    let mut moving = JoinSet::new();
    for (seed, kind) in (0..).zip(KINDS.into_iter().chain(KINDS)) {
        moving.spawn(come_and_go(server.address(), kind, seed, progress.clone()));
    }
    drop(progress);
    let mut publishing = JoinSet::new();
    for source in 0..PUBLISHERS {
        publishing.spawn(publish(server.api().await, source, published.clone()));
    }
    all(publishing).await;
    drop(published);

    let whole = patiently("the subscriber that stayed", staying).await.unwrap();
    assert_eq!(whole.heard.len() as u64, LAST);
    let mut recovered = 0;
    let mut refused = 0;
    for learned in all(moving).await {
        for (offset, item) in &learned.heard {
            assert_eq!(
                whole.heard[offset], *item,
                "others heard something else at {offset}"
            );
        }
        recovered += learned.recovered;
        refused += learned.refused;
    }
    assert!(recovered > 0, "nobody came back in time");
    assert!(refused > 0, "nobody came back too late");
    // Exactly as far as the history reaches, and one further.
    for (missed, is_recovered) in [(KEPT, true), (KEPT + 1, false)] {
        let mut late = Learned {
            offset: whole.offset - u64::from(missed),
            ..Learned::default()
        };
        late.epoch.clone_from(&whole.epoch);
        late.connect(server.address(), Kind::Sse).await;
        assert_eq!(
            (late.offset, late.recovered == 1),
            (whole.offset, is_recovered),
            "{missed} missed"
        );
    }
    server.stop().await;
}

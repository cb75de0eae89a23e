use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::engine::{Epoch, PresenceStore, Retention, Since};

#[derive(Default)]
struct Log(Mutex<Vec<(u64, Bytes)>>, Mutex<Vec<Option<Option<u64>>>>);

impl Receiver for Log {
    fn handle_publication(
        &self,
        _: &str,
        publication: &Arc<Publication>,
        _: Option<&Epoch>,
        previous: Previous<'_>,
    ) {
        self.1.lock().push(match previous {
            Previous::Unwanted => None,
            Previous::Unknown => Some(None),
            Previous::Known(previous) => Some(Some(previous.offset)),
        });
        self.0.lock().push((publication.offset, publication.data.clone()));
    }
    fn handle_join(&self, _: &str, _: &Arc<ClientInfo>) {}
    fn handle_leave(&self, _: &str, _: &Arc<ClientInfo>) {}
    fn has_subscribers(&self, _: &str) -> bool {
        true
    }
    fn handle_restored(&self, _: Vec<Arc<str>>) {}
}

fn broker() -> (MemoryBroker, Arc<Log>) {
    let (broker, log) = (MemoryBroker::default(), Arc::<Log>::default());
    broker.attach(log.clone());
    (broker, log)
}

const RETENTION: Retention = Retention {
    size: 3,
    ttl: Duration::from_secs(60),
    meta_ttl: Duration::from_secs(600),
};

fn keep() -> PublishOptions {
    PublishOptions {
        retention: Some(RETENTION),
        ..PublishOptions::default()
    }
}

fn publication(text: &str) -> Publication {
    Publication {
        data: Bytes::copy_from_slice(text.as_bytes()),
        ..Publication::default()
    }
}

fn publish(broker: &MemoryBroker, text: &str, options: PublishOptions) -> Published {
    broker
        .publish("c", publication(text), options)
        .now_or_never()
        .expect("ready")
        .expect("published")
}

#[test]
fn the_publication_before_comes_along_when_it_is_wanted() {
    let (broker, log) = broker();
    let delta = || PublishOptions {
        delta: true,
        ..keep()
    };
    publish(&broker, "1", delta());
    publish(&broker, "2", delta());
    publish(&broker, "3", keep());
    publish(&broker, "4", delta());
    let bare = PublishOptions {
        retention: None,
        ..delta()
    };
    publish(&broker, "without history", bare);
    publish(&broker, "5", delta());
    let removed = broker.remove_history("c").now_or_never();
    removed.expect("ready").expect("removed");
    publish(&broker, "6", delta());
    let previous = [
        Some(None),
        Some(Some(1)),
        None,
        Some(Some(3)),
        Some(None),
        Some(Some(4)),
        Some(None),
    ];
    assert_eq!(*log.1.lock(), previous);
}

fn read(broker: &MemoryBroker, limit: Option<usize>, since: Option<u64>, reverse: bool) -> Vec<u64> {
    let since = since.map(|offset| Since {
        offset,
        epoch: String::new(),
    });
    let query = HistoryQuery {
        limit,
        since,
        reverse,
        meta_ttl: RETENTION.meta_ttl,
    };
    let history = broker
        .history("c", query)
        .now_or_never()
        .expect("ready")
        .expect("history");
    history
        .publications
        .iter()
        .map(|publication| publication.offset)
        .collect()
}

#[test]
fn keeps_the_newest_and_reads_both_ways() {
    let (broker, log) = broker();
    for text in ["1", "2", "3", "4"] {
        publish(&broker, text, keep());
    }
    assert_eq!(log.0.lock().len(), 4);
    assert_eq!(read(&broker, None, None, false), [2, 3, 4]);
    assert_eq!(read(&broker, Some(2), None, true), [4, 3]);
    assert_eq!(read(&broker, Some(0), None, false), [0_u64; 0]);
    assert_eq!(read(&broker, None, Some(3), false), [4]);
    assert_eq!(read(&broker, None, Some(3), true), [2]);
    assert_eq!(read(&broker, None, Some(5), true), [4, 3, 2]);
    assert_eq!(read(&broker, None, Some(6), true), [0_u64; 0]);
    assert_eq!(read(&broker, None, Some(9), false), [0_u64; 0]);
}

#[test]
fn repeats_and_old_versions_deliver_nothing() {
    let (broker, log) = broker();
    let keyed = PublishOptions {
        idempotency_key: Some("k".into()),
        ..keep()
    };
    let first = publish(&broker, "1", keyed.clone());
    let again = publish(&broker, "2", keyed);
    assert_eq!(again.position, first.position);
    assert_eq!(again.suppressed, Some(Suppressed::Idempotency));
    let versioned = |version| Publication {
        version,
        ..publication("v")
    };
    let send = |version| {
        broker
            .publish("c", versioned(version), keep())
            .now_or_never()
            .expect("ready")
            .expect("ok")
    };
    assert_eq!(send(5).suppressed, None);
    assert_eq!(send(5).suppressed, Some(Suppressed::Version));
    assert_eq!(send(4).position, send(5).position);
    assert_eq!(send(6).suppressed, None);
    assert_eq!(log.0.lock().len(), 3);
}

#[test]
fn a_forgotten_stream_starts_a_new_epoch() {
    let (broker, _) = broker();
    let first = publish(&broker, "1", keep()).position.expect("position");
    let stream = broker.stream("c");
    stream.lock().expire(Instant::now() + Duration::from_secs(61));
    assert_eq!(read(&broker, None, None, false), [0_u64; 0]);
    assert_eq!(stream.lock().top(), first, "items expire, the position stays");
    broker.sweep(Instant::now() + Duration::from_secs(700));
    let second = publish(&broker, "2", keep()).position.expect("position");
    assert_eq!(second.offset, 1);
    assert_ne!(second.epoch, first.epoch);
}

#[test]
fn presence_counts_clients_and_users() {
    let store = MemoryPresence::new(Duration::from_secs(60));
    let info = |user: &str| {
        Arc::new(ClientInfo {
            user: user.into(),
            ..ClientInfo::default()
        })
    };
    for (client, user) in [("a", "1"), ("b", "1"), ("c", "2"), ("c", "2")] {
        store
            .add("ch", client, info(user))
            .now_or_never()
            .expect("ready")
            .expect("ok");
    }
    let stats = || store.stats("ch").now_or_never().expect("ready").expect("ok");
    assert_eq!((stats().clients, stats().users), (3, 2));
    store
        .remove("ch", "a", "1")
        .now_or_never()
        .expect("ready")
        .expect("ok");
    assert_eq!((stats().clients, stats().users), (2, 2));
    store.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!((stats().clients, stats().users), (0, 0));
    assert!(
        store
            .presence("ch")
            .now_or_never()
            .expect("ready")
            .expect("ok")
            .is_empty()
    );
}

proptest! {
    #[test]
    fn reads_agree_with_a_plain_list(
        count in 0_u64..12,
        size in 1_usize..6,
        limit in proptest::option::of(0_usize..8),
        since in proptest::option::of(0_u64..14),
        reverse: bool,
    ) {
        let (broker, _) = broker();
        let retention = Retention { size, ..RETENTION };
        for index in 0..count {
            publish(&broker, &index.to_string(), PublishOptions { retention: Some(retention), ..PublishOptions::default() });
        }
        let since = if reverse { since.map(|offset| offset.max(1)) } else { since };
        let mut model: Vec<u64> = (1..=count).rev().take(size).collect();
        if !reverse {
            model.reverse();
        }
        if let Some(since) = since {
            if reverse {
                model.retain(|offset| *offset < since && since <= count + 1);
            } else {
                model.retain(|offset| *offset > since);
            }
        }
        model.truncate(limit.unwrap_or(usize::MAX));
        prop_assert_eq!(read(&broker, limit, since, reverse), model);
    }
}

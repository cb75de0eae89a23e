//! What brokers with history say of positions at their edges, and how long positions live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate::engine::{ClientInfo, Position, Publication, PublishOptions};

use crate::brokers::{kept, offsets, publish, query, read};
use crate::kit::{BrokerKit, TestNode};

/// Everything.
pub async fn suite(kit: &BrokerKit, node: &TestNode) {
    what_is_kept_is_whole(kit, node).await;
    gaps_are_seen(node).await;
    nobody_is_ahead(node).await;
    they_live_as_long_as_they_are_used(node).await;
}

fn position(published: tidegate::engine::Published) -> Position {
    published.position.expect("a position")
}

async fn what_is_kept_is_whole(kit: &BrokerKit, node: &TestNode) {
    let channel = "positions:whole";
    node.subscribe(channel).await;
    let publication = Publication {
        data: Bytes::from_static(b"\x00\xff not text"),
        info: Some(Arc::new(ClientInfo {
            user: "42".to_owned(),
            client: "c".to_owned(),
            conn_info: Bytes::from_static(b"{\"i\":1}"),
            chan_info: Bytes::from_static(b"{\"c\":1}"),
        })),
        tags: BTreeMap::from([("a".to_owned(), "b".to_owned()), ("".to_owned(), "__".to_owned())]),
        time_ms: 1_700_000_000_123,
        version: if kit.has_versions { 7 } else { 0 },
        ..Publication::default()
    };
    let published = node.broker.publish(channel, publication, kept(10)).await.unwrap();
    node.delivers(channel, 1).await;
    let heard = node.publications(channel);
    let history = read(node, channel, query(None, None, false)).await;
    assert_eq!(history.publications, heard);
    assert_eq!(heard[0].offset, position(published).offset);
    assert_eq!(heard[0].data, Bytes::from_static(b"\x00\xff not text"));
    assert_eq!(
        (heard[0].tags.len(), heard[0].version),
        (2, if kit.has_versions { 7 } else { 0 })
    );
    assert!(
        heard[0]
            .info
            .as_ref()
            .is_some_and(|info| info.chan_info == b"{\"c\":1}".as_slice())
    );
}

/// What follows a position begins with the oldest that is kept: its offset shows the gap.
async fn gaps_are_seen(node: &TestNode) {
    let channel = "positions:gap";
    let mut last = None;
    for index in 1..=9 {
        last = Some(position(
            publish(node, channel, &index.to_string(), kept(3)).await,
        ));
    }
    let epoch = last.expect("published").epoch;
    for (limit, since, expected) in [
        (None, 1, vec![7, 8, 9]),
        (Some(2), 1, vec![7, 8]),
        (None, 6, vec![7, 8, 9]),
        (None, 7, vec![8, 9]),
    ] {
        let history = read(node, channel, query(limit, Some((since, epoch.as_str())), false)).await;
        assert_eq!(
            (offsets(&history), history.top.offset),
            (expected, 9),
            "since {since}"
        );
    }
}

/// After a failover clients can be ahead of a stream.
async fn nobody_is_ahead(node: &TestNode) {
    let channel = "positions:ahead";
    let epoch = position(publish(node, channel, "1", kept(3)).await).epoch;
    for since in [2, 1000, u64::MAX] {
        let history = read(node, channel, query(None, Some((since, epoch.as_str())), false)).await;
        assert_eq!(
            (offsets(&history), history.top.offset),
            (vec![], 1),
            "since {since}"
        );
    }
}

/// Epoch and offset end with their time to live; publishing and reading renews it.
async fn they_live_as_long_as_they_are_used(node: &TestNode) {
    let short = Duration::from_secs(2);
    let mut options: PublishOptions = kept(10);
    if let Some(retention) = &mut options.retention {
        retention.ttl = Duration::from_secs(1);
        retention.meta_ttl = short;
    }
    let (left, used) = ("positions:left", "positions:used");
    let before = position(publish(node, left, "1", options.clone()).await);
    let kept = position(publish(node, used, "1", options.clone()).await);
    let began = Instant::now();
    while began.elapsed() < 2 * short {
        let mut reading = query(Some(0), None, false);
        reading.meta_ttl = short;
        assert_eq!(read(node, used, reading).await.top, kept);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = position(publish(node, left, "2", options).await);
    assert_eq!(after.offset, 1);
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(
        offsets(&read(node, left, query(None, None, false)).await),
        [1],
        "nothing of the epoch before"
    );
}

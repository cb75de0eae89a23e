//! The suite for brokers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tidegate::engine::{
    ClientInfo, EngineError, History, HistoryQuery, Publication, PublishOptions, Published, Retention, Since,
    Suppressed,
};

use crate::kit::{BrokerKit, Delivered, TestNode, eventually};
use crate::{positions, races};

/// Everything.
pub async fn suite(kit: BrokerKit) {
    let node = TestNode::new(&kit).await;
    publications_arrive_whole(&node).await;
    publishing_keeps_its_order(&node, kit.has_history).await;
    odd_names_and_sizes(&node).await;
    joins_and_leaves(&node).await;
    many_channels(&node).await;
    if kit.has_history {
        history_is_read_in_parts(&node, &kit).await;
        streams_are_limited(&node).await;
        removed_history_keeps_its_position(&node).await;
        repeats_are_found(&node).await;
        deltas_know_what_was_before(&node).await;
        nothing_is_written_for_a_read(&node).await;
        positions::suite(&kit, &node).await;
        if kit.has_versions {
            old_versions_are_dropped(&node, kit.forgets_versions).await;
        }
    }
    if !kit.is_shared {
        races::suite(&kit, &node, &node).await;
    } else {
        let other = TestNode::new(&kit).await;
        races::suite(&kit, &node, &other).await;
        nodes_hear_each_other(&node, &other, kit.has_history).await;
        channels_are_left_late(&node, &other).await;
        if kit.has_history {
            publishers_of_two_nodes(&node, &other).await;
        }
    }
}

pub const HOUR: Duration = Duration::from_secs(3600);

pub fn text(text: &str) -> Publication {
    Publication {
        data: Bytes::from(format!("{text:?}")),
        time_ms: 1_700_000_000_000,
        ..Publication::default()
    }
}

pub fn kept(size: usize) -> PublishOptions {
    PublishOptions {
        retention: Some(Retention {
            size,
            ttl: HOUR,
            meta_ttl: HOUR,
        }),
        ..PublishOptions::default()
    }
}

pub fn query(limit: Option<usize>, since: Option<(u64, &str)>, reverse: bool) -> HistoryQuery {
    HistoryQuery {
        limit,
        since: since.map(|(offset, epoch)| Since {
            offset,
            epoch: epoch.to_owned(),
        }),
        reverse,
        meta_ttl: HOUR,
    }
}

pub fn offsets(history: &History) -> Vec<u64> {
    history
        .publications
        .iter()
        .map(|publication| publication.offset)
        .collect()
}

pub async fn publish(node: &TestNode, channel: &str, data: &str, options: PublishOptions) -> Published {
    node.broker.publish(channel, text(data), options).await.unwrap()
}

pub async fn read(node: &TestNode, channel: &str, query: HistoryQuery) -> History {
    node.broker.history(channel, query).await.unwrap()
}

async fn publications_arrive_whole(node: &TestNode) {
    let channel = "suite:whole";
    node.subscribe(channel).await;
    let publication = Publication {
        data: Bytes::from_static(b"{\"n\": 1}"),
        info: Some(Arc::new(ClientInfo {
            user: "42".to_owned(),
            client: "c".to_owned(),
            conn_info: Bytes::from_static(b"{\"i\":1}"),
            chan_info: Bytes::from_static(b"{\"c\":1}"),
        })),
        tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        time_ms: 1_700_000_000_123,
        ..Publication::default()
    };
    let published = node
        .broker
        .publish(channel, publication.clone(), PublishOptions::default())
        .await
        .unwrap();
    assert_eq!((published.position, published.suppressed), (None, None));
    node.delivers(channel, 1).await;
    assert_eq!(*node.publications(channel)[0], publication);
}

/// Each future is polled once before the next: that alone orders them.
async fn publishing_keeps_its_order(node: &TestNode, has_history: bool) {
    const COUNT: usize = 500;
    for (channel, options) in [
        ("suite:order", PublishOptions::default()),
        ("suite:order:kept", kept(COUNT)),
    ] {
        if options.retention.is_some() && !has_history {
            continue;
        }
        node.subscribe(channel).await;
        let publishing = (0..COUNT).map(|index| {
            let publication = text(&index.to_string());
            node.broker.publish(channel, publication, options.clone())
        });
        for published in join_all(publishing).await {
            published.unwrap();
        }
        let delivered = node.delivers(channel, COUNT).await;
        for (index, delivered) in delivered.iter().enumerate() {
            let Delivered::Publication { data, offset, .. } = delivered else {
                panic!("{delivered:?}");
            };
            assert_eq!(*data, format!("\"{index}\""));
            let expected = if options.retention.is_some() {
                index as u64 + 1
            } else {
                0
            };
            assert_eq!(*offset, expected);
        }
    }
}

async fn odd_names_and_sizes(node: &TestNode) {
    for channel in ["ünï:çødé", "a{b}c", "x:y#1,2", "__p1:1:e__", "per%20cent"] {
        node.subscribe(channel).await;
        publish(node, channel, channel, PublishOptions::default()).await;
        let delivered = node.delivers(channel, 1).await;
        assert!(
            matches!(&delivered[0], Delivered::Publication { data, .. } if *data == format!("{channel:?}"))
        );
    }
    let channel = "suite:large";
    node.subscribe(channel).await;
    let data = "x".repeat(900 * 1024);
    publish(node, channel, &data, PublishOptions::default()).await;
    let delivered = node.delivers(channel, 1).await;
    assert!(matches!(&delivered[0], Delivered::Publication { data: got, .. } if got.len() == data.len() + 2));
}

async fn joins_and_leaves(node: &TestNode) {
    let channel = "suite:people";
    node.subscribe(channel).await;
    let info = |client: &str| {
        Arc::new(ClientInfo {
            user: "u".to_owned(),
            client: client.to_owned(),
            ..ClientInfo::default()
        })
    };
    node.broker.publish_join(channel, info("a")).await.unwrap();
    node.broker.publish_join(channel, info("b")).await.unwrap();
    node.broker.publish_leave(channel, info("a")).await.unwrap();
    assert_eq!(
        node.delivers(channel, 3).await,
        [
            Delivered::Join("a".to_owned()),
            Delivered::Join("b".to_owned()),
            Delivered::Leave("a".to_owned())
        ]
    );
}

async fn many_channels(node: &TestNode) {
    let channels: Vec<String> = (0..1000).map(|index| format!("suite:many:{index}")).collect();
    join_all(channels.iter().map(|channel| node.subscribe(channel))).await;
    join_all(
        channels
            .iter()
            .map(|channel| publish(node, channel, channel, PublishOptions::default())),
    )
    .await;
    for channel in &channels {
        node.delivers(channel, 1).await;
    }
}

async fn history_is_read_in_parts(node: &TestNode, kit: &BrokerKit) {
    let channel = "suite:history";
    let mut positions = Vec::new();
    for index in 1..=5 {
        let published = publish(node, channel, &index.to_string(), kept(10)).await;
        positions.push(published.position.expect("a position"));
    }
    let epoch = positions[0].epoch.clone();
    assert!(!epoch.as_str().is_empty());
    assert!(positions.iter().all(|position| position.epoch == epoch));
    let all: Vec<u64> = positions.iter().map(|position| position.offset).collect();
    assert_eq!(all, [1, 2, 3, 4, 5]);

    let whole = read(node, channel, query(None, None, false)).await;
    assert_eq!((offsets(&whole), whole.top.offset), (all, 5));
    assert_eq!(whole.top.epoch, epoch);
    assert_eq!(whole.publications[4].data, "\"5\"");
    assert_eq!(whole.publications[4].time_ms, 1_700_000_000_000);
    let epoch = epoch.as_str();
    for (limit, since, expected) in [
        (Some(0), None, vec![]),
        (Some(2), None, vec![1, 2]),
        (None, Some((3, epoch)), vec![4, 5]),
        (None, Some((3, "")), vec![4, 5]),
        (Some(1), Some((3, epoch)), vec![4]),
        (None, Some((5, epoch)), vec![]),
        (None, Some((0, epoch)), vec![1, 2, 3, 4, 5]),
    ] {
        let part = read(node, channel, query(limit, since, false)).await;
        assert_eq!(
            (offsets(&part), part.top.offset),
            (expected, 5),
            "{limit:?} since {since:?}"
        );
    }
    if kit.reads_backwards {
        for (limit, since, expected) in [
            (None, None, vec![5, 4, 3, 2, 1]),
            (Some(2), None, vec![5, 4]),
            (None, Some((3, epoch)), vec![2, 1]),
            (Some(1), Some((3, epoch)), vec![2]),
            (None, Some((1, epoch)), vec![]),
        ] {
            let part = read(node, channel, query(limit, since, true)).await;
            assert_eq!(offsets(&part), expected, "{limit:?} back from {since:?}");
        }
        let nowhere = node
            .broker
            .history(channel, query(None, Some((0, epoch)), true))
            .await;
        assert_eq!(nowhere.err(), Some(EngineError::InvalidSince));
    }
    let other = node
        .broker
        .history(channel, query(None, Some((3, "other")), false))
        .await;
    assert_eq!(other.err(), Some(EngineError::UnrecoverablePosition));
}

async fn streams_are_limited(node: &TestNode) {
    let channel = "suite:limits";
    for index in 1..=7 {
        publish(node, channel, &index.to_string(), kept(3)).await;
    }
    let history = read(node, channel, query(None, None, false)).await;
    assert_eq!((offsets(&history), history.top.offset), (vec![5, 6, 7], 7));
    let short = PublishOptions {
        retention: Some(Retention {
            size: 3,
            ttl: Duration::from_secs(1),
            meta_ttl: HOUR,
        }),
        ..PublishOptions::default()
    };
    publish(node, channel, "8", short).await;
    let emptied = eventually("the end of the items", async || {
        let history = read(node, channel, query(None, None, false)).await;
        history.publications.is_empty().then_some(history)
    })
    .await;
    assert_eq!(
        (emptied.top.offset, &emptied.top.epoch),
        (8, &history.top.epoch),
        "the position stays"
    );
    let next = publish(node, channel, "9", kept(3)).await;
    assert_eq!(next.position.map(|position| position.offset), Some(9));
}

async fn removed_history_keeps_its_position(node: &TestNode) {
    let channel = "suite:removed";
    let first = publish(node, channel, "1", kept(10))
        .await
        .position
        .expect("a position");
    node.broker.remove_history(channel).await.unwrap();
    let empty = read(node, channel, query(None, None, false)).await;
    assert_eq!((offsets(&empty), &empty.top), (vec![], &first));
    let second = publish(node, channel, "2", kept(10))
        .await
        .position
        .expect("a position");
    assert_eq!((second.offset, &second.epoch), (2, &first.epoch));
    assert_eq!(offsets(&read(node, channel, query(None, None, false)).await), [2]);
    node.broker
        .remove_history("suite:removed:never-there")
        .await
        .unwrap();
}

async fn repeats_are_found(node: &TestNode) {
    for (channel, options) in [
        ("suite:once", kept(10)),
        ("suite:once:plain", PublishOptions::default()),
    ] {
        node.subscribe(channel).await;
        let with_key = |key: &str| PublishOptions {
            idempotency_key: Some(key.to_owned()),
            ..options.clone()
        };
        let first = publish(node, channel, "1", with_key("k")).await;
        assert_eq!(first.suppressed, None);
        let again = publish(node, channel, "2", with_key("k")).await;
        assert_eq!(again.suppressed, Some(Suppressed::Idempotency));
        if options.retention.is_some() {
            assert_eq!(again.position, first.position);
        }
        publish(node, channel, "3", with_key("other")).await;
        let delivered = node.delivers(channel, 2).await;
        let data: Vec<_> = delivered
            .iter()
            .map(|delivered| match delivered {
                Delivered::Publication { data, .. } => data.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(data, ["\"1\"", "\"3\""]);
    }
}

async fn old_versions_are_dropped(node: &TestNode, forgets: bool) {
    let channel = "suite:versions";
    node.subscribe(channel).await;
    let versioned = |version: u64, epoch: &str| {
        let publication = Publication {
            version,
            ..text(&version.to_string())
        };
        let options = PublishOptions {
            version_epoch: epoch.to_owned(),
            ..kept(10)
        };
        node.broker.publish(channel, publication, options)
    };
    for (version, epoch, suppressed) in [
        (2, "a", None),
        (2, "a", Some(Suppressed::Version)),
        (1, "a", Some(Suppressed::Version)),
        (1, "", Some(Suppressed::Version)),
        (1, "b", None),
        (3, "b", None),
        (0, "", None),
    ] {
        let published = versioned(version, epoch).await.unwrap();
        assert_eq!(published.suppressed, suppressed, "{version} of {epoch:?}");
    }
    let after = versioned(2, "b").await.unwrap();
    let expected = (!forgets).then_some(Suppressed::Version);
    assert_eq!(
        after.suppressed, expected,
        "after a publication without a version"
    );
}

async fn deltas_know_what_was_before(node: &TestNode) {
    let channel = "suite:delta";
    node.subscribe(channel).await;
    let with_delta = |size| PublishOptions {
        delta: true,
        ..kept(size)
    };
    publish(node, channel, "1", with_delta(10)).await;
    publish(node, channel, "2", with_delta(10)).await;
    publish(node, channel, "3", kept(10)).await;
    publish(node, channel, "4", with_delta(10)).await;
    let previous: Vec<_> = node
        .delivers(channel, 4)
        .await
        .into_iter()
        .map(|delivered| match delivered {
            Delivered::Publication { previous, .. } => previous,
            other => panic!("{other:?}"),
        })
        .collect();
    let known = |text: &str| Some(Some(Bytes::from(format!("{text:?}"))));
    assert_eq!(previous, [Some(None), known("1"), None, known("3")]);
    let plain = "suite:delta:plain";
    node.subscribe(plain).await;
    let options = PublishOptions {
        delta: true,
        ..PublishOptions::default()
    };
    publish(node, plain, "1", options).await;
    let delivered = node.delivers(plain, 1).await;
    assert!(matches!(
        &delivered[0],
        Delivered::Publication {
            previous: Some(None),
            offset: 0,
            ..
        }
    ));
}

async fn nothing_is_written_for_a_read(node: &TestNode) {
    let channel = "suite:read-first";
    let empty = read(node, channel, query(Some(0), None, false)).await;
    assert_eq!(empty.top.offset, 0);
    assert!(!empty.top.epoch.as_str().is_empty());
    let again = read(node, channel, query(None, None, false)).await;
    assert_eq!(again.top, empty.top, "the epoch is that of the first read");
    let first = publish(node, channel, "1", kept(10))
        .await
        .position
        .expect("a position");
    assert_eq!((first.offset, first.epoch), (1, empty.top.epoch));
}

async fn nodes_hear_each_other(node: &TestNode, other: &TestNode, has_history: bool) {
    let channel = "suite:nodes";
    node.subscribe(channel).await;
    other.subscribe(channel).await;
    publish(node, channel, "1", PublishOptions::default()).await;
    node.delivers(channel, 1).await;
    publish(other, channel, "2", PublishOptions::default()).await;
    let here = node.delivers(channel, 2).await;
    assert_eq!(here, other.delivers(channel, 2).await);
    if has_history {
        let published = publish(other, channel, "3", kept(10)).await;
        let history = read(node, channel, query(None, None, false)).await;
        assert_eq!(Some(&history.top), published.position.as_ref());
        let delivered = node.delivers(channel, 3).await;
        assert!(
            matches!(&delivered[2], Delivered::Publication { offset: 1, epoch: Some(epoch), .. } if *epoch == history.top.epoch)
        );
    }
}

async fn channels_are_left_late(node: &TestNode, other: &TestNode) {
    let (left, back) = ("suite:left", "suite:back");
    for channel in [left, back] {
        node.subscribe(channel).await;
        node.unsubscribe(channel).await;
    }
    node.subscribe(back).await;
    publish(other, back, "1", PublishOptions::default()).await;
    node.delivers(back, 1).await;
    eventually("the end of a subscription", async || {
        let before = node.delivered(left).len();
        publish(other, left, "x", PublishOptions::default()).await;
        publish(other, back, "x", PublishOptions::default()).await;
        let marks = node.delivered(back).len();
        eventually("the mark", async || {
            (node.delivered(back).len() > marks.saturating_sub(1)).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        (node.delivered(left).len() == before).then_some(())
    })
    .await;
    node.subscribe(left).await;
    let before = node.delivered(left).len();
    publish(other, left, "again", PublishOptions::default()).await;
    node.delivers(left, before + 1).await;
}

async fn publishers_of_two_nodes(node: &TestNode, other: &TestNode) {
    const EACH: usize = 300;
    let channel = "suite:publishers";
    node.subscribe(channel).await;
    other.subscribe(channel).await;
    let all = |node: &'static str, publisher: &TestNode| {
        let broker = publisher.broker.clone();
        async move {
            let publishing =
                (0..EACH).map(|index| broker.publish(channel, text(&format!("{node}{index}")), kept(10_000)));
            join_all(publishing).await
        }
    };
    let (one, two) = tokio::join!(all("a", node), all("b", other));
    let mut offsets: Vec<u64> = one
        .into_iter()
        .chain(two)
        .map(|published| published.unwrap().position.expect("a position").offset)
        .collect();
    offsets.sort_unstable();
    assert_eq!(
        offsets,
        (1..=2 * EACH as u64).collect::<Vec<_>>(),
        "no offset twice, none left out"
    );
    for heard in [node, other] {
        let delivered = heard.delivers(channel, 2 * EACH).await;
        let order: Vec<u64> = delivered
            .iter()
            .map(|delivered| match delivered {
                Delivered::Publication { offset, .. } => *offset,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            order,
            (1..=2 * EACH as u64).collect::<Vec<_>>(),
            "delivered in the order of offsets"
        );
    }
}

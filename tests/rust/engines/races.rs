//! What must hold of brokers when several things happen to one channel at once.

use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select};
use tidegate::engine::{PublishOptions, Suppressed};

use crate::brokers::{kept, offsets, publish, query, read, text};
use crate::kit::{BrokerKit, Delivered, TestNode, eventually};

/// Everything; `other` is a second node, where the engine has room for one.
pub async fn suite(kit: &BrokerKit, node: &TestNode, other: &TestNode) {
    a_channel_is_there_when_subscribing_ends(node, other).await;
    second_subscribers_wait_as_well(node, other).await;
    whoever_comes_back_is_heard(node, other).await;
    dropped_calls_harm_nobody(node).await;
    if kit.has_history {
        calls_on_a_channel_keep_their_order(node).await;
        a_key_is_taken_once(node, other).await;
        previous_is_what_the_stream_has_before(node, other).await;
        if kit.has_versions {
            versions_only_grow(node, other).await;
        }
    }
}

fn data(delivered: &[Delivered]) -> Vec<Bytes> {
    delivered
        .iter()
        .map(|delivered| match delivered {
            Delivered::Publication { data, .. } => data.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn a_channel_is_there_when_subscribing_ends(node: &TestNode, other: &TestNode) {
    let channels: Vec<_> = (0..200).map(|index| format!("races:there:{index}")).collect();
    join_all(channels.iter().map(|channel| async {
        node.subscribe(channel).await;
        publish(other, channel, channel, PublishOptions::default()).await;
        node.delivers(channel, 1).await;
    }))
    .await;
}

/// Two at once, and whoever is told first can rely on it.
async fn second_subscribers_wait_as_well(node: &TestNode, other: &TestNode) {
    let channels: Vec<_> = (0..100).map(|index| format!("races:second:{index}")).collect();
    join_all(channels.iter().map(|channel| async {
        let (first, second) = (
            Box::pin(node.subscribe(channel)),
            Box::pin(node.subscribe(channel)),
        );
        // The second one is asked first from its second poll on.
        select(second, first).await;
        publish(other, channel, channel, PublishOptions::default()).await;
        node.delivers(channel, 1).await;
    }))
    .await;
}

/// Engines give a channel up about a second after the last one has left: somebody comes back around that time.
async fn whoever_comes_back_is_heard(node: &TestNode, other: &TestNode) {
    let channels: Vec<_> = (0..200)
        .map(|index| (index, format!("races:back:{index}")))
        .collect();
    join_all(channels.iter().map(|(index, channel)| async move {
        node.subscribe(channel).await;
        node.unsubscribe(channel).await;
        // A spread around the moment; the result is the same for all.
        tokio::time::sleep(Duration::from_millis(950 + index)).await;
        node.subscribe(channel).await;
        publish(other, channel, channel, PublishOptions::default()).await;
        node.delivers(channel, 1).await;
    }))
    .await;
}

/// A call whose future was dropped may have taken effect; those around it do, and in their order.
async fn dropped_calls_harm_nobody(node: &TestNode) {
    const COUNT: usize = 200;
    let channel = "races:dropped";
    node.subscribe(channel).await;
    let mut publishing = Vec::new();
    for index in 0..COUNT {
        let mut publication =
            node.broker
                .publish(channel, text(&index.to_string()), PublishOptions::default());
        let is_done = publication
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        if !is_done && index % 3 != 0 {
            publishing.push(publication);
        }
    }
    for published in join_all(publishing).await {
        published.unwrap();
    }
    publish(node, channel, "end", PublishOptions::default()).await;
    let delivered = eventually("the last publication", async || {
        let delivered = data(&node.delivered(channel));
        (delivered.last()? == "\"end\"").then_some(delivered)
    })
    .await;
    let numbers: Vec<usize> = delivered[..delivered.len() - 1]
        .iter()
        .map(|data| {
            std::str::from_utf8(data)
                .unwrap()
                .trim_matches('"')
                .parse()
                .unwrap()
        })
        .collect();
    assert!(
        numbers.is_sorted_by(|before, after| before < after),
        "{numbers:?}"
    );
    let missing: Vec<_> = (0..COUNT).filter(|index| !numbers.contains(index)).collect();
    assert!(
        missing.iter().all(|index| index % 3 == 0),
        "{missing:?} were not dropped"
    );
}

async fn calls_on_a_channel_keep_their_order(node: &TestNode) {
    let channels: Vec<_> = (0..50).map(|index| format!("races:order:{index}")).collect();
    join_all(channels.iter().map(|channel| async move {
        let broker = &node.broker;
        let all = || query(None, None, false);
        let (first, one, removed, none, second, last) = tokio::join!(
            biased;
            broker.publish(channel, text("1"), kept(10)),
            broker.history(channel, all()),
            broker.remove_history(channel),
            broker.history(channel, all()),
            broker.publish(channel, text("2"), kept(10)),
            broker.history(channel, all()),
        );
        removed.unwrap();
        let offset = |position: Option<tidegate::engine::Position>| position.expect("a position").offset;
        assert_eq!(offset(first.unwrap().position), 1);
        assert_eq!(offset(second.unwrap().position), 2);
        let [one, none, last] = [one, none, last].map(Result::unwrap);
        assert_eq!((offsets(&one), one.top.offset), (vec![1], 1));
        assert_eq!((offsets(&none), none.top.offset), (vec![], 1));
        assert_eq!((offsets(&last), last.top.offset), (vec![2], 2));
    }))
    .await;
}

async fn a_key_is_taken_once(node: &TestNode, other: &TestNode) {
    const KEYS: usize = 100;
    let channel = "races:once";
    node.subscribe(channel).await;
    join_all((0..KEYS).map(|key| async move {
        let options = || PublishOptions {
            idempotency_key: Some(key.to_string()),
            ..kept(10 * KEYS)
        };
        let (here, there, again) = tokio::join!(
            publish(node, channel, "x", options()),
            publish(other, channel, "x", options()),
            publish(node, channel, "x", options()),
        );
        assert_eq!(
            (&here.position, &there.position),
            (&there.position, &again.position)
        );
        let taken = [here, there, again]
            .iter()
            .filter(|published| published.suppressed.is_none())
            .count();
        assert_eq!(taken, 1, "of three with the key {key}");
    }))
    .await;
    assert_eq!(
        read(node, channel, query(Some(0), None, false)).await.top.offset,
        KEYS as u64
    );
    assert_eq!(node.delivers(channel, KEYS).await.len(), KEYS);
}

async fn previous_is_what_the_stream_has_before(node: &TestNode, other: &TestNode) {
    const EACH: usize = 100;
    let channel = "races:delta";
    node.subscribe(channel).await;
    let publishing = |name: &'static str, node: &TestNode| {
        let broker = node.broker.clone();
        async move {
            let options = PublishOptions {
                delta: true,
                ..kept(2)
            };
            join_all(
                (0..EACH)
                    .map(|index| broker.publish(channel, text(&format!("{name}{index}")), options.clone())),
            )
            .await
        }
    };
    tokio::join!(publishing("a", node), publishing("b", other));
    let delivered = node.delivers(channel, 2 * EACH).await;
    let mut before = None;
    for delivered in delivered {
        let Delivered::Publication { data, previous, .. } = delivered else {
            panic!("{delivered:?}");
        };
        assert_eq!(previous, Some(before.replace(data)));
    }
}

async fn versions_only_grow(node: &TestNode, other: &TestNode) {
    const COUNT: u64 = 100;
    let channel = "races:versions";
    node.subscribe(channel).await;
    let publishing = |publisher: &TestNode| {
        let broker = publisher.broker.clone();
        async move {
            join_all((1..=COUNT).map(|version| {
                let publication = tidegate::engine::Publication {
                    version,
                    ..text(&version.to_string())
                };
                broker.publish(channel, publication, kept(1000))
            }))
            .await
        }
    };
    let (here, there) = tokio::join!(publishing(node), publishing(other));
    let taken = here
        .into_iter()
        .chain(there)
        .filter(|published| published.as_ref().unwrap().suppressed != Some(Suppressed::Version))
        .count();
    let delivered = data(&node.delivers(channel, taken).await);
    assert_eq!(delivered.len(), taken);
    let versions: Vec<u64> = delivered
        .iter()
        .map(|data| {
            std::str::from_utf8(data)
                .unwrap()
                .trim_matches('"')
                .parse()
                .unwrap()
        })
        .collect();
    assert!(
        versions.is_sorted_by(|before, after| before < after),
        "{versions:?}"
    );
    assert_eq!(versions.last(), Some(&COUNT));
}

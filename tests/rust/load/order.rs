//! One order per channel, whoever publishes and however it is heard; nothing lost, nothing twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::all;
use crate::kind::{KINDS, Kind, SECURE, SESSIONS};
use crate::link::{Buffers, Link};
use crate::message::{Command, Item, PADDING};
use crate::record::{Pace, Record};
use crate::server::{Api, LoadedServer};
use crate::support::merge;

/// The last one has a history, and so offsets and positions.
const CHANNELS: [&str; 3] = ["a", "b", "st:c"];
const PUBLISHERS: u32 = 4;
/// Publications of one publisher to one channel.
const EACH: u32 = 250;
/// Subscribers who make a broadcast long, and publishers enough for two broadcasts at a time.
const CROWD: usize = 150;
const CROWD_PUBLISHERS: u32 = 8;
const CROWD_EACH: u32 = 60;
/// Commands or publications sent without waiting for an answer in between.
const AT_ONCE: usize = 25;

async fn server(changes: Value) -> LoadedServer {
    let mut config = json!({
        "client": { "queue_max_size": 64 << 20 },
        "websocket": { "write_timeout": "60s" },
        "channel": { "namespaces": [
            { "name": "st", "history_size": 100, "history_ttl": "60s", "force_recovery": true }
        ] }
    });
    merge(&mut config, changes);
    LoadedServer::start(config).await
}

/// What one publisher has to say: its numbers ascend on each channel.
fn items(source: u32) -> Vec<(&'static str, Item)> {
    let of = |number| CHANNELS.map(|channel| (channel, Item::new(source, number)));
    (0..EACH).flat_map(of).collect()
}

async fn publish_singly(mut api: Api, source: u32) {
    for (channel, item) in items(source) {
        api.publish(channel, item).await;
    }
}

async fn publish_in_batches(mut api: Api, source: u32) {
    let items = items(source);
    let (batched, broadcast) = items.split_at(items.len() / 2);
    for batch in batched.chunks(AT_ONCE) {
        api.publish_all(batch.iter().copied()).await;
    }
    // The rest goes to all channels at once.
    for three in broadcast.chunks(CHANNELS.len()) {
        let data = three[0].1.to_data(PADDING);
        let answer = api
            .call("broadcast", json!({ "channels": CHANNELS, "data": data }))
            .await;
        assert_eq!(
            answer["result"]["responses"].as_array().map(Vec::len),
            Some(CHANNELS.len()),
            "{answer}"
        );
    }
}

async fn publish_as_client(address: SocketAddr, kind: Kind, source: u32) {
    let mut link = Link::subscribed(address, kind, Buffers::Usual, &[]).await;
    let items = items(source);
    for batch in items.chunks(AT_ONCE) {
        let commands: Vec<_> = (2..)
            .zip(batch)
            .map(|(id, (channel, item))| Command::publish(id, channel, *item))
            .collect();
        link.say(&commands).await;
        for command in commands {
            link.reply(command.id).await;
        }
    }
}

/// Comes and goes until the burst is over; what it heard each time.
async fn visit(address: SocketAddr, kind: Kind, is_over: Arc<AtomicBool>) -> Vec<Record> {
    let mut stays = Vec::new();
    loop {
        let mut link = Link::subscribed(address, kind, Buffers::Usual, &CHANNELS).await;
        // Who comes before it is over hears the end at the latest.
        if is_over.load(Ordering::SeqCst) {
            return stays;
        }
        stays.push(Record::read(&mut link, Pace::Fast, CHANNELS.len(), 60).await);
        if stays.len() % 2 == 0 {
            link.close().await;
        }
    }
}

/// Publishing clients are of the first two kinds.
async fn one_order(server: LoadedServer, kinds: &[Kind]) {
    let address = server.address();
    let mut staying = JoinSet::new();
    for &kind in kinds {
        for (pace, buffers) in [(Pace::Fast, Buffers::Usual), (Pace::Slow, Buffers::Small)] {
            let mut link = Link::subscribed(address, kind, buffers, &CHANNELS).await;
            staying.spawn(async move { Record::read(&mut link, pace, CHANNELS.len(), usize::MAX).await });
        }
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut visiting = JoinSet::new();
    for &kind in kinds {
        visiting.spawn(visit(address, kind, is_over.clone()));
    }
    let mut publishing = JoinSet::new();
    publishing.spawn(publish_singly(server.api().await, 0));
    publishing.spawn(publish_in_batches(server.api().await, 1));
    publishing.spawn(publish_as_client(address, kinds[0], 2));
    publishing.spawn(publish_as_client(address, kinds[1], 3));
    all(publishing).await;
    is_over.store(true, Ordering::SeqCst);
    for channel in CHANNELS {
        server.api().await.publish(channel, Item::END).await;
    }

    let records = all(staying).await;
    records[0].assert_complete(&CHANNELS, PUBLISHERS, EACH);
    for record in &records {
        record.assert_same(&records[0]);
    }
    let stays: Vec<_> = all(visiting).await.into_iter().flatten().collect();
    assert!(!stays.is_empty(), "nobody came in time");
    for stay in stays {
        stay.assert_part_of(&records[0]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_hear_one_order() {
    one_order(server(json!({})).await, &KINDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_hear_one_order_where_commands_run_side_by_side() {
    one_order(server(json!({ "client": { "concurrency": 8 } })).await, &KINDS).await;
}

/// Pushes wait in batches of their channel and then in the queue; replies in the queue only.
#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_hear_one_order_where_everything_collects() {
    let collecting = json!({
        "client": { "write_delay": "3ms", "max_messages_in_frame": 5, "queue_shrink_delay": "1ms" },
        "channel": {
            "without_namespace": { "batch_max_delay": "2ms" },
            "namespaces": [{
                "name": "st", "history_size": 100, "history_ttl": "60s", "force_recovery": true,
                "batch_max_size": 7, "batch_max_delay": "5ms"
            }]
        }
    });
    one_order(server(collecting).await, &KINDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_subscribers_hear_one_order_over_tls() {
    let [first, second] = SECURE;
    let [.., third, fourth] = SESSIONS;
    let secure = json!({ "http_server": { "tls": { "enabled": true } } });
    one_order(server(secure).await, &[first, second, third, fourth]).await;
}

/// So many subscribers that broadcasts take long, and so many publishers that there is always another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_hears_one_order() {
    let server = server(json!({})).await;
    let address = server.address();
    let mut staying = JoinSet::new();
    for number in 0..CROWD {
        let kind = SESSIONS[number % 2];
        let mut link = Link::subscribed(address, kind, Buffers::Usual, &["a"]).await;
        staying.spawn(async move { Record::read(&mut link, Pace::Fast, 1, usize::MAX).await });
    }
    let mut publishing = JoinSet::new();
    for source in 0..CROWD_PUBLISHERS {
        let mut link = Link::subscribed(address, SESSIONS[0], Buffers::Usual, &[]).await;
        publishing.spawn(async move {
            for number in 0..CROWD_EACH {
                link.say(&[Command::publish(number + 2, "a", Item::new(source, number))])
                    .await;
                link.reply(number + 2).await;
            }
        });
    }
    all(publishing).await;
    server.api().await.publish("a", Item::END).await;
    let records = all(staying).await;
    records[0].assert_complete(&["a"], CROWD_PUBLISHERS, CROWD_EACH);
    for record in &records {
        record.assert_same(&records[0]);
    }
    server.stop().await;
}

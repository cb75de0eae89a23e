//! Sizes at which a Redis is easily held up for everybody else: a hundred thousand members of a channel, and ten
//! thousand channels that are subscribed to again.
//!
//! How long the longest command took is printed (`--nocapture`), as Redis measures it: a busy machine adds to that,
//! so it decides nothing here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use tidegate::engine::{PresenceStats, PresenceStore, PublishOptions};
use tidegate::server::Engines;

use crate::brokers::publish;
use crate::kit::{BrokerKit, TestNode, brokers_of, eventually};
use crate::presence::info;
use crate::redis::{configured, single};
use crate::servers::Server;

const MEMBERS: u32 = 100_000;
const USERS: u32 = 40_000;
const CHANNELS: usize = 10_000;

/// Has a server measure its commands from now on.
fn measure(redis: &Server) {
    redis.cli(&["CONFIG", "SET", "slowlog-log-slower-than", "1000"]);
    redis.cli(&["CONFIG", "SET", "slowlog-max-len", "10000"]);
    redis.cli(&["SLOWLOG", "RESET"]);
}

/// The longest command so far; `None` if all were below a millisecond.
fn longest(redis: &Server) -> Option<Duration> {
    let script = "local longest = 0 \
                  for _, entry in ipairs(redis.call('slowlog', 'get', -1)) do \
                      if entry[3] > longest then longest = entry[3] end \
                  end return longest";
    let longest = redis.cli(&["EVAL", script, "0"]).trim().parse().unwrap();
    (longest > 0).then(|| Duration::from_micros(longest))
}

async fn enter_all(store: &dyn PresenceStore, channel: &str) {
    stream::iter(0..MEMBERS)
        .for_each_concurrent(2000, |index| async move {
            let client = format!("client-{index}");
            let info = info(&(index % USERS).to_string(), &client);
            store.add(channel, &client, info).await.unwrap();
        })
        .await;
}

async fn presence_of_many(mapping: bool) {
    let redis = Server::start(&[]);
    let mut options = single(&redis);
    options["presence_ttl"] = json!("300s");
    options["presence_user_mapping"] = json!(mapping);
    let store = Engines::open(&configured(&options)).await.unwrap().presence;
    eventually("a store that is ready", async || store.ready().ok()).await;
    measure(&redis);
    let channel = "crowd";
    enter_all(&*store, channel).await;
    let expected = PresenceStats {
        clients: MEMBERS,
        users: USERS,
    };
    assert_eq!(store.stats(channel).await.unwrap(), expected);
    let present = store.presence(channel).await.unwrap();
    assert_eq!(present.len(), MEMBERS as usize);
    assert_eq!(present["client-77"], info("77", "client-77"));
    eprintln!(
        "{MEMBERS} members, users counted: {mapping}: at most {:?} at a time",
        longest(&redis)
    );

    // All leases end at once, as those of a node that died do.
    measure(&redis);
    let past = "local members = redis.call('zrange', KEYS[1], 0, -1) \
                for first = 1, #members do redis.call('zadd', KEYS[1], 1, members[first]) end";
    redis.cli(&["EVAL", past, "1", "centrifugo.presence.expire.crowd"]);
    if mapping {
        redis.cli(&["EVAL", past, "1", "centrifugo.presence.user.expire.crowd"]);
    }
    redis.cli(&["SLOWLOG", "RESET"]);
    assert_eq!(store.stats(channel).await.unwrap(), PresenceStats::default());
    assert!(store.presence(channel).await.unwrap().is_empty());
    eprintln!("their leases end: at most {:?} at a time", longest(&redis));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_members() {
    presence_of_many(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_members_by_user() {
    presence_of_many(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_channels_are_subscribed_to_again() {
    let redis = Server::start(&[]);
    let config = configured(&single(&redis));
    let kit = BrokerKit {
        broker: brokers_of(Arc::new(config)),
        is_shared: true,
        has_history: true,
        has_versions: true,
        forgets_versions: false,
        reads_backwards: true,
        servers: Box::new(()),
    };
    let (node, other) = (TestNode::new(&kit).await, TestNode::new(&kit).await);
    let channels: Vec<_> = (0..CHANNELS).map(|index| format!("crowd:{index}")).collect();
    measure(&redis);
    stream::iter(&channels)
        .for_each_concurrent(1000, |channel| node.subscribe(channel))
        .await;
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    eventually("all channels", async || {
        (node.restored() == CHANNELS).then_some(())
    })
    .await;
    eprintln!("{CHANNELS} channels: at most {:?} at a time", longest(&redis));
    stream::iter(&channels)
        .for_each_concurrent(1000, |channel| async {
            publish(&other, channel, channel, PublishOptions::default()).await;
            node.delivers(channel, 1).await;
        })
        .await;
}

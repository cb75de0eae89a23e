//! Several servers for different channels: shards of ours, and partitions of sharded publish/subscribe in a cluster.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failover::becomes_replica;
use crate::nodes::node;
use crate::scene::{CHANNEL, Scene};
use crate::servers::cluster::Cluster;
use crate::servers::{Server, eventually};

const PARTITIONS: usize = 16;

/// A channel that belongs to the other of two shards than [`CHANNEL`].
const OTHER: &str = "weather";

fn partitioned(redis: &Cluster) -> Value {
    json!({ "cluster_address": [redis.seeds()], "sharded_pub_sub_partitions": PARTITIONS })
}

/// The slot of the channel that is published to: that of its partition's tag.
fn slot(redis: &Cluster) -> u16 {
    let names: Vec<String> = redis
        .servers
        .iter()
        .flat_map(|server| {
            let names = server.cli(&["PUBSUB", "SHARDCHANNELS", &format!("*.{CHANNEL}")]);
            names.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty())
        .collect();
    redis.slot(names.first().expect("it is subscribed to"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_partitions_is_killed() {
    let mut redis = Cluster::start().await;
    let (a, b) = (node(partitioned(&redis)).await, node(partitioned(&redis)).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let master = redis.master_of(slot(&redis), 0);
    redis.servers[master].kill();
    scene.fails().await;
    let took = scene.flows().await;
    scene.end("failover in a cluster, sharded pub/sub", took).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_partitions_hangs() {
    let redis = Cluster::start().await;
    let (a, b) = (node(partitioned(&redis)).await, node(partitioned(&redis)).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let master = &redis.servers[redis.master_of(slot(&redis), 0)];
    master.signal("STOP");
    scene.fails().await;
    let took = scene.flows().await;
    master.signal("CONT");
    becomes_replica(master).await;
    scene
        .end(
            "failover in a cluster, sharded pub/sub, from a master that hangs",
            took,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_of_partitions_is_replaced() {
    let redis = Cluster::start().await;
    let (a, b) = (node(partitioned(&redis)).await, node(partitioned(&redis)).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.fail_over(redis.master_of(slot(&redis), 0)).await;
    let took = scene.flows().await;
    scene
        .end("failover in a cluster, sharded pub/sub, asked for", took)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slot_of_a_partition_moves() {
    let redis = Cluster::start().await;
    let (a, b) = (node(partitioned(&redis)).await, node(partitioned(&redis)).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let slot = slot(&redis);
    let from = redis.master_of(slot, 0);
    let to = redis.master_of(if slot < 8192 { 16_383 } else { 0 }, 0);
    redis.move_slot(slot, from, to);
    let took = scene.flows().await;
    let verdicts = scene.end("slot moved, sharded pub/sub", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

/// The channels of the other shard do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_shards_is_killed() {
    let mut shards = [Server::start(&[]), Server::start(&[])];
    let addresses = shards
        .each_ref()
        .map(|server| format!("127.0.0.1:{}", server.port));
    let options = json!({ "address": addresses });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let other = Scene::begin_at(&[&a, &b], OTHER).await;
    let holds = |server: &Server, channel: &str| {
        server
            .cli(&["EXISTS", &format!("centrifugo.stream.{channel}")])
            .trim()
            == "1"
    };
    let killed = usize::from(holds(&shards[1], CHANNEL));
    assert!(
        holds(&shards[1 - killed], OTHER),
        "the channels are on different shards"
    );
    shards[killed].kill();
    scene.fails().await;
    let before = other.publisher.failures();
    other.flows().await;
    assert_eq!(other.publisher.failures(), before, "the other shard is there");
    shards[killed].start_again();
    let took = scene.flows().await;
    let verdicts = other
        .end("one of two shards killed: the other", Duration::ZERO)
        .await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
    let verdicts = scene.end("one of two shards killed, back empty", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps > 0), "{verdicts:?}");
    eventually("readiness", async || {
        (crate::nodes::ready(&a).await.0 == 200).then_some(())
    })
    .await;
}

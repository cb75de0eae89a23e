//! A master that dies, behind sentinels and in a cluster, and a slot that moves.

use serde_json::json;

use crate::nodes::node;
use crate::scene::Scene;
use crate::servers::cluster::Cluster;
use crate::servers::sentinel::Watched;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels() {
    let mut redis = Watched::start().await;
    let options = json!({
        "sentinel_address": [redis.addresses()],
        "sentinel_master_name": "main"
    });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.master.kill();
    scene.fails().await;
    let took = scene.flows().await;
    // What the replica did not have yet is told as a gap.
    scene.end("failover by Sentinel", took).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster() {
    let mut redis = Cluster::start().await;
    let seeds: Vec<String> = redis
        .servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port))
        .collect();
    let options = json!({ "cluster_address": [seeds.join(",")] });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let slot: u16 = redis.servers[0]
        .cli(&["CLUSTER", "KEYSLOT", "{news}"])
        .trim()
        .parse()
        .unwrap();
    let master = redis.master_of(slot, 0);
    redis.servers[master].kill();
    scene.fails().await;
    let took = scene.flows().await;
    scene.end("failover in a cluster", took).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves() {
    let redis = Cluster::start().await;
    let options = json!({ "cluster_address": [format!("127.0.0.1:{}", redis.servers[0].port)] });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let slot: u16 = redis.servers[0]
        .cli(&["CLUSTER", "KEYSLOT", "{news}"])
        .trim()
        .parse()
        .unwrap();
    let from = redis.master_of(slot, 0);
    let to = redis.master_of(if slot < 8192 { 16_383 } else { 0 }, 0);
    redis.move_slot(slot, from, to);
    let took = scene.flows().await;
    let verdicts = scene.end("slot moved", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

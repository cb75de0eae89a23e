//! A master that dies, behind sentinels and in a cluster, and a slot that moves.

use serde_json::json;

use crate::nodes::node;
use crate::scene::Scene;
use crate::servers::cluster::Cluster;
use crate::servers::sentinel::Watched;
use crate::servers::{Server, eventually};

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

/// The master hangs, is replaced, and comes back still taking itself for the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_master_that_hangs() {
    let redis = Watched::start().await;
    let options = json!({
        "sentinel_address": [redis.addresses()],
        "sentinel_master_name": "main"
    });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.master.signal("STOP");
    scene.fails().await;
    let took = scene.flows().await;
    redis.master.signal("CONT");
    becomes_replica(&redis.master).await;
    scene.end("failover from a master that hangs", took).await;
}

/// As an operator does it before maintenance: nobody has died, and the old master stays as a replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_for_at_sentinels() {
    let redis = Watched::start().await;
    let options = json!({
        "sentinel_address": [redis.addresses()],
        "sentinel_master_name": "main"
    });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.sentinels[0].cli(&["SENTINEL", "FAILOVER", "main"]);
    becomes_replica(&redis.master).await;
    let took = scene.flows().await;
    scene.end("failover by Sentinel, asked for", took).await;
}

/// Waits until a master has learnt that it was replaced.
pub async fn becomes_replica(server: &Server) {
    eventually("a master that is a replica", async || {
        let role = server.cli(&["ROLE"]);
        role.starts_with("slave").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster() {
    let mut redis = Cluster::start().await;
    let options = json!({ "cluster_address": [redis.seeds()] });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let slot = redis.slot("{news}");
    let master = redis.master_of(slot, 0);
    redis.servers[master].kill();
    scene.fails().await;
    let took = scene.flows().await;
    scene.end("failover in a cluster", took).await;
}

/// The master learns only from the others, after it has woken up, that it was replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_master_that_hangs_in_a_cluster() {
    let redis = Cluster::start().await;
    let options = json!({ "cluster_address": [redis.seeds()] });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let master = &redis.servers[redis.master_of(redis.slot("{news}"), 0)];
    master.signal("STOP");
    scene.fails().await;
    let took = scene.flows().await;
    master.signal("CONT");
    becomes_replica(master).await;
    scene
        .end("failover in a cluster from a master that hangs", took)
        .await;
}

/// As an operator does it: a replica takes over from a master that agrees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_for_in_a_cluster() {
    let redis = Cluster::start().await;
    let options = json!({ "cluster_address": [redis.seeds()] });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let master = redis.master_of(redis.slot("{news}"), 0);
    redis.fail_over(master).await;
    let took = scene.flows().await;
    scene.end("failover in a cluster, asked for", took).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves() {
    let redis = Cluster::start().await;
    let options = json!({ "cluster_address": [format!("127.0.0.1:{}", redis.servers[0].port)] });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let slot = redis.slot("{news}");
    let from = redis.master_of(slot, 0);
    let to = redis.master_of(if slot < 8192 { 16_383 } else { 0 }, 0);
    redis.move_slot(slot, from, to);
    let took = scene.flows().await;
    let verdicts = scene.end("slot moved", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

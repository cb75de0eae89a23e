//! Faults of a node: the others go on, its clients come back to them.

use serde_json::{Value, json};

use crate::nodes::{call, node};
use crate::scene::Scene;
use crate::servers::{Server, eventually};
use crate::support::process::ServerProcess;

async fn nodes(redis: &Server, count: usize) -> Vec<ServerProcess> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(node(json!({ "address": format!("127.0.0.1:{}", redis.port) })).await);
    }
    nodes
}

/// How many nodes a node knows.
async fn known(node: &ServerProcess) -> usize {
    let info = call(node.internal(), "info", &json!({}))
        .await
        .unwrap_or(Value::Null);
    info["result"]["nodes"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed() {
    let redis = Server::start(&[]);
    let mut nodes = nodes(&redis, 3).await;
    for node in &nodes {
        eventually("three nodes", async || (known(node).await == 3).then_some(())).await;
    }
    let scene = Scene::begin(&[&nodes[0], &nodes[1], &nodes[2]]).await;
    let victim = nodes.remove(1);
    victim.signal("KILL").await;
    scene.addresses.remove(&victim);
    let took = scene.flows().await;
    let verdicts = scene.end("node killed", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
    // It has said nothing: the others notice by its silence.
    eventually("two nodes", async || (known(&nodes[0]).await == 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused() {
    let redis = Server::start(&[]);
    let nodes = nodes(&redis, 2).await;
    let scene = Scene::begin(&[&nodes[0], &nodes[1]]).await;
    nodes[1].signal("STOP").await;
    // Calls of the paused node time out; those of the other succeed.
    scene.publisher.accepts(3).await;
    nodes[1].signal("CONT").await;
    let took = scene.flows().await;
    let verdicts = scene.end("node paused", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drained() {
    let redis = Server::start(&[]);
    let mut nodes = nodes(&redis, 3).await;
    for node in &nodes {
        eventually("three nodes", async || (known(node).await == 3).then_some(())).await;
    }
    let scene = Scene::begin(&[&nodes[0], &nodes[1], &nodes[2]]).await;
    let leaving = nodes.remove(0);
    scene.addresses.remove(&leaving);
    leaving.stop().await;
    // It has said so.
    eventually("two nodes", async || (known(&nodes[0]).await == 2).then_some(())).await;
    let took = scene.flows().await;
    let told: Vec<_> = scene
        .readers
        .iter()
        .flat_map(crate::reader::Reader::told)
        .collect();
    assert!(
        told.iter().all(|code| *code == 3001),
        "clients of the leaving node are told so: {told:?}"
    );
    let verdicts = scene.end("node drained", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

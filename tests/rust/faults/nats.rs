//! Faults of NATS with history in JetStream, and of the way to it.

use serde_json::json;

use crate::nats_server::NatsServer;
use crate::nodes::{node_with, ready};
use crate::proxy::{Proxy, Weather};
use crate::scene::Scene;
use crate::servers::eventually;
use crate::support::process::ServerProcess;

async fn node(port: u16) -> ServerProcess {
    node_with(json!({ "broker": { "enabled": true, "type": "nats", "nats": {
        "url": format!("nats://127.0.0.1:{port}"), "jetstream": { "enabled": true }
    } } }))
    .await
}

async fn becomes_ready(node: &ServerProcess, wanted: u16) {
    eventually("readiness", async || {
        (ready(node).await.0 == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_back_with_data() {
    // Each message is on disk before it is acknowledged: only then a kill loses nothing.
    let mut nats = NatsServer::start(true, &[]);
    let (a, b) = (node(nats.port).await, node(nats.port).await);
    let scene = Scene::begin(&[&a, &b]).await;
    nats.kill();
    scene.fails().await;
    becomes_ready(&a, 503).await;
    nats.start_again();
    let took = scene.flows().await;
    becomes_ready(&a, 200).await;
    let verdicts = scene.end("NATS killed, back with its data", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_back_without_data() {
    let mut nats = NatsServer::start(true, &[]);
    let (a, b) = (node(nats.port).await, node(nats.port).await);
    let scene = Scene::begin(&[&a, &b]).await;
    nats.kill();
    nats.forget();
    scene.fails().await;
    nats.start_again();
    let took = scene.flows().await;
    let verdicts = scene.end("NATS killed, back empty", took).await;
    assert!(
        verdicts.iter().all(|verdict| verdict.gaps > 0),
        "everybody missed something: {verdicts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused() {
    let nats = NatsServer::start(true, &[]);
    let (a, b) = (node(nats.port).await, node(nats.port).await);
    let scene = Scene::begin(&[&a, &b]).await;
    nats.signal("STOP");
    scene.fails().await;
    becomes_ready(&b, 503).await;
    nats.signal("CONT");
    let took = scene.flows().await;
    let verdicts = scene.end("NATS paused", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_at_the_start() {
    let mut nats = NatsServer::start(true, &[]);
    nats.kill();
    let (a, b) = (node(nats.port).await, node(nats.port).await);
    assert_eq!(ready(&a).await.0, 503);
    nats.start_again();
    becomes_ready(&a, 200).await;
    becomes_ready(&b, 200).await;
    let scene = Scene::begin(&[&a, &b]).await;
    let took = scene.flows().await;
    scene.end("NATS away when the nodes start", took).await;
}

/// One of two nodes is cut off; the other goes on publishing.
async fn weather(fault: &str, weather: Weather) {
    let nats = NatsServer::start(true, &[]);
    let proxy = Proxy::start(nats.port).await;
    let (far, near) = (node(proxy.port).await, node(nats.port).await);
    let scene = Scene::begin(&[&far, &near]).await;
    proxy.turn(weather);
    becomes_ready(&far, 503).await;
    scene.publisher.accepts(20).await;
    assert_eq!(ready(&near).await.0, 200);
    proxy.turn(Weather::Fair);
    let took = scene.flows().await;
    becomes_ready(&far, 200).await;
    let verdicts = scene.end(fault, took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open() {
    weather("NATS half-open", Weather::Hole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off() {
    weather("NATS cut off", Weather::Cut).await;
}

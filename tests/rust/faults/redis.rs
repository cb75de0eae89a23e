//! Faults of Redis, and of the way to it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::nodes::{node, ready};
use crate::proxy::{Proxy, Weather};
use crate::scene::Scene;
use crate::servers::{Server, eventually};
use crate::support::process::ServerProcess;

fn at(port: u16) -> Value {
    json!({ "address": format!("redis://127.0.0.1:{port}") })
}

async fn becomes_ready(node: &ServerProcess, wanted: u16) {
    eventually("readiness", async || {
        (ready(node).await.0 == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_back_without_data() {
    let mut redis = Server::start(&[]);
    let (a, b) = (node(at(redis.port)).await, node(at(redis.port)).await);
    let c = node(at(redis.port)).await;
    let scene = Scene::begin(&[&a, &b, &c]).await;
    redis.kill();
    scene.fails().await;
    becomes_ready(&a, 503).await;
    redis.start_again();
    let took = scene.flows().await;
    becomes_ready(&a, 200).await;
    let verdicts = scene.end("killed, back empty", took).await;
    assert!(
        verdicts.iter().all(|verdict| verdict.gaps > 0),
        "everybody missed something: {verdicts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_back_with_data() {
    let mut redis = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (a, b) = (node(at(redis.port)).await, node(at(redis.port)).await);
    let c = node(at(redis.port)).await;
    let scene = Scene::begin(&[&a, &b, &c]).await;
    redis.kill();
    scene.fails().await;
    redis.start_again();
    let took = scene.flows().await;
    let verdicts = scene.end("killed, back with its data", took).await;
    assert!(
        verdicts.iter().all(|verdict| verdict.gaps == 0),
        "everything was kept: {verdicts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_at_the_start() {
    let mut redis = Server::start(&[]);
    redis.kill();
    let (a, b) = (node(at(redis.port)).await, node(at(redis.port)).await);
    let (status, body) = ready(&a).await;
    assert_eq!(status, 503, "{body}");
    redis.start_again();
    let began = Instant::now();
    becomes_ready(&a, 200).await;
    becomes_ready(&b, 200).await;
    let took = began.elapsed();
    let scene = Scene::begin(&[&a, &b]).await;
    scene.flows().await;
    scene.end("away when the nodes start", took).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused() {
    let redis = Server::start(&[]);
    let (a, b) = (node(at(redis.port)).await, node(at(redis.port)).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.signal("STOP");
    scene.fails().await;
    becomes_ready(&b, 503).await;
    redis.signal("CONT");
    let took = scene.flows().await;
    let verdicts = scene.end("paused", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full() {
    let redis = Server::start(&["--maxmemory-policy", "noeviction"]);
    let (a, b) = (node(at(redis.port)).await, node(at(redis.port)).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    scene.fails().await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    let took = scene.flows().await;
    let verdicts = scene.end("out of memory", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusing_the_password() {
    let redis = Server::start(&["--requirepass", "one"]);
    let mut options = at(redis.port);
    options["password"] = json!("one");
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let cli = |password: &str, words: &[&str]| {
        let mut all = vec!["--no-auth-warning", "-a", password];
        all.extend(words);
        redis.cli(&all)
    };
    cli("one", &["CONFIG", "SET", "requirepass", "two"]);
    cli("two", &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    cli("two", &["CLIENT", "KILL", "TYPE", "pubsub"]);
    scene.fails().await;
    eventually("the reason", async || {
        let (status, body) = ready(&a).await;
        (status == 503 && body.contains("WRONGPASS")).then_some(())
    })
    .await;
    cli("two", &["CONFIG", "SET", "requirepass", "one"]);
    let took = scene.flows().await;
    let verdicts = scene.end("password refused", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

/// One of two nodes is cut off; the other goes on publishing.
async fn weather(fault: &str, weather: Weather) {
    let redis = Server::start(&[]);
    let proxy = Proxy::start(redis.port).await;
    let (far, near) = (node(at(proxy.port)).await, node(at(redis.port)).await);
    let scene = Scene::begin(&[&far, &near]).await;
    proxy.turn(weather);
    if let Weather::Slow(_) = weather {
        scene.publisher.accepts(30).await;
    } else {
        becomes_ready(&far, 503).await;
        scene.publisher.accepts(20).await;
        assert_eq!(ready(&near).await.0, 200);
    }
    proxy.turn(Weather::Fair);
    let took = scene.flows().await;
    becomes_ready(&far, 200).await;
    let verdicts = scene.end(fault, took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow() {
    weather("slow, 100 ms each way", Weather::Slow(Duration::from_millis(100))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open() {
    weather("half-open connections", Weather::Hole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off() {
    weather("one node cut off", Weather::Cut).await;
}

/// Nothing is published after the interruption: only a look at the positions can find what was missed in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_channels_are_looked_at_after_an_interruption() {
    let redis = Server::start(&[]);
    let proxy = Proxy::start(redis.port).await;
    let (far, near) = (node(at(proxy.port)).await, node(at(redis.port)).await);
    let addresses = crate::nodes::Addresses::default();
    addresses.add(&far);
    let readers: Vec<_> = (0..20)
        .map(|index| crate::reader::Reader::start(addresses.clone(), 0, &format!("quiet-{index}")))
        .collect();
    for reader in &readers {
        eventually("a subscription", async || reader.is_subscribed().then_some(())).await;
    }
    proxy.turn(Weather::Cut);
    becomes_ready(&far, 503).await;
    for index in 0..20 {
        let body = json!({ "channel": format!("quiet-{index}"), "data": 7 });
        let answer = crate::nodes::call(near.internal(), "publish", &body).await;
        assert!(answer.is_some_and(|answer| answer.get("result").is_some()));
    }
    proxy.turn(Weather::Fair);
    let began = Instant::now();
    for reader in &readers {
        eventually("the missed publication", async || reader.has(7).then_some(())).await;
        assert_eq!(reader.told(), [2500], "the connection stays");
    }
    eprintln!(
        "| quiet channels after a cut | 20 | told and recovered | after {:.1?} |",
        began.elapsed()
    );
}

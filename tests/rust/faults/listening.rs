//! Only what is subscribed is lost, while commands go on: nothing fails, and nothing but a look at positions tells.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::nodes::node;
use crate::scene::Scene;
use crate::servers::{Server, eventually};

/// How many connections of that type a server has.
fn subscribers(redis: &Server) -> usize {
    redis.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_end_again_and_again() {
    let redis = Server::start(&[]);
    let options = json!({ "address": format!("127.0.0.1:{}", redis.port) });
    let nodes = [
        node(options.clone()).await,
        node(options.clone()).await,
        node(options).await,
    ];
    let scene = Scene::begin(&nodes.each_ref()).await;
    let connections = subscribers(&redis);
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let began = Instant::now();
        eventually("connections that are back", async || {
            (subscribers(&redis) == connections).then_some(())
        })
        .await;
        scene.flows().await;
        longest = longest.max(began.elapsed());
    }
    assert_eq!(scene.publisher.failures(), 0, "commands are not concerned");
    let verdicts = scene.end("subscriptions lost, five times", longest).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

/// What a Redis does to who reads too slowly (`client-output-buffer-limit pubsub`), of which a node knows nothing
/// until it runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_of_a_paused_node_end() {
    let redis = Server::start(&[]);
    let options = json!({ "address": format!("127.0.0.1:{}", redis.port) });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    a.signal("STOP").await;
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    scene.publisher.accepts(3).await;
    a.signal("CONT").await;
    let took = scene.flows().await;
    let verdicts = scene.end("subscriptions of a paused node lost", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

/// The streams are gone and nobody was interrupted: the next publication has another epoch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied() {
    let redis = Server::start(&[]);
    let options = json!({ "address": format!("127.0.0.1:{}", redis.port) });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    redis.cli(&["FLUSHALL"]);
    let took = scene.flows().await;
    assert_eq!(scene.publisher.failures(), 0);
    let verdicts = scene.end("emptied while it runs", took).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps > 0), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_again_and_again() {
    let mut redis = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let options = json!({ "address": format!("127.0.0.1:{}", redis.port) });
    let (a, b) = (node(options.clone()).await, node(options).await);
    let scene = Scene::begin(&[&a, &b]).await;
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        redis.kill();
        redis.start_again();
        longest = longest.max(scene.flows().await);
    }
    let verdicts = scene.end("restarted with its data, five times", longest).await;
    assert!(verdicts.iter().all(|verdict| verdict.gaps == 0), "{verdicts:?}");
}

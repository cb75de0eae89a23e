//! Redis in all its forms.

use std::any::Any;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate::config::{self, Config, Sources};
use tidegate::server::Engines;

use crate::kit::{BrokerKit, PresenceKit};
use crate::servers::Server;
use crate::servers::cluster::Cluster;
use crate::servers::sentinel::Watched;
use crate::{brokers, presence};

/// The configuration of a node whose engine is Redis.
pub fn configured(redis: &Value) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let mut options = json!({ "presence_ttl": "2s" });
    let all = options.as_object_mut().unwrap();
    all.extend(redis.as_object().unwrap().clone());
    let file = directory.path().join("config.json");
    let text = json!({ "engine": { "type": "redis", "redis": options } }).to_string();
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    config::load(&sources).unwrap().config
}

pub fn single(server: &Server) -> Value {
    json!({ "address": format!("redis://127.0.0.1:{}", server.port) })
}

/// Both suites. `lists`: history is kept in lists.
async fn suites(redis: Value, servers: impl Any) {
    let lists = redis["history_use_lists"] == json!(true);
    let config = Arc::new(configured(&redis));
    let (for_broker, for_store) = (config.clone(), config);
    brokers::suite(BrokerKit {
        broker: Box::new(move || Engines::new(&for_broker).unwrap().broker),
        is_shared: true,
        has_history: true,
        has_versions: !lists,
        forgets_versions: false,
        reads_backwards: true,
        servers: Box::new(()),
    })
    .await;
    presence::suite(PresenceKit {
        store: Box::new(move || Engines::new(&for_store).unwrap().presence),
        is_shared: true,
        servers: Box::new(servers),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_server() {
    let server = Server::start(&[]);
    suites(single(&server), server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resp2() {
    let server = Server::start(&[]);
    let mut redis = single(&server);
    redis["force_resp2"] = json!(true);
    suites(redis, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists() {
    let server = Server::start(&[]);
    let mut redis = single(&server);
    redis["history_use_lists"] = json!(true);
    suites(redis, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_mapping() {
    let server = Server::start(&[]);
    let mut redis = single(&server);
    redis["presence_user_mapping"] = json!(true);
    suites(redis, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock");
    let path = socket.to_str().unwrap().to_owned();
    let server = Server::start(&["--unixsocket", &path]);
    let redis = json!({ "address": format!("unix://{path}") });
    suites(redis, (server, directory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_shards() {
    let (one, two) = (Server::start(&[]), Server::start(&[]));
    let redis = json!({ "address": [format!("127.0.0.1:{}", one.port), format!("127.0.0.1:{}", two.port)] });
    suites(redis, (one, two)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel() {
    let watched = Watched::start().await;
    let redis = json!({ "sentinel_address": [watched.addresses()], "sentinel_master_name": "main" });
    suites(redis, watched).await;
}

fn seeds(cluster: &Cluster) -> Value {
    json!({ "cluster_address": [cluster.seeds()] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster() {
    let cluster = Cluster::start().await;
    suites(seeds(&cluster), cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharded_cluster() {
    for balanced in [false, true] {
        let cluster = Cluster::start().await;
        let mut redis = seeds(&cluster);
        redis["sharded_pub_sub_partitions"] = json!(16);
        redis["sharded_pub_sub_balanced"] = json!(balanced);
        suites(redis, cluster).await;
    }
}

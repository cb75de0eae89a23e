//! NATS, with and without JetStream.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tidegate::config::{self, Config, Sources};
use tidegate::engine::{EngineError, Publication, PublishOptions};
use tidegate::server::Engines;

use crate::brokers::{self, kept, publish, query, text};
use crate::kit::{BrokerKit, TestNode, eventually};
use crate::nats_server::NatsServer;

/// The configuration of a node whose broker is NATS.
fn configured(nats: &Value) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let text = json!({ "broker": { "enabled": true, "type": "nats", "nats": nats } }).to_string();
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    config::load(&sources).unwrap().config
}

fn kit(nats: &Value, has_history: bool, server: NatsServer) -> BrokerKit {
    let config = Arc::new(configured(nats));
    BrokerKit {
        broker: Box::new(move || Engines::new(&config).unwrap().broker),
        is_shared: true,
        has_history,
        has_versions: true,
        forgets_versions: false,
        reads_backwards: true,
        servers: Box::new(server),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core() {
    let server = NatsServer::start(false, &[]);
    let nats = json!({ "url": server.address() });
    brokers::suite(kit(&nats, false, server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jetstream() {
    for storage in ["file", "memory"] {
        let server = NatsServer::start(true, &[]);
        let nats = json!({
            "url": server.address(),
            "prefix": "tide.gate",
            "jetstream": { "enabled": true, "storage": storage }
        });
        brokers::suite(kit(&nats, true, server)).await;
    }
}

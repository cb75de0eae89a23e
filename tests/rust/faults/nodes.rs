//! Nodes of Tidegate, as processes.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::http::Request;
use crate::support::process::ServerProcess;
use crate::support::{API_KEY, merge};

/// The nodes that clients and publishers may go to. Cheap to clone.
#[derive(Clone, Default)]
pub struct Addresses(Arc<Mutex<Vec<(SocketAddr, SocketAddr)>>>);

impl Addresses {
    pub fn add(&self, node: &ServerProcess) {
        self.0.lock().push((node.external(), node.internal()));
    }

    pub fn remove(&self, node: &ServerProcess) {
        self.0.lock().retain(|(external, _)| *external != node.external());
    }

    pub fn external(&self, turn: usize) -> Option<SocketAddr> {
        let nodes = self.0.lock();
        nodes
            .get(turn % nodes.len().max(1))
            .map(|(external, _)| *external)
    }

    pub fn internal(&self, turn: usize) -> Option<SocketAddr> {
        let nodes = self.0.lock();
        nodes
            .get(turn % nodes.len().max(1))
            .map(|(_, internal)| *internal)
    }
}

/// A node whose Redis is what `redis` says.
pub async fn node(redis: Value) -> ServerProcess {
    let mut changes = json!({ "engine": { "type": "redis", "redis": { "io_timeout": "1s" } } });
    merge(&mut changes["engine"]["redis"], redis);
    node_with(changes).await
}

/// A node with engines of its own.
pub async fn node_with(engines: Value) -> ServerProcess {
    let mut changes = json!({
        "client": { "insecure": true },
        "ready": { "enabled": true },
        "channel": { "without_namespace": {
            "history_size": 10_000, "history_ttl": "300s", "force_recovery": true, "presence": true,
            "allow_subscribe_for_client": true
        } }
    });
    merge(&mut changes, engines);
    ServerProcess::start(changes).await
}

/// Asks the server API of a node; `None` if there is no answer.
pub async fn call(internal: SocketAddr, method: &str, body: &Value) -> Option<Value> {
    let request = Request::post(&format!("/api/{method}"), body.to_string()).header("X-API-Key", API_KEY);
    let asking = async {
        let stream = tokio::net::TcpStream::connect(internal).await.ok()?;
        serde_json::from_slice(&request.exchange(stream).await.body).ok()
    };
    tokio::time::timeout(std::time::Duration::from_secs(3), asking)
        .await
        .ok()
        .flatten()
}

/// Status and body of `/ready`.
pub async fn ready(node: &ServerProcess) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(node.internal()).await.unwrap();
    let answer = Request::get("/ready").exchange(stream).await;
    (answer.status, answer.text())
}

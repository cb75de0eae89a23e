//! The loaded server: a process, and what its API and metrics tell of it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::kind::Kind;
use crate::link::{Buffers, Link};
use crate::message::{Item, PADDING};
use crate::support::process::ServerProcess;
use crate::support::{API_KEY, merge};
use crate::{PATIENCE, patiently};

/// A server that admits anybody to everything, never pings, and lets a connection have many subscriptions.
pub struct LoadedServer {
    process: ServerProcess,
}

/// What the server holds, as `info` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub clients: u64,
    pub users: u64,
    pub channels: u64,
    pub subscriptions: u64,
}

impl LoadedServer {
    pub async fn start(changes: Value) -> Self {
        let mut config = json!({
            // Pings would come in the middle of it all, and are tested elsewhere.
            "client": { "insecure": true, "ping_interval": "900s", "pong_timeout": "300s", "channel_limit": 5000 },
        });
        merge(&mut config, changes);
        Self {
            process: ServerProcess::start(config).await,
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.process.external()
    }

    /// A nameless client that is connected and subscribed.
    pub async fn subscribed(&self, kind: Kind, channels: &[&str]) -> Link {
        Link::subscribed(self.address(), kind, Buffers::Usual, channels).await
    }

    /// A connection to the server API.
    pub async fn api(&self) -> Api {
        Api::connect(self.process.internal()).await
    }

    pub async fn counts(&self) -> Counts {
        let answer = self.api().await.call("info", json!({})).await;
        let node = &answer["result"]["nodes"][0];
        let count = |name: &str| {
            node[name]
                .as_u64()
                .unwrap_or_else(|| panic!("no {name}: {answer}"))
        };
        Counts {
            clients: count("num_clients"),
            users: count("num_users"),
            channels: count("num_channels"),
            subscriptions: count("num_subs"),
        }
    }

    /// Waits until the server holds what it should.
    pub async fn until_counts(&self, what: &str, condition: impl Fn(&Counts) -> bool) {
        until(what, async || self.counts().await, condition).await;
    }

    /// Waits until the server has no more files open than that.
    pub async fn until_open_files(&self, limit: f64) {
        let files = async || self.metrics().await.open_files();
        until("sockets to be closed", files, |files| *files <= limit).await;
    }

    pub async fn metrics(&self) -> Metrics {
        Metrics(self.api().await.get("/metrics").await)
    }

    /// Sends SIGTERM and does not wait.
    pub async fn terminate(&self) {
        self.process.terminate().await;
    }

    /// Waits for the end, in order and in time.
    pub async fn ended(self) {
        self.process.ended().await;
    }

    /// Stops the server, which must end in order and in time.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

/// Looks again and again until it sees what it should.
async fn until<T: std::fmt::Debug>(what: &str, look: impl AsyncFn() -> T, condition: impl Fn(&T) -> bool) {
    let mut last = None;
    let looking = async {
        loop {
            let seen = look().await;
            if condition(&seen) {
                return;
            }
            last = Some(seen);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, looking).await;
    assert!(waited.is_ok(), "waited in vain for {what}: {last:?}");
}

/// A connection that asks one thing after another of the server API.
pub struct Api {
    sender: SendRequest<Full<Bytes>>,
}

impl Api {
    async fn connect(address: SocketAddr) -> Self {
        let stream = patiently("a connection to the API", TcpStream::connect(address))
            .await
            .unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    /// Calls a method, which must be answered.
    pub async fn call(&mut self, method: &str, body: Value) -> Value {
        let answer = self.try_call(method, body).await;
        answer.unwrap_or_else(|| panic!("the API did not answer {method}"))
    }

    /// Calls a method; nothing if the server has gone.
    pub async fn try_call(&mut self, method: &str, body: Value) -> Option<Value> {
        let request = hyper::Request::post(format!("/api/{method}"))
            .header("Host", "localhost")
            .header("X-API-Key", API_KEY)
            .body(Full::from(body.to_string()))
            .unwrap();
        let text = self.exchange(method, request).await?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Publishes; an answer means that the publication was accepted.
    pub async fn publish(&mut self, channel: &str, item: Item) {
        self.publish_padded(channel, item, PADDING).await;
    }

    pub async fn publish_padded(&mut self, channel: &str, item: Item, padding: usize) {
        let body = json!({ "channel": channel, "data": item.to_data(padding) });
        let answer = self.call("publish", body).await;
        assert!(answer["result"].is_object(), "publish: {answer}");
    }

    /// Publishes many in one request, in their order.
    pub async fn publish_all(&mut self, items: impl IntoIterator<Item = (&str, Item)>) {
        let commands: Vec<_> = items
            .into_iter()
            .map(
                |(channel, item)| json!({ "publish": { "channel": channel, "data": item.to_data(PADDING) } }),
            )
            .collect();
        let answer = self.call("batch", json!({ "commands": commands })).await;
        let replies = answer["replies"]
            .as_array()
            .unwrap_or_else(|| panic!("batch: {answer}"));
        assert!(
            replies.iter().all(|reply| reply["publish"].is_object()),
            "batch: {answer}"
        );
    }

    async fn get(&mut self, path: &str) -> String {
        let request = hyper::Request::get(path)
            .header("Host", "localhost")
            .body(Full::default())
            .unwrap();
        let text = self.exchange(path, request).await.expect("an answer");
        String::from_utf8(text.into()).unwrap()
    }

    async fn exchange(&mut self, what: &str, request: hyper::Request<Full<Bytes>>) -> Option<Bytes> {
        let exchanging = async {
            self.sender.ready().await.ok()?;
            let response = self.sender.send_request(request).await.ok()?;
            let status = response.status();
            let body = response.into_body().collect().await.ok()?.to_bytes();
            assert_eq!(status, 200, "{what}: {body:?}");
            Some(body)
        };
        patiently(&format!("an answer to {what}"), exchanging).await
    }
}

/// A page of metrics.
pub struct Metrics(String);

impl Metrics {
    /// The sum of the series of a name that have this in their labels.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        self.0
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
            .map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Connections that the server ended with a code.
    pub fn disconnects(&self, code: u32) -> f64 {
        self.sum(
            "centrifugo_client_num_server_disconnects",
            &format!("code=\"{code}\""),
        )
    }

    pub fn resident_bytes(&self) -> f64 {
        self.sum("process_resident_memory_bytes", "")
    }

    pub fn open_files(&self) -> f64 {
        self.sum("process_open_fds", "")
    }
}

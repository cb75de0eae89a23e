//! A subscriber that behaves as the SDKs do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::ledger::Entry;
use crate::nodes::Addresses;

/// How long a reply may take before the client gives the connection up, as SDKs do.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Ends with the value.
pub struct Reader {
    entries: Arc<Mutex<Vec<Entry>>>,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct State {
    is_subscribed: bool,
    /// Codes of disconnects and unsubscribes, and of errors, in their order.
    told: Vec<u64>,
}

struct Position {
    epoch: String,
    offset: u64,
}

impl Reader {
    /// Subscribes through the nodes in turn, beginning with one.
    pub fn start(nodes: Addresses, first: usize, channel: &str) -> Self {
        let (entries, state) = (
            Arc::<Mutex<Vec<Entry>>>::default(),
            Arc::<Mutex<State>>::default(),
        );
        let life = Life {
            entries: entries.clone(),
            state: state.clone(),
            channel: channel.to_owned(),
            position: None,
        };
        let task = tokio::spawn(life.run(nodes, first));
        Self { entries, state, task }
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().clone()
    }

    pub fn is_subscribed(&self) -> bool {
        self.state.lock().is_subscribed
    }

    /// Codes that it was told.
    pub fn told(&self) -> Vec<u64> {
        self.state.lock().told.clone()
    }

    /// Whether it has got a publication, or a later one: what lies in a gap that it was told of never comes.
    pub fn has(&self, wanted: u64) -> bool {
        let entries = self.entries.lock();
        entries
            .iter()
            .rev()
            .any(|entry| matches!(entry, Entry::Got { number, .. } if *number >= wanted))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Life {
    entries: Arc<Mutex<Vec<Entry>>>,
    state: Arc<Mutex<State>>,
    channel: String,
    position: Option<Position>,
}

impl Life {
    async fn run(mut self, nodes: Addresses, first: usize) {
        let mut turn = first;
        loop {
            if let Some(node) = nodes.external(turn) {
                self.connection(node).await;
            }
            self.state.lock().is_subscribed = false;
            turn += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One connection, until it ends.
    async fn connection(&mut self, node: SocketAddr) -> Option<()> {
        let stream = tokio::time::timeout(REPLY_TIMEOUT, TcpStream::connect(node))
            .await
            .ok()?
            .ok()?;
        let address = "ws://localhost/connection/websocket";
        let upgrading = tokio_tungstenite::client_async(address, stream);
        let (mut socket, _) = tokio::time::timeout(REPLY_TIMEOUT, upgrading).await.ok()?.ok()?;
        socket
            .send(Message::text(r#"{"id":1,"connect":{}}"#))
            .await
            .ok()?;
        let mut awaited = Some(1);
        loop {
            // The server pings every 25 s: a silent connection is given up after that.
            let patience = if awaited.is_some() {
                REPLY_TIMEOUT
            } else {
                Duration::from_secs(35)
            };
            let message = tokio::time::timeout(patience, socket.next()).await.ok()??.ok()?;
            let text = match message {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    let code = frame.map_or(0, |frame| u64::from(u16::from(frame.code)));
                    self.state.lock().told.push(code);
                    return None;
                }
                _ => continue,
            };
            for line in text.lines() {
                let reply: Value = serde_json::from_str(line).ok()?;
                if reply.as_object()?.is_empty() {
                    socket.send(Message::text("{}")).await.ok()?;
                    continue;
                }
                if let Some(id) = reply["id"].as_u64() {
                    awaited = awaited.filter(|awaited| *awaited != id);
                }
                if let Some(code) = reply["error"]["code"].as_u64() {
                    self.state.lock().told.push(code);
                    return None;
                }
                if reply.get("connect").is_some() {
                    socket.send(Message::text(self.subscribe(2))).await.ok()?;
                    awaited = Some(2);
                } else if let Some(subscribed) = reply.get("subscribe") {
                    self.subscribed(subscribed);
                } else if let Some(publication) = reply["push"].get("pub") {
                    self.publication(publication);
                } else if let Some(unsubscribe) = reply["push"].get("unsubscribe") {
                    let code = unsubscribe["code"].as_u64().unwrap_or(0);
                    self.unsubscribed(code);
                    if code < 2500 {
                        return None;
                    }
                    socket.send(Message::text(self.subscribe(3))).await.ok()?;
                    awaited = Some(3);
                }
            }
        }
    }

    fn subscribe(&self, id: u64) -> String {
        let mut request = json!({ "channel": self.channel });
        if let Some(Position { epoch, offset }) = &self.position {
            request["recover"] = json!(true);
            request["epoch"] = json!(epoch);
            request["offset"] = json!(offset);
        }
        json!({ "id": id, "subscribe": request }).to_string()
    }

    fn subscribed(&mut self, reply: &Value) {
        let epoch = reply["epoch"].as_str().unwrap_or_default().to_owned();
        let is_lost = reply["was_recovering"] == json!(true) && reply["recovered"] != json!(true);
        if is_lost {
            self.entries.lock().push(Entry::Gap);
        }
        let recovered = reply["recovered"] == json!(true);
        if !recovered {
            let offset = reply["offset"].as_u64().unwrap_or(0);
            self.position = Some(Position {
                epoch: epoch.clone(),
                offset,
            });
        } else if let Some(position) = &mut self.position {
            position.epoch = epoch;
        }
        for publication in reply["publications"].as_array().into_iter().flatten() {
            self.publication(publication);
        }
        self.state.lock().is_subscribed = true;
    }

    fn unsubscribed(&self, code: u64) {
        let mut state = self.state.lock();
        state.told.push(code);
        state.is_subscribed = false;
    }

    fn publication(&mut self, publication: &Value) {
        let offset = publication["offset"].as_u64().unwrap_or(0);
        let number = publication["data"].as_u64().unwrap_or(0);
        let position = self.position.get_or_insert_with(|| Position {
            epoch: String::new(),
            offset: 0,
        });
        position.offset = offset;
        self.entries.lock().push(Entry::Got {
            number,
            epoch: position.epoch.clone(),
            offset,
        });
    }
}

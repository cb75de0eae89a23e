//! An engine under test, and a node that writes down what it delivers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tidegate::config::Config;
use tidegate::engine::{Broker, ClientInfo, Epoch, PresenceStore, Previous, Publication, Receiver};
use tidegate::server::Engines;

pub use crate::servers::eventually;

pub type Make<T> = Box<dyn Fn() -> BoxFuture<'static, Arc<T>>>;

pub fn brokers_of(config: Arc<Config>) -> Make<dyn Broker> {
    Box::new(move || {
        let config = config.clone();
        async move { Engines::open(&config).await.unwrap().broker }.boxed()
    })
}

pub fn stores_of(config: Arc<Config>) -> Make<dyn PresenceStore> {
    Box::new(move || {
        let config = config.clone();
        async move { Engines::open(&config).await.unwrap().presence }.boxed()
    })
}

/// How to make brokers of one engine, and what is to be expected of them.
pub struct BrokerKit {
    /// A broker for one more node on the same servers.
    pub broker: Make<dyn Broker>,
    /// More than one node can be on it; memory is that of one.
    pub is_shared: bool,
    /// It keeps history; NATS without JetStream does not.
    pub has_history: bool,
    /// It knows versions of publications; lists have no place for them.
    pub has_versions: bool,
    /// A publication without version takes the stored one away, as the memory of the reference does; Redis keeps it.
    pub forgets_versions: bool,
    /// It reads backwards; lists do not.
    pub reads_backwards: bool,
    /// What must live as long as the engine.
    #[expect(dead_code, reason = "it is only held")]
    pub servers: Box<dyn std::any::Any>,
}

/// How to make presence stores of one engine, whose entries live for two seconds.
pub struct PresenceKit {
    /// A store for one more node on the same servers.
    pub store: Make<dyn PresenceStore>,
    /// More than one node can be on it.
    pub is_shared: bool,
    /// What must live as long as the engine.
    #[expect(dead_code, reason = "it is only held")]
    pub servers: Box<dyn std::any::Any>,
}

/// What was delivered for a channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivered {
    Publication {
        offset: u64,
        epoch: Option<Epoch>,
        data: Bytes,
        previous: Option<Option<Bytes>>,
    },
    Join(String),
    Leave(String),
}

/// A node with a broker.
pub struct TestNode {
    pub broker: Arc<dyn Broker>,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    delivered: Mutex<HashMap<String, Vec<Delivered>>>,
    publications: Mutex<HashMap<String, Vec<Arc<Publication>>>>,
    wanted: Mutex<HashSet<String>>,
    restored: Mutex<HashSet<Arc<str>>>,
}

impl TestNode {
    pub async fn new(kit: &BrokerKit) -> Self {
        let broker = (kit.broker)().await;
        let log = Arc::new(Log::default());
        broker.attach(log.clone());
        eventually("a broker that is ready", async || broker.ready().ok()).await;
        Self { broker, log }
    }

    /// As the node does: the subscriber is there before the engine is asked.
    pub async fn subscribe(&self, channel: &str) {
        self.log.wanted.lock().insert(channel.to_owned());
        self.broker.subscribe(channel).await.unwrap();
    }

    pub async fn unsubscribe(&self, channel: &str) {
        self.log.wanted.lock().remove(channel);
        self.broker.unsubscribe(channel).await.unwrap();
    }

    pub fn delivered(&self, channel: &str) -> Vec<Delivered> {
        self.log
            .delivered
            .lock()
            .get(channel)
            .cloned()
            .unwrap_or_default()
    }

    pub fn publications(&self, channel: &str) -> Vec<Arc<Publication>> {
        self.log
            .publications
            .lock()
            .get(channel)
            .cloned()
            .unwrap_or_default()
    }

    /// How many channels were interrupted and are delivered again.
    pub fn restored(&self) -> usize {
        self.log.restored.lock().len()
    }

    /// Waits until that many things were delivered, and no more.
    pub async fn delivers(&self, channel: &str, count: usize) -> Vec<Delivered> {
        eventually(&format!("delivery of {count} to {channel:?}"), async || {
            let delivered = self.delivered(channel);
            (delivered.len() >= count).then_some(delivered)
        })
        .await
    }
}

impl Log {
    fn add(&self, channel: &str, delivered: Delivered) {
        self.delivered
            .lock()
            .entry(channel.to_owned())
            .or_default()
            .push(delivered);
    }
}

impl Receiver for Log {
    fn handle_publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        previous: Previous<'_>,
    ) {
        let delivered = Delivered::Publication {
            offset: publication.offset,
            epoch: epoch.cloned(),
            data: publication.data.clone(),
            previous: match previous {
                Previous::Unwanted => None,
                Previous::Unknown => Some(None),
                Previous::Known(previous) => Some(Some(previous.data.clone())),
            },
        };
        self.publications
            .lock()
            .entry(channel.to_owned())
            .or_default()
            .push(publication.clone());
        self.add(channel, delivered);
    }

    fn handle_join(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.add(channel, Delivered::Join(info.client.clone()));
    }

    fn handle_leave(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.add(channel, Delivered::Leave(info.client.clone()));
    }

    fn has_subscribers(&self, channel: &str) -> bool {
        self.wanted.lock().contains(channel)
    }

    fn handle_restored(&self, channels: Vec<Arc<str>>) {
        self.restored.lock().extend(channels);
    }
}

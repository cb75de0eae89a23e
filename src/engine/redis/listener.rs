//! The channels of clients of one shard, or of one partition of it: what is subscribed and what arrives.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_redis_link::{Kind, LinkError, Options, Sink, Subscriptions};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::dispatch::Dispatch;
use super::keys::{Keys, Layout};
use super::tally::Tally;
use crate::engine::lingering::{Lingering, Settled};
use crate::engine::{EngineError, Receiver};

/// Channels looked at under one hold of the lock.
const SETTLED_AT_ONCE: usize = 64;

/// A connection for publish/subscribe, and when its channels end.
pub(super) struct Listener {
    inner: Arc<Inner>,
    _settling: AbortOnDropHandle<()>,
}

struct Inner {
    keys: Arc<Keys>,
    subscriptions: Subscriptions,
    /// Held also while subscriptions and their ends are queued; see [`Lingering`].
    lingering: Mutex<Lingering>,
    left: Notify,
    receiver: Weak<dyn Receiver>,
    tally: Arc<Tally>,
}

impl Listener {
    /// Connects in the background.
    pub(super) fn open(
        options: &Options,
        keys: Arc<Keys>,
        partition: usize,
        dispatch: Arc<Dispatch>,
        tally: Arc<Tally>,
        receiver: Weak<dyn Receiver>,
    ) -> Self {
        let kind = match keys.layout() {
            Layout::Partitions(_) => Kind::Sharded,
            Layout::Plain | Layout::Cluster => Kind::Plain,
        };
        let incoming = Incoming {
            keys: keys.clone(),
            dispatch,
            tally: tally.clone(),
            receiver: receiver.clone(),
        };
        let subscriptions =
            Subscriptions::open(options, kind, keys.keep_alive(partition), Arc::new(incoming));
        let inner = Arc::new(Inner {
            keys,
            subscriptions,
            lingering: Mutex::default(),
            left: Notify::new(),
            receiver,
            tally,
        });
        let settling = tokio::spawn(settle(inner.clone()));
        Self {
            inner,
            _settling: AbortOnDropHandle::new(settling),
        }
    }

    pub(super) fn ready(&self) -> Result<(), LinkError> {
        self.inner.subscriptions.ready()
    }

    /// Returns when the channel is delivered.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<(), EngineError> {
        let name = self.inner.keys.client(channel);
        let confirmed = {
            let _lingering = self.inner.lingering.lock();
            self.inner.subscriptions.subscribe(name)
        };
        confirmed.await.map_err(|error| {
            self.inner.tally.refused.add();
            error.into()
        })
    }

    /// The last subscriber has left.
    pub(super) fn unsubscribe(&self, channel: &str) {
        if self.inner.lingering.lock().leave(channel, Instant::now()) {
            self.inner.left.notify_one();
        }
    }
}

/// Gives up channels that nobody came back to.
async fn settle(inner: Arc<Inner>) {
    loop {
        let due = inner.lingering.lock().next_due();
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => inner.left.notified().await,
        }
        // The node ends before its engine.
        let Some(receiver) = inner.receiver.upgrade() else {
            return;
        };
        let mut lingering = inner.lingering.lock();
        let now = Instant::now();
        for _ in 0..SETTLED_AT_ONCE {
            match lingering.settle(now, |channel| receiver.has_subscribers(channel)) {
                Some((channel, Settled::Removed)) => {
                    inner.subscriptions.unsubscribe(&inner.keys.client(&channel));
                }
                Some((_, Settled::Kept)) => {}
                None => break,
            }
        }
    }
}

/// What the connection delivers to.
struct Incoming {
    keys: Arc<Keys>,
    dispatch: Arc<Dispatch>,
    tally: Arc<Tally>,
    receiver: Weak<dyn Receiver>,
}

impl Sink for Incoming {
    fn message(&self, channel: &[u8], payload: Bytes) {
        // What is published to the channel that keeps the connection alive is for nobody.
        if let Some(channel) = self.keys.channel_of(channel) {
            self.dispatch.push(channel, payload);
        }
    }

    fn restored(&self, channels: Vec<Bytes>) {
        let channels: Vec<Arc<str>> = channels
            .iter()
            .filter_map(|name| self.keys.channel_of(name))
            .map(Arc::from)
            .collect();
        if channels.is_empty() {
            return;
        }
        if let Some(receiver) = self.receiver.upgrade() {
            tracing::info!(channels = channels.len(), "channels in Redis are delivered again");
            receiver.handle_restored(channels);
        }
    }

    fn lost(&self, error: &LinkError) {
        self.tally.lost.add();
        tracing::error!(%error, "channels in Redis are not delivered");
    }
}

//! Messages between nodes: `P.control` for all of them, `P.node.<id>` for one (engines.md 4, 8).
//!
//! Every node listens on every shard, so it does not matter over which shard a message goes. The reference takes
//! them in turn; here each destination has a shard of its own, because messages over two connections overtake each
//! other. It changes only while that shard is away: then the next one takes over, and messages may be swapped at
//! these two moments. A message of which it is not known whether it was sent is not sent again: commands of clients
//! are among them, and these must not be carried out twice.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_redis_link::redis::Cmd;
use tidegate_redis_link::{Kind, LinkError, Sink, Subscriptions};
use tokio_util::task::AbortOnDropHandle;

use super::shard::Shards;
use super::tally::Tally;
use crate::engine::rarely::Rarely;
use crate::engine::{ControlReceiver, Controller, EngineError, Inbound, Wait};

/// How long after a refused subscription the next attempt is made.
const RETRY: Duration = Duration::from_millis(50);

/// Controller over one or several shards.
pub struct RedisController {
    shards: Shards,
    listening: OnceLock<Vec<Listening>>,
    tally: Arc<Tally>,
}

struct Listening {
    subscriptions: Arc<Subscriptions>,
    /// Why a channel of ours is not delivered though there is a connection.
    refused: Arc<Mutex<Option<LinkError>>>,
    _task: AbortOnDropHandle<()>,
}

impl RedisController {
    /// A controller that listens as soon as it is attached.
    #[must_use]
    pub fn new(shards: Shards) -> Self {
        Self {
            shards,
            listening: OnceLock::new(),
            tally: Arc::default(),
        }
    }
}

impl Controller for RedisController {
    fn attach(&self, node: &str, receiver: Arc<dyn ControlReceiver>) {
        // The node owns the controller: it must not own the node in turn.
        let receiver = Arc::downgrade(&receiver);
        let listening = self.shards.iter().map(|shard| {
            let sink = Arc::new(Incoming {
                receiver: receiver.clone(),
                tally: self.tally.clone(),
            });
            let subscriptions =
                Subscriptions::open(&shard.options, Kind::Plain, shard.keys.control_keep_alive(), sink);
            let subscriptions = Arc::new(subscriptions);
            let channels = [shard.keys.control(), shard.keys.node(node)];
            let refused = Arc::new(Mutex::default());
            let listening = listen(
                subscriptions.clone(),
                channels,
                refused.clone(),
                self.tally.clone(),
            );
            Listening {
                _task: AbortOnDropHandle::new(tokio::spawn(listening)),
                refused,
                subscriptions,
            }
        });
        // A second receiver would be a second node on one controller, which does not happen.
        let _ = self.listening.set(listening.collect());
    }

    /// Ready if any shard is: messages go over that.
    fn ready(&self) -> Result<(), EngineError> {
        let mut result = Ok(());
        let listening = self.listening.get().map_or(&[][..], Vec::as_slice);
        for (shard, listening) in self.shards.iter().zip(listening) {
            result = shard
                .commands
                .ready()
                .and_then(|()| listening.subscriptions.ready())
                .and_then(|()| listening.refused.lock().clone().map_or(Ok(()), Err));
            if result.is_ok() {
                break;
            }
        }
        Ok(result?)
    }

    fn inbound(&self) -> Option<Inbound> {
        Some(self.tally.read(Vec::new()))
    }

    fn send<'a>(&'a self, to: Option<&'a str>, message: Bytes) -> Wait<'a, ()> {
        Box::pin(async move {
            let destination = to.unwrap_or_default();
            let count = self.shards.iter().len();
            let first = self.shards.index_of(destination);
            let mut shard = self.shards.get(first)?;
            for turn in 1..count {
                if shard.commands.ready().is_ok() {
                    break;
                }
                shard = self.shards.get((first + turn) % count)?;
            }
            let channel = to.map_or_else(|| shard.keys.control(), |node| shard.keys.node(node));
            let mut command = Cmd::new();
            command.arg("publish").arg(&channel[..]).arg(&message[..]);
            Ok(shard.command(destination, channel, command).await.map(drop)?)
        })
    }
}

/// Subscribes to both channels as soon as there is a connection; later the link does so by itself.
async fn listen(
    subscriptions: Arc<Subscriptions>,
    channels: [Bytes; 2],
    refused: Arc<Mutex<Option<LinkError>>>,
    tally: Arc<Tally>,
) {
    let log = Rarely::new();
    for channel in channels {
        while let Err(error) = subscriptions.subscribe(channel.clone()).await {
            if subscriptions.ready().is_ok() {
                tally.refused.add();
                if log.allow().is_some() {
                    tracing::error!(%error, "error subscribing to messages between nodes in Redis");
                }
                *refused.lock() = Some(error);
            }
            tokio::time::sleep(RETRY).await;
        }
    }
    *refused.lock() = None;
}

struct Incoming {
    receiver: Weak<dyn ControlReceiver>,
    tally: Arc<Tally>,
}

impl Sink for Incoming {
    fn message(&self, _channel: &[u8], payload: Bytes) {
        if let Some(receiver) = self.receiver.upgrade()
            && !receiver.handle_control(payload)
        {
            self.tally.malformed.add();
        }
    }

    fn restored(&self, _channels: Vec<Bytes>) {
        if let Some(receiver) = self.receiver.upgrade() {
            receiver.handle_control_restored();
        }
    }

    fn lost(&self, error: &LinkError) {
        self.tally.lost.add();
        tracing::error!(%error, "messages between nodes do not arrive from Redis");
    }
}

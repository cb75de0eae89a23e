//! History and publish/subscribe.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tidegate_redis_link::redis::{Cmd, Value};

use super::answer::Parts;
use super::dispatch::Dispatch;
use super::keys::Layout;
use super::listener::Listener;
use super::shard::{Shard, Shards};
use super::tally::Tally;
use super::{history, payload, scripts, seconds};
use crate::engine::{
    Broker, ClientInfo, EngineError, Epoch, History, HistoryQuery, IDEMPOTENCY_TTL, Inbound, Position,
    Publication, PublishOptions, Published, Receiver, Retention, Suppressed, Wait,
};

/// Where history is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryIn {
    /// In streams, which know versions.
    #[default]
    Streams,
    /// In lists. Publications have no versions there.
    Lists,
}

/// Broker over one or several shards.
///
/// What it publishes comes back over the subscription like what others publish: the order of a channel is that in
/// which Redis ran the scripts, on every node.
pub struct RedisBroker {
    shards: Shards,
    history: HistoryIn,
    attached: OnceLock<Attached>,
}

struct Attached {
    dispatch: Arc<Dispatch>,
    /// By shard and partition.
    listeners: Vec<Vec<Listener>>,
}

impl RedisBroker {
    /// A broker that listens as soon as it is attached.
    #[must_use]
    pub fn new(shards: Shards, history: HistoryIn) -> Self {
        Self {
            shards,
            history,
            attached: OnceLock::new(),
        }
    }

    fn listener(&self, channel: &str) -> Result<&Listener, EngineError> {
        let shard = self.shards.of(channel)?;
        let partition = match shard.keys.layout() {
            Layout::Partitions(partitions) => partitions.of(channel),
            Layout::Plain | Layout::Cluster => 0,
        };
        self.attached
            .get()
            .and_then(|attached| {
                attached
                    .listeners
                    .get(self.shards.index_of(channel))?
                    .get(partition)
            })
            .ok_or_else(|| EngineError::Unavailable("not attached".to_owned()))
    }

    async fn publish_with_history(
        &self,
        shard: &Shard,
        channel: &str,
        publication: Publication,
        options: &PublishOptions,
        retention: Retention,
    ) -> Result<Published, EngineError> {
        let keys = &shard.keys;
        let key = options.idempotency_key.as_deref();
        let version = publication.version;
        let (script, stream, meta, size) = match self.history {
            HistoryIn::Streams => (
                &scripts::PUBLISH_STREAM,
                keys.stream(channel),
                keys.stream_meta(channel),
                retention.size,
            ),
            HistoryIn::Lists => (
                &scripts::PUBLISH_LIST,
                keys.list(channel),
                keys.list_meta(channel),
                retention.size.saturating_sub(1),
            ),
        };
        let mut args = vec![
            payload::encode_publication(publication),
            size.to_string().into(),
            seconds(retention.ttl).max(1).to_string().into(),
            keys.client(channel),
            seconds(retention.meta_ttl).to_string().into(),
            Epoch::random().as_str().to_owned().into(),
            Bytes::from_static(shard.publish_command().as_bytes()),
            key.map_or_else(Bytes::new, |_| seconds(IDEMPOTENCY_TTL).to_string().into()),
            Bytes::from_static(if options.delta { b"1" } else { b"" }),
        ];
        if self.history == HistoryIn::Streams {
            args.push(version.to_string().into());
            args.push(options.version_epoch.clone().into());
        }
        // Without an idempotency key there is no result, and the scripts look at none. A key that never exists would have
        // a cluster refuse the call for as long as its slot moves: one that does stands in its place.
        let result = key.map_or_else(|| meta.clone(), |key| keys.result(channel, key));
        let keys = vec![stream, meta, result];
        published(shard.script(channel, script, keys, args).await?)
    }

    async fn publish_plainly(
        &self,
        shard: &Shard,
        channel: &str,
        publication: Publication,
        options: &PublishOptions,
    ) -> Result<Published, EngineError> {
        let message = payload::encode_bare(publication, options.delta);
        let was_seen = match &options.idempotency_key {
            None => {
                shard.publish(channel, message).await?;
                false
            }
            Some(key) => {
                let keys = vec![shard.keys.result(channel, key)];
                let args = vec![
                    message,
                    shard.keys.client(channel),
                    Bytes::from_static(shard.publish_command().as_bytes()),
                    seconds(IDEMPOTENCY_TTL).to_string().into(),
                ];
                let answer = shard.script(channel, &scripts::PUBLISH_ONCE, keys, args).await?;
                tidegate_redis_link::bytes(answer)? == "1"
            }
        };
        Ok(Published {
            position: None,
            suppressed: was_seen.then_some(Suppressed::Idempotency),
        })
    }
}

impl Broker for RedisBroker {
    fn attach(&self, receiver: Arc<dyn Receiver>) {
        // The node owns the broker: it must not own the node in turn.
        let receiver = Arc::downgrade(&receiver);
        let tally = Arc::new(Tally::default());
        let dispatch = Arc::new(Dispatch::start(&receiver, tally.clone()));
        let listeners = self.shards.iter().map(|shard| {
            let partitions = match shard.keys.layout() {
                Layout::Partitions(partitions) => partitions.tags().len(),
                Layout::Plain | Layout::Cluster => 1,
            };
            let open = |partition| {
                let keys = shard.keys.clone();
                Listener::open(
                    &shard.options,
                    keys,
                    partition,
                    dispatch.clone(),
                    tally.clone(),
                    receiver.clone(),
                )
            };
            (0..partitions).map(open).collect()
        });
        let listeners = listeners.collect();
        // A second receiver would be a second node on one broker, which does not happen.
        let _ = self.attached.set(Attached { dispatch, listeners });
    }

    fn ready(&self) -> Result<(), EngineError> {
        self.shards.ready()?;
        let attached = self.attached.get().into_iter();
        let mut listeners = attached.flat_map(|attached| attached.listeners.iter().flatten());
        listeners.try_for_each(|listener| Ok(listener.ready()?))
    }

    fn inbound(&self) -> Option<Inbound> {
        self.attached.get().map(|attached| attached.dispatch.inbound())
    }

    fn subscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        Box::pin(async move { self.listener(channel)?.subscribe(channel).await })
    }

    fn unsubscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            self.listener(channel)?.unsubscribe(channel);
            Ok(())
        })
    }

    fn publish<'a>(
        &'a self,
        channel: &'a str,
        publication: Publication,
        options: PublishOptions,
    ) -> Wait<'a, Published> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            match options.retention {
                Some(retention) => {
                    self.publish_with_history(shard, channel, publication, &options, retention)
                        .await
                }
                None => self.publish_plainly(shard, channel, publication, &options).await,
            }
        })
    }

    fn publish_join<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            Ok(shard.publish(channel, payload::encode_join(&info)).await?)
        })
    }

    fn publish_leave<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            Ok(shard.publish(channel, payload::encode_leave(&info)).await?)
        })
    }

    fn history<'a>(&'a self, channel: &'a str, query: HistoryQuery) -> Wait<'a, History> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            history::read(shard, self.history, channel, &query).await
        })
    }

    fn remove_history<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        Box::pin(async move {
            let shard = self.shards.of(channel)?;
            let key = match self.history {
                HistoryIn::Streams => shard.keys.stream(channel),
                HistoryIn::Lists => shard.keys.list(channel),
            };
            let mut command = Cmd::new();
            command.arg("UNLINK").arg(&key[..]);
            Ok(shard.command(channel, key, command).await.map(drop)?)
        })
    }
}

/// `{offset, epoch, cached, suppressed}`, without the last for lists.
fn published(answer: Value) -> Result<Published, EngineError> {
    let mut parts = Parts::of(answer)?;
    let offset = parts.number()?;
    let epoch = parts.text()?;
    let suppressed = if parts.flag()? {
        Some(Suppressed::Idempotency)
    } else if !parts.is_empty() && parts.flag()? {
        Some(Suppressed::Version)
    } else {
        None
    };
    // A key that was used without history before remembers no position.
    let position = (!epoch.is_empty()).then(|| Position {
        offset,
        epoch: Epoch::new(&epoch),
    });
    Ok(Published { position, suppressed })
}

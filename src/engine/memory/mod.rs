//! The memory engine: one node, nothing survives a restart.
//!
//! Order: a publication is appended and delivered under the lock of its stream, so what subscribers see is the
//! order of offsets. Without history there is no stream and the hub's channel lock gives the order.

mod presence;
mod stream;

#[cfg(test)]
mod tests;

use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{
    Broker, ClientInfo, EngineError, History, HistoryQuery, IDEMPOTENCY_TTL, Position, Previous, Publication,
    PublishOptions, Published, Receiver, Suppressed, Wait,
};
pub use presence::MemoryPresence;
use stream::Stream;

const SHARDS: usize = 64;

/// Broker of a single node.
pub struct MemoryBroker {
    receiver: OnceLock<Arc<dyn Receiver>>,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    streams: HashMap<Arc<str>, Arc<Mutex<Stream>>>,
    /// Results by channel and idempotency key.
    results: HashMap<(Arc<str>, String), Remembered>,
}

struct Remembered {
    position: Option<Position>,
    until: Instant,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self {
            receiver: OnceLock::new(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl MemoryBroker {
    /// Forgets what has expired: stream items, streams and idempotency results. Reads honour expiry by
    /// themselves; this gives the memory back and is called about once a second.
    pub fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.results.retain(|_, remembered| remembered.until > now);
            shard.streams.retain(|_, stream| {
                // A stream in use is not idle: leave it for the next round.
                stream.try_lock().is_none_or(|mut stream| {
                    stream.expire(now);
                    !stream.is_forgotten(now)
                })
            });
            if shard.streams.len() < shard.streams.capacity() / 4 {
                shard.streams.shrink_to_fit();
            }
        }
    }

    fn shard(&self, channel: &str) -> &Mutex<Shard> {
        // The modulus keeps the index in range.
        &self.shards[self.hasher.hash_one(channel) as usize % SHARDS]
    }

    fn stream(&self, channel: &str) -> Arc<Mutex<Stream>> {
        let mut shard = self.shard(channel).lock();
        if let Some(stream) = shard.streams.get(channel) {
            return stream.clone();
        }
        let stream = Arc::new(Mutex::new(Stream::new()));
        shard.streams.insert(channel.into(), stream.clone());
        stream
    }

    fn publish_now(&self, channel: &str, publication: Publication, options: PublishOptions) -> Published {
        let Some(key) = options.idempotency_key.clone() else {
            return self.append_and_deliver(channel, publication, &options);
        };
        let now = Instant::now();
        let key = (Arc::<str>::from(channel), key);
        // The shard is locked only around the look-ups: two concurrent first uses of one key could both pass, so
        // the key is reserved before the publication is delivered.
        {
            let mut shard = self.shard(channel).lock();
            if let Some(remembered) = shard
                .results
                .get(&key)
                .filter(|remembered| remembered.until > now)
            {
                return Published {
                    position: remembered.position.clone(),
                    suppressed: Some(Suppressed::Idempotency),
                };
            }
            let position = options.retention.and_then(|_| self.peek(&shard, channel));
            shard.results.insert(
                key.clone(),
                Remembered {
                    position,
                    until: now + IDEMPOTENCY_TTL,
                },
            );
        }
        let published = self.append_and_deliver(channel, publication, &options);
        if let Some(remembered) = self.shard(channel).lock().results.get_mut(&key) {
            remembered.position.clone_from(&published.position);
        }
        published
    }

    fn peek(&self, shard: &Shard, channel: &str) -> Option<Position> {
        shard.streams.get(channel).map(|stream| stream.lock().top())
    }

    fn append_and_deliver(
        &self,
        channel: &str,
        mut publication: Publication,
        options: &PublishOptions,
    ) -> Published {
        let Some(retention) = options.retention else {
            let previous = if options.delta {
                Previous::Unknown
            } else {
                Previous::Unwanted
            };
            self.deliver(channel, &Arc::new(publication), None, previous);
            return Published {
                position: None,
                suppressed: None,
            };
        };
        let now = Instant::now();
        let stream = self.stream(channel);
        let mut stream = stream.lock();
        stream.expire(now);
        if !stream.accepts_version(publication.version, &options.version_epoch) {
            return Published {
                position: Some(stream.top()),
                suppressed: Some(Suppressed::Version),
            };
        }
        publication.offset = stream.top().offset + 1;
        let newest = options.delta.then(|| stream.newest());
        let version_epoch = options.version_epoch.as_str();
        let publication = stream.append(publication, retention, version_epoch, now);
        let position = stream.top();
        let previous = match &newest {
            None => Previous::Unwanted,
            Some(None) => Previous::Unknown,
            Some(Some(newest)) => Previous::Known(newest),
        };
        self.deliver(channel, &publication, Some(&position), previous);
        Published {
            position: Some(position),
            suppressed: None,
        }
    }

    fn deliver(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        position: Option<&Position>,
        previous: Previous<'_>,
    ) {
        if let Some(receiver) = self.receiver.get() {
            let epoch = position.map(|position| &position.epoch);
            receiver.handle_publication(channel, publication, epoch, previous);
        }
    }

    fn read(&self, channel: &str, query: &HistoryQuery) -> Result<History, EngineError> {
        let now = Instant::now();
        let stream = self.stream(channel);
        let mut stream = stream.lock();
        stream.expire(now);
        stream.touch(now, query.meta_ttl);
        stream.read(query)
    }
}

impl Broker for MemoryBroker {
    fn attach(&self, receiver: Arc<dyn Receiver>) {
        // A second receiver would be a second node on one broker, which does not happen.
        let _ = self.receiver.set(receiver);
    }

    fn subscribe<'a>(&'a self, _channel: &'a str) -> Wait<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn unsubscribe<'a>(&'a self, _channel: &'a str) -> Wait<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn publish<'a>(
        &'a self,
        channel: &'a str,
        publication: Publication,
        options: PublishOptions,
    ) -> Wait<'a, Published> {
        Box::pin(ready(Ok(self.publish_now(channel, publication, options))))
    }

    fn publish_join<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        if let Some(receiver) = self.receiver.get() {
            receiver.handle_join(channel, &info);
        }
        Box::pin(ready(Ok(())))
    }

    fn publish_leave<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()> {
        if let Some(receiver) = self.receiver.get() {
            receiver.handle_leave(channel, &info);
        }
        Box::pin(ready(Ok(())))
    }

    fn history<'a>(&'a self, channel: &'a str, query: HistoryQuery) -> Wait<'a, History> {
        Box::pin(ready(self.read(channel, &query)))
    }

    fn remove_history<'a>(&'a self, channel: &'a str) -> Wait<'a, ()> {
        let stream = self.shard(channel).lock().streams.get(channel).cloned();
        if let Some(stream) = stream {
            stream.lock().clear();
        }
        Box::pin(ready(Ok(())))
    }
}

/// How often [`MemoryBroker::sweep`] and [`MemoryPresence::sweep`] want to be called.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

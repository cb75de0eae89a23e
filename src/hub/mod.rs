//! The hub: which local connection hears which channel, and the fan-out to them.
//!
//! A publication is encoded at most once per encoding and form (as it is, as a string, as a patch), when the first
//! subscriber that needs it is met; from
//! there only reference-counted bytes move. The fan-out to one channel runs under that channel's lock: every
//! subscriber sees publications in one order. The hub knows outboxes, not transports.

mod batch;
mod channel;
mod doubt;
mod encoded;
mod handle;
mod look;
mod numbers;
mod subscriber;
mod sync;
mod tailored;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::RwLock;
use tidegate_transports::{TransportKind, flush};

use crate::engine::{ClientInfo, Epoch, Previous, Publication};
use channel::{Channel, Left};
pub use doubt::Doubt;
use encoded::EncodedPublication;
pub use handle::{Event, Handle, Mailbox};
pub use look::Sighting;
use numbers::Numbers;
pub use subscriber::{CaughtUp, Gap, Subscriber, Tracking};
pub use tailored::Tailoring;

const SHARDS: usize = 64;

/// Channels and their local subscribers.
pub struct Hub {
    hasher: RandomState,
    shards: Vec<RwLock<HashMap<Arc<str>, Arc<Channel>>>>,
    numbers: Numbers,
}

/// What a broadcast did, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Frames queued, by the number of the transport.
    pub frames: [u64; 4],
    /// Bytes queued, by the number of the transport.
    pub bytes: [u64; 4],
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            numbers: Numbers::default(),
        }
    }
}

impl Hub {
    /// Adds a subscriber; answers whether it is the channel's first.
    pub fn join(&self, channel: &Arc<str>, subscriber: &Arc<Subscriber>) -> bool {
        loop {
            if let Some(open) = self.channel(channel)
                && open.join(subscriber, &self.numbers)
            {
                return false;
            }
            let mut shard = self.shard(channel).write();
            // Somebody else may have opened the channel in between.
            if shard.get(channel).is_none_or(|known| known.is_closed()) {
                let opened = Channel::new(channel.clone(), subscriber.clone(), &self.numbers);
                shard.insert(channel.clone(), Arc::new(opened));
                return true;
            }
        }
    }

    /// Removes a subscriber; answers whether it was the channel's last.
    pub fn leave(&self, channel: &str, subscriber: &Arc<Subscriber>) -> bool {
        let Some(open) = self.channel(channel) else {
            return false;
        };
        let Left::Last(number) = open.leave(subscriber) else {
            return false;
        };
        if let Some(number) = number {
            self.numbers.give_back(number);
        }
        let mut shard = self.shard(channel).write();
        // Whoever joined since has put another channel in its place.
        if shard.get(channel).is_some_and(|known| Arc::ptr_eq(known, &open)) {
            shard.remove(channel);
            if shard.len() < shard.capacity() / 4 {
                shard.shrink_to_fit();
            }
        }
        true
    }

    /// Offers a publication of which no deltas are wanted to all local subscribers of a channel.
    pub fn publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        now_ms: i64,
    ) -> Delivery {
        self.publication_after(Previous::Unwanted, channel, publication, epoch, now_ms)
    }

    /// Offers a publication to all local subscribers of a channel; to those with deltas as the difference from
    /// `previous`, if that is what they were sent last.
    pub fn publication_after(
        &self,
        previous: Previous<'_>,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        now_ms: i64,
    ) -> Delivery {
        let mut delivery = Delivery::default();
        let Some(channel) = self.channel(channel) else {
            return delivery;
        };
        let mut encoded = EncodedPublication::new(&channel.name, publication, epoch);
        flush::hold(|| {
            channel.broadcast(|subscribers, latest| {
                encoded.base = tailored::base(previous, latest, publication, epoch);
                for subscriber in subscribers {
                    subscriber.offer(publication, epoch, now_ms, &mut encoded, &mut delivery);
                }
            });
        });
        delivery
    }

    /// Offers a join to all local subscribers that want joins and leaves.
    pub fn join_push(&self, channel: &str, info: &ClientInfo) -> Delivery {
        self.presence_push(channel, info, encoded::join)
    }

    /// Offers a leave to all local subscribers that want joins and leaves.
    pub fn leave_push(&self, channel: &str, info: &ClientInfo) -> Delivery {
        self.presence_push(channel, info, encoded::leave)
    }

    fn presence_push(&self, channel: &str, info: &ClientInfo, build: encoded::Build) -> Delivery {
        let mut delivery = Delivery::default();
        let Some(channel) = self.channel(channel) else {
            return delivery;
        };
        let mut encoded = encoded::EncodedPush::new(&channel.name, info, build);
        flush::hold(|| {
            channel.broadcast(|subscribers, _| {
                for subscriber in subscribers {
                    subscriber.offer_push(&mut encoded, &mut delivery);
                }
            });
        });
        delivery
    }

    /// Channels with local subscribers and their numbers.
    #[must_use]
    pub fn channels(&self) -> Vec<(Arc<str>, usize)> {
        self.shards
            .iter()
            .flat_map(|shard| {
                let shard = shard.read();
                shard
                    .values()
                    .filter(|entry| entry.count() > 0)
                    .map(|entry| (entry.name.clone(), entry.count()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Number of channels and of subscriptions.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.shards
            .iter()
            .fold((0, 0), |(channels, subscriptions), shard| {
                let shard = shard.read();
                let here: usize = shard.values().map(|entry| entry.count()).sum();
                (channels + shard.len(), subscriptions + here)
            })
    }

    fn channel(&self, channel: &str) -> Option<Arc<Channel>> {
        self.shard(channel).read().get(channel).cloned()
    }

    fn shard(&self, channel: &str) -> &RwLock<HashMap<Arc<str>, Arc<Channel>>> {
        // The modulus keeps the index in range.
        &self.shards[self.hasher.hash_one(channel) as usize % SHARDS]
    }
}

impl Delivery {
    /// Counts a frame that was queued.
    pub fn count(&mut self, transport: TransportKind, bytes: usize) {
        let transport = transport as usize;
        if let (Some(frames), Some(total)) = (self.frames.get_mut(transport), self.bytes.get_mut(transport)) {
            *frames += 1;
            *total += bytes as u64;
        }
    }

    /// What was queued for each transport that got something.
    pub fn by_transport(self) -> impl Iterator<Item = (TransportKind, u64, u64)> {
        TransportKind::ALL.into_iter().filter_map(move |transport| {
            let index = transport as usize;
            let (frames, bytes) = (*self.frames.get(index)?, *self.bytes.get(index)?);
            (frames > 0).then_some((transport, frames, bytes))
        })
    }
}

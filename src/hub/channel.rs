//! The local subscribers of one channel.
//!
//! ```text
//!  open ──(last subscriber leaves)──> closed
//! ```
//!
//! Nobody waits for a channel while holding the hub's table: a broadcast to a huge channel delays those who join
//! or leave that channel, and nobody else. A channel that its last subscriber left is closed for good; who joins
//! after that puts a new one in its place.

use std::sync::Arc;

use super::numbers::Numbers;
use super::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use super::tailored::Latest;
use super::{Sighting, Subscriber};

/// A channel with local subscribers.
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    members: Mutex<Members>,
    /// Written under the lock; read without it where an old answer does no harm.
    count: AtomicUsize,
    closed: AtomicBool,
}

struct Members {
    subscribers: Vec<Arc<Subscriber>>,
    /// What was broadcast last, kept from when the first subscriber joins that wants deltas without history.
    latest: Option<Latest>,
    /// What stands for the channel in pushes without its name, once a subscriber wants them.
    number: Option<u32>,
    /// The latest look at the stream's top, once there is one for several subscribers.
    seen: Option<Box<Sighting>>,
}

impl Members {
    fn push(&mut self, subscriber: Arc<Subscriber>, numbers: &Numbers) {
        if subscriber.compacts() {
            self.number = self.number.or_else(|| numbers.take());
            subscriber.set_number(self.number);
        }
        if subscriber.keeps_latest() && self.latest.is_none() {
            self.latest = Some(Latest::default());
        }
        self.subscribers.push(subscriber);
    }
}

/// What a leave found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The subscriber was not there.
    Nobody,
    /// Others remain.
    One,
    /// It was the last one: the channel is closed. Its number, if it had one, is free.
    Last(Option<u32>),
}

impl Channel {
    /// A channel with its first subscriber.
    pub(super) fn new(name: Arc<str>, first: Arc<Subscriber>, numbers: &Numbers) -> Self {
        first.set_slot(0);
        let mut members = Members {
            subscribers: Vec::with_capacity(1),
            latest: None,
            number: None,
            seen: None,
        };
        members.push(first, numbers);
        Self {
            name,
            members: Mutex::new(members),
            count: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
        }
    }

    /// Adds a subscriber; `false` if the channel is closed.
    pub(super) fn join(&self, subscriber: &Arc<Subscriber>, numbers: &Numbers) -> bool {
        let mut members = self.members.lock();
        if self.is_closed() {
            return false;
        }
        subscriber.set_slot(members.subscribers.len());
        members.push(subscriber.clone(), numbers);
        self.count.store(members.subscribers.len(), Ordering::Relaxed);
        true
    }

    /// Removes a subscriber.
    pub(super) fn leave(&self, subscriber: &Arc<Subscriber>) -> Left {
        let mut members = self.members.lock();
        let subscribers = &mut members.subscribers;
        let slot = subscriber.slot();
        let is_there = subscribers
            .get(slot)
            .is_some_and(|other| Arc::ptr_eq(other, subscriber));
        if !is_there {
            return Left::Nobody;
        }
        // The last subscriber moves into the free slot: leaving a huge channel stays cheap.
        subscribers.swap_remove(slot);
        if let Some(moved) = subscribers.get(slot) {
            moved.set_slot(slot);
        }
        if subscribers.len() < subscribers.capacity() / 4 {
            let keep = subscribers.len() * 2;
            subscribers.shrink_to(keep);
        }
        self.count.store(subscribers.len(), Ordering::Relaxed);
        if !subscribers.is_empty() {
            return Left::One;
        }
        self.closed.store(true, Ordering::Release);
        Left::Last(members.number.take())
    }

    /// Shows all subscribers to `deliver`, and what the channel keeps of the broadcast before if it keeps that.
    /// They see broadcasts in one order.
    pub(super) fn broadcast(&self, deliver: impl FnOnce(&[Arc<Subscriber>], Option<&mut Latest>)) {
        let Members {
            subscribers, latest, ..
        } = &mut *self.members.lock();
        deliver(subscribers, latest.as_mut());
    }

    pub(super) fn seen(&self) -> Option<Sighting> {
        self.members.lock().seen.as_deref().cloned()
    }

    /// Keeps a look, unless there is a later one.
    pub(super) fn see(&self, seen: &Sighting) {
        let kept = &mut self.members.lock().seen;
        if kept.as_ref().is_none_or(|kept| kept.seen_ms < seen.seen_ms) {
            *kept = Some(Box::new(seen.clone()));
        }
    }

    /// Subscribers, as far as known without waiting for a broadcast.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

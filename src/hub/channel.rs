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

use super::Subscriber;
use super::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

/// A channel with local subscribers.
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
    /// Written under the lock; read without it where an old answer does no harm.
    count: AtomicUsize,
    closed: AtomicBool,
}

/// What a leave found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The subscriber was not there.
    Nobody,
    /// Others remain.
    One,
    /// It was the last one: the channel is closed.
    Last,
}

impl Channel {
    /// A channel with its first subscriber.
    pub(super) fn new(name: Arc<str>, first: Arc<Subscriber>) -> Self {
        first.set_slot(0);
        Self {
            name,
            subscribers: Mutex::new(vec![first]),
            count: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
        }
    }

    /// Adds a subscriber; `false` if the channel is closed.
    pub(super) fn join(&self, subscriber: &Arc<Subscriber>) -> bool {
        let mut subscribers = self.subscribers.lock();
        if self.is_closed() {
            return false;
        }
        subscriber.set_slot(subscribers.len());
        subscribers.push(subscriber.clone());
        self.count.store(subscribers.len(), Ordering::Relaxed);
        true
    }

    /// Removes a subscriber.
    pub(super) fn leave(&self, subscriber: &Arc<Subscriber>) -> Left {
        let mut subscribers = self.subscribers.lock();
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
        Left::Last
    }

    /// Visits all subscribers; they see broadcasts in one order.
    pub(super) fn broadcast(&self, mut offer: impl FnMut(&Subscriber)) {
        for subscriber in self.subscribers.lock().iter() {
            offer(subscriber);
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

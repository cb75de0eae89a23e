//! Per-channel batching: pushes of one channel to one connection collect before they enter the outbox
//! (history-and-recovery.md 12).
//!
//! ```text
//!  broadcast ──> Batch ──(size reached, delay passed, connection holds too much, subscription ends)──> outbox
//! ```
//!
//! A batch lives in the state of its subscriber and under its lock, so pushes keep their order, and nothing that the
//! session queues after the end of a subscription can come before them: the end flushes. Positions do not know of
//! batches; a publication in one counts as delivered, as it does in the outbox.
//!
//! The delay runs from the first push that was collected. A batch is announced at most once ([`Delays`]); one that
//! was flushed for its size leaves its entry behind, and the next may be flushed by it before its own delay is over.
//! That keeps a fast channel from filling the queue of delays.
//!
//! What a connection holds in its batches is bounded, too: the push that lifts their sum above half of
//! `client.queue_max_size` flushes its own. So collecting alone never makes a client slow, and the queue decides
//! about slowness as it always does.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tidegate_transports::{Delays, Due, Frame};

use super::Subscriber;
use crate::channels::Batching;

/// What was collected for one subscriber.
pub(super) struct Batch {
    options: Batching,
    delays: Arc<Delays>,
    subscriber: Weak<Subscriber>,
    /// In the order of their coming; of publications none if only the latest counts.
    pushes: Vec<Frame>,
    /// The one publication that survives: those of a stream all have the same key, the empty one.
    latest: Option<Frame>,
    /// Pushes collected, superseded publications among them.
    collected: usize,
    /// Bytes that are held, also counted for the connection.
    bytes: usize,
    /// An entry of the delay waits.
    announced: bool,
}

/// What is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Publication,
    JoinOrLeave,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// It took the place of another one.
    pub(super) supersedes: bool,
    /// The batch has to be flushed.
    pub(super) is_full: bool,
}

impl Batch {
    pub(super) fn new(options: Batching, delays: Arc<Delays>, subscriber: Weak<Subscriber>) -> Self {
        Self {
            options,
            delays,
            subscriber,
            pushes: Vec::new(),
            latest: None,
            collected: 0,
            bytes: 0,
            announced: false,
        }
    }

    /// Collects a push. `held` counts the bytes in all batches of the connection, of which `limit` may be queued.
    pub(super) fn add(&mut self, kind: Kind, frame: Frame, held: &AtomicUsize, limit: usize) -> Added {
        let length = frame.payload().len();
        let superseded = if kind == Kind::Publication && self.options.latest {
            self.latest.replace(frame)
        } else {
            self.pushes.push(frame);
            None
        };
        let freed = superseded.as_ref().map_or(0, |frame| frame.payload().len());
        self.collected += 1;
        self.bytes = self.bytes + length - freed;
        let before = held.fetch_add(length, Ordering::Relaxed);
        held.fetch_sub(freed, Ordering::Relaxed);
        let is_full = self.options.max_size.is_some_and(|max| self.collected >= max)
            || before.saturating_add(length) - freed > limit / 2;
        if !is_full && !self.announced {
            self.announce();
        }
        Added {
            supersedes: superseded.is_some(),
            is_full,
        }
    }

    /// Empties the batch: joins and leaves come before the publication that is left of all.
    pub(super) fn take(&mut self, held: &AtomicUsize) -> impl Iterator<Item = Frame> + use<> {
        held.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        self.collected = 0;
        std::mem::take(&mut self.pushes)
            .into_iter()
            .chain(self.latest.take())
    }

    /// The announced time has come.
    pub(super) fn is_due(&mut self) {
        self.announced = false;
    }

    fn announce(&mut self) {
        if let Some(delay) = self.options.max_delay {
            self.announced = true;
            let subscriber: Weak<dyn Due> = self.subscriber.clone();
            self.delays.enter(delay, subscriber);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("options", &self.options)
            .field("collected", &self.collected)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

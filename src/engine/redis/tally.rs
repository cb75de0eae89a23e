//! What happens to messages on their way from Redis, counted for metrics (operations.md 2).

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{Inbound, InboundErrors};

/// Counts of one role of the engine.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Messages that could not be read.
    pub(super) malformed: Tallied,
    /// Channels that could not be subscribed to.
    pub(super) refused: Tallied,
    /// Connections that were lost or could not be made.
    pub(super) lost: Tallied,
    /// Messages for which there was no room.
    pub(super) dropped: Tallied,
}

#[derive(Debug, Default)]
pub(super) struct Tallied(AtomicU64);

impl Tallied {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    /// `waiting`: messages that wait, for each of what works on them.
    pub(super) fn read(&self, waiting: Vec<usize>) -> Inbound {
        Inbound {
            errors: InboundErrors {
                message: self.malformed.get(),
                subscribe: self.refused.get(),
                connection: self.lost.get(),
            },
            dropped: self.dropped.get(),
            waiting,
        }
    }
}

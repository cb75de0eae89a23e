//! When a channel without subscribers is given up: a while after the last one has left, because many come back at
//! once, with a page reloaded.
//!
//! Pure: it knows neither a server nor the clock. Its owner keeps it under a lock, and holds that lock also while it
//! hands a subscription or its end to the connection. No subscriber is lost that way: it enters the hub before it
//! asks for the channel. So either the look at the hub, under the lock, sees it, and the channel stays; or the end of
//! the subscription is queued before it asks, and its own subscription after that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

/// How long a channel without subscribers is still delivered.
pub const LINGER: Duration = Duration::from_secs(1);

/// Channels whose last subscriber has left.
#[derive(Debug, Default)]
pub struct Lingering {
    /// By when that was.
    left: HashMap<Arc<str>, Instant>,
    /// When to look at which of them. Each is in it once.
    queue: VecDeque<(Instant, Arc<str>)>,
}

/// What becomes of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It stays.
    Kept,
    /// It is given up: the subscription is to be ended.
    Removed,
}

impl Lingering {
    /// The last subscriber of a channel has left. `true` if nothing was queued, and whoever sleeps for the queue must
    /// be woken.
    pub fn leave(&mut self, channel: &str, now: Instant) -> bool {
        if let Some(left) = self.left.get_mut(channel) {
            *left = now;
            return false;
        }
        let channel: Arc<str> = channel.into();
        self.left.insert(channel.clone(), now);
        self.queue.push_back((now + LINGER, channel));
        self.queue.len() == 1
    }

    /// When to look at the next channel.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// Looks at one channel whose time has come; `None` if there is none.
    pub fn settle(
        &mut self,
        now: Instant,
        has_subscribers: impl FnOnce(&str) -> bool,
    ) -> Option<(Arc<str>, Settled)> {
        self.queue.front().filter(|(due, _)| *due <= now)?;
        let (_, channel) = self.queue.pop_front()?;
        if let Some(left) = self.left.get(&channel)
            && *left + LINGER > now
        {
            // Somebody came and left again. What is queued before it may be due a little later: so will this be.
            self.queue.push_back((*left + LINGER, channel.clone()));
            return Some((channel, Settled::Kept));
        }
        self.left.remove(&channel);
        if self.left.is_empty() {
            // After a crowd has left.
            self.left.shrink_to_fit();
            self.queue.shrink_to_fit();
        }
        let settled = if has_subscribers(&channel) {
            Settled::Kept
        } else {
            Settled::Removed
        };
        Some((channel, settled))
    }
}

#[cfg(test)]
mod tests;

//! Which channels are delivered to this node: the table behind [`Broker::subscribe`](crate::engine::Broker).
//!
//! Pure: it knows neither Redis nor the clock. Its owner keeps it under one lock, and tells the server what it
//! answers while still holding that lock, so that SUBSCRIBE and UNSUBSCRIBE of a channel reach the server in the
//! order in which the table decided on them.
//!
//! ```text
//!               subscribe: Start          confirmed(Ok)
//!   (absent) ───────────────────> Pending ─────────────> Active
//!       ^                           │  ^ subscribe: Wait    │  ^ subscribe: Ready
//!       │      confirmed(Err)       │                       │
//!       ├───────────────────────────┘                       │
//!       │      settle, a while after leave, nobody there    │
//!       └───────────────────────────────────────────────────┘  (from Pending as well)
//! ```
//!
//! No wake-up is lost: a subscriber enters the hub before it asks here. So either `settle`, under the lock, sees it
//! in the hub and keeps the channel; or the channel goes before the subscriber asks, who then starts anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::engine::EngineError;

/// How long a channel without subscribers is still delivered: many come back at once, with a page reloaded.
pub const LINGER: Duration = Duration::from_secs(1);

/// What a subscriber waits for: whether the server has confirmed. A dropped sender means that the channel was given
/// up meanwhile, which happens only to a subscriber that has left.
pub type Confirmation = oneshot::Receiver<Result<(), EngineError>>;

/// Which attempt to subscribe a confirmation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What a subscriber does.
#[derive(Debug)]
pub enum Step {
    /// Nothing: the channel is delivered.
    Ready,
    /// Wait for an attempt that is under way.
    Wait(Confirmation),
    /// Ask the server, tell the table its answer with the ticket, and wait like others.
    Start(Ticket, Confirmation),
}

/// What became of a channel that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It stays.
    Kept,
    /// It is gone: tell the server.
    Removed,
}

/// Channels and their states.
#[derive(Default)]
pub struct Interest {
    channels: HashMap<Arc<str>, Entry>,
    /// Channels that were left, with when to look at them.
    left: VecDeque<(Instant, Arc<str>)>,
    tickets: u64,
}

struct Entry {
    state: State,
    /// When the last subscriber left; set while the entry is in the queue.
    left: Option<Instant>,
}

enum State {
    Pending(Ticket, Vec<oneshot::Sender<Result<(), EngineError>>>),
    Active,
}

impl Interest {
    /// A subscriber that has entered the hub wants a channel delivered.
    pub fn subscribe(&mut self, channel: &str) -> Step {
        let (waker, confirmation) = oneshot::channel();
        match self.channels.get_mut(channel).map(|entry| &mut entry.state) {
            Some(State::Active) => Step::Ready,
            Some(State::Pending(_, waiting)) => {
                waiting.push(waker);
                Step::Wait(confirmation)
            }
            None => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                let entry = Entry {
                    state: State::Pending(ticket, vec![waker]),
                    left: None,
                };
                self.channels.insert(channel.into(), entry);
                Step::Start(ticket, confirmation)
            }
        }
    }

    /// The server has answered an attempt. `false` if the attempt was given up meanwhile and nothing has changed.
    pub fn confirmed(&mut self, channel: &str, ticket: Ticket, result: &Result<(), EngineError>) -> bool {
        let Some(entry) = self.channels.get_mut(channel) else {
            return false;
        };
        let State::Pending(current, waiting) = &mut entry.state else {
            return false;
        };
        if *current != ticket {
            return false;
        }
        for waker in waiting.drain(..) {
            // Who does not wait any more has left.
            let _ = waker.send(result.clone());
        }
        if result.is_ok() {
            entry.state = State::Active;
        } else {
            self.channels.remove(channel);
        }
        true
    }

    /// The last subscriber of a channel has left. `true` if the queue was empty, and whoever sleeps for it must be
    /// woken.
    pub fn leave(&mut self, channel: &str, now: Instant) -> bool {
        let Some((name, _)) = self.channels.get_key_value(channel) else {
            return false;
        };
        let name = name.clone();
        let Some(entry) = self.channels.get_mut(channel) else {
            return false;
        };
        if entry.left.replace(now).is_some() {
            return false;
        }
        self.left.push_back((now + LINGER, name));
        self.left.len() == 1
    }

    /// When to look at a channel that was left.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.left.front().map(|(due, _)| *due)
    }

    /// Looks at one channel whose time has come; `None` if there is none.
    pub fn settle(
        &mut self,
        now: Instant,
        has_subscribers: impl FnOnce(&str) -> bool,
    ) -> Option<(Arc<str>, Settled)> {
        self.left.front().filter(|(due, _)| *due <= now)?;
        let (_, channel) = self.left.pop_front()?;
        let Some(entry) = self.channels.get_mut(&channel) else {
            // An attempt that failed has removed it.
            return Some((channel, Settled::Kept));
        };
        match entry.left {
            Some(left) if left + LINGER <= now => {
                entry.left = None;
                if has_subscribers(&channel) {
                    return Some((channel, Settled::Kept));
                }
                self.channels.remove(&channel);
                Some((channel, Settled::Removed))
            }
            Some(left) => {
                // Somebody came and left again. What is queued before it may be due a little later: so will this be.
                self.left.push_back((left + LINGER, channel.clone()));
                Some((channel, Settled::Kept))
            }
            // Of an entry that was removed and made anew since it was queued.
            None => Some((channel, Settled::Kept)),
        }
    }

    /// Number of channels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }
}

#[cfg(test)]
mod tests;

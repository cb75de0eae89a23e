//! What waits for a connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use parking_lot::Mutex;
use redis::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::call::Call;
use crate::error::LinkError;
use crate::reply::Answer;

/// Calls that make a command worth sending by itself.
pub(crate) const LARGE: usize = 32;

/// Calls that may wait.
const MAX_CALLS: usize = 100_000;

/// Bytes that they may hold.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What has waited for too long is not looked for more often than that.
const FINEST: Duration = Duration::from_millis(10);

/// A call and who waits for it. It is small, for it is handed on a few times.
#[derive(Debug)]
pub(crate) struct Queued(Box<Waiting>);

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) call: Call,
    answer: Answer,
    /// When it was asked.
    pub(crate) since: Instant,
    /// How often a cluster has sent it elsewhere.
    pub(crate) redirects: u8,
    /// It was sent to a node that does not own its slot yet.
    pub(crate) asking: bool,
    /// Of several calls in one command, some would be refused: it is to be a command of its own.
    pub(crate) alone: bool,
    /// The server did not know its script: it is sent with the text.
    pub(crate) in_full: bool,
}

impl Queued {
    pub(crate) fn new(call: Call, answer: Answer) -> Self {
        Self(Box::new(Waiting {
            call,
            answer,
            since: Instant::now(),
            redirects: 0,
            asking: false,
            alone: false,
            in_full: false,
        }))
    }

    pub(crate) fn answer(self, result: Result<Value, LinkError>) {
        // Nobody may be waiting any more.
        let _ = self.0.answer.send(result);
    }

    pub(crate) fn fail(self, error: LinkError) {
        self.answer(Err(error));
    }
}

impl Deref for Queued {
    type Target = Waiting;

    fn deref(&self) -> &Waiting {
        &self.0
    }
}

impl DerefMut for Queued {
    fn deref_mut(&mut self) -> &mut Waiting {
        &mut self.0
    }
}

/// A bounded queue that can be shut while there is no connection. What waits in it for too long is failed
/// ([`Queue::expire`]).
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Queued>,
    bytes: usize,
    shut: Option<LinkError>,
}

impl Queue {
    /// Adds a call at the end, or fails it.
    pub(crate) fn push(&self, queued: Queued) {
        let size = queued.call.size();
        let mut state = self.state.lock();
        let error = match &state.shut {
            Some(error) => Some(error.clone()),
            None if state.waiting.len() >= MAX_CALLS || state.bytes + size > MAX_BYTES => {
                Some(LinkError::Overloaded)
            }
            None => None,
        };
        if let Some(error) = error {
            drop(state);
            return queued.fail(error);
        }
        state.bytes += size;
        state.waiting.push_back(queued);
        let is_awaited = matches!(state.waiting.len(), 1 | LARGE);
        drop(state);
        if is_awaited {
            self.filled.notify_one();
        }
    }

    /// Puts calls back in front of all others, in their order. They have been let in before.
    pub(crate) fn put_back(&self, calls: Vec<Queued>) {
        let mut state = self.state.lock();
        for queued in calls.into_iter().rev() {
            state.bytes += queued.call.size();
            state.waiting.push_front(queued);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until at least `count` calls wait: one or [`LARGE`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub(crate) async fn wait_for(&self, count: usize) {
        while self.state.lock().waiting.len() < count {
            self.filled.notified().await;
        }
    }

    /// Waits until there are calls, and takes up to that many of them.
    ///
    /// # Cancel safety
    /// Takes nothing when dropped.
    pub(crate) async fn take(&self, max_calls: usize, max_bytes: usize) -> Vec<Queued> {
        loop {
            self.wait_for(1).await;
            // What waited may have been failed since.
            let taken = self.take_now(max_calls, max_bytes);
            if !taken.is_empty() {
                return taken;
            }
        }
    }

    fn take_now(&self, max_calls: usize, max_bytes: usize) -> Vec<Queued> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < max_calls && bytes < max_bytes {
            let Some(queued) = state.waiting.pop_front() else {
                break;
            };
            bytes += queued.call.size();
            taken.push(queued);
        }
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.waiting.is_empty() && state.waiting.capacity() > 4096 {
            state.waiting = VecDeque::new();
        }
        taken
    }

    /// Fails what waits and what comes, until it is opened.
    pub(crate) fn shut(&self, error: &LinkError) {
        let waiting = {
            let mut state = self.state.lock();
            state.shut = Some(error.clone());
            state.bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        for queued in waiting {
            queued.fail(error.clone());
        }
    }

    /// Fails what has waited for longer than `limit`, for ever: run it beside what empties the queue.
    pub(crate) async fn expire(&self, limit: Duration) -> Infallible {
        loop {
            tokio::time::sleep((limit / 4).max(FINEST)).await;
            let late = {
                let mut state = self.state.lock();
                let is_late = |queued: &Queued| queued.since.elapsed() > limit;
                let count = state.waiting.iter().take_while(|queued| is_late(queued)).count();
                let late: Vec<_> = state.waiting.drain(..count).collect();
                let bytes: usize = late.iter().map(|queued| queued.call.size()).sum();
                state.bytes = state.bytes.saturating_sub(bytes);
                late
            };
            for queued in late {
                queued.fail(LinkError::Timeout);
            }
        }
    }

    /// Takes all that waits.
    pub(crate) fn drain(&self) -> Vec<Queued> {
        self.take_now(usize::MAX, usize::MAX)
    }

    /// Lets calls in.
    pub(crate) fn open(&self) {
        self.state.lock().shut = None;
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    /// Why nothing is let in.
    pub(crate) fn why_shut(&self) -> Option<LinkError> {
        self.state.lock().shut.clone()
    }
}

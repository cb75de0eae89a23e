//! Delays of one outbox: writes that collect, and memory that is kept for a while.
//!
//! ```text
//!          first frame             delay passed, frame at once, queue half full
//!  Open ────────────────> Collecting ───────────────────────────────────────────> Due
//!   ^                                                                              │
//!   └──────────────────────────(the writer emptied the queue)──────────────────────┘
//! ```
//!
//! While it collects, the outbox looks empty to its writer, whatever wakes that; so every transport obeys without
//! knowing of it. A queue that is half full is written at once: a delay must not make a client slow.

use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::{Outbox, State};
use crate::delays::{Delays, Due};

/// Delays that all outboxes of a server have.
#[derive(Debug)]
pub struct Pace {
    /// How long frames are collected before they are written; `None` = not at all.
    pub write_delay: Option<Duration>,
    /// How long an emptied queue keeps its memory; `None` = not at all.
    pub shrink_delay: Option<Duration>,
    /// Where both wait.
    pub delays: Arc<Delays>,
}

/// Whether the writer may see what is queued.
#[derive(Debug, Default)]
pub(super) enum Gate {
    /// Nothing is queued, or nothing is ever delayed.
    #[default]
    Open,
    /// Frames wait for others.
    Collecting,
    /// Frames may be written until there are none.
    Due,
}

/// What a paced outbox has beyond others.
#[derive(Debug)]
pub(super) struct Pacing {
    pace: Arc<Pace>,
    outbox: Weak<Outbox>,
    shrink: Arc<Shrink>,
}

#[derive(Debug)]
struct Shrink {
    outbox: Weak<Outbox>,
}

impl Pacing {
    pub(super) fn new(pace: &Arc<Pace>, outbox: &Weak<Outbox>) -> Self {
        let shrink = Shrink {
            outbox: outbox.clone(),
        };
        Self {
            pace: pace.clone(),
            outbox: outbox.clone(),
            shrink: Arc::new(shrink),
        }
    }

    /// A frame was queued: whom to wake.
    pub(super) fn queued(&self, state: &mut State, at_once: bool) -> Option<Waker> {
        let Some(delay) = self.pace.write_delay else {
            return state.writer.take();
        };
        if at_once {
            state.gate = Gate::Due;
        }
        match state.gate {
            Gate::Open => {
                state.gate = Gate::Collecting;
                // One entry at a time: that of a gate which something else opened before is still there.
                if !state.announced {
                    state.announced = true;
                    self.pace.delays.enter(delay, self.outbox.clone());
                }
                None
            }
            Gate::Collecting => None,
            Gate::Due => state.writer.take(),
        }
    }

    /// The writer has taken everything.
    pub(super) fn emptied(&self, state: &mut State) {
        state.gate = Gate::Open;
        match self.pace.shrink_delay {
            None => state.queue.shrink(),
            Some(delay) if state.queue.has_room() && !state.shrinking => {
                state.shrinking = true;
                let shrink = Arc::downgrade(&self.shrink);
                self.pace.delays.enter(delay, shrink);
            }
            Some(_) => {}
        }
    }
}

/// The write delay has passed.
impl Due for Outbox {
    fn due(self: Arc<Self>) {
        let waker = {
            let mut state = self.state.lock();
            state.announced = false;
            if !state.is_held() {
                return;
            }
            state.gate = Gate::Due;
            state.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The queue was emptied a while ago. If it is in use again, it announces itself when it is emptied the next time.
impl Due for Shrink {
    fn due(self: Arc<Self>) {
        if let Some(outbox) = self.outbox.upgrade() {
            let mut state = outbox.state.lock();
            state.shrinking = false;
            state.queue.shrink();
        }
    }
}

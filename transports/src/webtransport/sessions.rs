//! The sessions of one connection, and the streams that look for them.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::STREAM_REFUSED;
use crate::Close;
use crate::http3::error::{Code, ConnectionFault};
use crate::http3::input::Input;
use crate::http3::output::Output;

/// A bidirectional stream of a session, after its type and session id.
pub(crate) struct DataStream {
    pub(crate) session: u64,
    pub(crate) output: Output,
    pub(crate) input: Input,
}

impl DataStream {
    fn refuse(&mut self, code: Code) {
        self.output.reset(code);
        self.input.stop(code);
    }
}

/// The table of a connection. Few entries: a session needs two of the connection's streams.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Vec<Entry>,
    /// Streams whose CONNECT has not been answered yet, with the end of their patience.
    early: Vec<(Instant, Box<DataStream>)>,
}

struct Entry {
    id: u64,
    has_stream: bool,
    refused: u32,
    inbox: Arc<Inbox>,
}

impl Sessions {
    /// Registers a session and gives it the stream that overtook its CONNECT, if one did.
    pub(crate) fn insert(&mut self, id: u64) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::default());
        self.open.push(Entry {
            id,
            has_stream: false,
            refused: 0,
            inbox: inbox.clone(),
        });
        let (found, early) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|(_, stream)| stream.session == id);
        self.early = early;
        let found: Vec<(Instant, Box<DataStream>)> = found;
        for (_, stream) in found {
            self.give(stream);
        }
        inbox
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, id: u64) {
        self.open.retain(|entry| entry.id != id);
    }

    /// Takes a stream: for its session, or to wait at most `patience` for it.
    ///
    /// # Errors
    /// H3_ID_ERROR if no request can have that id.
    pub(crate) fn deliver(
        &mut self,
        mut stream: Box<DataStream>,
        patience: Duration,
    ) -> Result<(), ConnectionFault> {
        if !stream.session.is_multiple_of(4) {
            return Err(ConnectionFault::new(Code::ID_ERROR, "no id of a session"));
        }
        if self.open.iter().any(|entry| entry.id == stream.session) {
            self.give(stream);
        } else if self.early.len() < MAX_EARLY {
            self.early.push((Instant::now() + patience, stream));
        } else {
            stream.refuse(Code::WT_BUFFERED_STREAM_REJECTED);
        }
        Ok(())
    }

    /// Counts a stream of session `id` that was refused elsewhere.
    pub(crate) fn count_refusal(&mut self, id: u64) {
        if let Some(entry) = self.open.iter_mut().find(|entry| entry.id == id) {
            entry.refused += 1;
            if entry.refused > MAX_REFUSED {
                entry.inbox.violate(Close::new(3501, "bad request"));
            }
        }
    }

    /// When the first waiting stream loses patience.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.early.iter().map(|(deadline, _)| *deadline).min()
    }

    /// Refuses the streams whose session did not come in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.early.retain_mut(|(deadline, stream)| {
            let waits = *deadline > now;
            if !waits {
                stream.refuse(Code::WT_BUFFERED_STREAM_REJECTED);
            }
            waits
        });
    }

    fn give(&mut self, mut stream: Box<DataStream>) {
        let id = stream.session;
        match self.open.iter_mut().find(|entry| entry.id == id) {
            Some(entry) if !entry.has_stream => {
                entry.has_stream = true;
                entry.inbox.deliver(stream);
            }
            _ => {
                stream.refuse(STREAM_REFUSED);
                self.count_refusal(id);
            }
        }
    }
}

/// What a connection has for the task of one of its sessions.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stream: Option<Box<DataStream>>,
    violation: Option<Close>,
    waker: Option<Waker>,
}

impl Inbox {
    /// Ready with the session's stream, once.
    pub(super) fn poll_stream(&self, cx: &mut Context<'_>) -> Poll<Box<DataStream>> {
        self.poll(cx, |state| state.stream.take())
    }

    /// Ready with a close if the client broke the rules of its session.
    pub(super) fn poll_violation(&self, cx: &mut Context<'_>) -> Poll<Close> {
        self.poll(cx, |state| state.violation.take())
    }

    fn deliver(&self, stream: Box<DataStream>) {
        self.put(|state| state.stream = Some(stream));
    }

    fn violate(&self, close: Close) {
        self.put(|state| state.violation = Some(close));
    }

    fn poll<T>(&self, cx: &mut Context<'_>, take: impl FnOnce(&mut State) -> Option<T>) -> Poll<T> {
        let mut state = self.state.lock();
        if let Some(taken) = take(&mut state) {
            return Poll::Ready(taken);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn put(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state.lock();
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Streams of one connection that may wait for a CONNECT.
const MAX_EARLY: usize = 16;

/// Refused streams after which a session is closed.
const MAX_REFUSED: u32 = 100;

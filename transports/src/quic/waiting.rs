//! Who waits for what on one connection.

use std::task::{Context, Waker};

use quinn_proto::{Dir, StreamId};

/// What a task of a connection can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The handshake's data, or its end.
    Handshake,
    /// A stream that the peer opens.
    Accept(Dir),
    /// Permission to open a stream.
    Open(Dir),
    /// A datagram.
    Datagram,
    /// Bytes of a stream.
    Read(StreamId),
    /// Room on a stream.
    Write(StreamId),
    /// The end of a stream that we send on.
    Stopped(StreamId),
}

/// Wakers by reason, one for each. A list: an idle session waits for less than ten things, and a table for each
/// kind of them would take more memory than all of its wakers.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    entries: Vec<(Reason, Waker)>,
}

impl Waiting {
    /// Has the task woken for `reason`.
    pub(super) fn register(&mut self, reason: Reason, cx: &Context<'_>) {
        match self.entries.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => self.entries.push((reason, cx.waker().clone())),
        }
    }

    /// Whether somebody waits for `reason`.
    pub(super) fn contains(&self, reason: Reason) -> bool {
        self.entries.iter().any(|(known, _)| *known == reason)
    }

    /// Wakes who waits for `reason`.
    pub(super) fn wake(&mut self, reason: Reason) {
        if let Some(index) = self.entries.iter().position(|(known, _)| *known == reason) {
            self.entries.swap_remove(index).1.wake();
        }
    }

    /// Nobody waits for `reason` any longer.
    pub(super) fn forget(&mut self, reason: Reason) {
        if let Some(index) = self.entries.iter().position(|(known, _)| *known == reason) {
            self.entries.swap_remove(index);
        }
    }

    /// The connection is over: wakes everybody.
    pub(super) fn wake_all(&mut self) {
        for (_, waker) in std::mem::take(&mut self.entries) {
            waker.wake();
        }
    }
}

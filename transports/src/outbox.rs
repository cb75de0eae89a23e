//! The bounded queue between a session (or the hub) and its writer.
//!
//! Bounded in bytes: a push that lifts the queue above its limit answers [`Pushed::Overflow`] and is the last
//! one accepted; the session then closes with *slow* (3008) and the queue is dropped. Other connections are not
//! affected, and nothing waits for a slow reader.

mod queue;

use std::borrow::Cow;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use queue::FrameQueue;

/// One encoded protocol message without transport framing. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    payload: Bytes,
}

impl Frame {
    /// Wraps one encoded message.
    #[must_use]
    pub fn new(payload: Bytes) -> Self {
        Self { payload }
    }

    /// The encoded message.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

/// How a session wants its transport to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Disconnect code (protocol.md 4.2) or, for a transport's own violations, its code.
    pub code: u32,
    /// Reason of at most 123 bytes, never empty for codes of the protocol.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// A close with a static reason.
    #[must_use]
    pub const fn new(code: u32, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an overflow must close the session"]
pub enum Pushed {
    /// Queued.
    Queued,
    /// The queue is above its limit: close the connection as slow.
    Overflow,
    /// The outbox was closed before; the frame is dropped.
    Closed,
}

/// What a writer found in the outbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// Frames were appended to the writer's buffer; there may be more.
    Frames,
    /// The queue is empty and closed: close the transport.
    Closed(Close),
}

/// The bounded queue of frames between a session and its writer. See the module documentation.
#[derive(Debug)]
pub struct Outbox {
    limit: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: FrameQueue,
    bytes: usize,
    overflowed: bool,
    close: Option<Close>,
    writer: Option<Waker>,
    /// Times the writer took something; tells a slow writer from a stuck one.
    drains: u32,
}

impl Outbox {
    /// An outbox that holds at most `limit` bytes; `None` lifts the limit.
    #[must_use]
    pub fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    /// Queues a frame and wakes the writer.
    pub fn push(&self, frame: Frame) -> Pushed {
        let waker = {
            let mut state = self.state.lock();
            if state.close.is_some() || state.overflowed {
                return Pushed::Closed;
            }
            state.bytes += frame.payload.len();
            state.queue.push(frame);
            if self.limit.is_some_and(|limit| state.bytes > limit) {
                state.overflowed = true;
                return Pushed::Overflow;
            }
            state.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Pushed::Queued
    }

    /// Closes the outbox: what is queued is still written, later pushes are dropped. The first close wins.
    pub fn close(&self, close: Close) {
        self.shut(close, false);
    }

    /// Closes the outbox and drops what is queued.
    pub fn discard(&self, close: Close) {
        self.shut(close, true);
    }

    fn shut(&self, close: Close, drop_queue: bool) {
        let mut dropped = FrameQueue::default();
        let waker = {
            let mut state = self.state.lock();
            if state.close.is_some() {
                return;
            }
            if drop_queue {
                dropped = std::mem::take(&mut state.queue);
                state.bytes = 0;
            }
            state.close = Some(close);
            state.writer.take()
        };
        drop(dropped);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the session has closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.lock().close.is_some()
    }

    /// Bytes queued and not yet taken by the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Whether frames wait, and how often the writer has taken some: two equal answers with frames waiting mean
    /// that the writer is stuck.
    #[must_use]
    pub fn writer_progress(&self) -> (bool, u32) {
        let state = self.state.lock();
        (!state.queue.is_empty(), state.drains)
    }

    /// Moves at most `max` frames to the end of `into`; pending registers the writer's waker (one writer only).
    ///
    /// # Cancel safety
    /// Frames leave the queue only together with a ready result.
    pub fn poll_drain(&self, cx: &mut Context<'_>, max: usize, into: &mut Vec<Frame>) -> Poll<Drained> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            if let Some(close) = &state.close {
                return Poll::Ready(Drained::Closed(close.clone()));
            }
            match &mut state.writer {
                Some(waker) => waker.clone_from(cx.waker()),
                slot => *slot = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let mut bytes = 0;
        for _ in 0..max {
            let Some(frame) = state.queue.pop() else { break };
            bytes += frame.payload.len();
            into.push(frame);
        }
        state.bytes -= bytes;
        state.drains = state.drains.wrapping_add(1);
        Poll::Ready(Drained::Frames)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::new(Bytes::from_static(text.as_bytes()))
    }

    fn drain(outbox: &Outbox) -> (Vec<Frame>, Poll<Drained>) {
        let mut into = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = outbox.poll_drain(&mut cx, 16, &mut into);
        (into, polled)
    }

    #[test]
    fn writes_what_was_queued_before_the_close() {
        let outbox = Outbox::new(Some(100));
        assert_eq!(outbox.push(frame("a")), Pushed::Queued);
        outbox.close(Close::new(3001, "shutdown"));
        assert_eq!(outbox.push(frame("b")), Pushed::Closed);
        assert_eq!(drain(&outbox), (vec![frame("a")], Poll::Ready(Drained::Frames)));
        assert_eq!(
            drain(&outbox).1,
            Poll::Ready(Drained::Closed(Close::new(3001, "shutdown")))
        );
    }

    #[test]
    fn overflow_is_told_once_and_discards_on_demand() {
        let outbox = Outbox::new(Some(2));
        assert_eq!(outbox.push(frame("ab")), Pushed::Queued);
        assert_eq!(outbox.push(frame("c")), Pushed::Overflow);
        assert_eq!(outbox.push(frame("d")), Pushed::Closed);
        outbox.discard(Close::new(3008, "slow"));
        assert_eq!(
            drain(&outbox),
            (vec![], Poll::Ready(Drained::Closed(Close::new(3008, "slow"))))
        );
        assert_eq!(outbox.queued_bytes(), 0);
    }

    #[test]
    fn the_first_close_wins() {
        let outbox = Outbox::new(None);
        outbox.close(Close::new(3001, "shutdown"));
        outbox.discard(Close::new(3008, "slow"));
        assert_eq!(
            drain(&outbox).1,
            Poll::Ready(Drained::Closed(Close::new(3001, "shutdown")))
        );
    }
}

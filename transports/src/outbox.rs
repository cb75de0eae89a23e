//! The bounded queue between a session (or the hub) and its writer.
//!
//! Bounded in bytes: a push that lifts the queue above its limit answers [`Pushed::Overflow`] and is the last
//! one accepted; the session then closes with *slow* (3008) and the queue is dropped. Other connections are not
//! affected, and nothing waits for a slow reader.
//!
//! With a write delay ([`Pace`]) what is queued stays out of the writer's sight until the delay has passed.

mod pace;
mod queue;

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
pub use pace::Pace;
use pace::{Gate, Pacing};
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

/// How outboxes queue, and how writers take from them: one value for a whole server.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// Bytes an outbox may hold before the connection is slow (3008); `None` = no limit.
    pub limit: Option<usize>,
    /// Most frames that share one unit of a transport: a WebSocket message, a chunk of a streaming response, a
    /// write to a WebTransport stream.
    pub max_batch: usize,
    /// Delays, if there are any.
    pub pace: Option<Arc<Pace>>,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            limit: Some(1_048_576),
            max_batch: 16,
            pace: None,
        }
    }
}

/// The bounded queue of frames between a session and its writer. See the module documentation.
#[derive(Debug)]
pub struct Outbox {
    limit: usize,
    pacing: Option<Box<Pacing>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: FrameQueue,
    bytes: usize,
    overflowed: bool,
    gate: Gate,
    /// An entry of the write delay waits.
    announced: bool,
    /// An entry of the shrink delay waits.
    shrinking: bool,
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
            limit: limit.unwrap_or(usize::MAX),
            pacing: None,
            state: Mutex::default(),
        }
    }

    /// An outbox as the options of the server want it.
    #[must_use]
    pub fn open(options: &OutboxOptions) -> Arc<Self> {
        match &options.pace {
            None => Arc::new(Self::new(options.limit)),
            Some(pace) => Arc::new_cyclic(|me| Self {
                pacing: Some(Box::new(Pacing::new(pace, me))),
                ..Self::new(options.limit)
            }),
        }
    }

    /// Queues a frame and wakes the writer, unless it has to wait for others.
    pub fn push(&self, frame: Frame) -> Pushed {
        self.enqueue(frame, false)
    }

    /// Queues a frame that no write delay holds up, nor what was queued before it: the order stays.
    pub fn push_at_once(&self, frame: Frame) -> Pushed {
        self.enqueue(frame, true)
    }

    fn enqueue(&self, frame: Frame, at_once: bool) -> Pushed {
        let waker = {
            let mut state = self.state.lock();
            if state.close.is_some() || state.overflowed {
                return Pushed::Closed;
            }
            state.bytes += frame.payload.len();
            state.queue.push(frame);
            if state.bytes > self.limit {
                state.overflowed = true;
                return Pushed::Overflow;
            }
            match &self.pacing {
                None => state.writer.take(),
                Some(pacing) => {
                    let at_once = at_once || state.bytes > self.limit / 2;
                    pacing.queued(&mut state, at_once)
                }
            }
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

    /// Bytes it may hold; `usize::MAX` where nothing limits them.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether frames wait for the writer, and how often it has taken some: two equal answers with frames waiting
    /// mean that the writer is stuck.
    #[must_use]
    pub fn writer_progress(&self) -> (bool, u32) {
        let state = self.state.lock();
        (!state.queue.is_empty() && !state.is_held(), state.drains)
    }

    /// Moves at most `max` frames to the end of `into`; pending registers the writer's waker (one writer only).
    ///
    /// # Cancel safety
    /// Frames leave the queue only together with a ready result.
    pub fn poll_drain(&self, cx: &mut Context<'_>, max: usize, into: &mut Vec<Frame>) -> Poll<Drained> {
        let mut state = self.state.lock();
        if state.queue.is_empty() || state.is_held() {
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
        if state.queue.is_empty() {
            match &self.pacing {
                None => state.queue.shrink(),
                Some(pacing) => pacing.emptied(&mut state),
            }
        }
        Poll::Ready(Drained::Frames)
    }
}

impl State {
    /// Whether what is queued still waits for the write delay. A close waits for nothing.
    fn is_held(&self) -> bool {
        matches!(self.gate, Gate::Collecting) && self.close.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::Delays;

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

    /// An outbox with delays of an hour each.
    fn paced(limit: usize) -> (Arc<Outbox>, Arc<Delays>) {
        let delays = Arc::<Delays>::default();
        let pace = Pace {
            write_delay: Some(HOUR),
            shrink_delay: Some(HOUR),
            delays: delays.clone(),
        };
        let options = OutboxOptions {
            limit: Some(limit),
            pace: Some(Arc::new(pace)),
            ..OutboxOptions::default()
        };
        (Outbox::open(&options), delays)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn an_hour_later(delays: &Delays) {
        delays.fire(Instant::now() + HOUR);
    }

    #[test]
    fn a_delayed_write_collects_and_is_no_stuck_writer() {
        let (outbox, delays) = paced(100);
        for round in 1..3 {
            assert!(drain(&outbox).1.is_pending());
            assert_eq!(outbox.push(frame("a")), Pushed::Queued);
            assert_eq!(outbox.push(frame("b")), Pushed::Queued);
            assert!(drain(&outbox).1.is_pending());
            assert_eq!(outbox.writer_progress(), (false, round - 1));
            an_hour_later(&delays);
            assert_eq!(outbox.writer_progress(), (true, round - 1));
            assert_eq!(
                drain(&outbox),
                (vec![frame("a"), frame("b")], Poll::Ready(Drained::Frames))
            );
        }
    }

    #[test]
    fn what_is_due_takes_along_what_comes_while_it_is_written() {
        let (outbox, delays) = paced(100);
        assert_eq!(outbox.push(frame("a")), Pushed::Queued);
        an_hour_later(&delays);
        assert_eq!(outbox.push(frame("b")), Pushed::Queued);
        assert_eq!(drain(&outbox).0, [frame("a"), frame("b")]);
        assert_eq!(outbox.push(frame("c")), Pushed::Queued);
        assert!(drain(&outbox).1.is_pending());
    }

    #[test]
    fn neither_urgent_frames_nor_half_full_queues_nor_closes_wait() {
        let (outbox, delays) = paced(10);
        assert_eq!(outbox.push(frame("a")), Pushed::Queued);
        assert_eq!(outbox.push_at_once(frame("b")), Pushed::Queued);
        assert_eq!(drain(&outbox).0, [frame("a"), frame("b")]);
        assert_eq!(outbox.push(frame("12345")), Pushed::Queued);
        assert!(drain(&outbox).1.is_pending());
        assert_eq!(outbox.push(frame("6")), Pushed::Queued);
        assert_eq!(drain(&outbox).0.len(), 2);
        an_hour_later(&delays);
        assert_eq!(outbox.push(frame("a")), Pushed::Queued);
        outbox.close(Close::new(3001, "shutdown"));
        assert_eq!(drain(&outbox).0, [frame("a")]);
        assert!(matches!(drain(&outbox).1, Poll::Ready(Drained::Closed(_))));
    }

    #[test]
    fn the_writer_is_woken_once_the_delay_has_passed() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (outbox, delays) = paced(100);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(outbox.poll_drain(&mut cx, 16, &mut Vec::new()).is_pending());
        for _ in 0..3 {
            assert_eq!(outbox.push(frame("a")), Pushed::Queued);
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        an_hour_later(&delays);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        drop(outbox);
        an_hour_later(&delays);
    }

    #[test]
    fn an_emptied_queue_keeps_its_memory_for_a_while() {
        let (outbox, delays) = paced(100);
        for text in ["a", "b", "c"] {
            assert_eq!(outbox.push_at_once(frame(text)), Pushed::Queued);
        }
        assert_eq!(drain(&outbox).0.len(), 3);
        assert!(outbox.state.lock().queue.has_room());
        an_hour_later(&delays);
        assert!(!outbox.state.lock().queue.has_room());
        let outbox = Outbox::new(None);
        for text in ["a", "b", "c"] {
            assert_eq!(outbox.push(frame(text)), Pushed::Queued);
        }
        assert_eq!(drain(&outbox).0.len(), 3);
        assert!(!outbox.state.lock().queue.has_room());
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

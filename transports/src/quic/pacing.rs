//! Spreads over time what goes to many connections behind one socket address.
//!
//! A broadcast is one packet for each of many connections, none of which has a reason to pace itself (RFC 9002
//! section 7.7 is about one connection). To clients that have an address each that is right. But a gateway, a proxy
//! or a load generator holds thousands of sessions on one socket, whose receive buffer takes two or three hundred
//! small packets; what does not fit comes again only after a probe timeout, a hundred milliseconds later. So one
//! address gets at most [`PER_WINDOW`] transmits in a [`WINDOW`]. A transmit may hold many packets of one connection,
//! so a bulk transfer is not limited by this.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Transmits to one address in one window.
const PER_WINDOW: u32 = 32;
const WINDOW: Duration = Duration::from_millis(1);
/// Room for addresses that is kept from window to window.
const KEPT: usize = 1024;

/// Counts the transmits of one window, and keeps the connections that wait for the next.
pub(super) struct Pacing<C> {
    /// When the next window begins. A timer that fires late does not shift those after it.
    next: Instant,
    sent: HashMap<SocketAddr, u32>,
    waiting: Vec<C>,
    end: Pin<Box<Sleep>>,
}

impl<C> Pacing<C> {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
            sent: HashMap::new(),
            waiting: Vec::new(),
            end: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Whether `address` may be sent to now.
    pub(super) fn admits(&self, address: SocketAddr) -> bool {
        self.sent.get(&address).is_none_or(|sent| *sent < PER_WINDOW)
    }

    /// Counts a transmit to `address`.
    pub(super) fn count(&mut self, address: SocketAddr) {
        *self.sent.entry(address).or_default() += 1;
    }

    /// Keeps a connection until the next window. Call only after setting its `is_paced`.
    pub(super) fn defer(&mut self, connection: C) {
        self.waiting.push(connection);
    }

    /// Begins a new window if the last one is over; answers the connections that waited for it.
    pub(super) fn begin(&mut self, now: Instant) -> Option<std::vec::Drain<'_, C>> {
        let late = now.checked_duration_since(self.next)?;
        let into_window = Duration::from_nanos((late.as_nanos() % WINDOW.as_nanos()) as u64);
        self.next = now + WINDOW - into_window;
        self.sent.clear();
        self.sent.shrink_to(KEPT);
        (!self.waiting.is_empty()).then(|| self.waiting.drain(..))
    }

    /// Ready when connections wait for a window that may begin; pending forever if none waits.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_empty() {
            return Poll::Pending;
        }
        let next = tokio::time::Instant::from_std(self.next);
        if self.end.deadline() != next {
            self.end.as_mut().reset(next);
        }
        self.end.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[tokio::test]
    async fn an_address_gets_its_share_of_each_window() {
        let mut pacing = Pacing::new();
        let mut now = pacing.next;
        let mut sent = 0;
        let mut due: Vec<u32> = (0..3 * PER_WINDOW + 1).collect();
        let mut windows = 0;
        while !due.is_empty() {
            pacing.begin(now);
            windows += 1;
            for connection in std::mem::take(&mut due) {
                if pacing.admits(address(1)) {
                    assert_eq!(connection, sent, "those that wait keep their order");
                    pacing.count(address(1));
                    sent += 1;
                } else {
                    pacing.defer(connection);
                }
                // Others are not concerned.
                assert!(pacing.admits(address(2)));
            }
            assert!(sent <= windows * PER_WINDOW);
            // Within the window nothing changes, late in it or not.
            assert!(pacing.begin(now + WINDOW / 2).is_none());
            now += WINDOW;
            due.extend(pacing.begin(now).into_iter().flatten());
        }
        assert_eq!((sent, windows), (3 * PER_WINDOW + 1, 4));
    }

    #[tokio::test]
    async fn a_late_timer_does_not_shift_the_windows() {
        let mut pacing = Pacing::<()>::new();
        let origin = pacing.next;
        pacing.begin(origin + WINDOW * 5 + WINDOW / 3);
        assert_eq!(pacing.next, origin + WINDOW * 6);
    }

    #[tokio::test]
    async fn a_window_wakes_those_that_wait() {
        let mut pacing = Pacing::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(pacing.poll_next(&mut cx).is_pending());
        pacing.begin(Instant::now());
        pacing.defer(7);
        std::future::poll_fn(|cx| pacing.poll_next(cx)).await;
        let waited = pacing.begin(Instant::now()).map(Iterator::collect::<Vec<_>>);
        assert_eq!(waited, Some(vec![7]));
    }
}

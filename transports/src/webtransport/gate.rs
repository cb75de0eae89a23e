//! Polls the streams of a session only when they have something.
//!
//! A session's task wakes for every frame that is pushed to it, and a poll of a QUIC stream takes the lock of
//! its connection. Under a broadcast that would be three locks per delivery where one does the work. So the
//! streams get a waker of their own, which remembers that it was woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Guards what is polled with a waker of its own. It starts open.
pub(super) struct Gate {
    signal: Arc<Signal>,
    waker: Waker,
}

struct Signal {
    is_open: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        let signal = Arc::new(Signal {
            is_open: AtomicBool::new(true),
            task: Mutex::default(),
        });
        Self {
            waker: Waker::from(signal.clone()),
            signal,
        }
    }

    /// Calls `poll` if it was woken since it last was pending; pending otherwise.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // The task's waker must be in place before the gate closes: a wake after that finds it.
        {
            let mut task = self.signal.task.lock();
            match &mut *task {
                Some(waker) => waker.clone_from(cx.waker()),
                slot => *slot = Some(cx.waker().clone()),
            }
        }
        if !self.signal.is_open.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.signal.is_open.store(true, Ordering::Release);
        }
        polled
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_open.store(true, Ordering::Release);
        let task = self.task.lock().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_again_only_after_a_wake() {
        let gate = Gate::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut stored = None;
        assert!(
            gate.poll(&mut cx, |cx| {
                stored = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .is_pending()
        );
        assert!(
            gate.poll::<()>(&mut cx, |_| unreachable!("not woken"))
                .is_pending()
        );
        stored.unwrap().wake();
        assert!(gate.poll(&mut cx, |_| Poll::Ready(())).is_ready());
        assert!(
            gate.poll(&mut cx, |_| Poll::Ready(())).is_ready(),
            "open until pending"
        );
    }

    #[test]
    fn a_wake_during_the_poll_is_not_lost() {
        let gate = Gate::new();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = gate.poll(&mut cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert!(gate.poll(&mut cx, |_| Poll::Ready(())).is_ready());
    }
}

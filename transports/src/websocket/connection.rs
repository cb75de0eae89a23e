//! A WebSocket connection as a worker sees it: a task that reads, and an entry in the flusher's list that writes.
//!
//! Both work on one [`Link`] behind a lock that nobody waits for: task and flusher run on the same worker. The
//! outbox wakes the flusher, everything else wakes the task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

use super::WebsocketOptions;
use super::link::{Link, Upgraded, Wakers};
use crate::flush::{Flush, Flusher};
use crate::{Outbox, Session};

/// The task of one connection. It completes when the connection is gone and its session has been told.
pub(super) struct Connection<S: Session> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Session> {
    flusher: Arc<Flusher>,
    state: Mutex<State<S>>,
}

struct State<S: Session> {
    /// `None` once the connection is over.
    link: Option<Link<S>>,
    /// Wakes the task.
    task: Option<Waker>,
}

impl<S: Session> Connection<S> {
    pub(super) fn new(
        upgraded: Upgraded,
        session: S,
        outbox: Arc<Outbox>,
        options: Arc<WebsocketOptions>,
        flusher: Arc<Flusher>,
    ) -> Self {
        let state = State {
            link: Some(Link::new(upgraded, session, outbox, options)),
            task: None,
        };
        Self {
            shared: Arc::new(Shared {
                flusher,
                state: Mutex::new(state),
            }),
        }
    }
}

impl<S: Session> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let outbox = Waker::from(self.shared.clone());
        let mut state = self.shared.state.lock();
        let State { link, task } = &mut *state;
        match task {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *task = Some(cx.waker().clone()),
        }
        let Some(open) = link else {
            return Poll::Ready(());
        };
        let mut wakers = Wakers {
            task: cx,
            outbox: &outbox,
        };
        if open.poll(&mut wakers).is_pending() {
            return Poll::Pending;
        }
        *link = None;
        Poll::Ready(())
    }
}

impl<S: Session> Drop for Connection<S> {
    fn drop(&mut self) {
        // The outbox holds this connection to wake it; without its link it holds nothing in turn.
        self.shared.state.lock().link = None;
    }
}

/// The outbox has frames.
impl<S: Session> Wake for Shared<S> {
    fn wake(self: Arc<Self>) {
        let flusher = self.flusher.clone();
        flusher.enter(self);
    }
}

impl<S: Session> Flush for Shared<S> {
    fn flush(self: Arc<Self>) {
        let outbox = Waker::from(self.clone());
        let mut state = self.state.lock();
        let State {
            link: Some(link),
            task: Some(task),
        } = &mut *state
        else {
            return;
        };
        let mut cx = Context::from_waker(task);
        let mut wakers = Wakers {
            task: &mut cx,
            outbox: &outbox,
        };
        if link.flush(&mut wakers) {
            task.wake_by_ref();
        }
    }
}

//! One flusher per worker writes for all connections of that worker.
//!
//! A broadcast makes thousands of outboxes ready at once. Waking a task for each of them would cost a scheduling
//! round per connection and write; here a connection only enters a list, once however many frames wait for it,
//! and one task writes for the whole list. While it goes through a list, more publications arrive for those
//! further down: the busier the server, the more frames leave in one write, and the fewer writes there are.
//!
//! A worker that has just written for a long list does not begin the next long one at once: it pauses as long as
//! the writing took, at most [`LONGEST_PAUSE`], and takes what comes in meanwhile along. Under pressure that halves
//! the writes for a few milliseconds of latency; at a calm pace there is no next list to pause for.
//!
//! The list is first in, first out and holds every connection at most once: one huge channel delays the
//! subscriber of a small one by at most one write for each connection that is in the list already.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Writes of the list before other tasks, and the sockets that became readable, get their turn.
const WRITES_AT_ONCE: usize = 64;
/// Longest pause between two long lists.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// Room for connections that an idle list keeps.
const IDLE_CAPACITY: usize = 1024;

/// A connection that can write what waits in its outbox.
pub(crate) trait Flush: Send + Sync {
    /// Writes as much as the socket takes now. Must not block and must not enter a flusher's list by itself.
    fn flush(self: Arc<Self>);
}

/// The list of one worker and the task that works it off. The task ends when the last handle is dropped.
#[derive(Debug)]
pub struct Flusher {
    queue: Arc<Queue>,
    task: AbortHandle,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    due: Vec<Arc<dyn Flush>>,
    /// The task, while it waits for the list to fill.
    waiting: Option<Waker>,
}

impl Flusher {
    /// Starts a flusher on the current runtime, which should be the one that drives the connections' sockets.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn spawn() -> Arc<Self> {
        let queue = Arc::<Queue>::default();
        // Tokio's budget of operations is per task; this one works for many connections and yields by itself.
        let task = tokio::spawn(tokio::task::unconstrained(work(queue.clone())));
        Arc::new(Self {
            queue,
            task: task.abort_handle(),
        })
    }

    /// Enters a connection, which must not be in the list.
    pub(crate) fn enter(&self, connection: Arc<dyn Flush>) {
        let waiting = {
            let mut state = self.queue.state.lock();
            state.due.push(connection);
            state.waiting.take()
        };
        if let Some(task) = waiting {
            wake(task);
        }
    }
}

/// Runs `broadcast`, and wakes the flushers that it gave work only when it is done: one that began at once would
/// go through its list in pieces and contend for every entry.
pub fn hold<R>(broadcast: impl FnOnce() -> R) -> R {
    let outermost = HELD.replace(true);
    let result = broadcast();
    if !outermost {
        HELD.set(false);
        for task in TO_WAKE.take() {
            task.wake();
        }
    }
    result
}

thread_local! {
    static HELD: Cell<bool> = const { Cell::new(false) };
    /// Flushers that [`hold`] still has to wake, at most one entry for each worker.
    static TO_WAKE: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

fn wake(task: Waker) {
    if HELD.get() {
        TO_WAKE.with_borrow_mut(|tasks| tasks.push(task));
    } else {
        task.wake();
    }
}

/// A waker for an outbox whose writer is a task: the flusher wakes the task. From another worker that is one wake-up
/// between threads for a whole broadcast, instead of one, with a system call, for each of its tasks.
pub(crate) fn relay(flusher: &Arc<Flusher>, task: &Waker) -> Waker {
    Waker::from(Arc::new(Relay {
        flusher: flusher.clone(),
        task: task.clone(),
    }))
}

struct Relay {
    flusher: Arc<Flusher>,
    task: Waker,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let flusher = self.flusher.clone();
        flusher.enter(self);
    }
}

impl Flush for Relay {
    fn flush(self: Arc<Self>) {
        self.task.wake_by_ref();
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

async fn work(queue: Arc<Queue>) {
    let mut list = Vec::new();
    let mut rested = Instant::now();
    loop {
        let length = poll_fn(|cx| queue.poll_due(cx)).await;
        if length > WRITES_AT_ONCE {
            // In the past most of the time.
            tokio::time::sleep_until(rested).await;
        }
        queue.take(&mut list);
        let is_long = list.len() > WRITES_AT_ONCE;
        let started = is_long.then(Instant::now);
        let keep = (2 * list.len()).max(IDLE_CAPACITY);
        let mut written = 0;
        for connection in list.drain(..) {
            if written == WRITES_AT_ONCE {
                written = 0;
                tokio::task::yield_now().await;
            }
            connection.flush();
            written += 1;
        }
        // The two lists take turns: a huge one is given back after a few small ones.
        list.shrink_to(keep);
        if let Some(started) = started {
            let ended = Instant::now();
            rested = ended + (ended - started).min(LONGEST_PAUSE);
        }
        tokio::task::yield_now().await;
    }
}

impl Queue {
    /// Waits until something is due; answers how much.
    fn poll_due(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.state.lock();
        if state.due.is_empty() {
            state.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.due.len())
    }

    /// Exchanges the empty `list` for what is due.
    fn take(&self, list: &mut Vec<Arc<dyn Flush>>) {
        std::mem::swap(&mut self.state.lock().due, list);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    struct Counter {
        flushed: AtomicUsize,
        all: usize,
        done: Arc<Notify>,
    }

    impl Flush for Counter {
        fn flush(self: Arc<Self>) {
            if self.flushed.fetch_add(1, Ordering::Relaxed) + 1 == self.all {
                self.done.notify_one();
            }
        }
    }

    #[tokio::test]
    async fn everything_that_enters_is_flushed() {
        let flusher = Flusher::spawn();
        let done = Arc::new(Notify::new());
        let connection = Arc::new(Counter {
            flushed: AtomicUsize::new(0),
            all: 1000,
            done: done.clone(),
        });
        for round in 0..1000 {
            flusher.enter(connection.clone());
            if round % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        done.notified().await;
        assert_eq!(connection.flushed.load(Ordering::Relaxed), 1000);
    }

    #[tokio::test]
    async fn a_broadcast_wakes_at_its_end() {
        let flusher = Flusher::spawn();
        tokio::task::yield_now().await;
        let done = Arc::new(Notify::new());
        let connection = Arc::new(Counter {
            flushed: AtomicUsize::new(0),
            all: 2,
            done: done.clone(),
        });
        hold(|| {
            hold(|| flusher.enter(connection.clone()));
            assert_eq!(TO_WAKE.with_borrow(Vec::len), 1);
            flusher.enter(connection.clone());
        });
        assert_eq!(TO_WAKE.with_borrow(Vec::len), 0);
        done.notified().await;
    }

    #[tokio::test]
    async fn a_relay_wakes_its_task() {
        let flusher = Flusher::spawn();
        let mut relayed = None;
        poll_fn(|cx| match relayed.replace(true) {
            None => {
                relay(&flusher, cx.waker()).wake();
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
        })
        .await;
    }

    #[tokio::test]
    async fn the_last_handle_ends_the_task() {
        let flusher = Flusher::spawn();
        let queue = Arc::downgrade(&flusher.queue);
        drop(flusher);
        while queue.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

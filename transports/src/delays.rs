//! Things that are due a while after they were announced: writes that collect, batches that fill, memory that is
//! given back.
//!
//! One task serves a whole server. A timer for each connection or subscription would cost an allocation and two
//! visits to the runtime's wheel for every batch; here an entry is pushed to the end of a queue and popped from its
//! front. That works because a server knows few delays, each an option: what waits equally long becomes due in the
//! order in which it came, so there is a queue for each delay, and no sorting.
//!
//! Who is announced may be gone before its time: the queue does not keep it alive.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::flush;

/// Something that waits for its time.
pub trait Due: Send + Sync {
    /// The time has come. Must not block; may announce itself again.
    fn due(self: Arc<Self>);
}

/// The queues of a server. Nothing becomes due unless [`run`](Self::run) is driven, or [`fire`](Self::fire) called.
#[derive(Default)]
pub struct Delays {
    lanes: Mutex<Vec<Lane>>,
    /// The first entry of a lane has changed.
    changed: Notify,
}

/// What waits equally long.
struct Lane {
    after: Duration,
    entries: VecDeque<Entry>,
}

struct Entry {
    deadline: Instant,
    what: Weak<dyn Due>,
}

impl Delays {
    /// Announces `what`: it is due once, `after` from now.
    pub fn enter(&self, after: Duration, what: Weak<dyn Due>) {
        let is_first = {
            let mut lanes = self.lanes.lock();
            // Under the lock: within a lane the deadlines ascend.
            let now = Instant::now();
            let deadline = now.checked_add(after).unwrap_or(now);
            let entry = Entry { deadline, what };
            match lanes.iter_mut().find(|lane| lane.after == after) {
                Some(lane) => {
                    lane.entries.push_back(entry);
                    lane.entries.len() == 1
                }
                None => {
                    let entries = VecDeque::from([entry]);
                    lanes.push(Lane { after, entries });
                    true
                }
            }
        };
        if is_first {
            self.changed.notify_one();
        }
    }

    /// Lets everything come to its time, for ever.
    ///
    /// # Cancel safety
    /// May be dropped; what was not due yet waits for the next call.
    pub async fn run(self: Arc<Self>) {
        loop {
            match self.next() {
                Some(deadline) => tokio::select! {
                    () = tokio::time::sleep_until(deadline) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
            while self.fire(Instant::now()) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Tells those whose time has come by `now`; answers whether there may be more.
    pub fn fire(&self, now: Instant) -> bool {
        let mut due = Vec::new();
        {
            let mut lanes = self.lanes.lock();
            for lane in lanes.iter_mut() {
                let come = lane.entries.iter().take(AT_ONCE - due.len());
                let come = come.take_while(|entry| entry.deadline <= now).count();
                due.extend(lane.entries.drain(..come).map(|entry| entry.what));
            }
            // A crowd may have gone, and a reload may have changed the delays.
            lanes.retain(|lane| !lane.entries.is_empty());
        }
        let is_full = due.len() >= AT_ONCE;
        flush::hold(|| {
            for what in due {
                if let Some(what) = what.upgrade() {
                    what.due();
                }
            }
        });
        is_full
    }

    fn next(&self) -> Option<Instant> {
        let lanes = self.lanes.lock();
        lanes
            .iter()
            .filter_map(|lane| lane.entries.front())
            .map(|entry| entry.deadline)
            .min()
    }
}

impl fmt::Debug for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delays").finish_non_exhaustive()
    }
}

/// Entries told before other tasks get their turn.
const AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes when it was due.
    struct Note {
        name: usize,
        log: Arc<Mutex<Vec<usize>>>,
    }

    impl Due for Note {
        fn due(self: Arc<Self>) {
            self.log.lock().push(self.name);
        }
    }

    fn notes(count: usize) -> (Vec<Arc<Note>>, Arc<Mutex<Vec<usize>>>) {
        let log = Arc::<Mutex<Vec<usize>>>::default();
        let note = |name| {
            let log = log.clone();
            Arc::new(Note { name, log })
        };
        ((0..count).map(note).collect(), log)
    }

    fn enter(delays: &Delays, millis: u64, note: &Arc<Note>) {
        let what = Arc::downgrade(note);
        delays.enter(Duration::from_millis(millis), what);
    }

    fn after(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    #[test]
    fn what_waits_equally_long_comes_in_its_order() {
        let delays = Delays::default();
        let (notes, log) = notes(4);
        for (note, millis) in notes.iter().zip([50_000, 10_000, 50_000, 10_000]) {
            enter(&delays, millis, note);
        }
        assert!(!delays.fire(after(5_000)));
        assert!(log.lock().is_empty());
        delays.fire(after(20_000));
        assert_eq!(*log.lock(), [1, 3]);
        delays.fire(after(60_000));
        assert_eq!(*log.lock(), [1, 3, 0, 2]);
        assert!(delays.lanes.lock().is_empty(), "nothing waits, nothing is kept");
    }

    #[test]
    fn a_crowd_is_told_in_pieces_and_the_gone_are_not() {
        let delays = Delays::default();
        let (mut notes, log) = notes(2 * AT_ONCE);
        for note in &notes {
            enter(&delays, 1, note);
        }
        notes.truncate(AT_ONCE + 1);
        assert!(delays.fire(after(1)));
        assert_eq!(log.lock().len(), AT_ONCE);
        while delays.fire(after(1)) {}
        assert_eq!(*log.lock(), (0..=AT_ONCE).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_task_wakes_for_the_first_and_for_what_is_earlier() {
        let delays = Arc::<Delays>::default();
        let running = tokio::spawn(delays.clone().run());
        tokio::task::yield_now().await;
        let (notes, log) = notes(2);
        enter(&delays, 3_600_000, &notes[0]);
        tokio::task::yield_now().await;
        enter(&delays, 1, &notes[1]);
        while log.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*log.lock(), [1]);
        running.abort();
    }
}

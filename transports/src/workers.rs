//! Worker threads: each with a runtime of its own, and connections that stay where they were accepted.
//!
//! A work-stealing runtime moves tasks to whichever thread is idle, and pays for it with a wake-up between threads
//! for nearly every event of a server whose tasks are short. Here a connection lives on one thread: its socket,
//! its timers, its session and its writes. Threads meet only in the hub, and there one wake-up covers a whole
//! broadcast (see [`crate::flush`]). Opening connections costs about a third less that way.
//!
//! Before a worker sleeps, it lets others on its core run: peers on the same machine, and the network stack's own
//! threads. Often that is what brings its next events, and they are then taken together, without a sleep between
//! them; on a core of its own the yield returns at once.
//!
//! The price: a worker does not help another one. The kernel spreads new connections evenly (one listening socket
//! per worker), and no task may block or compute for long.

use std::io;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const TRIM_INTERVAL: Duration = Duration::from_secs(1);

/// The worker threads of a server. Dropping them ends the threads and drops what runs on them.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts one worker per core that the process may use. Each calls `trim` about once a second.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be made.
    pub fn start(trim: Option<fn()>) -> io::Result<Self> {
        Self::start_count(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), trim)
    }

    /// Starts `count` workers.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be made.
    pub fn start_count(count: NonZeroUsize, trim: Option<fn()>) -> io::Result<Self> {
        let mut workers = Self {
            handles: Vec::with_capacity(count.get()),
            stop: CancellationToken::new(),
        };
        for number in 0..count.get() {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .on_thread_park(thread::yield_now)
                .build()?;
            if let Some(trim) = trim {
                runtime.spawn(every_second(trim));
            }
            workers.handles.push(runtime.handle().clone());
            let stop = workers.stop.clone();
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(stop.cancelled_owned()))?;
        }
        Ok(workers)
    }

    /// The runtimes of the workers.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }
}

async fn every_second(trim: fn()) {
    let mut ticks = tokio::time::interval(TRIM_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        trim();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn tasks_run_where_they_were_put_and_end_with_the_workers() {
        let workers = Workers::start_count(NonZeroUsize::new(2).unwrap(), None).unwrap();
        let mut names = Vec::new();
        for handle in workers.handles() {
            let name = handle.spawn(async { thread::current().name().map(str::to_owned) });
            names.push(name.await.unwrap());
        }
        assert_eq!(names, [Some("worker-0".to_owned()), Some("worker-1".to_owned())]);
        let (held, dropped) = oneshot::channel::<()>();
        workers.handles()[0].spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(workers);
        assert!(dropped.await.is_err());
    }
}

//! Messages on their way from Redis to the node.
//!
//! The connection is read by one task, and fan-out takes longer than reading; so messages are divided among a few
//! tasks by their channel, which keeps the order within each channel (engines.md 7). Queues are bounded in messages
//! and in bytes. What does not fit is dropped, and told: as soon as the queue is worked off, its channels count as
//! interrupted, and whoever follows positions in them is told of the gap at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_transports::flush;
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::payload::{self, Message};
use super::sharding::fnv1a;
use super::tally::Tally;
use crate::engine::rarely::Rarely;
use crate::engine::{Inbound, Receiver};

/// Messages that may wait for one task.
const QUEUE: usize = 65_536;

/// Bytes that may wait for one task.
const QUEUE_BYTES: usize = 32 << 20;

/// Messages taken at once.
const BATCH: usize = 256;

/// How long writers wait at most for what arrives together: one wake-up of theirs then covers all of it.
const HOLD: Duration = Duration::from_micros(500);

/// The tasks. Dropping it ends them.
pub(super) struct Dispatch {
    queues: Vec<Queue>,
    tally: Arc<Tally>,
}

struct Queue {
    sender: mpsc::Sender<Item>,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    bytes: AtomicUsize,
    /// Channels of messages that were dropped.
    dropped: Mutex<HashSet<Box<str>>>,
    /// Something was dropped.
    overflow: Notify,
    log: Rarely,
    tally: Arc<Tally>,
}

struct Item {
    channel: Box<str>,
    payload: Bytes,
}

impl Dispatch {
    /// One task for each core that the process may use.
    pub(super) fn start(receiver: &Weak<dyn Receiver>, tally: Arc<Tally>) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let start = |_| Queue::start(receiver.clone(), tally.clone());
        Self {
            queues: (0..count).map(start).collect(),
            tally,
        }
    }

    /// Counts for metrics.
    pub(super) fn inbound(&self) -> Inbound {
        self.tally.read(self.queues.iter().map(Queue::len).collect())
    }

    /// Takes a message that has arrived on a channel. Does not wait.
    pub(super) fn push(&self, channel: &str, payload: Bytes) {
        let index = fnv1a(channel.as_bytes()) % self.queues.len().max(1) as u64;
        if let Some(queue) = self.queues.get(index as usize) {
            queue.push(channel, payload);
        }
    }
}

impl Queue {
    fn start(receiver: Weak<dyn Receiver>, tally: Arc<Tally>) -> Self {
        let (sender, receiving) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            bytes: AtomicUsize::new(0),
            dropped: Mutex::default(),
            overflow: Notify::new(),
            log: Rarely::new(),
            tally,
        });
        let task = tokio::spawn(work(receiving, shared.clone(), receiver));
        Self {
            sender,
            shared,
            _task: AbortOnDropHandle::new(task),
        }
    }

    fn len(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    fn push(&self, channel: &str, payload: Bytes) {
        let size = payload.len();
        let waiting = self.shared.bytes.fetch_add(size, Ordering::Relaxed);
        let item = Item {
            channel: channel.into(),
            payload,
        };
        // One message always fits, however large.
        let is_full = waiting > 0 && waiting.saturating_add(size) > QUEUE_BYTES;
        if !is_full && self.sender.try_send(item).is_ok() {
            return;
        }
        self.shared.bytes.fetch_sub(size, Ordering::Relaxed);
        self.shared.tally.dropped.add();
        self.shared.dropped.lock().insert(channel.into());
        self.shared.overflow.notify_one();
        if let Some(count) = self.shared.log.allow() {
            tracing::warn!(
                count,
                channel,
                "messages from Redis arrive faster than they are delivered, dropped"
            );
        }
    }
}

async fn work(mut receiving: mpsc::Receiver<Item>, shared: Arc<Shared>, receiver: Weak<dyn Receiver>) {
    let malformed = Rarely::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = receiving.recv_many(&mut batch, BATCH) => if count == 0 { return },
            () = shared.overflow.notified() => {}
        }
        // The node ends before its engine.
        let Some(receiver) = receiver.upgrade() else {
            return;
        };
        let mut items = batch.drain(..);
        while items.len() > 0 {
            flush::hold(|| {
                let began = Instant::now();
                for Item { channel, payload } in items.by_ref() {
                    shared.bytes.fetch_sub(payload.len(), Ordering::Relaxed);
                    if let Err(error) = deliver(&*receiver, &channel, &payload) {
                        shared.tally.malformed.add();
                        if let Some(count) = malformed.allow() {
                            tracing::error!(channel, count, %error, "error reading a message from Redis, dropped");
                        }
                    }
                    if began.elapsed() > HOLD {
                        break;
                    }
                }
            });
        }
        drop(items);
        if receiving.is_empty() {
            let dropped = std::mem::take(&mut *shared.dropped.lock());
            if !dropped.is_empty() {
                receiver.handle_restored(dropped.into_iter().map(Arc::from).collect());
            }
        } else {
            // Work without end must let others on this runtime run; some of it is still queued, so whatever was
            // dropped is seen later.
            tokio::task::yield_now().await;
        }
    }
}

fn deliver(receiver: &dyn Receiver, channel: &str, payload: &Bytes) -> Result<(), payload::Malformed> {
    match payload::parse(payload)? {
        Message::Publication(arrived) => receiver.handle_publication(
            channel,
            &arrived.publication,
            arrived.epoch.as_ref(),
            arrived.prior.as_previous(),
        ),
        Message::Join(info) => receiver.handle_join(channel, &info),
        Message::Leave(info) => receiver.handle_leave(channel, &info),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::engine::{ClientInfo, Epoch, Previous, Publication};

    /// Stops at the first publication until it is let go.
    struct Slow {
        barrier: Barrier,
        delivered: Mutex<Vec<String>>,
        restored: Mutex<Vec<Arc<str>>>,
    }

    impl Receiver for Slow {
        fn handle_publication(
            &self,
            channel: &str,
            _: &Arc<Publication>,
            _: Option<&Epoch>,
            _: Previous<'_>,
        ) {
            if self.delivered.lock().is_empty() {
                self.barrier.wait();
                self.barrier.wait();
            }
            self.delivered.lock().push(channel.to_owned());
        }

        fn handle_join(&self, _: &str, _: &Arc<ClientInfo>) {}

        fn handle_leave(&self, _: &str, _: &Arc<ClientInfo>) {}

        fn has_subscribers(&self, _: &str) -> bool {
            true
        }

        fn handle_restored(&self, channels: Vec<Arc<str>>) {
            self.restored.lock().extend(channels);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_does_not_fit_is_told() {
        let receiver = Arc::new(Slow {
            barrier: Barrier::new(2),
            delivered: Mutex::default(),
            restored: Mutex::default(),
        });
        let as_receiver: Arc<dyn Receiver> = receiver.clone();
        let queue = Queue::start(Arc::downgrade(&as_receiver), Arc::default());
        let large = Bytes::from(vec![0; QUEUE_BYTES]);
        // An unreadable message is dropped without being told: nobody has missed it.
        queue.push("unreadable", large.clone());
        queue.push("a", Bytes::new());
        tokio::task::block_in_place(|| receiver.barrier.wait());
        // The first is being delivered, so one of any size fits, and nothing after it.
        queue.push("b", large);
        queue.push("c", Bytes::from_static(b"\x22\x01x"));
        queue.push("c", Bytes::from_static(b"\x22\x01x"));
        assert!(
            receiver.restored.lock().is_empty(),
            "not before what came earlier"
        );
        tokio::task::block_in_place(|| receiver.barrier.wait());
        while receiver.restored.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*receiver.restored.lock(), [Arc::<str>::from("c")]);
        queue.push("c", Bytes::new());
        while receiver.delivered.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*receiver.delivered.lock(), ["a", "c"]);
    }
}

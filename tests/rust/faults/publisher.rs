//! A backend that publishes numbers, one after the other, each until it is accepted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::nodes::{Addresses, call};
use crate::servers::eventually;

/// Publishes until it is stopped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
    accepted: Arc<Mutex<BTreeSet<u64>>>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// To one channel, through all nodes in turn.
    pub fn start(nodes: Addresses, channel: &str) -> Self {
        let (stop, failures) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let accepted = Arc::<Mutex<BTreeSet<u64>>>::default();
        let (stopping, failing, accepting) = (stop.clone(), failures.clone(), accepted.clone());
        let channel = channel.to_owned();
        let task = tokio::spawn(async move {
            let mut number = 1;
            let mut turn = 0;
            while !stopping.load(Ordering::Relaxed) {
                let body =
                    json!({ "channel": channel, "data": number, "idempotency_key": number.to_string() });
                turn += 1;
                let answer = match nodes.internal(turn) {
                    Some(node) => call(node, "publish", &body).await,
                    None => None,
                };
                if answer.is_some_and(|answer| answer.get("result").is_some()) {
                    accepting.lock().insert(number);
                    number += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                } else {
                    failing.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        Self {
            stop,
            failures,
            accepted,
            task,
        }
    }

    /// Attempts that were answered with an error, or not at all.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub fn count(&self) -> usize {
        self.accepted.lock().len()
    }

    /// Waits until that many more were accepted.
    pub async fn accepts(&self, more: usize) {
        let wanted = self.count() + more;
        eventually("more accepted publications", async || {
            (self.count() >= wanted).then_some(())
        })
        .await;
    }

    /// Ends; what was accepted.
    pub async fn end(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        std::mem::take(&mut *self.accepted.lock())
    }
}

//! The promises of the design, kept under load: order, recovery, slow consumers, stuck writers, fairness, the API,
//! shutdown, and connections that come and go.
//!
//! The server is a process of its own and is seen from outside only. Everything is bounded, on loopback, and no
//! timing decides: tests wait for what must happen, and compare progress with progress.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]
#![allow(missing_docs, unreachable_pub, reason = "tests are their own documentation")]

#[path = "../support/mod.rs"]
mod support;

mod crowd;
mod decoder;
mod kind;
mod link;
mod message;
mod record;
mod server;

mod acknowledged;
mod api;
mod churn;
mod fairness;
mod order;
mod recovery;
mod shutdown;
mod slow;
mod stuck;

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

/// How long a single wait may take before the test counts as hung, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// What hangs, fails, and says what hung.
async fn patiently<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Waits for tasks. The first that fails fails the test, whatever the others wait for.
async fn all<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut outputs = Vec::new();
    while let Some(output) = tasks.join_next().await {
        outputs.push(output.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
    }
    outputs
}

/// Tests with thousands of sockets take turns, so that they stay below the usual limit of open files.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    assert!(
        soft.is_none_or(|soft| soft >= 4096),
        "this test needs `ulimit -n 4096`"
    );
    TURN.lock().await
}

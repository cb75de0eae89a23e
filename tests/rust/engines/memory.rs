//! The memory of one node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::engine::memory::{MemoryBroker, MemoryPresence};

use crate::kit::{BrokerKit, PresenceKit};
use crate::{brokers, presence};

#[tokio::test]
async fn broker() {
    brokers::suite(BrokerKit {
        broker: Box::new(|| Arc::new(MemoryBroker::default())),
        is_shared: false,
        has_history: true,
        has_versions: true,
        forgets_versions: true,
        reads_backwards: true,
        servers: Box::new(()),
    })
    .await;
}

#[tokio::test]
async fn presence() {
    presence::suite(PresenceKit {
        store: Box::new(|| {
            let store = Arc::new(MemoryPresence::new(Duration::from_secs(2)));
            // The server's sweep.
            let swept = store.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    swept.sweep(Instant::now());
                }
            });
            store
        }),
        is_shared: false,
        servers: Box::new(()),
    })
    .await;
}

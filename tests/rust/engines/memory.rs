//! The memory of one node.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tidegate::engine::memory::{MemoryBroker, MemoryPresence};
use tidegate::engine::{Broker, PresenceStore};

use crate::kit::{BrokerKit, PresenceKit};
use crate::{brokers, presence};

#[tokio::test]
async fn broker() {
    brokers::suite(BrokerKit {
        broker: Box::new(|| {
            let broker = Arc::new(MemoryBroker::default());
            let swept = broker.clone();
            sweeping(move |now| swept.sweep(now));
            ready(broker as Arc<dyn Broker>).boxed()
        }),
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
            let swept = store.clone();
            sweeping(move |now| swept.sweep(now));
            ready(store as Arc<dyn PresenceStore>).boxed()
        }),
        is_shared: false,
        servers: Box::new(()),
    })
    .await;
}

/// What the server does about once a second.
fn sweeping(sweep: impl Fn(Instant) + Send + 'static) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sweep(Instant::now());
        }
    });
}

//! Which engine does what (engines.md 1): made from the configuration, before the node that uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::memory::{MemoryBroker, MemoryPresence};
use crate::engine::{Broker, Controller, PresenceStore, UserConnections};

/// Entries of the memory presence store vanish when a connection did not renew them for that long.
const PRESENCE_TTL: Duration = Duration::from_secs(60);

/// The engines of a node.
pub(super) struct Engines {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) presence: Arc<dyn PresenceStore>,
    /// What joins the node with others; `None` for a node that acts alone.
    pub(super) controller: Option<Arc<dyn Controller>>,
    /// Where the connections of users are counted over all nodes; `None` where nothing can.
    pub(super) user_connections: Option<Arc<dyn UserConnections>>,
    /// Name for the log.
    pub(super) name: String,
    pub(super) sweeper: Sweeper,
}

/// Gives memory of expired entries back; called about once a second.
pub(super) struct Sweeper {
    broker: Option<Arc<MemoryBroker>>,
    presence: Option<Arc<MemoryPresence>>,
}

impl Engines {
    /// Everything in this process.
    pub(super) fn memory() -> Self {
        let broker = Arc::new(MemoryBroker::default());
        let presence = Arc::new(MemoryPresence::new(PRESENCE_TTL));
        Self {
            broker: broker.clone(),
            presence: presence.clone(),
            controller: None,
            user_connections: None,
            name: "memory".to_owned(),
            sweeper: Sweeper {
                broker: Some(broker),
                presence: Some(presence),
            },
        }
    }
}

impl Sweeper {
    pub(super) fn sweep(&self, now: Instant) {
        if let Some(broker) = &self.broker {
            broker.sweep(now);
        }
        if let Some(presence) = &self.presence {
            presence.sweep(now);
        }
    }
}

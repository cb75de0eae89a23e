//! A node: hub, engine and connections of one process, and the operations on them.
//!
//! Transports come in through [`NodeAcceptor`], backends through the operations; both end in the same sessions,
//! hub and engine.

mod acceptor;
mod calls;
mod cluster;
mod connection;
mod limits;
mod operations;
mod orders;
mod readiness;
mod receiver;
mod registry;
mod restored;
mod revocation;
mod users;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::engine::{Broker, Controller, Inbound, PresenceStore, UserConnections};
use crate::hub::{Event, Hub};
use crate::protocol::Disconnect;
use crate::session::{Context, Now};
pub use acceptor::{Admission, NodeAcceptor};
pub use cluster::{EmulationTarget, Forwarded};
pub use limits::ConnectionLimits;
pub use readiness::Readiness;
use registry::Registry;

/// One process of a cluster.
pub struct Node {
    me: Weak<Self>,
    /// Random UUIDv4, new at every start.
    id: String,
    /// Name for people.
    name: String,
    started: Instant,
    context: Arc<Context>,
    hub: Hub,
    registry: Registry,
    broker: Arc<dyn Broker>,
    presence: Arc<dyn PresenceStore>,
    cluster: Option<cluster::Cluster>,
    user_connections: Option<users::CountedUsers>,
    stopping: CancellationToken,
    intervals: operations::Intervals,
}

/// What a node is made of.
pub struct Parts {
    /// Random UUIDv4.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Shared by all sessions.
    pub context: Arc<Context>,
    /// History and publish/subscribe.
    pub broker: Arc<dyn Broker>,
    /// Who is where.
    pub presence: Arc<dyn PresenceStore>,
    /// What joins the node with others.
    pub controller: Option<Arc<dyn Controller>>,
    /// Where the connections of users are counted over all nodes.
    pub user_connections: Option<Arc<dyn UserConnections>>,
    /// Connections of one user to all nodes; `None` for no limit.
    pub user_connection_limit: Option<usize>,
    /// Window of the metrics inside `info`; zero = none.
    pub info_metrics_interval: Duration,
}

impl Node {
    /// A node that runs as soon as transports and backends call it.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            id,
            name,
            context,
            broker,
            presence,
            controller,
            user_connections,
            user_connection_limit,
            info_metrics_interval,
        } = parts;
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            id,
            name,
            started: Instant::now(),
            context,
            hub: Hub::default(),
            registry: Registry::default(),
            broker,
            presence,
            cluster: controller.map(cluster::Cluster::new),
            user_connections: users::CountedUsers::new(user_connections, user_connection_limit),
            stopping: CancellationToken::new(),
            intervals: operations::Intervals::new(info_metrics_interval),
        })
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its sessions share.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Numbers of what the node holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (channels, subscriptions) = self.hub.counts();
        let (clients, users) = self.registry.counts();
        Counts {
            clients,
            users,
            channels,
            subscriptions,
            nodes: 1 + self.cluster.as_ref().map_or(0, cluster::Cluster::peer_count),
            from_broker: self.broker.inbound(),
            from_nodes: self.cluster.as_ref().and_then(cluster::Cluster::inbound),
        }
    }

    /// Disconnects every client with 3001 and waits until all of them are gone. New connections are accepted and
    /// told the same.
    ///
    /// # Cancel safety
    /// May be dropped; clients told so far stay told.
    pub async fn shut_down(&self) {
        self.stopping.cancel();
        for handle in self.registry.all() {
            handle.mailbox.post(Event::Disconnect(Disconnect::SHUTDOWN));
        }
        self.registry.emptied().await;
        self.leave_cluster().await;
    }

    /// Seconds since the start.
    fn uptime(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// The time of this machine.
    #[must_use]
    pub fn now() -> Now {
        Now {
            instant: Instant::now(),
            unix_ms: unix_ms(),
        }
    }
}

/// Numbers of what a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Authenticated connections.
    pub clients: usize,
    /// Distinct users of them.
    pub users: usize,
    /// Channels with subscribers.
    pub channels: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Nodes of the cluster, itself included.
    pub nodes: usize,
    /// Messages from the broker, where it counts them.
    pub from_broker: Option<Inbound>,
    /// Messages of other nodes, where they are counted.
    pub from_nodes: Option<Inbound>,
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Unix time in milliseconds.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

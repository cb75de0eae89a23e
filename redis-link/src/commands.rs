//! Commands to one shard, wherever its servers are.

use std::sync::Arc;

use crate::call::Call;
use crate::cluster::Cluster;
use crate::dial::Login;
use crate::error::LinkError;
use crate::lane::{Lane, Target};
use crate::options::{Options, Topology};
use crate::queue::Queued;
use crate::reply::{self, Reply};
use crate::sentinel::Watched;

/// Takes commands for a shard. Cheap to clone; its connections end with the last clone.
#[derive(Clone, Debug)]
pub struct Commands(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Lane(Lane),
    Cluster(Cluster),
}

impl Commands {
    /// Begins to connect, and goes on for ever. Must be called inside a Tokio runtime, on which its tasks run.
    #[must_use]
    pub fn open(options: &Options) -> Self {
        let login = Login::of(options);
        let inner = match &options.topology {
            Topology::Single(endpoint) => {
                let target = Target::Endpoint(endpoint.clone(), login);
                Inner::Lane(Lane::open(target, options.io_timeout, None))
            }
            Topology::Sentinel(sentinels) => {
                let target = Target::Watched(Box::new(Watched::new(sentinels, options)));
                Inner::Lane(Lane::open(target, options.io_timeout, None))
            }
            Topology::Cluster { seeds } => Inner::Cluster(Cluster::open(seeds, login, options.io_timeout)),
        };
        Self(Arc::new(inner))
    }

    /// Connections for what only reads and may be a little old, to a replica of the master that sentinels name, or to
    /// one for each part of a cluster (its master where there is none). `None` if the options want none, and for a
    /// single server, of whose replicas nobody tells.
    ///
    /// A call fails where no replica can do it; it is for the caller to turn to the master.
    #[must_use]
    pub fn open_replicas(options: &Options) -> Option<Self> {
        if !options.replicas {
            return None;
        }
        let inner = match &options.topology {
            Topology::Single(_) => return None,
            Topology::Sentinel(sentinels) => {
                let target = Target::Replica(Box::new(Watched::new(sentinels, options)));
                Inner::Lane(Lane::open(target, options.io_timeout, None))
            }
            Topology::Cluster { seeds } => {
                let login = Login {
                    reads_replicas: true,
                    ..Login::of(options)
                };
                Inner::Cluster(Cluster::open(seeds, login, options.io_timeout))
            }
        };
        Some(Self(Arc::new(inner)))
    }

    /// Asks something. It is queued when this returns; calls with one order key are executed in the order of these
    /// calls, unless a cluster moves their slot in between.
    ///
    /// # Errors
    /// Of the reply: [`LinkError::Disconnected`] at once while there is no connection, [`LinkError::Overloaded`] at
    /// once while too much waits, [`LinkError::Timeout`] after the time-out of the connection: once for waiting to be sent, in which case nothing
    /// was done, and once for the answer.
    pub fn call(&self, call: Call) -> Reply {
        let (answer, reply) = reply::pair();
        let queued = Queued::new(call, answer);
        match &*self.0 {
            Inner::Lane(lane) => lane.push(queued),
            Inner::Cluster(cluster) => cluster.push(queued),
        }
        reply
    }

    /// Whether the shard is a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(*self.0, Inner::Cluster(_))
    }

    /// Whether calls would be sent now.
    ///
    /// # Errors
    /// Why not, as last seen.
    pub fn ready(&self) -> Result<(), LinkError> {
        match &*self.0 {
            Inner::Lane(lane) => lane.ready(),
            Inner::Cluster(cluster) => cluster.ready(),
        }
    }
}

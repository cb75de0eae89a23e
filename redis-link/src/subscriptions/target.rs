//! Where subscriptions are made.

use std::time::Duration;

use parking_lot::Mutex;
use rand::seq::SliceRandom;

use crate::dial::{Login, Wire};
use crate::error::LinkError;
use crate::nodes::{View, info, is_well};
use crate::options::{Endpoint, Options, Topology};
use crate::sentinel::Watched;
use crate::slot::slot;
use crate::slots::Range;

use super::{Kind, PING_INTERVAL};

/// How long a replaced master is still listened to, while everybody leaves it with what he publishes: who has heard
/// something that the new one does not have can be told so, who has not cannot.
const LISTEN_ON: Duration = Duration::from_millis(100);

/// Nodes of a cluster that are remembered beside its seeds.
const MAX_KNOWN: usize = 1000;

pub(super) enum Target {
    Endpoint(Endpoint, Login),
    Watched(Box<Watched>),
    /// Any node of a cluster that thinks the cluster is well: it passes on what is published at the others.
    Cluster(Mutex<Vec<Endpoint>>, Login),
    /// The master of a slot of a cluster.
    Slot(Mutex<Vec<Endpoint>>, Login, u16),
}

impl Target {
    /// `key` is in the slot of sharded subscriptions.
    pub(super) fn new(options: &Options, kind: Kind, key: &[u8]) -> Self {
        let login = Login::of(options);
        match &options.topology {
            Topology::Single(endpoint) => Self::Endpoint(endpoint.clone(), login),
            Topology::Sentinel(sentinels) => Self::Watched(Box::new(Watched::new(sentinels, options))),
            Topology::Cluster { seeds } if kind == Kind::Sharded => {
                Self::Slot(Mutex::new(seeds.clone()), login, slot(key))
            }
            Topology::Cluster { seeds } => Self::Cluster(Mutex::new(seeds.clone()), login),
        }
    }

    /// Whether the server is one of a cluster, from which it may be cut off.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(..) | Self::Slot(..))
    }

    /// Ends when `current` is not the server to ask any more.
    pub(super) async fn replaced(&self, current: &Endpoint) -> LinkError {
        match self {
            Self::Watched(watched) => {
                let error = watched.replaced(current).await;
                tokio::time::sleep(LISTEN_ON).await;
                error
            }
            Self::Endpoint(..) | Self::Cluster(..) | Self::Slot(..) => std::future::pending().await,
        }
    }

    /// Ends when `current` thinks that its cluster is not well. Asks over a connection of its own; whether `current`
    /// lives at all shows elsewhere.
    pub(super) async fn cut_off(&self, current: &Endpoint) -> LinkError {
        let (Self::Cluster(_, login) | Self::Slot(_, login, _)) = self else {
            return std::future::pending().await;
        };
        loop {
            if let Ok(mut wire) = login.dial(current).await {
                while let Ok(Ok(info)) = tokio::time::timeout(login.connect_timeout, info(&mut wire)).await {
                    if !is_well(&info) {
                        return cut_off(current);
                    }
                    tokio::time::sleep(PING_INTERVAL).await;
                }
            }
            tokio::time::sleep(PING_INTERVAL).await;
        }
    }

    pub(super) async fn dial(&self) -> Result<(Wire, Endpoint), LinkError> {
        match self {
            Self::Endpoint(endpoint, login) => Ok((login.dial(endpoint).await?, endpoint.clone())),
            Self::Watched(watched) => watched.dial().await,
            Self::Cluster(known, login) => {
                let (wire, endpoint, _) = dial_any(known, login).await?;
                Ok((wire, endpoint))
            }
            Self::Slot(known, login, slot) => {
                let (wire, endpoint, ranges) = dial_any(known, login).await?;
                let master = ranges
                    .into_iter()
                    .find(|range| range.holds(*slot))
                    .map(|range| range.master);
                match master {
                    None => Err(LinkError::Disconnected(format!(
                        "slot {slot} of the cluster has no node"
                    ))),
                    Some(master) if master == endpoint => Ok((wire, endpoint)),
                    Some(master) => Ok((login.dial(&master).await?, master)),
                }
            }
        }
    }
}

/// Tries the nodes in random order, so that the subscriptions of many of us spread over the cluster.
async fn dial_any(
    known: &Mutex<Vec<Endpoint>>,
    login: &Login,
) -> Result<(Wire, Endpoint, Vec<Range>), LinkError> {
    let mut last = LinkError::Disconnected("no node of the cluster is known".to_owned());
    let mut candidates = known.lock().clone();
    candidates.shuffle(&mut rand::rng());
    for endpoint in candidates {
        match dial_healthy(&endpoint, login).await {
            Ok((wire, ranges)) => {
                let mut known = known.lock();
                for node in ranges.iter().flat_map(Range::nodes) {
                    if !known.contains(node) && known.len() < MAX_KNOWN {
                        known.push(node.clone());
                    }
                }
                drop(known);
                return Ok((wire, endpoint, ranges));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A connection to a node that thinks its cluster is well, and the slots as that node knows them.
async fn dial_healthy(endpoint: &Endpoint, login: &Login) -> Result<(Wire, Vec<Range>), LinkError> {
    let mut wire = login.dial(endpoint).await?;
    let view = View::ask(&mut wire, endpoint, login.connect_timeout).await?;
    if !view.is_well {
        return Err(cut_off(endpoint));
    }
    Ok((wire, view.ranges))
}

/// What such a node passes on is not all that is published.
pub(super) fn cut_off(endpoint: &Endpoint) -> LinkError {
    LinkError::Disconnected(format!("{endpoint} is cut off from its cluster"))
}

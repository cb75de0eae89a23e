//! Where subscriptions are made.

use parking_lot::Mutex;
use rand::seq::SliceRandom;

use crate::dial::{Login, Wire};
use crate::error::LinkError;
use crate::options::{Endpoint, Options, Topology};
use crate::sentinel::Watched;
use crate::values::{integer, items, text};

/// Nodes of a cluster that are remembered beside its seeds.
const MAX_KNOWN: usize = 1000;

pub(super) enum Target {
    Endpoint(Endpoint, Login),
    Watched(Box<Watched>),
    /// Any node of a cluster that thinks the cluster is well: it passes on what is published at the others.
    Cluster(Mutex<Vec<Endpoint>>, Login),
}

impl Target {
    pub(super) fn new(options: &Options) -> Self {
        let login = Login::of(options);
        match &options.topology {
            Topology::Single(endpoint) => Self::Endpoint(endpoint.clone(), login),
            Topology::Sentinel(sentinels) => Self::Watched(Box::new(Watched::new(sentinels, options))),
            Topology::Cluster { seeds } => Self::Cluster(Mutex::new(seeds.clone()), login),
        }
    }

    pub(super) async fn dial(&self) -> Result<(Wire, Endpoint), LinkError> {
        match self {
            Self::Endpoint(endpoint, login) => Ok((login.dial(endpoint).await?, endpoint.clone())),
            Self::Watched(watched) => watched.dial().await,
            Self::Cluster(known, login) => dial_any(known, login).await,
        }
    }
}

/// Tries the nodes in random order, so that the subscriptions of many of us spread over the cluster.
async fn dial_any(known: &Mutex<Vec<Endpoint>>, login: &Login) -> Result<(Wire, Endpoint), LinkError> {
    let mut last = LinkError::Disconnected("no node of the cluster is known".to_owned());
    let mut candidates = known.lock().clone();
    candidates.shuffle(&mut rand::rng());
    for endpoint in candidates {
        match dial_healthy(&endpoint, login).await {
            Ok((wire, nodes)) => {
                let mut known = known.lock();
                for node in nodes {
                    if !known.contains(&node) && known.len() < MAX_KNOWN {
                        known.push(node);
                    }
                }
                return Ok((wire, endpoint));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A connection to a node, and the other nodes that it knows.
async fn dial_healthy(endpoint: &Endpoint, login: &Login) -> Result<(Wire, Vec<Endpoint>), LinkError> {
    let mut wire = login.dial(endpoint).await?;
    let asking = async {
        let info = text(wire.ask(redis::cmd("CLUSTER").arg("INFO")).await?)?;
        if !info.contains("cluster_state:ok") {
            return Err(LinkError::Disconnected(format!(
                "{endpoint} is cut off from its cluster"
            )));
        }
        let slots = items(wire.ask(redis::cmd("CLUSTER").arg("SLOTS")).await?)?;
        let mut known = Vec::new();
        for range in slots {
            for node in items(range)?.into_iter().skip(2) {
                let mut node = items(node)?.into_iter();
                if let (Some(host), Some(port)) = (node.next(), node.next())
                    && let (Ok(host), Ok(port)) = (text(host), integer(port))
                    && let Ok(port) = u16::try_from(port)
                    && !host.is_empty()
                {
                    known.push(Endpoint::Tcp { host, port });
                }
            }
        }
        known.sort_by_key(ToString::to_string);
        known.dedup();
        Ok(known)
    };
    let known = tokio::time::timeout(login.connect_timeout, asking)
        .await
        .unwrap_or(Err(LinkError::Timeout))?;
    Ok((wire, known))
}

//! What a node of a cluster says about it.

use std::time::Duration;

use crate::dial::Wire;
use crate::error::LinkError;
use crate::options::Endpoint;
use crate::slots::Range;
use crate::values::text;

/// A node that was cut off from most others goes on to tell what it knew: whom to believe shows in the rest.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) ranges: Vec<Range>,
    /// The node thinks that every slot is served, and sees most of the masters.
    pub(crate) is_well: bool,
    /// Grows with every change that the cluster agreed upon.
    pub(crate) epoch: u64,
}

impl View {
    /// Asks a node, for at most that time.
    pub(crate) async fn ask(
        wire: &mut Wire,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self, LinkError> {
        let asking = async {
            let info = info(wire).await?;
            let slots = wire.ask(redis::cmd("CLUSTER").arg("SLOTS")).await?;
            Ok(Self {
                ranges: Range::read_all(slots, endpoint)?,
                is_well: is_well(&info),
                epoch: epoch(&info),
            })
        };
        tokio::time::timeout(timeout, asking)
            .await
            .unwrap_or(Err(LinkError::Timeout))
    }
}

/// Asks a node how its cluster is.
pub(crate) async fn info(wire: &mut Wire) -> Result<String, LinkError> {
    text(wire.ask(redis::cmd("CLUSTER").arg("INFO")).await?)
}

/// Reads the answer to [`info`].
pub(crate) fn is_well(info: &str) -> bool {
    info.lines().any(|line| line.trim() == "cluster_state:ok")
}

pub(crate) fn epoch(info: &str) -> u64 {
    info.lines()
        .find_map(|line| line.strip_prefix("cluster_current_epoch:"))
        .and_then(|epoch| epoch.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_counts() {
        let info = "cluster_state:ok\r\ncluster_current_epoch:6\r\n";
        assert_eq!((is_well(info), epoch(info)), (true, 6));
        let info = "cluster_state:fail\r\n";
        assert_eq!((is_well(info), epoch(info)), (false, 0));
    }
}

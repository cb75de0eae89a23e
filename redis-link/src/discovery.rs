//! Finding out that what looks like one server is a cluster.

use crate::dial::Login;
use crate::error::LinkError;
use crate::options::{Options, Topology};

impl Options {
    /// Asks a single server whether it is a node of a cluster, and if so takes it for the seed of that cluster. To be
    /// done before anything is opened: a connection to a single server ends when it finds a node of a cluster.
    ///
    /// # Errors
    /// Why the server could not be asked within the time for connecting. The options are as they were.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn discover_cluster(&mut self) -> Result<(), LinkError> {
        let Topology::Single(endpoint) = &self.topology else {
            return Ok(());
        };
        let login = Login {
            // A cluster has only this one.
            db: 0,
            refuses_clusters: false,
            ..Login::of(self)
        };
        let asking = async { login.dial(endpoint).await?.is_cluster().await };
        let is_cluster = tokio::time::timeout(2 * self.connect_timeout, asking)
            .await
            .unwrap_or(Err(LinkError::Timeout))?;
        if is_cluster {
            self.topology = Topology::Cluster {
                seeds: vec![endpoint.clone()],
            };
            self.db = 0;
        }
        Ok(())
    }
}

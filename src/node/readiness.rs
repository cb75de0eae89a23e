//! Whether the node can do its work (`/ready`).

use serde::Serialize;

use super::Node;
use crate::engine::EngineError;

/// What is in the way of the node's work. Fields without a problem are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Nothing is.
    pub ready: bool,
    /// The node itself is on its way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Publishing, subscribing, history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// Presence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<String>,
    /// Messages between nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
}

impl Node {
    /// Whether the engines can do their work, as last seen: nothing is waited for.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let problem = |result: Result<(), EngineError>| result.err().map(|error| error.to_string());
        let controller = self
            .cluster
            .as_ref()
            .map_or(Ok(()), super::cluster::Cluster::ready);
        let readiness = Readiness {
            ready: true,
            node: self.stopping.is_cancelled().then(|| "shutting down".to_owned()),
            broker: problem(self.broker.ready()),
            presence: problem(self.presence.ready()),
            controller: problem(controller),
        };
        let nothing = Readiness {
            ready: true,
            ..Readiness::default()
        };
        Readiness {
            ready: readiness == nothing,
            ..readiness
        }
    }
}

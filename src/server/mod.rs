//! Puts everything together, and is the only place that does: configuration in, a running server out.
//!
//! Start order: rules and engine, node, sockets (so that a taken port ends the start), then the listeners. Stop
//! order: listeners stop accepting, clients are told (3001), requests in flight finish, sockets close.

mod cors;
mod emulation;
mod engines;
mod error;
mod instrument;
mod listeners;
mod routes;
mod rules;
mod run;
mod surface;
mod test_page;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tidegate_transports::http::Body;
use tidegate_transports::workers::Workers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::{HttpKeySource, KeySource, OriginRules};
use crate::config::{Config, Loaded};
use crate::engine::memory::SWEEP_INTERVAL;
use crate::node::{Admission, ConnectionLimits, Node, NodeAcceptor, Parts};
use crate::session::Context;
use crate::telemetry::{Metrics, TEXT_FORMAT};
pub use engines::Engines;
pub use error::StartError;
use listeners::Listeners;
pub use rules::session_context;
pub use run::{Failed, run};

/// Version in replies and metrics.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " Tidegate");

/// A running server. Dropping it aborts everything; [`stop`](Self::stop) ends it in order.
pub struct Server {
    node: Arc<Node>,
    key_source: Arc<dyn KeySource>,
    listeners: Listeners,
    background: JoinSet<()>,
    stop: CancellationToken,
    shutdown_timeout: Duration,
}

/// Clients or requests did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shutdown timeout reached")]
pub struct ShutdownTimeout;

impl Server {
    /// Starts a server. Must be called inside a Tokio runtime. `trim` is called about once a second on every worker
    /// thread: where the allocator can give unused memory of a thread back to the system.
    ///
    /// # Errors
    /// What the operator must change: certificates, keys, addresses.
    pub async fn start(loaded: &Loaded, trim: Option<fn()>) -> Result<Self, StartError> {
        let config = &loaded.config;
        let key_source: Arc<dyn KeySource> = Arc::new(HttpKeySource::new().map_err(StartError::KeySource)?);
        let id = Uuid::new_v4().to_string();
        let context = Arc::new(session_context(config, id.clone(), &key_source)?);
        rules::log_verifiers(&context.rules.load());
        let origins = OriginRules::new(&config.client.allowed_origins).map_err(StartError::Origins)?;
        if origins.allows_any() {
            tracing::warn!(
                "usage of allowed_origins * is discouraged for security reasons, consider setting exact list of origins"
            );
        }
        let workers = Workers::start(trim).map_err(StartError::Workers)?;
        let sockets = listeners::Sockets::bind(config, workers.handles().len())?;
        let engines = Engines::open(config).await.map_err(StartError::Engines)?;
        tracing::info!(engine = engines.name, "engines are set up");
        engines.probe().await.map_err(StartError::EnginesLack)?;
        let node = Node::new(Parts {
            id,
            name: node_name(config, sockets.port()),
            context,
            broker: engines.broker.clone(),
            presence: engines.presence,
            controller: engines.controller,
            user_connections: engines.user_connections,
            user_connection_limit: config.client.user_connection_limit_cluster,
            info_metrics_interval: config.node.info_metrics_aggregate_interval,
        });
        engines.broker.attach(node.clone());
        let limits = ConnectionLimits::new(
            config.client.connection_limit,
            config.client.connection_rate_limit,
            std::time::Instant::now(),
        );
        let user_connection_limit = config.client.user_connection_limit.filter(|limit| *limit > 0);
        let admission = Admission {
            origins,
            limits,
            user_connection_limit,
        };
        let acceptor = Arc::new(NodeAcceptor::new(node.clone(), admission));
        let stop = CancellationToken::new();
        let mut background = JoinSet::new();
        background.spawn(sweep(engines.sweeper, node.context().clone()));
        background.spawn(node.context().delays.clone().run());
        background.spawn(node.clone().stay_in_cluster());
        background.spawn(node.clone().renew_users(config.client.presence_update_interval));
        let listeners = Listeners::open(config, sockets, workers, &node, &acceptor, &stop, &mut background)?;
        log_warnings(loaded);
        Ok(Self {
            node,
            key_source,
            listeners,
            background,
            stop,
            shutdown_timeout: config.shutdown.timeout,
        })
    }

    /// Addresses of the listeners that were opened, the external one first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.listeners.addresses()
    }

    /// Address of the test page, if it is served.
    #[must_use]
    pub fn page_url(&self) -> Option<&str> {
        self.listeners.page_url()
    }

    /// The node behind the listeners.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Takes over what a reload may change (configuration.md 2.7): channel options, tokens, the flags that are
    /// read at connect; and, beyond the reference, renewed certificates. Everything else waits for a restart.
    ///
    /// # Errors
    /// What is wrong with the new configuration; the old one stays.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        let rules = rules::build(config, &self.key_source)?;
        self.listeners.certificates().reload(config)?;
        self.node.context().rules.store(Arc::new(rules));
        Ok(())
    }

    /// Stops in order: no new connections, clients are told and leave, requests in flight are answered.
    ///
    /// # Errors
    /// [`ShutdownTimeout`] when that takes longer than `shutdown.timeout`; then everything is aborted.
    pub async fn stop(mut self) -> Result<(), ShutdownTimeout> {
        self.stop.cancel();
        let ending = async {
            tokio::join!(self.node.shut_down(), self.listeners.ended());
        };
        let result = tokio::time::timeout(self.shutdown_timeout, ending).await;
        self.background.abort_all();
        result.map_err(|_| ShutdownTimeout)
    }
}

async fn sweep(engines: engines::Sweeper, context: Arc<Context>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        engines.sweep(std::time::Instant::now());
        context.guards.sweep(Node::now());
    }
}

fn node_name(config: &Config, port: u16) -> String {
    if !config.node.name.is_empty() {
        return config.node.name.clone();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}_{port}", if host.is_empty() { "localhost" } else { host })
}

fn log_warnings(loaded: &Loaded) {
    let config = &loaded.config;
    let insecure = [
        (
            config.client.insecure,
            "INSECURE client mode enabled, make sure you understand risks",
        ),
        (
            config.client.insecure_skip_token_signature_verify,
            "INSECURE skip token signature verify mode enabled, make sure you understand risks",
        ),
        (
            config.http_api.insecure,
            "INSECURE HTTP API mode enabled, make sure you understand risks",
        ),
    ];
    for (_, message) in insecure.into_iter().filter(|(is_on, _)| *is_on) {
        tracing::warn!("{message}");
    }
    for warning in &loaded.warnings {
        match warning.field() {
            Some(("var", name)) => tracing::warn!(var = name, "{warning}"),
            Some((_, key)) => tracing::warn!(key, "{warning}"),
            None => tracing::warn!("{warning}"),
        }
    }
}

fn metrics_page(metrics: &Metrics, node: &Node) -> Response<Body> {
    routes::full(metrics.render(&node.counts()), TEXT_FORMAT)
}

//! Where a shard is and how to speak to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

/// One shard: a server, a master watched by sentinels, or a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub topology: Topology,
    /// Who we are to it.
    pub credentials: Credentials,
    /// Number of the database; always 0 in a cluster.
    pub db: i64,
    /// Name of our connections in `CLIENT LIST`; empty for none.
    pub client_name: String,
    /// TLS to the servers.
    pub tls: Option<Tls>,
    /// How long dialling and the handshake may take.
    pub connect_timeout: Duration,
    /// How long a connection may keep us waiting for a write or an answer.
    pub io_timeout: Duration,
    /// Speak RESP2 where RESP3 would be tried.
    pub force_resp2: bool,
    /// Have connections to replicas as well ([`Commands::open_replicas`](crate::Commands::open_replicas)).
    pub replicas: bool,
}

/// TLS of a kind of connection.
#[derive(Clone)]
pub struct Tls {
    /// What is trusted, and who we are.
    pub config: Arc<ClientConfig>,
    /// The name to expect, if it is not the host's.
    pub server_name: Option<String>,
}

/// User and password; both empty for none.
#[derive(Clone, Default)]
pub struct Credentials {
    /// ACL user; empty for the default one.
    pub user: String,
    /// Password.
    pub password: String,
}

/// Where a shard is.
#[derive(Clone, Debug)]
pub enum Topology {
    /// One server.
    Single(Endpoint),
    /// The master that sentinels name.
    Sentinel(Sentinels),
    /// A Redis Cluster.
    Cluster {
        /// Nodes to ask for the others.
        seeds: Vec<Endpoint>,
    },
}

/// Sentinels and the master they watch.
#[derive(Clone, Debug)]
pub struct Sentinels {
    /// Asked in turn.
    pub endpoints: Vec<Endpoint>,
    /// Name of the master.
    pub master: String,
    /// Who we are to the sentinels.
    pub credentials: Credentials,
    /// Name of our connections to them.
    pub client_name: String,
    /// TLS to them.
    pub tls: Option<Tls>,
}

/// Address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Host name or address, and port.
    Tcp {
        /// Without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// Path of a socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Never shows the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

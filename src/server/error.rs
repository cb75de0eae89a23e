//! Why a server did not start. The fault is always in the configuration or its surroundings.

use std::io;
use std::net::SocketAddr;

use crate::auth::{BuildError, MalformedOrigin};
use crate::channels::InvalidChannels;

use super::engines::{EnginesError, EnginesLack};

/// What the operator must change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `client.allowed_origins`.
    #[error("error creating origin checker: {0}")]
    Origins(MalformedOrigin),
    /// `client.token` or `client.subscription_token`.
    #[error("{0}")]
    Tokens(BuildError),
    /// A namespace's expression or pattern.
    #[error("{0}")]
    Channels(InvalidChannels),
    /// `client.user_id_http_header`.
    #[error("invalid client.user_id_http_header {0:?}: not the name of an HTTP header")]
    UserHeader(String),
    /// An address that is no address.
    #[error("invalid address {0:?}")]
    Address(String),
    /// An address that cannot be listened on.
    #[error("error listening on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Certificates or keys.
    #[error("can not get TLS config: {option}: {error}")]
    Tls {
        /// The option.
        option: &'static str,
        /// Why.
        error: String,
    },
    /// Where engines are.
    #[error("{0}")]
    Engines(EnginesError),
    /// Servers of engines that are too old, or lack something.
    #[error("{0}")]
    EnginesLack(EnginesLack),
    /// Threads or their runtimes.
    #[error("error starting worker threads: {0}")]
    Workers(io::Error),
    /// The client for key sets.
    #[error("error preparing HTTP client for JWKS: {0}")]
    KeySource(rustls::Error),
}

//! A listening endpoint, and connections that want to be accepted.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn_proto::{ConnectionError, ServerConfig};

use super::connection::Connection;
use super::shard::{self, Shard};

/// Accepts QUIC connections on one socket. Dropping its last clone ends the accepting; connections live on until
/// they end.
#[derive(Clone)]
pub struct Endpoint(Arc<Open>);

struct Open {
    shard: Arc<Shard>,
}

impl Endpoint {
    /// An endpoint whose socket is driven by a task on the current runtime.
    ///
    /// # Errors
    /// If the socket cannot be registered with the runtime.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn new(socket: UdpSocket, config: ServerConfig) -> io::Result<Self> {
        shard::start(socket, config).map(|shard| Self(Arc::new(Open { shard })))
    }

    /// Address of the socket.
    ///
    /// # Errors
    /// From the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.shard.local_addr()
    }

    /// The next connection that wants to be accepted.
    ///
    /// # Cancel safety
    /// Dropped, it loses nothing.
    pub async fn accept(&self) -> Incoming {
        let incoming = poll_fn(|cx| self.0.shard.poll_incoming(cx)).await;
        Incoming {
            shard: self.0.shard.clone(),
            incoming: Some(incoming),
        }
    }

    /// Refuses new connections from now on.
    pub fn refuse_new(&self) {
        self.0.shard.refuse_new();
    }

    /// Connections that have not ended yet, closing ones included.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.0.shard.open_connections()
    }

    /// Waits until no connection is left.
    pub async fn wait_idle(&self) {
        self.0.shard.wait_idle().await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shard.close();
    }
}

/// A connection that waits to be accepted. Dropped, it is refused.
pub struct Incoming {
    shard: Arc<Shard>,
    incoming: Option<quinn_proto::Incoming>,
}

impl Incoming {
    /// Address of the peer.
    #[must_use]
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.incoming.as_ref().map(quinn_proto::Incoming::remote_address)
    }

    /// Whether the peer has proved that it receives at its address (RFC 9000 section 8.1).
    #[must_use]
    pub fn is_address_validated(&self) -> bool {
        self.incoming
            .as_ref()
            .is_some_and(quinn_proto::Incoming::remote_address_validated)
    }

    /// Begins the handshake.
    ///
    /// # Errors
    /// If the first packet is no good; the peer was told.
    pub fn accept(mut self) -> Result<Connection, ConnectionError> {
        match self.incoming.take() {
            Some(incoming) => self.shard.accept(incoming),
            None => Err(ConnectionError::LocallyClosed),
        }
    }

    /// Has the peer prove its address first (RFC 9000 section 8.1.2). A peer that did is refused.
    pub fn retry(mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.shard.retry(incoming);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.shard.refuse(incoming);
        }
    }
}

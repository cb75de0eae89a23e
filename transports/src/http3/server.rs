//! Accepts connections and ends them in order.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Http3Options, connection};
use crate::Acceptor;
use crate::flush::Flusher;
use crate::http::HttpService;
use crate::quic::{Endpoint, Incoming};

/// What all connections share.
pub(crate) struct Server<A> {
    pub(crate) service: Arc<dyn HttpService>,
    pub(crate) acceptor: Arc<A>,
    pub(crate) options: Http3Options,
    pub(crate) stop: CancellationToken,
    /// Wakes the writers of this worker's sessions.
    pub(crate) flusher: Arc<Flusher>,
}

/// Serves HTTP/3 on `endpoint` until `stop` is cancelled, then ends in order: new connections are refused,
/// every connection gets GOAWAY, requests in flight are answered, sessions are waited for. Returns when all is
/// said and acknowledged.
///
/// Nothing here closes sessions: their owner does. The caller bounds the wait by dropping this future.
///
/// # Cancel safety
/// Dropping the future aborts every connection at once; sessions end as if their clients had gone.
pub async fn serve<A: Acceptor>(
    endpoint: Endpoint,
    service: Arc<dyn HttpService>,
    acceptor: Arc<A>,
    options: Http3Options,
    stop: CancellationToken,
) {
    let server = Arc::new(Server {
        service,
        acceptor,
        options,
        stop,
        flusher: Flusher::spawn(),
    });
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = server.stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            incoming = endpoint.accept() => {
                if let Some((incoming, handshake)) = admit(incoming, &handshakes) {
                    connections.spawn(connection::serve(server.clone(), incoming, handshake));
                }
            }
        }
    }
    endpoint.refuse_new();
    while connections.join_next().await.is_some() {}
    endpoint.wait_idle().await;
}

/// Under load, an address must prove that it is not forged before it costs us a handshake (RFC 9000 section
/// 8.1.2); beyond that, connections are refused.
fn admit(incoming: Incoming, handshakes: &Arc<Semaphore>) -> Option<(Incoming, OwnedSemaphorePermit)> {
    if !incoming.is_address_validated() && handshakes.available_permits() < MAX_HANDSHAKES - RETRY_ABOVE {
        incoming.retry();
        return None;
    }
    match handshakes.clone().try_acquire_owned() {
        Ok(handshake) => Some((incoming, handshake)),
        Err(_) => {
            let peer = incoming.remote_address();
            tracing::info!(?peer, "refused QUIC connection: too many handshakes");
            None
        }
    }
}

/// Handshakes in progress at the same time. At about 1 ms of CPU each, more would not finish in time anyway.
const MAX_HANDSHAKES: usize = 4096;

/// From here on, clients must answer a Retry first, which costs them a round trip.
const RETRY_ABOVE: usize = 512;

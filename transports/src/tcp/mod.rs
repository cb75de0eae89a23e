//! HTTP/1.1 and HTTP/2 over TCP, with or without TLS (configuration.md 4.1, 4.4, 4.5).
//!
//! ```text
//! accept ──(TLS)──> first request ──(WebSocket)──> websocket
//!                        ├──(plain calls)──> calls ──(anything else)──┐
//!                        └──(anything else)───────────────────────────┴──> http: hyper
//! ```
//!
//! Most connections of this server are WebSockets from their first request on. That request is read here, so that
//! the HTTP stack, which would be thrown away a moment later, is not set up for them.

mod calls;
mod first;
mod http;
mod stream;
mod tls;
mod upgrade;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::flush::Flusher;
use crate::http::{ConnectionFacts, HttpService};
use crate::workers::Workers;
#[cfg(fuzzing)]
pub use calls::length_of_call;
#[cfg(fuzzing)]
pub use first::length_of_handshake;
pub use stream::NetStream;
pub(crate) use stream::Rewound;
pub(crate) use upgrade::{TakeOver, UpgradeContext};

/// How long a client may take to send its request headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed for lack of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener speaks.
#[derive(Clone, Default)]
pub struct TcpOptions {
    /// TLS with ALPN; `None` = plain.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Accept HTTP/2 with prior knowledge on a plain listener.
    pub h2c: bool,
}

/// Serves until `stop` is cancelled; then the listeners close, idle connections end, HTTP/2 peers get GOAWAY and
/// requests in flight are finished. Returns when the last connection of the HTTP stack is gone; upgraded
/// connections are not waited for.
///
/// `listeners` are non-blocking sockets of one address, one for each worker; a connection stays on the worker
/// whose listener accepted it.
pub async fn serve(
    listeners: Vec<StdListener>,
    workers: &Workers,
    options: TcpOptions,
    service: Arc<dyn HttpService>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let accepting: Vec<_> = listeners
        .into_iter()
        .zip(workers.handles())
        .map(|(listener, worker)| {
            let (options, service) = (options.clone(), service.clone());
            worker.spawn(accept(
                listener,
                options,
                service,
                stop.clone(),
                connections.clone(),
            ))
        })
        .collect();
    for accepting in accepting {
        // It ends by itself, or with its worker.
        let _ = accepting.await;
    }
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: StdListener,
    options: TcpOptions,
    service: Arc<dyn HttpService>,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "error registering a listener"),
    };
    let server = Arc::new(Server {
        options,
        service,
        stop,
        flusher: Flusher::spawn(),
        connections,
    });
    loop {
        let accepted = tokio::select! {
            () = server.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                server
                    .connections
                    .spawn(serve_connection(server.clone(), stream, peer));
            }
            Err(error) if is_peer_fault(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "error accepting a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What the connections of one listener on one worker share.
struct Server {
    options: TcpOptions,
    service: Arc<dyn HttpService>,
    stop: CancellationToken,
    flusher: Arc<Flusher>,
    connections: TaskTracker,
}

/// The peer gave up between the kernel's accept and ours: no reason to pause.
fn is_peer_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Every step is boxed for as long as it takes: what waits here, and what a WebSocket leaves, is small.
async fn serve_connection(server: Arc<Server>, stream: TcpStream, peer: SocketAddr) {
    // Frames are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let (stream, facts, is_h2) = match &server.options.tls {
        Some(config) => {
            let opening = Box::pin(tls::open(stream, peer, config.clone()));
            tokio::select! {
                () = server.stop.cancelled() => return,
                opened = opening => match opened {
                    Some((stream, facts, is_h2)) => (NetStream::Tls(Box::new(stream)), facts, is_h2),
                    None => return,
                },
            }
        }
        None => {
            let is_h2 = server.options.h2c && Box::pin(http::has_h2_preface(&stream)).await;
            let facts = ConnectionFacts { peer, tls: None };
            (NetStream::Plain(stream), facts, is_h2)
        }
    };
    if is_h2 {
        let stream = Rewound::new(stream, bytes::Bytes::new());
        return Box::pin(http::serve_h2(server, stream, facts)).await;
    }
    let read = tokio::select! {
        () = server.stop.cancelled() => return,
        read = first::read(stream) => read,
    };
    let Some(first) = read else { return };
    if let Some((stream, facts, answered)) = first::answer(&server, first, facts).await {
        let unanswered = match answered {
            Some(_) => Some(stream),
            None => Box::pin(calls::serve(&server, stream)).await,
        };
        if let Some(stream) = unanswered {
            Box::pin(http::serve_h1(server, stream, facts, answered)).await;
        }
    }
}

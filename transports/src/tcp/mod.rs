//! HTTP/1.1 and HTTP/2 over TCP, with or without TLS (configuration.md 4.1, 4.4, 4.5).

mod stream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::TlsFacts;
use crate::http::{Body, BodyError, ConnectionFacts, HttpService};
pub use stream::NetStream;

/// How long a client may take to send its request headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an HTTP/2 connection may be silent before it is probed, and the probe unanswered.
const H2_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Largest header section; more is answered with 431.
const MAX_HEADER_BYTES: usize = 1024 * 1024;
/// Most header fields of a request.
const MAX_HEADERS: usize = 1000;
const MAX_H2_STREAMS: u32 = 250;
/// The connection preface of HTTP/2 (RFC 9113 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
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

/// Serves until `stop` is cancelled; then the listener closes, idle connections end, HTTP/2 peers get GOAWAY and
/// requests in flight are finished. Returns when the last connection of this listener's HTTP stack is gone;
/// upgraded connections are not waited for.
pub async fn serve(
    listener: TcpListener,
    options: TcpOptions,
    service: Arc<dyn HttpService>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection =
                    serve_connection(stream, peer, options.clone(), service.clone(), stop.clone());
                connections.spawn(connection);
            }
            Err(error) if is_peer_fault(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "error accepting a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The peer gave up between the kernel's accept and ours: no reason to pause.
fn is_peer_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    options: TcpOptions,
    service: Arc<dyn HttpService>,
    stop: CancellationToken,
) {
    // Frames are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let (stream, facts, is_h2) = match options.tls {
        Some(config) => {
            let opening = async { open_tls(stream, peer, config).await };
            tokio::select! {
                () = stop.cancelled() => return,
                opened = opening => match opened {
                    Some((stream, facts, is_h2)) => (NetStream::Tls(Box::new(stream)), facts, is_h2),
                    None => return,
                },
            }
        }
        None => {
            let is_h2 = options.h2c
                && timeout(HEADER_TIMEOUT, has_h2_preface(&stream))
                    .await
                    .unwrap_or(false);
            (
                NetStream::Plain(stream),
                ConnectionFacts { peer, tls: None },
                is_h2,
            )
        }
    };
    serve_http(stream, facts, is_h2, service, stop).await;
}

async fn open_tls(
    mut stream: TcpStream,
    peer: SocketAddr,
    config: Arc<rustls::ServerConfig>,
) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, ConnectionFacts, bool)> {
    let mut first = [0];
    // 0x16 opens every TLS handshake record (RFC 8446 5.1).
    match timeout(TLS_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [0x16] => {}
        Ok(Ok(1)) => {
            let _ = refuse_plain_http(&mut stream).await;
            return None;
        }
        _ => return None,
    }
    match timeout(TLS_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => {
            let connection = stream.get_ref().1;
            let tls = TlsFacts {
                server_name: connection.server_name().map(str::to_owned),
                client_certificate: connection.peer_certificates().is_some(),
            };
            let is_h2 = connection.alpn_protocol() == Some(b"h2");
            Some((stream, ConnectionFacts { peer, tls: Some(tls) }, is_h2))
        }
        Ok(Err(error)) => {
            tracing::warn!(%peer, %error, "TLS handshake error");
            None
        }
        Err(_) => {
            tracing::warn!(%peer, error = "timed out", "TLS handshake error");
            None
        }
    }
}

async fn refuse_plain_http(stream: &mut TcpStream) -> std::io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
        Client sent an HTTP request to an HTTPS server.\n";
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    // Read what was sent, so that the answer is not lost to a reset.
    let mut sink = [0; 4096];
    let drained = async { while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {} };
    let _ = timeout(Duration::from_secs(1), drained).await;
    Ok(())
}

async fn has_h2_preface(stream: &TcpStream) -> bool {
    let mut start = [0; H2_PREFACE.len()];
    loop {
        match stream.peek(&mut start).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => {
                let read = start.get(..read).unwrap_or_default();
                if !H2_PREFACE.starts_with(read) {
                    return false;
                }
                if read.len() == H2_PREFACE.len() {
                    return true;
                }
                // A partial preface: peek answers at once with the same bytes, so wait a little.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

async fn serve_http(
    stream: NetStream,
    facts: ConnectionFacts,
    is_h2: bool,
    service: Arc<dyn HttpService>,
    stop: CancellationToken,
) {
    let handler = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| {
            body.map_err(|error| -> BodyError { Box::new(error) })
                .boxed_unsync()
        });
        request.extensions_mut().insert(facts.clone());
        let answer = service.call(request);
        async move { Ok::<Response<Body>, Infallible>(answer.await) }
    });
    let io = TokioIo::new(stream);
    // Errors below are the peer's: broken framing, resets, time-outs. There is nobody to tell.
    if is_h2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_H2_STREAMS)
            .keep_alive_interval(H2_KEEP_ALIVE)
            .keep_alive_timeout(TLS_TIMEOUT)
            .serve_connection(io, handler);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => return trace_end(result),
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        trace_end(connection.await);
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(io, handler)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => return trace_end(result),
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        trace_end(connection.await);
    }
}

fn trace_end(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "http connection ended");
    }
}

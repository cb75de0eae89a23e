//! HTTP/1.1 and HTTP/2 by hyper.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{HEADER_TIMEOUT, Rewound, Server, UpgradeContext};
use crate::http::{Body, BodyError, ConnectionFacts};

/// How long an HTTP/2 connection may be silent before it is probed, and the probe unanswered.
const H2_KEEP_ALIVE: Duration = Duration::from_secs(30);
const H2_PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest header section; more is answered with 431.
const MAX_HEADER_BYTES: usize = 1024 * 1024;
/// Most header fields of a request.
const MAX_HEADERS: usize = 1000;
const MAX_H2_STREAMS: u32 = 250;
/// The connection preface of HTTP/2 (RFC 9113 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a plain connection begins with the preface of HTTP/2.
pub(super) async fn has_h2_preface(stream: &TcpStream) -> bool {
    timeout(HEADER_TIMEOUT, peek_h2_preface(stream))
        .await
        .unwrap_or(false)
}

async fn peek_h2_preface(stream: &TcpStream) -> bool {
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

pub(super) async fn serve_h2(server: Arc<Server>, stream: Rewound, facts: ConnectionFacts) {
    let service = server.service.clone();
    let handler = service_fn(move |request: Request<Incoming>| {
        let answer = service.call(boxed(request, facts.clone()));
        async move { Ok::<Response<Body>, Infallible>(answer.await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_H2_STREAMS)
        .keep_alive_interval(H2_KEEP_ALIVE)
        .keep_alive_timeout(H2_PROBE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), handler);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return trace_end(result),
        () = server.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    trace_end(connection.await);
}

/// Serves HTTP/1.1. `answered` is the response to the first request, if that was made already.
pub(super) async fn serve_h1(
    server: Arc<Server>,
    stream: Rewound,
    facts: ConnectionFacts,
    answered: Option<Response<Body>>,
) {
    let service = server.service.clone();
    let upgrade = UpgradeContext::of_http(server.flusher.clone());
    let answered = Mutex::new(answered);
    let handler = service_fn(move |request: Request<Incoming>| {
        let answer = match answered.lock().take() {
            Some(response) => Err(response),
            None => {
                let mut request = boxed(request, facts.clone());
                request.extensions_mut().insert(upgrade.clone());
                Ok(service.call(request))
            }
        };
        async move {
            Ok::<Response<Body>, Infallible>(match answer {
                Ok(answer) => answer.await,
                Err(response) => response,
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), handler)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return trace_end(result),
        () = server.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    trace_end(connection.await);
}

fn boxed(request: Request<Incoming>, facts: ConnectionFacts) -> Request<Body> {
    let mut request = request.map(|body| {
        body.map_err(|error| -> BodyError { Box::new(error) })
            .boxed_unsync()
    });
    request.extensions_mut().insert(facts);
    request
}

/// Errors are the peer's: broken framing, resets, time-outs. There is nobody to tell.
fn trace_end(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "http connection ended");
    }
}

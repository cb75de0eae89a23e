//! HTTP-streaming and SSE: a response body carries replies down, emulation requests carry commands up
//! (protocol.md 5.2 to 5.4). Both run over HTTP/1.1, HTTP/2 and HTTP/3.

mod body;
mod driver;
mod emulation;

use std::sync::Arc;

use ::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA};
use ::http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, Limited};
use uuid::Uuid;

use crate::http::{Body, ConcreteBody, ConnectionFacts};
use crate::{Acceptor, Encoding, Handshake, Outbox, OutboxOptions, TransportKind};
use body::{Framing, StreamBody};
pub use emulation::{Delivered, EmulationRegistry};

/// Limits of streaming connections.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// Largest request body in bytes; a larger one is answered with 413.
    pub max_request_body_size: usize,
    /// How outboxes queue.
    pub outbox: OutboxOptions,
}

/// Answers a request to the HTTP-streaming endpoint.
pub async fn http_stream<A: Acceptor>(
    request: Request<Body>,
    acceptor: &Arc<A>,
    registry: &Arc<EmulationRegistry>,
    options: &StreamOptions,
) -> Response<Body> {
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return preflight(),
        _ => return status(StatusCode::METHOD_NOT_ALLOWED),
    }
    let encoding = encoding_of(request.headers());
    let (parts, first) = match read_body(request, options.max_request_body_size, "http stream").await {
        Ok(read) => read,
        Err(refusal) => return status(refusal),
    };
    let framing = match encoding {
        Encoding::Json => Framing::Lines,
        Encoding::Protobuf => Framing::Lengths,
    };
    let content_type = match encoding {
        Encoding::Json => "text/plain; charset=utf-8",
        Encoding::Protobuf => "application/octet-stream",
    };
    let kind = TransportKind::HttpStream;
    open(
        parts,
        first,
        Opening {
            kind,
            encoding,
            framing,
            content_type,
        },
        acceptor,
        registry,
        options,
    )
}

/// Answers a request to the SSE endpoint.
pub async fn sse<A: Acceptor>(
    request: Request<Body>,
    acceptor: &Arc<A>,
    registry: &Arc<EmulationRegistry>,
    options: &StreamOptions,
) -> Response<Body> {
    let (parts, first) = match *request.method() {
        Method::GET => {
            let (parts, _) = request.into_parts();
            let connect = parts
                .uri
                .query()
                .and_then(|query| crate::query::parameter(query, "cf_connect"));
            let Some(connect) = connect.filter(|connect| !connect.is_empty()) else {
                return status(StatusCode::BAD_REQUEST);
            };
            let first = Bytes::from(connect.into_owned());
            (parts, first)
        }
        Method::POST => match read_body(request, options.max_request_body_size, "sse").await {
            Ok(read) => read,
            Err(refusal) => return status(refusal),
        },
        _ => return status(StatusCode::METHOD_NOT_ALLOWED),
    };
    let opening = Opening {
        kind: TransportKind::Sse,
        encoding: Encoding::Json,
        framing: Framing::Events,
        content_type: "text/event-stream; charset=utf-8",
    };
    open(parts, first, opening, acceptor, registry, options)
}

/// The encoding a request body and its stream use: Protobuf for exactly `application/octet-stream`.
#[must_use]
pub fn encoding_of(headers: &HeaderMap) -> Encoding {
    match headers.get(CONTENT_TYPE) {
        Some(value) if value == "application/octet-stream" => Encoding::Protobuf,
        _ => Encoding::Json,
    }
}

/// Answers a CORS preflight of a POST endpoint.
#[must_use]
pub fn preflight() -> Response<Body> {
    let mut response = status(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("access-control-max-age"),
        HeaderValue::from_static("300"),
    );
    headers.insert(
        HeaderName::from_static("access-control-allow-methods"),
        HeaderValue::from_static("POST, OPTIONS"),
    );
    response
}

/// An answer without a body, or with the text of its status if that is an error a person may see.
#[must_use]
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = if status == StatusCode::BAD_REQUEST {
        let mut response = Response::new(
            Full::new(Bytes::from_static(b"Bad Request\n"))
                .map_err(|never| match never {})
                .boxed_unsync(),
        );
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response
    } else {
        Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())
    };
    *response.status_mut() = status;
    response
}

/// Reads a request body of at most `limit` bytes; the error is the status to answer with.
///
/// # Errors
/// 413 for a larger body, 499 if the client aborted.
pub async fn read_body(
    request: Request<Body>,
    limit: usize,
    what: &'static str,
) -> Result<(::http::request::Parts, Bytes), StatusCode> {
    let (parts, body) = request.into_parts();
    match Limited::new(ConcreteBody(body), limit).collect().await {
        Ok(collected) => Ok((parts, collected.to_bytes())),
        Err(error) => {
            tracing::info!(%error, "error reading {what} request body");
            Err(if error.is::<http_body_util::LengthLimitError>() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
            })
        }
    }
}

struct Opening {
    kind: TransportKind,
    encoding: Encoding,
    framing: Framing,
    content_type: &'static str,
}

fn open<A: Acceptor>(
    parts: ::http::request::Parts,
    first: Bytes,
    opening: Opening,
    acceptor: &Arc<A>,
    registry: &Arc<EmulationRegistry>,
    options: &StreamOptions,
) -> Response<Body> {
    let Some(facts) = parts.extensions.get::<ConnectionFacts>().cloned() else {
        return status(StatusCode::BAD_REQUEST);
    };
    let session_id = Uuid::new_v4().to_string();
    let outbox = Outbox::open(&options.outbox);
    let handshake = Handshake {
        transport: opening.kind,
        encoding: opening.encoding,
        peer: facts.peer,
        uri: parts.uri,
        headers: parts.headers,
        version: parts.version,
        tls: facts.tls,
        session: Some(session_id.clone()),
        transport_pings: false,
    };
    let session = acceptor.open(handshake, outbox.clone());
    let (registration, inbox) = registry.register(session_id, opening.encoding, outbox.clone());
    let (body, body_end) = StreamBody::new(outbox, opening.framing, options.outbox.max_batch);
    tokio::spawn(driver::drive(session, first, inbox, registration, body_end));
    let mut response = Response::new(body.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(opening.content_type));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache, no-store, must-revalidate, max-age=0"),
    );
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("expire"), HeaderValue::from_static("0"));
    if parts.version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    response
}

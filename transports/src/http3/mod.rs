//! HTTP/3 (RFC 9114) with WebTransport sessions, written directly on quinn.
//!
//! ```text
//! quinn::Endpoint ── serve ── connection ──┬── request: head ─> HttpService ─> response
//!                                          ├── peer_streams: control, QPACK
//!                                          └── webtransport: CONNECT + one stream ─> Session
//! ```
//!
//! Why not the `h3` and `h3-webtransport` crates: there a WebTransport session takes over its whole connection
//! (no pooling with other sessions or requests), cannot say its close code, fails when a CONNECT overtakes
//! SETTINGS, and costs 95 KB. What a server needs of HTTP/3 without a dynamic QPACK table and without push is
//! small, so it is here, in two halves:
//!
//! - **Decoders without I/O**: [`varint`], [`frame`], [`qpack`], [`head`], [`settings`], [`control`]. Bytes in,
//!   values out, public so that fuzzers reach them. No input panics, and none is buffered beyond a stated limit.
//! - **The driver**: one task per connection, one per open request or session. What waits for the network holds
//!   no buffer: bytes stay in quinn, under its windows, until somebody wants them.
//!
//! A fault of a peer ends its stream or its connection with the code that the RFCs name, and is logged at
//! debug level: it is not ours.

pub mod control;
pub mod error;
pub mod frame;
pub mod head;
pub mod qpack;
pub mod settings;
pub mod varint;

mod body;
mod connection;
pub(crate) mod input;
pub(crate) mod output;
mod peer_streams;
mod request;
pub(crate) mod response;
mod server;

use std::time::Duration;

pub use body::RequestBodyError;
pub(crate) use connection::{Context as ConnectionContext, Event};
pub use server::serve;

use crate::webtransport::WebTransportOptions;

/// Limits of HTTP/3 connections.
#[derive(Clone, Debug)]
pub struct Http3Options {
    /// Largest header section in bytes as RFC 9114 section 4.2.2 counts; announced to clients, and answered
    /// with 431 above. Default 1 MiB. A connection holds at most one section above 32 KiB at a time.
    pub max_field_section: u64,
    /// Requests and streams of sessions that a connection may have open at once. Default 100; it starts with
    /// fewer ([`INITIAL_REQUEST_STREAMS`](crate::quic::INITIAL_REQUEST_STREAMS)) and gets all as it needs them.
    pub max_request_streams: u32,
    /// Time for each of: the handshake, the client's SETTINGS, a stream's type, a request's header section.
    /// Default 10 s; a peer that needs longer loses the connection or stream.
    pub setup_timeout: Duration,
    /// A connection without requests and sessions is closed after this time. Default 30 s. QUIC's own idle
    /// timeout never comes, because the server keeps connections alive.
    pub idle_timeout: Duration,
    /// WebTransport sessions; `None` does not offer them.
    pub webtransport: Option<WebTransportOptions>,
}

impl Default for Http3Options {
    fn default() -> Self {
        Self {
            max_field_section: 1 << 20,
            max_request_streams: 100,
            setup_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            webtransport: None,
        }
    }
}

//! WebTransport sessions over HTTP/3 (draft-ietf-webtrans-http3): one bidirectional stream each.
//!
//! The protocol of our clients needs exactly one stream per session (protocol.md 5.5). Everything else that
//! WebTransport offers is refused cheaply: further streams are stopped and reset at once with
//! [`STREAM_REFUSED`], datagrams are dropped unread, and a client that keeps trying loses its session.
//!
//! Several sessions and ordinary requests may share a connection (pooling): each session is one task with its
//! own streams, and closing one leaves the connection alone.
//!
//! - [`capsule`] and [`commands`] are decoders without I/O; `writer` batches the outbox into stream writes.
//! - `sessions` is a connection's table: it matches streams with sessions, in whichever order they arrive.
//! - `session` is the task: answer the CONNECT, wait for the stream, carry frames, close with code and reason.

pub mod capsule;
pub mod commands;

mod connect;
mod gate;
mod session;
mod sessions;
mod writer;

use std::time::Duration;

pub(crate) use connect::{ConnectRequest, check, refuse};
pub(crate) use session::run;
pub(crate) use sessions::{DataStream, Sessions};

use crate::OutboxOptions;
use crate::http3::error::Code;

/// WebTransport sessions: where they are opened, and their limits.
#[derive(Clone, Debug)]
pub struct WebTransportOptions {
    /// Path at which sessions are opened, matched exactly.
    pub path: String,
    /// Largest command in bytes, without its framing. A larger one closes the session.
    pub message_size_limit: usize,
    /// Time for a new session to open its stream; the session is then closed as stale (3502). Default 10 s.
    pub stream_timeout: Duration,
    /// Time for one write of a batch of frames to be taken by the transport; the session is then closed
    /// (3009). Default 1 s.
    pub write_timeout: Duration,
    /// How outboxes queue.
    pub outbox: OutboxOptions,
}

impl Default for WebTransportOptions {
    fn default() -> Self {
        Self {
            path: "/connection/webtransport".to_owned(),
            message_size_limit: 65_536,
            stream_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(1),
            outbox: OutboxOptions::default(),
        }
    }
}

/// Code with which streams beyond a session's first are stopped and reset: WebTransport application error
/// 3501, *bad request*, in the code space of HTTP/3.
pub const STREAM_REFUSED: Code = Code::webtransport(3501);

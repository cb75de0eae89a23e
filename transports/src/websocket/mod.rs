//! WebSocket (RFC 6455) over HTTP/1.1 (protocol.md 5.1).
//!
//! The frame code is our own for one reason: memory and system calls per idle connection. After the upgrade the
//! raw stream leaves the HTTP stack; reads go into a buffer of the worker, an unfinished rest is all a connection
//! keeps, and everything that waits for a connection leaves in one write. What is ours is small: a header, a
//! message assembler and permessage-deflate without context takeover.

mod connection;
mod decode;
mod deflate;
mod encode;
mod handshake;
mod link;

use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};

use crate::http::{Body, ConnectionFacts};
use crate::tcp::{TakeOver, UpgradeContext};
use crate::{Acceptor, Outbox, OutboxOptions};
use connection::Connection;
pub use decode::{Decoder, Event, Step, Violation};
use link::Upgraded;

/// Limits and features of WebSocket connections.
#[derive(Clone, Debug)]
pub struct WebsocketOptions {
    /// Largest incoming message in bytes on the wire, summed over fragments; a larger one closes with 1009.
    pub message_size_limit: usize,
    /// Largest incoming message after inflation; a larger one closes with 1009.
    pub decompressed_message_size_limit: usize,
    /// How long one write may take before the connection is closed as 3009.
    pub write_timeout: Duration,
    /// Offer permessage-deflate.
    pub compression: Option<Compression>,
    /// How outboxes queue.
    pub outbox: OutboxOptions,
    /// Interval of WebSocket pings for clients that ask for them (`cf_ws_frame_ping_pong`); `None` = off.
    pub ping_interval: Option<Duration>,
    /// How long such a ping may stay unanswered; `None` = for ever.
    pub pong_timeout: Option<Duration>,
}

/// How outgoing messages are compressed.
#[derive(Clone, Copy, Debug)]
pub struct Compression {
    /// 1 (fast) to 9 (small).
    pub level: u32,
    /// Messages of at most that many bytes are sent as they are.
    pub min_size: usize,
}

/// Answers a WebSocket request: 101 and a spawned connection task, or the error of the handshake.
pub fn upgrade<A: Acceptor>(
    mut request: Request<Body>,
    acceptor: &Arc<A>,
    options: &Arc<WebsocketOptions>,
) -> Response<Body> {
    let negotiated = match handshake::negotiate(&request, options.compression.is_some()) {
        Ok(negotiated) => negotiated,
        Err(refusal) => return refusal.into_response(),
    };
    if !acceptor.origin_allowed(request.headers()) {
        return handshake::Refusal::Origin.into_response();
    }
    let extensions = request.extensions();
    let (Some(facts), Some(context)) = (
        extensions.get::<ConnectionFacts>().cloned(),
        extensions.get::<UpgradeContext>().cloned(),
    ) else {
        return handshake::Refusal::NotUpgradable.into_response();
    };
    let response = negotiated.response();
    let handshake = negotiated.handshake(&request, facts);
    let compression = negotiated.compression;
    let (acceptor, options, flusher) = (acceptor.clone(), options.clone(), context.flusher().clone());
    let take_over: TakeOver = Box::new(move |stream, early| {
        let outbox = Outbox::open(&options.outbox);
        let upgraded = Upgraded {
            stream,
            early,
            encoding: handshake.encoding,
            compression,
            pings: handshake.transport_pings,
        };
        let session = acceptor.open(handshake, outbox.clone());
        // A task of its own, which holds nothing of the handshake.
        tokio::spawn(Connection::new(upgraded, session, outbox, options, flusher));
    });
    context.accept(&mut request, take_over);
    response
}

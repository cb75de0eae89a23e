//! One client's protocol state: commands in, replies and calls out.
//!
//! A session does no I/O and reads no clock. It is given frames, events, answers and the time, and yields frames
//! (into its outbox, which is only a queue), [`Call`]s for the node and its next deadline. The driver
//! (`node::connection`) performs the calls and feeds the answers back.
//!
//! ```text
//!            connect              reply
//!   Fresh ───────────> Connecting ───────> Connected
//!     │                    │ error reply       │
//!     │                    v                   │
//!     │                 Unusable               │
//!     └── stale ───────────┴── disconnect ─────┴──> Closed
//! ```
//!
//! Order (promise 1): commands are taken from a frame one by one. With `client.concurrency` above 1 several may
//! be under way, but never two on the same channel, so a client's burst on a channel takes effect as sent.

mod attaching;
mod call;
mod capabilities;
mod command;
mod compaction;
mod connect;
mod events;
mod limits;
mod operations;
mod recovery;
mod revocation;
mod settings;
mod subscribe;
mod subscription;
mod table;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tidegate_transports::{EndCause, InputFault, Pushed};

use crate::channels::Capabilities;
use crate::hub::{Event, Handle};
use crate::limits::ConnectionTokens;
use crate::protocol::{self, Commands, Disconnect, message};
use crate::telemetry::{ClientLabel, FrameType};
pub use call::{Answer, Attach, Call, CallId, Detach, Look};
use command::Pending;
pub(crate) use operations::retention;
use revocation::Traces;
pub use settings::{Context, Guards, Personal, Rules, Settings};
use table::Subscriptions;
use timers::Timers;

/// The time, as a session is told it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For tokens and lags: Unix milliseconds.
    pub unix_ms: i64,
}

impl Now {
    /// Unix time in seconds.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.unix_ms.div_euclid(1000)
    }
}

/// Facts of the handshake that a session keeps.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Secret id of an emulated session.
    pub session: Option<String>,
    /// User id from the trusted request header.
    pub header_user: Option<String>,
    /// The transport pings by itself.
    pub transport_pings: bool,
}

/// See the module documentation.
pub struct Session {
    context: Arc<Context>,
    handle: Arc<Handle>,
    opening: Opening,
    phase: Phase,
    /// Random in [0, 1): spreads the timers of connections that came together.
    jitter: f64,
    user: String,
    conn_info: Bytes,
    /// Boxed: few have some.
    capabilities: Option<Box<Capabilities>>,
    subscriptions: Subscriptions,
    /// The frame being read.
    incoming: Option<Commands>,
    /// A command that waits for another one on its channel.
    stalled: Option<Box<message::Command>>,
    pending: Vec<Pending>,
    /// What the server API asked of a channel while a subscription to it was being made; seldom anything.
    deferred: Vec<Event>,
    calls: VecDeque<(CallId, Call)>,
    next_call: u32,
    /// The tokens it lives on, if they leave a trace.
    traces: Option<Box<Traces>>,
    /// What the limits on commands remember of this connection, if there are any.
    tokens: Option<Box<ConnectionTokens>>,
    timers: Timers,
    disconnect: Option<Disconnect>,
    /// Under which labels the connection is counted, once it is connected.
    counted: Option<ClientLabel>,
    /// The client can be sent numbers in place of the names of channels.
    reads_numbers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connect command yet.
    Fresh,
    /// The connect command is being worked on.
    Connecting,
    /// The connect reply is queued.
    Connected,
    /// The connect command was answered with an error: nothing else is processed (protocol.md 3.1).
    Unusable,
    /// Closed by either side.
    Closed,
}

impl Session {
    /// A session for an accepted connection.
    #[must_use]
    pub fn new(context: Arc<Context>, handle: Arc<Handle>, opening: Opening, jitter: f64, now: Now) -> Self {
        let timers = Timers::new(now.instant + context.settings.stale_close_delay);
        Self {
            context,
            handle,
            opening,
            phase: Phase::Fresh,
            jitter,
            user: String::new(),
            conn_info: Bytes::new(),
            capabilities: None,
            subscriptions: Subscriptions::default(),
            incoming: None,
            stalled: None,
            pending: Vec::new(),
            deferred: Vec::new(),
            calls: VecDeque::new(),
            next_call: 0,
            traces: None,
            tokens: None,
            timers,
            disconnect: None,
            counted: None,
            reads_numbers: false,
        }
    }

    /// Whether the next frame may be given.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.incoming.is_none()
            && self.stalled.is_none()
            && self.pending_commands() < self.context.settings.concurrency
    }

    /// Takes a frame. Call only when [`is_ready`](Self::is_ready).
    pub fn handle_frame(&mut self, frame: Bytes, now: Now) {
        if self.phase == Phase::Closed || (self.phase == Phase::Unusable && !self.is_emulated()) {
            return;
        }
        self.incoming = Some(Commands::new(self.handle.encoding, frame));
        self.process(now);
    }

    /// Takes the transport's report of input that never became a frame.
    pub fn handle_fault(&mut self, fault: InputFault) {
        tracing::info!(client = %self.handle.client, user = %self.user, error = ?fault, "error reading command");
        self.close(Disconnect::BAD_REQUEST);
    }

    /// Takes the answer to a call.
    pub fn handle_answer(&mut self, id: CallId, answer: Answer, now: Now) {
        let Some(index) = self.pending.iter().position(|pending| pending.call == id) else {
            return;
        };
        let pending = self.pending.swap_remove(index);
        if self.pending.is_empty() {
            // An idle session keeps no queues.
            self.pending = Vec::new();
        }
        if self.phase == Phase::Closed {
            self.abandon(pending, &answer);
            return;
        }
        self.resume(pending, answer, now);
        self.handle_deferred(now);
        self.process(now);
    }

    /// Acts on deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.phase != Phase::Closed {
            self.run_timers(now);
        }
    }

    /// The next call for the node, if any. Background calls may be dropped with the session; [`Detach`] must not.
    pub fn poll_call(&mut self) -> Option<(CallId, Call)> {
        let call = self.calls.pop_front();
        if self.calls.is_empty() {
            self.calls = VecDeque::new();
        }
        call
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            None
        } else {
            self.timers.next()
        }
    }

    /// The transport is gone. The remaining calls release what the session holds.
    pub fn end(&mut self, cause: &EndCause) {
        let disconnect = match cause {
            EndCause::WriteTimeout => Disconnect::WRITE_ERROR,
            EndCause::PeerClosed | EndCause::Delivered | EndCause::Violation(_) => {
                Disconnect::CONNECTION_CLOSED
            }
        };
        self.close(disconnect);
    }

    /// How the session was closed; `None` while it is open.
    #[must_use]
    pub fn disconnect(&self) -> Option<&Disconnect> {
        self.disconnect.as_ref()
    }

    /// Whether the client has authenticated.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// The authenticated user; empty before that and for anonymous.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Closes: leaves all channels, tells the client by push where its transport needs that, closes the outbox.
    /// The first close wins.
    pub fn close(&mut self, disconnect: Disconnect) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.incoming = None;
        self.stalled = None;
        self.deferred = Vec::new();
        self.traces = None;
        let subscriptions = std::mem::take(&mut self.subscriptions);
        for (channel, subscription) in subscriptions.into_entries() {
            self.leave(channel, subscription);
        }
        self.handle.mailbox.close();
        if let Some(label) = self.counted.take() {
            self.context
                .metrics
                .connection_closed(self.handle.transport, label);
        }
        let metrics = &self.context.metrics;
        if disconnect.code != Disconnect::CONNECTION_CLOSED.code {
            metrics.disconnect(disconnect.code);
        }
        tracing::debug!(client = %self.handle.client, user = %self.user, reason = %disconnect.reason, "closing client connection");
        if disconnect.drops_queue() {
            self.handle.outbox.discard(disconnect.to_close());
        } else {
            if self.handle.transport.has_disconnect_push() {
                let body = message::Disconnect {
                    code: disconnect.code,
                    reason: disconnect.reason.clone().into_owned(),
                    reconnect: false,
                };
                let push = message::Push {
                    disconnect: Some(body),
                    ..message::Push::default()
                };
                self.write(&push_reply(push), FrameType::PushDisconnect);
            }
            self.handle.outbox.close(disconnect.to_close());
        }
        self.disconnect = Some(disconnect);
    }

    fn is_emulated(&self) -> bool {
        self.handle.transport.is_emulated()
    }

    fn call(&mut self, call: Call) -> CallId {
        self.next_call = self.next_call.wrapping_add(1);
        let id = CallId(self.next_call);
        if self.calls.is_empty() {
            self.calls = VecDeque::with_capacity(1);
        }
        self.calls.push_back((id, call));
        id
    }

    /// Remembers what to do with the answer to a call.
    fn expect(&mut self, pending: Pending) {
        if self.pending.is_empty() {
            self.pending = Vec::with_capacity(1);
        }
        self.pending.push(pending);
    }

    /// Queues a message; a full queue or a payload that the encoding cannot carry closes the session.
    fn send(&mut self, reply: &message::Reply, kind: FrameType) {
        if self.phase != Phase::Closed
            && let Some(disconnect) = self.write(reply, kind)
        {
            self.close(disconnect);
        }
    }

    fn write(&self, reply: &message::Reply, kind: FrameType) -> Option<Disconnect> {
        let frame = match protocol::encode_reply(reply, self.handle.encoding) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::info!(client = %self.handle.client, user = %self.user, %error, "error encoding reply");
                return Some(Disconnect::INAPPROPRIATE_PROTOCOL);
            }
        };
        self.context
            .metrics
            .sent(self.handle.transport, kind, 1, frame.payload().len() as u64);
        let outbox = &self.handle.outbox;
        let is_reply = reply.id > 0;
        let pushed = if is_reply && self.context.settings.reply_without_queue {
            outbox.push_at_once(frame)
        } else {
            outbox.push(frame)
        };
        match pushed {
            Pushed::Queued | Pushed::Closed => None,
            Pushed::Overflow => Some(Disconnect::SLOW),
        }
    }
}

fn push_reply(push: message::Push) -> message::Reply {
    message::Reply {
        push: Some(push),
        ..message::Reply::default()
    }
}

/// The longest lifetime of a connection, and of a refreshed subscription, that a client is told
/// (channels-and-auth.md 4.5, 4.7).
const MAX_TTL: u32 = 365 * 24 * 3600;

/// Seconds until `expire_at`, as the wire carries them; 0 for a time that is over and for never.
fn remaining(expire_at: i64, now: Now) -> u32 {
    let left = expire_at.saturating_sub(now.unix()).max(0);
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// The same, as far as clients are told it.
fn ttl(expire_at: i64, now: Now) -> u32 {
    remaining(expire_at, now).min(MAX_TTL)
}

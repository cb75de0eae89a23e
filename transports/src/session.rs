//! The seam between transports and the server: one accept path for every transport.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;

use crate::{Close, Handshake, Outbox};

/// Admits and opens sessions. There is one acceptor per server; all transports share it.
pub trait Acceptor: Send + Sync + 'static {
    /// The state of one connection.
    type Session: Session;

    /// Whether the `Origin` of a request may open sessions (configuration.md 4.3). WebSocket answers a
    /// forbidden one with 403, WebTransport with 400; streaming endpoints only omit their CORS headers.
    fn origin_allowed(&self, headers: &HeaderMap) -> bool;

    /// Whether the node's connection limits leave room for one more; `false` becomes HTTP 503.
    fn has_room(&self) -> bool;

    /// Opens a session. It writes to `outbox` only; the transport drains it.
    fn open(&self, handshake: Handshake, outbox: Arc<Outbox>) -> Self::Session;
}

/// One client's state, driven by its transport from a single task.
///
/// The transport's loop: wait for [`poll_ready`](Session::poll_ready) while draining the outbox; when it is
/// ready and a frame has arrived, call [`receive`](Session::receive). Once the outbox is closed, write what is
/// left, close, and call [`end`](Session::end) exactly once.
pub trait Session: Send + Unpin + 'static {
    /// Advances timers, waiting operations and events from elsewhere in the server. Ready means that the next
    /// frame may be given; pending means back-pressure: the transport must not read on.
    ///
    /// The waker is kept also when this returns ready: the session wakes it for timers and events.
    ///
    /// # Cancel safety
    /// It may be polled or abandoned at any time without losing frames or effects.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes one frame: a batch of commands as the client framed it. Call only after `poll_ready` was ready.
    fn receive(&mut self, frame: &[u8]);

    /// Reports input that the transport could not frame; the session closes itself through the outbox.
    fn reject(&mut self, fault: InputFault);

    /// The transport is gone, or has delivered the session's own close. Releases everything the session holds.
    /// Called exactly once; dropping a session without it counts as [`EndCause::PeerClosed`].
    fn end(&mut self, cause: EndCause);
}

/// Peer input that never became a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFault {
    /// A command exceeds the transport's message size limit.
    TooLarge,
    /// The framing is broken.
    Malformed,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The client closed or vanished (3000, never written to the client).
    PeerClosed,
    /// The close that the session put in its outbox was delivered, as far as the peer let us.
    Delivered,
    /// One write was not finished in time (3009).
    WriteTimeout,
    /// The transport closed because of a violation of its own protocol, with the given transport code.
    Violation(Close),
}

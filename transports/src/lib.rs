//! Transports: they carry frames between a network and a [`Session`] and know nothing of channels.
//!
//! ```text
//! bytes in ──> transport (framing, handshake, TLS, QUIC) ──receive──> Session
//! bytes out <── transport <──poll_drain── Outbox <──push── session, hub
//! ```
//!
//! Start with [`Acceptor`], which admits and opens sessions for every transport, and [`Outbox`], the bounded
//! queue from which every transport writes. A *frame* is one encoded protocol message without the framing of
//! its transport: the transport adds newlines, length prefixes, SSE fields or WebSocket headers.

pub mod delays;
mod delimiter;
pub mod flush;
pub mod handshake;
pub mod http;
pub mod http3;
pub mod outbox;
pub mod query;
pub mod quic;
pub mod session;
pub mod streaming;
pub mod tcp;
pub mod websocket;
pub mod webtransport;
pub mod workers;

pub use delays::{Delays, Due};
pub use handshake::{Encoding, Handshake, TlsFacts, TransportKind};
pub use outbox::{Close, Drained, Frame, Outbox, OutboxOptions, Pace, Pushed};
pub use session::{Acceptor, EndCause, InputFault, Session};

//! What a transport knows about a peer when it opens a session.

use std::net::SocketAddr;

use ::http::{HeaderMap, Uri, Version};

/// How protocol messages are encoded on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Newline-delimited JSON (protocol.md 1.2).
    Json,
    /// Length-delimited Protobuf (protocol.md 1.3).
    Protobuf,
}

impl Encoding {
    /// Lower-case name used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }
}

/// The transports over which a client can hold a bidirectional session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// RFC 6455 over HTTP/1.1 (protocol.md 5.1).
    Websocket,
    /// One bidirectional stream of a WebTransport session over HTTP/3 (protocol.md 5.5).
    Webtransport,
    /// Streaming response body plus emulation requests (protocol.md 5.2).
    HttpStream,
    /// Server-sent events plus emulation requests (protocol.md 5.3).
    Sse,
}

impl TransportKind {
    /// Every kind, in the order in which clients fall back.
    pub const ALL: [Self; 4] = [Self::Webtransport, Self::Websocket, Self::HttpStream, Self::Sse];

    /// Name in metrics and logs (operations.md 2).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Webtransport => "webtransport",
            Self::HttpStream => "http_stream",
            Self::Sse => "sse",
        }
    }

    /// Whether the client sends its commands to the emulation endpoint, and so must learn session and node.
    #[must_use]
    pub fn is_emulated(self) -> bool {
        matches!(self, Self::HttpStream | Self::Sse)
    }

    /// Whether a disconnect is told by a push before the transport closes (protocol.md 4.4). A WebSocket
    /// carries code and reason in its close frame instead.
    #[must_use]
    pub fn has_disconnect_push(self) -> bool {
        !matches!(self, Self::Websocket)
    }
}

/// Facts of the TLS handshake under a connection.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// Server name the client asked for (SNI).
    pub server_name: Option<String>,
    /// Whether the client presented a certificate that was verified.
    pub client_certificate: bool,
}

/// Everything that is known of a peer before its first frame.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The transport that opens the session.
    pub transport: TransportKind,
    /// Encoding negotiated by that transport.
    pub encoding: Encoding,
    /// Address of the peer's socket.
    pub peer: SocketAddr,
    /// Request target, with its query.
    pub uri: Uri,
    /// Request headers.
    pub headers: HeaderMap,
    /// HTTP version under the transport.
    pub version: Version,
    /// TLS facts; `None` on a plain connection.
    pub tls: Option<TlsFacts>,
    /// Secret id by which emulation requests find the session; `None` on transports without emulation.
    pub session: Option<String>,
    /// The transport pings by itself (`cf_ws_frame_ping_pong=true`, protocol.md 5.1): the session sends no
    /// protocol pings.
    pub transport_pings: bool,
}

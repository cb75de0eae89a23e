//! How clients connect and what their bytes look like (protocol.md 1.1).

use prost::Message as _;

use crate::message::Command;

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    WebSocket(Encoding),
    /// The server must speak TLS.
    SecureWebSocket(Encoding),
    HttpStream(Encoding),
    Sse,
    WebTransport(Encoding),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Protobuf,
}

/// All there is without TLS over TCP.
pub const KINDS: [Kind; 7] = [
    Kind::WebSocket(Encoding::Json),
    Kind::WebSocket(Encoding::Protobuf),
    Kind::HttpStream(Encoding::Json),
    Kind::HttpStream(Encoding::Protobuf),
    Kind::Sse,
    Kind::WebTransport(Encoding::Json),
    Kind::WebTransport(Encoding::Protobuf),
];

/// Those that have a transport of their own.
pub const SESSIONS: [Kind; 4] = [
    Kind::WebSocket(Encoding::Json),
    Kind::WebSocket(Encoding::Protobuf),
    Kind::WebTransport(Encoding::Json),
    Kind::WebTransport(Encoding::Protobuf),
];

/// Those that are answers of HTTP.
pub const STREAMS: [Kind; 3] = [
    Kind::HttpStream(Encoding::Json),
    Kind::HttpStream(Encoding::Protobuf),
    Kind::Sse,
];

/// Those that need TLS over TCP.
pub const SECURE: [Kind; 2] = [
    Kind::SecureWebSocket(Encoding::Json),
    Kind::SecureWebSocket(Encoding::Protobuf),
];

impl Kind {
    pub fn encoding(self) -> Encoding {
        match self {
            Self::WebSocket(encoding)
            | Self::SecureWebSocket(encoding)
            | Self::HttpStream(encoding)
            | Self::WebTransport(encoding) => encoding,
            Self::Sse => Encoding::Json,
        }
    }

    /// How replies are told apart.
    pub fn framing(self) -> Framing {
        match (self, self.encoding()) {
            (Self::Sse, _) => Framing::Events,
            (_, Encoding::Json) => Framing::Lines,
            (_, Encoding::Protobuf) => Framing::Lengths,
        }
    }

    /// Commands as one frame.
    pub fn encode(self, commands: &[Command]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for command in commands {
            match self.encoding() {
                Encoding::Json => {
                    serde_json::to_writer(&mut bytes, command).unwrap();
                    bytes.push(b'\n');
                }
                Encoding::Protobuf => command.encode_length_delimited(&mut bytes).unwrap(),
            }
        }
        bytes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Lines,
    Events,
    Lengths,
}

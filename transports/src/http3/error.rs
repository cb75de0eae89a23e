//! Error codes on the wire, and faults by who they hit: one stream or the whole connection.

use crate::quic::{Connection, VarInt};

/// An application error code of HTTP/3, QPACK or WebTransport as carried by QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u64);

impl Code {
    /// No fault; also the answer to data that is no longer needed.
    pub const NO_ERROR: Self = Self(0x100);
    /// The peer violated the protocol in a way without a code of its own.
    pub const GENERAL_PROTOCOL_ERROR: Self = Self(0x101);
    /// Our fault.
    pub const INTERNAL_ERROR: Self = Self(0x102);
    /// The peer opened a stream that it may not open.
    pub const STREAM_CREATION_ERROR: Self = Self(0x103);
    /// A control or QPACK stream ended.
    pub const CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    /// A frame where it is not allowed.
    pub const FRAME_UNEXPECTED: Self = Self(0x105);
    /// A frame with a broken layout or size.
    pub const FRAME_ERROR: Self = Self(0x106);
    /// The peer makes us work without need.
    pub const EXCESSIVE_LOAD: Self = Self(0x107);
    /// A stream or push id that cannot be.
    pub const ID_ERROR: Self = Self(0x108);
    /// Broken SETTINGS.
    pub const SETTINGS_ERROR: Self = Self(0x109);
    /// The control stream did not start with SETTINGS.
    pub const MISSING_SETTINGS: Self = Self(0x10a);
    /// A request was not processed at all and may be repeated elsewhere.
    pub const REQUEST_REJECTED: Self = Self(0x10b);
    /// A request or its response is no longer wanted.
    pub const REQUEST_CANCELLED: Self = Self(0x10c);
    /// A request stream ended before its request was complete.
    pub const REQUEST_INCOMPLETE: Self = Self(0x10d);
    /// A malformed request (RFC 9114 section 4.1.2).
    pub const MESSAGE_ERROR: Self = Self(0x10e);
    /// A field section could not be decoded.
    pub const QPACK_DECOMPRESSION_FAILED: Self = Self(0x200);
    /// A broken instruction on the peer's QPACK encoder stream.
    pub const QPACK_ENCODER_STREAM_ERROR: Self = Self(0x201);
    /// A broken instruction on the peer's QPACK decoder stream.
    pub const QPACK_DECODER_STREAM_ERROR: Self = Self(0x202);
    /// A WebTransport stream waited too long, or with too many others, for its session.
    pub const WT_BUFFERED_STREAM_REJECTED: Self = Self(0x3994_bd84);
    /// The session of a WebTransport stream is over.
    pub const WT_SESSION_GONE: Self = Self(0x170d_7b68);

    /// Maps an application error of WebTransport into its range of HTTP/3 codes
    /// (draft-ietf-webtrans-http3 section 4.4): code points reserved for greasing are skipped.
    #[must_use]
    pub const fn webtransport(application: u32) -> Self {
        let n = application as u64;
        Self(0x52e4_a40f_a8db + n + n / 0x1e)
    }
}

impl From<Code> for VarInt {
    fn from(code: Code) -> Self {
        VarInt::from_u64(code.0).unwrap_or(VarInt::MAX)
    }
}

/// The peer broke a rule that ends the whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HTTP/3 peer fault {code:?}: {reason}")]
pub struct ConnectionFault {
    /// Code of the CONNECTION_CLOSE frame.
    pub code: Code,
    /// Reason phrase, for people who debug the peer.
    pub reason: &'static str,
}

impl ConnectionFault {
    /// A fault with `code` and `reason`.
    #[must_use]
    pub const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// Closes the connection and logs the peer's fault.
    pub(crate) fn close(self, connection: &Connection) {
        tracing::debug!(peer = %connection.remote_address(), error = %self, "closing HTTP/3 connection");
        connection.close(self.code.into(), self.reason.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webtransport_codes_skip_the_greased_ones() {
        for (application, wire) in [
            (0, 0x52e4_a40f_a8db),
            (0x1d, 0x52e4_a40f_a8f8),
            (0x1e, 0x52e4_a40f_a8fa),
            (u32::MAX, 0x52e5_ac98_3162),
        ] {
            assert_eq!(Code::webtransport(application).0, wire);
            assert_ne!((wire - 0x21) % 0x1f, 0);
        }
    }
}

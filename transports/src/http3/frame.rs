//! Frames of HTTP/3 (RFC 9114 section 7): a type, a length and a payload.
//!
//! Capsules (RFC 9297) have the same layout, so one [`Decoder`] serves control streams, CONNECT streams and
//! the capsules inside them. It never buffers a payload: whoever needs one whole collects it, up to a limit
//! of its own.

use super::error::{Code, ConnectionFault};
use super::varint;

/// Body of a message, or capsules.
pub const DATA: u64 = 0x00;
/// Field section of a message.
pub const HEADERS: u64 = 0x01;
/// Control: a promised push is not wanted.
pub const CANCEL_PUSH: u64 = 0x03;
/// Control: settings, first and once.
pub const SETTINGS: u64 = 0x04;
/// Request stream, servers only.
pub const PUSH_PROMISE: u64 = 0x05;
/// Control: no further requests.
pub const GOAWAY: u64 = 0x07;
/// Control: how many pushes the client accepts.
pub const MAX_PUSH_ID: u64 = 0x0d;
/// First value on a bidirectional stream of a WebTransport session; its session id follows, and no length.
pub const WEBTRANSPORT_STREAM: u64 = 0x41;

/// Reads type and length, and how many bytes they took; `None` if `input` ends before them.
#[must_use]
pub fn decode_header(input: &[u8]) -> Option<(u64, u64, usize)> {
    let (kind, first) = varint::decode(input)?;
    let (len, second) = varint::decode(input.get(first..)?)?;
    Some((kind, len, first + second))
}

/// Refuses types of HTTP/2 that HTTP/3 forbids everywhere (RFC 9114 section 7.2.8).
///
/// # Errors
/// H3_FRAME_UNEXPECTED for those types.
pub fn check_reserved(kind: u64) -> Result<(), ConnectionFault> {
    match kind {
        0x02 | 0x06 | 0x08 | 0x09 => Err(ConnectionFault::new(
            Code::FRAME_UNEXPECTED,
            "frame type of HTTP/2",
        )),
        _ => Ok(()),
    }
}

/// Cuts a byte stream into frames (or capsules) as it arrives.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; 16],
    filled: u8,
    payload: Option<Payload>,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    kind: u64,
    remaining: u64,
}

/// What comes next in the byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A frame begins; its payload has `len` bytes.
    Start {
        /// Type of the frame.
        kind: u64,
        /// Length of the payload.
        len: u64,
    },
    /// Bytes of a payload.
    Payload {
        /// Type of the frame that they belong to.
        kind: u64,
        /// Some of its bytes; empty only if the frame is.
        bytes: &'a [u8],
        /// Whether the frame ends with them.
        last: bool,
    },
}

impl Decoder {
    /// Takes the next piece from the front of `input`; `None` once everything is taken.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        if let Some(Payload { kind, remaining }) = self.payload {
            if input.is_empty() && remaining > 0 {
                return None;
            }
            let take = usize::try_from(remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
            let (bytes, rest) = input.split_at(take);
            *input = rest;
            let remaining = remaining - take as u64;
            let last = remaining == 0;
            self.payload = (!last).then_some(Payload { kind, remaining });
            return Some(Piece::Payload { kind, bytes, last });
        }
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            // Two integers of at most eight bytes always fit: the header is decoded before it can overflow.
            if let Some(slot) = self.header.get_mut(usize::from(self.filled)) {
                *slot = byte;
                self.filled += 1;
            }
            let filled = self.header.get(..usize::from(self.filled)).unwrap_or_default();
            if let Some((kind, len, _)) = decode_header(filled) {
                self.filled = 0;
                self.payload = Some(Payload { kind, remaining: len });
                return Some(Piece::Start { kind, len });
            }
        }
        None
    }

    /// Whether the byte stream may end here: between two frames.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.filled == 0 && self.payload.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn collect(decoder: &mut Decoder, chunks: &[&[u8]]) -> Vec<(u64, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut open: Option<(u64, Vec<u8>)> = None;
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(piece) = decoder.next(&mut input) {
                match piece {
                    Piece::Start { kind, .. } => open = Some((kind, Vec::new())),
                    Piece::Payload { bytes, last, .. } => {
                        open.as_mut().unwrap().1.extend_from_slice(bytes);
                        if last {
                            frames.extend(open.take());
                        }
                    }
                }
            }
        }
        frames
    }

    proptest! {
        #[test]
        fn frames_survive_any_fragmentation(
            frames in vec((0..=varint::MAX, vec(any::<u8>(), 0..40)), 0..8),
            cut in 1usize..9,
        ) {
            let mut wire = Vec::new();
            for (kind, payload) in &frames {
                varint::encode(*kind, &mut wire);
                varint::encode(payload.len() as u64, &mut wire);
                wire.extend_from_slice(payload);
            }
            let mut decoder = Decoder::default();
            let chunks: Vec<&[u8]> = wire.chunks(cut).collect();
            prop_assert_eq!(collect(&mut decoder, &chunks), frames);
            prop_assert!(decoder.is_between_frames());
        }

        #[test]
        fn random_bytes_are_taken_whole(bytes in vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            let mut input = bytes.as_slice();
            while decoder.next(&mut input).is_some() {}
            prop_assert!(input.is_empty());
        }
    }
}

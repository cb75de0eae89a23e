//! Capsules on the CONNECT stream (RFC 9297) and the DATA frames around them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::http3::error::{Code, ConnectionFault};
use crate::http3::frame::{self, Decoder, Piece};
use crate::http3::varint;

/// The client closed its session with this code and reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionClose {
    /// Application error code.
    pub code: u32,
    /// Reason, as far as it is UTF-8.
    pub reason: String,
}

/// Why the CONNECT stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapsuleError {
    /// A capsule with a broken layout: H3_MESSAGE_ERROR on the stream.
    #[error("malformed capsule")]
    Malformed,
    /// A frame that may not follow a CONNECT.
    #[error(transparent)]
    Frame(#[from] ConnectionFault),
}

/// Reads the CONNECT stream after its HEADERS. Capsules of unknown types and draining notices are skipped.
#[derive(Debug, Default)]
pub struct CapsuleDecoder {
    frames: Decoder,
    capsules: Decoder,
    close: Vec<u8>,
}

impl CapsuleDecoder {
    /// Takes bytes of the stream; answers the close once it is complete.
    ///
    /// # Errors
    /// See [`CapsuleError`].
    pub fn decode(&mut self, mut input: &[u8]) -> Result<Option<SessionClose>, CapsuleError> {
        while let Some(piece) = self.frames.next(&mut input) {
            match piece {
                Piece::Start { kind, .. } => check_frame(kind)?,
                Piece::Payload {
                    kind: frame::DATA,
                    bytes,
                    ..
                } => {
                    if let Some(close) = self.capsules(bytes)? {
                        return Ok(Some(close));
                    }
                }
                Piece::Payload { .. } => {}
            }
        }
        Ok(None)
    }

    /// Whether the stream may end here without having been cut off.
    #[must_use]
    pub fn is_between_capsules(&self) -> bool {
        self.frames.is_between_frames() && self.capsules.is_between_frames()
    }

    fn capsules(&mut self, mut input: &[u8]) -> Result<Option<SessionClose>, CapsuleError> {
        while let Some(piece) = self.capsules.next(&mut input) {
            match piece {
                Piece::Start {
                    kind: WT_CLOSE_SESSION,
                    len,
                } if !(4..=MAX_CLOSE).contains(&len) => return Err(CapsuleError::Malformed),
                Piece::Payload {
                    kind: WT_CLOSE_SESSION,
                    bytes,
                    last,
                } => {
                    self.close.extend_from_slice(bytes);
                    if last {
                        return parse_close(&std::mem::take(&mut self.close)).map(Some);
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// A DATA frame with a WT_CLOSE_SESSION capsule. The reason is cut to 1,024 bytes, between characters.
#[must_use]
pub fn encode_close(code: u32, reason: &str) -> Bytes {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = reason.get(..end).unwrap_or_default();
    let value = 4 + reason.len() as u64;
    let capsule = varint::len(WT_CLOSE_SESSION) as u64 + varint::len(value) as u64 + value;
    let mut out = BytesMut::with_capacity(16 + reason.len());
    varint::encode(frame::DATA, &mut out);
    varint::encode(capsule, &mut out);
    varint::encode(WT_CLOSE_SESSION, &mut out);
    varint::encode(value, &mut out);
    out.put_u32(code);
    out.put_slice(reason.as_bytes());
    out.freeze()
}

fn parse_close(value: &[u8]) -> Result<SessionClose, CapsuleError> {
    let (code, reason) = value.split_first_chunk().ok_or(CapsuleError::Malformed)?;
    Ok(SessionClose {
        code: u32::from_be_bytes(*code),
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

/// Only DATA, and frames of unknown types, follow a CONNECT (RFC 9114 section 4.4).
fn check_frame(kind: u64) -> Result<(), ConnectionFault> {
    match kind {
        frame::HEADERS
        | frame::SETTINGS
        | frame::GOAWAY
        | frame::CANCEL_PUSH
        | frame::MAX_PUSH_ID
        | frame::PUSH_PROMISE => Err(ConnectionFault::new(
            Code::FRAME_UNEXPECTED,
            "frame on a CONNECT stream",
        )),
        _ => frame::check_reserved(kind),
    }
}

const WT_CLOSE_SESSION: u64 = 0x2843;

const MAX_REASON: usize = 1024;

const MAX_CLOSE: u64 = 4 + MAX_REASON as u64;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_capsules_and_frames_are_skipped() {
        let mut wire = vec![0x21, 2, 9, 9]; // greased frame
        wire.extend([0x00, 6, 0x21, 4, 1, 2, 3, 4]); // greased capsule
        wire.extend([0x00, 0]); // empty DATA
        wire.extend_from_slice(&encode_close(3001, "shutdown"));
        let close = CapsuleDecoder::default().decode(&wire).unwrap().unwrap();
        assert_eq!((close.code, close.reason.as_str()), (3001, "shutdown"));
    }

    #[test]
    fn broken_capsules_are_refused() {
        let short = [0x00, 6, 0x68, 0x43, 3, 0, 0, 0];
        assert_eq!(
            CapsuleDecoder::default().decode(&short),
            Err(CapsuleError::Malformed)
        );
        assert!(matches!(
            CapsuleDecoder::default().decode(&[0x01, 0]),
            Err(CapsuleError::Frame(_))
        ));
        let mut cut = CapsuleDecoder::default();
        assert_eq!(cut.decode(&[0x00, 9, 0x68]), Ok(None));
        assert!(!cut.is_between_capsules());
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let frame = encode_close(1, &"ä".repeat(600));
        let close = CapsuleDecoder::default().decode(&frame).unwrap().unwrap();
        assert_eq!(close.reason, "ä".repeat(512));
        let frame = encode_close(1, &format!("a{}", "ä".repeat(600)));
        let close = CapsuleDecoder::default().decode(&frame).unwrap().unwrap();
        assert_eq!(close.reason.len(), 1023);
    }

    proptest! {
        #[test]
        fn round_trips_in_any_fragmentation(code: u32, reason in ".{0,300}", cut in 1usize..9) {
            let wire = encode_close(code, &reason);
            let mut decoder = CapsuleDecoder::default();
            let mut close = None;
            for chunk in wire.chunks(cut) {
                close = decoder.decode(chunk).unwrap().or(close);
            }
            let close = close.unwrap();
            prop_assert_eq!(close.code, code);
            prop_assert!(reason.starts_with(&close.reason));
        }

        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = CapsuleDecoder::default().decode(&bytes);
            let mut data = vec![0x00, 0x7f, 0xff];
            data.extend_from_slice(&bytes);
            let _ = CapsuleDecoder::default().decode(&data);
        }
    }
}

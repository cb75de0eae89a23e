//! The peer's three critical streams as pure decoders: control, QPACK encoder, QPACK decoder.

use super::error::{Code, ConnectionFault};
use super::frame::{self, Decoder, Piece};
use super::settings::{self, PeerSettings};
use super::varint;

/// Reads a client's control stream (RFC 9114 section 6.2.1), after its stream type.
#[derive(Debug, Default)]
pub struct ControlDecoder {
    frames: Decoder,
    payload: Vec<u8>,
    has_settings: bool,
    max_push_id: Option<u64>,
    goaway: Option<u64>,
}

impl ControlDecoder {
    /// Takes bytes of the stream; answers the settings once they are complete.
    ///
    /// Frames of unknown types are skipped, whatever their length; known ones are limited to
    /// a few KiB. A GOAWAY of a client concerns pushes only, which we never send.
    ///
    /// # Errors
    /// The connection fault that RFC 9114 names for each violation.
    pub fn decode(&mut self, mut input: &[u8]) -> Result<Option<PeerSettings>, ConnectionFault> {
        let mut settings = None;
        while let Some(piece) = self.frames.next(&mut input) {
            match piece {
                Piece::Start { kind, len } => self.start(kind, len)?,
                Piece::Payload { kind, bytes, last } if is_kept(kind) => {
                    self.payload.extend_from_slice(bytes);
                    if last {
                        let payload = std::mem::take(&mut self.payload);
                        settings = self.finish(kind, &payload)?.or(settings);
                    }
                }
                Piece::Payload { .. } => {}
            }
        }
        Ok(settings)
    }

    fn start(&mut self, kind: u64, len: u64) -> Result<(), ConnectionFault> {
        frame::check_reserved(kind)?;
        if !self.has_settings && kind != frame::SETTINGS {
            return Err(ConnectionFault::new(
                Code::MISSING_SETTINGS,
                "control stream must start with SETTINGS",
            ));
        }
        match kind {
            frame::SETTINGS if self.has_settings => {
                Err(ConnectionFault::new(Code::FRAME_UNEXPECTED, "second SETTINGS"))
            }
            frame::DATA | frame::HEADERS | frame::PUSH_PROMISE => Err(ConnectionFault::new(
                Code::FRAME_UNEXPECTED,
                "request frame on the control stream",
            )),
            _ if is_kept(kind) && len > MAX_PAYLOAD => Err(ConnectionFault::new(
                Code::EXCESSIVE_LOAD,
                "control frame too large",
            )),
            frame::SETTINGS => {
                self.has_settings = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, kind: u64, payload: &[u8]) -> Result<Option<PeerSettings>, ConnectionFault> {
        if kind == frame::SETTINGS {
            return settings::decode(payload).map(Some);
        }
        let id = match varint::decode(payload) {
            Some((id, used)) if used == payload.len() => id,
            _ => {
                return Err(ConnectionFault::new(
                    Code::FRAME_ERROR,
                    "control frame needs one id",
                ));
            }
        };
        let valid = match kind {
            frame::MAX_PUSH_ID => self.max_push_id.replace(id).is_none_or(|before| before <= id),
            frame::GOAWAY => self.goaway.replace(id).is_none_or(|before| id <= before),
            // We never promise a push, so none can be cancelled.
            _ => false,
        };
        if valid {
            Ok(None)
        } else {
            Err(ConnectionFault::new(Code::ID_ERROR, "push id out of order"))
        }
    }
}

/// Reads a peer's QPACK encoder stream. Our table has capacity zero, so the one allowed instruction sets it
/// to zero once more (RFC 9204 sections 3.2.3 and 4.3.1).
///
/// # Errors
/// QPACK_ENCODER_STREAM_ERROR for every other instruction.
pub fn decode_encoder_stream(input: &[u8]) -> Result<(), ConnectionFault> {
    if input.iter().all(|byte| *byte == 0x20) {
        return Ok(());
    }
    Err(ConnectionFault::new(
        Code::QPACK_ENCODER_STREAM_ERROR,
        "the dynamic table has no capacity",
    ))
}

/// Reads a peer's QPACK decoder stream. We never refer to a dynamic table, so the one meaningful instruction
/// is a stream cancellation (RFC 9204 section 4.4.2), which is ignored.
#[derive(Debug, Default)]
pub struct DecoderStream {
    /// Bytes of an unfinished cancellation.
    pending: u8,
}

impl DecoderStream {
    /// Takes bytes of the stream.
    ///
    /// # Errors
    /// QPACK_DECODER_STREAM_ERROR for acknowledgements of what was never sent, and for endless integers.
    pub fn decode(&mut self, input: &[u8]) -> Result<(), ConnectionFault> {
        for &byte in input {
            self.pending = match self.pending {
                0 if byte >> 6 != 1 => return Err(DECODER_STREAM_FAULT),
                0 if byte & 0x3f == 0x3f => 1,
                0 => 0,
                _ if byte & 0x80 == 0 => 0,
                MAX_INTEGER_BYTES => return Err(DECODER_STREAM_FAULT),
                pending => pending + 1,
            };
        }
        Ok(())
    }
}

/// Known control frames need their payload; others are skipped without being kept.
fn is_kept(kind: u64) -> bool {
    matches!(
        kind,
        frame::SETTINGS | frame::GOAWAY | frame::MAX_PUSH_ID | frame::CANCEL_PUSH
    )
}

const DECODER_STREAM_FAULT: ConnectionFault = ConnectionFault::new(
    Code::QPACK_DECODER_STREAM_ERROR,
    "instruction without a dynamic table",
);

/// Browsers send fewer than 100 bytes of settings.
const MAX_PAYLOAD: u64 = 4096;

const MAX_INTEGER_BYTES: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn code(bytes: &[u8]) -> Code {
        ControlDecoder::default().decode(bytes).unwrap_err().code
    }

    #[test]
    fn settings_come_first_and_once() {
        let mut decoder = ControlDecoder::default();
        assert_eq!(decoder.decode(&[0x04]), Ok(None));
        assert_eq!(decoder.decode(&[0x02, 0x33]), Ok(None));
        assert_eq!(
            decoder.decode(&[0x01]),
            Ok(Some(PeerSettings { datagrams: true }))
        );
        // MAX_PUSH_ID, a frame of an unknown type, GOAWAY.
        assert_eq!(
            decoder.decode(&[0x0d, 1, 8, 0x21, 3, 0, 0, 0, 0x07, 1, 0]),
            Ok(None)
        );
        assert_eq!(
            decoder.decode(&[0x04, 0x00]).unwrap_err().code,
            Code::FRAME_UNEXPECTED
        );
    }

    #[test]
    fn violations_have_their_codes() {
        assert_eq!(code(&[0x0d, 1, 8]), Code::MISSING_SETTINGS);
        assert_eq!(code(&[4, 0, 0x00, 0]), Code::FRAME_UNEXPECTED);
        assert_eq!(code(&[4, 0, 0x01, 0]), Code::FRAME_UNEXPECTED);
        assert_eq!(code(&[4, 0, 0x06, 0]), Code::FRAME_UNEXPECTED);
        assert_eq!(code(&[4, 0, 0x0d, 1, 8, 0x0d, 1, 7]), Code::ID_ERROR);
        assert_eq!(code(&[4, 0, 0x07, 1, 0, 0x07, 1, 4]), Code::ID_ERROR);
        assert_eq!(code(&[4, 0, 0x03, 1, 0]), Code::ID_ERROR);
        assert_eq!(code(&[4, 0, 0x07, 2, 0, 0]), Code::FRAME_ERROR);
        assert_eq!(code(&[4, 0x80, 1, 0, 0]), Code::EXCESSIVE_LOAD);
    }

    #[test]
    fn qpack_streams_carry_nothing_dynamic() {
        assert_eq!(decode_encoder_stream(&[0x20, 0x20]), Ok(()));
        assert!(decode_encoder_stream(&[0x3f, 0xe1, 0x1f]).is_err());
        let mut stream = DecoderStream::default();
        assert_eq!(stream.decode(&[0x44, 0x7f, 0x80, 0x01, 0x48]), Ok(()));
        assert!(stream.decode(&[0x81]).is_err());
        assert!(DecoderStream::default().decode(&[0x01]).is_err());
        assert!(DecoderStream::default().decode(&[0xff; 3]).is_err());
        let mut endless = vec![0x7f];
        endless.extend([0x80; 12]);
        assert!(DecoderStream::default().decode(&endless).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = ControlDecoder::default().decode(&bytes);
            let mut valid = vec![0x04, 0x00];
            valid.extend_from_slice(&bytes);
            let _ = ControlDecoder::default().decode(&valid);
            let _ = DecoderStream::default().decode(&bytes);
            let _ = decode_encoder_stream(&bytes);
        }
    }
}

//! The client's critical streams: each at most once, never closed (RFC 9114 section 6.2).

use std::task::{Context, Poll};

use super::control::{ControlDecoder, DecoderStream, decode_encoder_stream};
use super::error::{Code, ConnectionFault};
use super::input::Input;
use super::settings::PeerSettings;

/// Type of the control stream.
pub(super) const CONTROL: u64 = 0x00;
/// Type of a push stream, which only servers open.
pub(super) const PUSH: u64 = 0x01;
/// Type of the QPACK encoder stream.
pub(super) const QPACK_ENCODER: u64 = 0x02;
/// Type of the QPACK decoder stream.
pub(super) const QPACK_DECODER: u64 = 0x03;

/// Whichever critical streams the client has opened so far.
#[derive(Default)]
pub(super) struct PeerStreams {
    control: Option<(Input, ControlDecoder)>,
    encoder: Option<Input>,
    decoder: Option<(Input, DecoderStream)>,
}

impl PeerStreams {
    /// Takes a stream of a type that only one stream may have; a push stream may not be at all.
    pub(super) fn insert(&mut self, kind: u64, input: Input) -> Result<(), ConnectionFault> {
        let is_first = match kind {
            PUSH => {
                return Err(ConnectionFault::new(
                    Code::STREAM_CREATION_ERROR,
                    "push stream of a client",
                ));
            }
            CONTROL => self.control.replace((input, ControlDecoder::default())).is_none(),
            QPACK_ENCODER => self.encoder.replace(input).is_none(),
            _ => self.decoder.replace((input, DecoderStream::default())).is_none(),
        };
        if is_first {
            return Ok(());
        }
        Err(ConnectionFault::new(
            Code::STREAM_CREATION_ERROR,
            "critical stream opened twice",
        ))
    }

    /// Reads what has arrived, until the client's settings are known or a rule is broken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<PeerSettings, ConnectionFault>> {
        if let Some((input, decoder)) = &mut self.control {
            let polled = poll_stream(input, cx, |bytes| decoder.decode(bytes));
            if polled.is_ready() {
                return polled;
            }
        }
        if let Some(input) = &mut self.encoder {
            let polled = poll_stream(input, cx, |bytes| decode_encoder_stream(bytes).map(|()| None));
            if polled.is_ready() {
                return polled;
            }
        }
        if let Some((input, decoder)) = &mut self.decoder {
            let polled = poll_stream(input, cx, |bytes| decoder.decode(bytes).map(|()| None));
            if polled.is_ready() {
                return polled;
            }
        }
        Poll::Pending
    }
}

fn poll_stream<T>(
    input: &mut Input,
    cx: &mut Context<'_>,
    mut decode: impl FnMut(&[u8]) -> Result<Option<T>, ConnectionFault>,
) -> Poll<Result<T, ConnectionFault>> {
    for _ in 0..CHUNKS_AT_ONCE {
        let Poll::Ready(chunk) = input.poll_chunk(cx, CHUNK) else {
            return Poll::Pending;
        };
        let Ok(Some(chunk)) = chunk else {
            return Poll::Ready(Err(ConnectionFault::new(
                Code::CLOSED_CRITICAL_STREAM,
                "critical stream closed",
            )));
        };
        match decode(&chunk) {
            Ok(None) => {}
            Ok(Some(value)) => return Poll::Ready(Ok(value)),
            Err(fault) => return Poll::Ready(Err(fault)),
        }
    }
    // A client that floods a critical stream does not keep its other streams waiting.
    cx.waker().wake_by_ref();
    Poll::Pending
}

const CHUNK: usize = 4096;

const CHUNKS_AT_ONCE: usize = 16;

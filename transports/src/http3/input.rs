//! The receiving half of a stream, read frame by frame.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};

use super::error::{Code, ConnectionFault};
use super::frame;
use super::varint;
use crate::quic::{ReadError, RecvStream};

/// A stream and what was read of it too far. Dropping it tells the peer to stop sending.
/// Chunks are the packets' own buffers; nothing is copied but
/// headers that straddle two of them.
///
/// Every `poll_*` method may be abandoned at any time without losing bytes.
#[derive(Debug)]
pub(crate) struct Input {
    stream: RecvStream,
    ahead: Bytes,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputError {
    /// The peer reset the stream, or the connection is lost.
    Gone,
    /// The stream ended within a frame.
    Truncated,
}

impl Input {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            ahead: Bytes::new(),
        }
    }

    /// Two integers: type and length of a frame, or type and session of a WebTransport stream. `None` if the
    /// stream ended before the first.
    pub(crate) fn poll_header(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(u64, u64)>, InputError>> {
        loop {
            if let Some((first, second, used)) = frame::decode_header(&self.ahead) {
                self.ahead.advance(used);
                return Poll::Ready(Ok(Some((first, second))));
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(self.ended());
            }
        }
    }

    pub(crate) async fn header(&mut self) -> Result<Option<(u64, u64)>, InputError> {
        poll_fn(|cx| self.poll_header(cx)).await
    }

    /// One integer: the type of a unidirectional stream.
    pub(crate) async fn varint(&mut self) -> Result<Option<u64>, InputError> {
        poll_fn(|cx| {
            loop {
                if let Some((value, used)) = varint::decode(&self.ahead) {
                    self.ahead.advance(used);
                    return Poll::Ready(Ok(Some(value)));
                }
                if !ready!(self.poll_more(cx))? {
                    return Poll::Ready(self.ended());
                }
            }
        })
        .await
    }

    /// At most `max` bytes, or `None` at the end of the stream.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, InputError>> {
        if !self.ahead.is_empty() {
            let chunk = self.ahead.split_to(self.ahead.len().min(max));
            return Poll::Ready(Ok(Some(chunk)));
        }
        self.release();
        self.stream.poll_read_chunk(cx, max).map_err(InputError::from)
    }

    /// Exactly `len` bytes.
    pub(crate) async fn payload(&mut self, len: usize) -> Result<Bytes, InputError> {
        if self.ahead.len() >= len {
            return Ok(self.ahead.split_to(len));
        }
        // Grows with what has arrived, not with what was announced.
        let mut payload = BytesMut::new();
        while payload.len() < len {
            let missing = len - payload.len();
            let chunk = poll_fn(|cx| self.poll_chunk(cx, missing)).await?;
            payload.extend_from_slice(&chunk.ok_or(InputError::Truncated)?);
        }
        Ok(payload.freeze())
    }

    /// Skips exactly `len` bytes.
    pub(crate) async fn skip(&mut self, mut len: u64) -> Result<(), InputError> {
        while len > 0 {
            let max = usize::try_from(len).unwrap_or(usize::MAX).min(MAX_CHUNK);
            let chunk = poll_fn(|cx| self.poll_chunk(cx, max)).await?;
            len = len.saturating_sub(chunk.ok_or(InputError::Truncated)?.len() as u64);
        }
        Ok(())
    }

    /// Tells the peer that no more is read. Harmless on a stream that has ended.
    pub(crate) fn stop(&mut self, code: Code) {
        self.stream.stop(code.into());
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, InputError>> {
        self.release();
        let read = ready!(self.stream.poll_read_chunk(cx, MAX_CHUNK))?;
        let Some(chunk) = read else {
            return Poll::Ready(Ok(false));
        };
        self.ahead = if self.ahead.is_empty() {
            chunk
        } else {
            // Fewer than 16 bytes precede: the header that this chunk continues.
            let mut joined = BytesMut::with_capacity(self.ahead.len() + chunk.len());
            joined.extend_from_slice(&self.ahead);
            joined.extend_from_slice(&chunk);
            joined.freeze()
        };
        Poll::Ready(Ok(true))
    }

    /// Drops an empty rest, which still holds the packet that it was cut from.
    fn release(&mut self) {
        if self.ahead.is_empty() {
            self.ahead = Bytes::new();
        }
    }

    fn ended<T>(&self) -> Result<Option<T>, InputError> {
        if self.ahead.is_empty() {
            Ok(None)
        } else {
            Err(InputError::Truncated)
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop(Code::NO_ERROR);
    }
}

impl From<ReadError> for InputError {
    fn from(_: ReadError) -> Self {
        Self::Gone
    }
}

impl InputError {
    /// The fault of the connection, if it is one (RFC 9114 section 7.1).
    pub(crate) fn fault(self) -> Option<ConnectionFault> {
        match self {
            Self::Gone => None,
            Self::Truncated => Some(ConnectionFault::new(
                Code::FRAME_ERROR,
                "stream ended within a frame",
            )),
        }
    }
}

/// Bytes taken from a stream at once.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

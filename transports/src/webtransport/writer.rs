//! From the outbox to the stream: a batch of frames leaves in one stream write.
//!
//! Small frames are copied together, because the QUIC layer walks the chunks of a stream for every packet; large ones
//! are handed over as they are, so that a broadcast of 60 KB is one allocation for all its receivers until
//! each has acknowledged it. Only a write that the transport did not take at once leaves anything behind:
//! its rest and its deadline.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Sleep;

use super::WebTransportOptions;
use crate::delimiter::put_length;
use crate::flush::{self, Flusher};
use crate::http3::output::Output;
use crate::{Close, Drained, Encoding, Frame, Outbox};

/// Writes the outbox of one session.
pub(super) struct Writer {
    encoding: Encoding,
    timeout: Duration,
    /// Frames that share one write.
    max_batch: usize,
    pending: Option<Box<Pending>>,
    flusher: Arc<Flusher>,
    /// Wakes the task by way of the flusher.
    relay: Option<Waker>,
}

/// Why writing ended.
#[derive(Debug)]
pub(super) enum WriteEnd {
    /// Everything is written, and the session wants this close.
    Closed(Close),
    /// The client stopped the stream or is gone.
    Gone,
    /// One write was not taken in time.
    TimedOut,
}

/// A write that waits for the client.
struct Pending {
    chunks: Vec<Bytes>,
    written: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Writer {
    pub(super) fn new(encoding: Encoding, options: &WebTransportOptions, flusher: Arc<Flusher>) -> Self {
        Self {
            encoding,
            timeout: options.write_timeout,
            max_batch: options.outbox.max_batch,
            pending: None,
            flusher,
            relay: None,
        }
    }

    /// Writes until the outbox is empty or the transport takes no more. May be abandoned at any time.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut Output,
        outbox: &Outbox,
    ) -> Poll<WriteEnd> {
        // A session stays in its task, whose waker does not change.
        let relay = self
            .relay
            .get_or_insert_with(|| flush::relay(&self.flusher, cx.waker()))
            .clone();
        for _ in 0..WRITES_AT_ONCE {
            if let Some(end) = ready!(self.poll_pending(cx, output)) {
                return Poll::Ready(end);
            }
            let drained = ready!(DRAINED.with_borrow_mut(|frames| {
                outbox
                    .poll_drain(&mut Context::from_waker(&relay), self.max_batch, frames)
                    .map(|drained| match drained {
                        Drained::Frames => Ok(batch(self.encoding, frames.drain(..))),
                        Drained::Closed(close) => Err(close),
                    })
            }));
            let mut chunks = match drained {
                Ok(chunks) => chunks,
                Err(close) => return Poll::Ready(WriteEnd::Closed(close)),
            };
            let written = match output.poll_write(cx, &mut chunks) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) => return Poll::Ready(WriteEnd::Gone),
                Poll::Pending => 0,
            };
            if written < chunks.len() {
                self.pending = Some(Box::new(Pending {
                    chunks,
                    written,
                    deadline: Box::pin(tokio::time::sleep(self.timeout)),
                }));
            }
        }
        // A busy outbox does not keep the session from reading.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready with nothing once no write waits.
    fn poll_pending(&mut self, cx: &mut Context<'_>, output: &mut Output) -> Poll<Option<WriteEnd>> {
        while let Some(pending) = &mut self.pending {
            let rest = pending.chunks.get_mut(pending.written..).unwrap_or_default();
            match output.poll_write(cx, rest) {
                Poll::Ready(Ok(written)) => pending.written += written,
                Poll::Ready(Err(_)) => return Poll::Ready(Some(WriteEnd::Gone)),
                Poll::Pending => {
                    ready!(pending.deadline.as_mut().poll(cx));
                    return Poll::Ready(Some(WriteEnd::TimedOut));
                }
            }
            if pending.written >= pending.chunks.len() {
                self.pending = None;
            }
        }
        Poll::Ready(None)
    }
}

/// Frames with their framing, as few chunks as makes sense.
fn batch(encoding: Encoding, frames: impl Iterator<Item = Frame>) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut small = BytesMut::new();
    for frame in frames {
        let payload = frame.payload();
        if encoding == Encoding::Protobuf {
            put_length(payload.len(), &mut small);
        }
        if payload.len() < COPY_BELOW {
            small.reserve(payload.len() + 1);
            small.extend_from_slice(payload);
        } else {
            if !small.is_empty() {
                chunks.push(small.split().freeze());
            }
            chunks.push(payload.clone());
        }
        if encoding == Encoding::Json {
            small.put_u8(b'\n');
        }
    }
    if !small.is_empty() {
        chunks.push(small.freeze());
    }
    chunks
}

thread_local! {
    /// Frames on their way from an outbox into a batch: empty between two polls.
    static DRAINED: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

const WRITES_AT_ONCE: usize = 16;

/// Below this, copying costs less than one more chunk does in every packet.
const COPY_BELOW: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(encoding: Encoding, frames: &[&[u8]]) -> (usize, Vec<u8>) {
        let frames = frames
            .iter()
            .map(|bytes| Frame::new(Bytes::copy_from_slice(bytes)));
        let chunks = batch(encoding, frames);
        (chunks.len(), chunks.concat())
    }

    #[test]
    fn small_frames_share_a_chunk() {
        assert_eq!(joined(Encoding::Json, &[b"{}", b"[]"]), (1, b"{}\n[]\n".to_vec()));
        assert_eq!(
            joined(Encoding::Protobuf, &[b"ab", b"c"]),
            (1, b"\x02ab\x01c".to_vec())
        );
    }

    #[test]
    fn large_frames_are_not_copied() {
        let large = vec![b'x'; COPY_BELOW];
        let (chunks, bytes) = joined(Encoding::Json, &[b"{}", &large, b"{}"]);
        assert_eq!(chunks, 3);
        assert_eq!(bytes, [b"{}\n", &large[..], b"\n{}\n"].concat());
        let (_, bytes) = joined(Encoding::Protobuf, &[&large]);
        assert_eq!(bytes, [b"\x80\x10", &large[..]].concat());
    }
}

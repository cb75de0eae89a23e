//! The response body of a streaming connection: the outbox with framing.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::oneshot;

use crate::delimiter::put_length;
use crate::http::BodyError;
use crate::{Drained, EndCause, Frame, Outbox};

/// How messages are delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// JSON, every message ends with a newline.
    Lines,
    /// Protobuf, every message is preceded by its length.
    Lengths,
    /// JSON in server-sent events.
    Events,
}

/// The body. Dropping it before its end tells the session that the client left.
pub(super) struct StreamBody {
    outbox: Arc<Outbox>,
    framing: Framing,
    /// Frames that share one chunk: SDKs decode chunk by chunk, so a batch is never split.
    max_batch: usize,
    opened: bool,
    end: Option<oneshot::Sender<EndCause>>,
}

impl StreamBody {
    /// A body that drains `outbox`; the receiver learns how it ended (dropped = the client left).
    pub(super) fn new(
        outbox: Arc<Outbox>,
        framing: Framing,
        max_batch: usize,
    ) -> (Self, oneshot::Receiver<EndCause>) {
        let (end, ended) = oneshot::channel();
        (
            Self {
                outbox,
                framing,
                max_batch,
                opened: false,
                end: Some(end),
            },
            ended,
        )
    }

    pub(super) fn boxed_unsync(self) -> UnsyncBoxBody<Bytes, BodyError> {
        self.map_err(|never: Infallible| match never {}).boxed_unsync()
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        // EventSource opens with the first bytes, before there is a reply.
        if self.framing == Framing::Events && !self.opened {
            self.opened = true;
            return Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"\r\n")))));
        }
        let mut frames = Vec::new();
        match self.outbox.poll_drain(cx, self.max_batch, &mut frames) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Drained::Frames) => {
                Poll::Ready(Some(Ok(http_body::Frame::data(chunk(&frames, self.framing)))))
            }
            Poll::Ready(Drained::Closed(_)) => {
                if let Some(end) = self.end.take() {
                    // The driver may be gone already.
                    let _ = end.send(EndCause::Delivered);
                }
                Poll::Ready(None)
            }
        }
    }
}

fn chunk(frames: &[Frame], framing: Framing) -> Bytes {
    let length = frames.iter().map(|frame| frame.payload().len() + 10).sum();
    let mut out = BytesMut::with_capacity(length);
    for frame in frames {
        match framing {
            Framing::Lines => {
                out.put_slice(frame.payload());
                out.put_u8(b'\n');
            }
            Framing::Lengths => {
                put_length(frame.payload().len(), &mut out);
                out.put_slice(frame.payload());
            }
            Framing::Events => {
                out.put_slice(b"data: ");
                out.put_slice(frame.payload());
                out.put_slice(b"\n\n");
            }
        }
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framings() {
        let frames: Vec<Frame> = ["{}", "[1]"]
            .into_iter()
            .map(|text| Frame::new(Bytes::from_static(text.as_bytes())))
            .collect();
        assert_eq!(&chunk(&frames, Framing::Lines)[..], b"{}\n[1]\n");
        assert_eq!(&chunk(&frames, Framing::Lengths)[..], b"\x02{}\x03[1]");
        assert_eq!(&chunk(&frames, Framing::Events)[..], b"data: {}\n\ndata: [1]\n\n");
    }
}

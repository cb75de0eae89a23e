//! The sending half of a stream, guarded: what was cut off must not look complete.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::error::Code;
use crate::quic::{SendStream, VarInt, WriteError};

/// A stream to write to. Dropped before [`finish`](Self::finish), it is reset; the stream alone would end as if
/// all had been said.
#[derive(Debug)]
pub(crate) struct Output {
    stream: SendStream,
    on_drop: Option<Code>,
}

/// Why nothing more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputError {
    /// The client is gone or wants no more.
    Unwanted,
    /// The client took nothing for [`STALL`].
    Stalled,
}

impl Output {
    /// Guards `stream`; `on_drop` is the code of its reset if it is dropped unfinished.
    pub(crate) fn new(stream: SendStream, on_drop: Code) -> Self {
        Self {
            stream,
            on_drop: Some(on_drop),
        }
    }

    /// Changes the code of a reset by dropping.
    pub(crate) fn set_on_drop(&mut self, code: Code) {
        self.on_drop = Some(code);
    }

    /// Identifier of the stream, and of the WebTransport session if this answers its CONNECT.
    pub(crate) fn id(&self) -> u64 {
        VarInt::from(self.stream.id()).into_inner()
    }

    /// Writes as much of `chunks` as fits; answers how many of them are written whole. The next one may be
    /// shortened to what is missing of it.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<usize, OutputError>> {
        self.stream
            .poll_write_chunks(cx, chunks)
            .map(|written| Ok(written?.chunks))
    }

    /// Writes `chunks` in one stream write, or in several if the client's window is short.
    pub(crate) async fn write(&mut self, mut chunks: &mut [Bytes]) -> Result<(), OutputError> {
        while !chunks.is_empty() {
            let written =
                tokio::time::timeout(STALL, poll_fn(|cx| self.stream.poll_write_chunks(cx, chunks)))
                    .await
                    .map_err(|_| OutputError::Stalled)??;
            chunks = chunks.get_mut(written.chunks..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the stream in order.
    pub(crate) fn finish(&mut self) {
        self.on_drop = None;
        self.stream.finish();
    }

    /// Resets the stream.
    pub(crate) fn reset(&mut self, code: Code) {
        self.on_drop = None;
        self.stream.reset(code.into());
    }

    /// Resolves when the client wants no more, is gone, or has acknowledged a finished stream.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        self.stream.stopped()
    }

    /// Waits at most `limit` until a finished stream is acknowledged or given up.
    pub(crate) async fn delivered(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.stopped()).await;
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(code) = self.on_drop {
            self.reset(code);
        }
    }
}

impl From<WriteError> for OutputError {
    fn from(_: WriteError) -> Self {
        Self::Unwanted
    }
}

/// A client that takes nothing for this long, though it acknowledges packets, gets no more.
pub(crate) const STALL: Duration = Duration::from_secs(30);

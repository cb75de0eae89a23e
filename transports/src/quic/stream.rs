//! The two halves of streams.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quinn_proto::{self as proto, StreamId, VarInt, Written};

use super::connection::Connection;
use super::waiting::Reason;

/// A stream to send on. Dropped, it is finished.
#[derive(Debug)]
pub struct SendStream {
    connection: Connection,
    id: StreamId,
    is_reset: bool,
}

/// A stream to receive from. Dropped before its end, it is stopped with code 0.
#[derive(Debug)]
pub struct RecvStream {
    connection: Connection,
    id: StreamId,
    /// Everything was read, or nothing more will be.
    is_done: bool,
}

/// Why a stream takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The peer wants no more of it.
    #[error("stopped by the peer with code {0}")]
    Stopped(VarInt),
    /// It was finished or reset.
    #[error("closed stream")]
    Closed,
    /// The connection is over.
    #[error("connection lost")]
    Lost,
}

/// Why a stream gives no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The peer has reset it.
    #[error("reset by the peer with code {0}")]
    Reset(VarInt),
    /// The connection is over.
    #[error("connection lost")]
    Lost,
}

impl SendStream {
    pub(super) fn new(connection: Connection, id: StreamId) -> Self {
        Self {
            connection,
            id,
            is_reset: false,
        }
    }

    /// The stream's number.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Writes as much of `chunks` as flow control and the send window take; written chunks are taken out, the next
    /// one is shortened. Pending if nothing fits.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<Written, WriteError>> {
        let inner = self.connection.inner();
        let mut state = inner.state.lock();
        if state.error.is_some() {
            return Poll::Ready(Err(WriteError::Lost));
        }
        match state.proto.send_stream(self.id).write_chunks(chunks) {
            Ok(written) => {
                inner.touch(&mut state);
                Poll::Ready(Ok(written))
            }
            Err(proto::WriteError::Blocked) => {
                state.waiting.register(Reason::Write(self.id), cx);
                Poll::Pending
            }
            Err(proto::WriteError::Stopped(code)) => Poll::Ready(Err(WriteError::Stopped(code))),
            Err(proto::WriteError::ClosedStream) => Poll::Ready(Err(WriteError::Closed)),
        }
    }

    /// Writes all of `chunks`.
    ///
    /// # Errors
    /// See [`WriteError`].
    ///
    /// # Cancel safety
    /// Dropped, it leaves open how much was written.
    pub async fn write_all_chunks(&mut self, mut chunks: &mut [Bytes]) -> Result<(), WriteError> {
        while !chunks.is_empty() {
            let written = poll_fn(|cx| self.poll_write_chunks(cx, chunks)).await?;
            chunks = chunks.get_mut(written.chunks..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the stream in order, unless it has ended.
    pub fn finish(&mut self) {
        let inner = self.connection.inner();
        let mut state = inner.state.lock();
        // Fails only on a stream that the peer has stopped, or that has ended.
        if state.error.is_none() && state.proto.send_stream(self.id).finish().is_ok() {
            inner.touch(&mut state);
        }
    }

    /// Abandons the stream, unless it has ended.
    pub fn reset(&mut self, code: VarInt) {
        let inner = self.connection.inner();
        let mut state = inner.state.lock();
        if state.error.is_none() && state.proto.send_stream(self.id).reset(code).is_ok() {
            self.is_reset = true;
            // The protocol tells nothing of a reset that was acknowledged.
            state.waiting.wake(Reason::Stopped(self.id));
            inner.touch(&mut state);
        }
    }

    /// Resolves when the peer has stopped the stream, has acknowledged all of a finished one, or is gone; or when
    /// the stream is reset.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        // Does not keep the connection open.
        let (inner, id) = (Arc::downgrade(self.connection.inner()), self.id);
        let is_reset = self.is_reset;
        if !is_reset {
            // From now on, so that a reset before the first poll is not missed.
            let mut state = self.connection.inner().state.lock();
            if !state.waiting.contains(Reason::Stopped(id)) {
                let nobody = Context::from_waker(Waker::noop());
                state.waiting.register(Reason::Stopped(id), &nobody);
            }
        }
        poll_fn(move |cx| {
            let Some(inner) = inner.upgrade().filter(|_| !is_reset) else {
                return Poll::Ready(());
            };
            let mut state = inner.state.lock();
            if state.error.is_some() || !matches!(state.proto.send_stream(id).stopped(), Ok(None)) {
                return Poll::Ready(());
            }
            // Whoever wakes this waiter, ends the wait.
            if !state.waiting.contains(Reason::Stopped(id)) {
                return Poll::Ready(());
            }
            state.waiting.register(Reason::Stopped(id), cx);
            Poll::Pending
        })
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        self.finish();
        let mut state = self.connection.inner().state.lock();
        state.waiting.forget(Reason::Write(self.id));
        if self.is_reset {
            state.waiting.wake(Reason::Stopped(self.id));
        }
    }
}

impl RecvStream {
    pub(super) fn new(connection: Connection, id: StreamId) -> Self {
        Self {
            connection,
            id,
            is_done: false,
        }
    }

    /// At most `max` bytes in the order of the stream, `None` at its end.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn poll_read_chunk(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        if self.is_done {
            return Poll::Ready(Ok(None));
        }
        let inner = self.connection.inner();
        let mut state = inner.state.lock();
        let mut stream = state.proto.recv_stream(self.id);
        // A stream that was stopped, or does not exist any more, has nothing to read.
        let Ok(mut chunks) = stream.read(true) else {
            self.is_done = true;
            return Poll::Ready(Ok(None));
        };
        let read = chunks.next(max);
        if chunks.finalize().should_transmit() {
            inner.touch(&mut state);
        }
        match read {
            Ok(Some(chunk)) => Poll::Ready(Ok(Some(chunk.bytes))),
            Ok(None) => {
                self.is_done = true;
                Poll::Ready(Ok(None))
            }
            Err(proto::ReadError::Reset(code)) => {
                self.is_done = true;
                Poll::Ready(Err(ReadError::Reset(code)))
            }
            Err(proto::ReadError::Blocked) if state.error.is_some() => Poll::Ready(Err(ReadError::Lost)),
            Err(proto::ReadError::Blocked) => {
                state.waiting.register(Reason::Read(self.id), cx);
                Poll::Pending
            }
        }
    }

    /// Tells the peer that no more is read. Harmless on a stream that has ended.
    pub fn stop(&mut self, code: VarInt) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        let inner = self.connection.inner();
        let mut state = inner.state.lock();
        if state.error.is_none() && state.proto.recv_stream(self.id).stop(code).is_ok() {
            inner.touch(&mut state);
        }
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.stop(VarInt::from_u32(0));
        let mut state = self.connection.inner().state.lock();
        state.waiting.forget(Reason::Read(self.id));
    }
}

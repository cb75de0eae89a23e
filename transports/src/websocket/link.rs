//! One WebSocket on its stream: reads into the session, writes from its outbox, closes.
//!
//! ```text
//!  Open ──(session closed its outbox, or violation)──> Closing ──(peer's close, 5 s)──> done
//!   └───────(peer closed, write timeout, I/O error)────────────────────────────────────> done
//! ```

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite as _, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::decode::{Decoder, Event, Step};
use super::{Violation, WebsocketOptions, encode};
use crate::tcp::NetStream;
use crate::{Close, Drained, Encoding, EndCause, Frame, Outbox, Session};

/// How long the peer may take to answer a close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// Messages handled before other tasks of the worker get their turn.
const BUDGET: usize = 64;
/// Room for the frames of one WebSocket message.
const BATCH: usize = 16;
/// Bytes gathered for one write.
const WRITE_GATHER: usize = 64 * 1024;
const READ_BUFFER: usize = 64 * 1024;

thread_local! {
    /// Buffers of the worker: a connection holds none while it is idle.
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        read: vec![0; READ_BUFFER].into_boxed_slice(),
        write: Vec::with_capacity(WRITE_GATHER),
        frames: Vec::with_capacity(BATCH),
    });
}

struct Buffers {
    read: Box<[u8]>,
    write: Vec<u8>,
    frames: Vec<Frame>,
}

/// A stream whose upgrade is complete, and what was agreed for it.
pub(crate) struct Upgraded {
    pub(crate) stream: NetStream,
    /// Bytes that were read together with the handshake.
    pub(crate) early: Bytes,
    pub(crate) encoding: Encoding,
    /// permessage-deflate is on.
    pub(crate) compression: bool,
    /// WebSocket pings take the place of the protocol's.
    pub(crate) pings: bool,
}

/// Whom to wake for what.
pub(super) struct Wakers<'a, 'b> {
    /// The connection's task: readable, writable, deadlines, the session.
    pub(super) task: &'a mut Context<'b>,
    /// The flusher: frames in the outbox.
    pub(super) outbox: &'a Waker,
}

/// A connection's stream, session and unfinished business. What a write needs lies together at its beginning:
/// to bring memory close to the core is most of what a single small write costs besides its system call.
#[repr(C)]
pub(super) struct Link<S: Session> {
    stream: NetStream,
    outbox: Arc<Outbox>,
    options: Arc<WebsocketOptions>,
    /// Bytes that the socket did not take.
    unwritten: Vec<u8>,
    write_deadline: Option<Pin<Box<Sleep>>>,
    closing: Option<Box<Closing>>,
    encoding: Encoding,
    compression: bool,
    /// The outbox knows whom to wake.
    attached: bool,
    /// The session was told.
    ended: bool,
    /// The flusher found the connection broken; its task has still to see it.
    over: bool,
    session: S,
    decoder: Decoder,
    /// Bytes read and not yet decoded: the start of an unfinished frame, or what back-pressure holds.
    rest: BytesMut,
    pings: Option<Box<Pings>>,
}

struct Closing {
    cause: EndCause,
    deadline: Pin<Box<Sleep>>,
}

/// WebSocket pings for clients that asked for them instead of protocol pings.
struct Pings {
    interval: Duration,
    timeout: Option<Duration>,
    next: Pin<Box<Sleep>>,
    deadline: Option<Instant>,
}

impl<S: Session> Link<S> {
    pub(super) fn new(
        upgraded: Upgraded,
        session: S,
        outbox: Arc<Outbox>,
        options: Arc<WebsocketOptions>,
    ) -> Self {
        let Upgraded {
            stream,
            early,
            encoding,
            compression,
            pings,
        } = upgraded;
        let pings = options.ping_interval.filter(|_| pings).map(|interval| {
            Box::new(Pings {
                interval,
                timeout: options.pong_timeout,
                next: Box::pin(tokio::time::sleep(interval)),
                deadline: None,
            })
        });
        let decoder = Decoder::new(
            options.message_size_limit,
            options.decompressed_message_size_limit,
            compression,
        );
        Self {
            stream,
            session,
            outbox,
            options,
            encoding,
            compression,
            decoder,
            rest: BytesMut::from(&early[..]),
            unwritten: Vec::new(),
            write_deadline: None,
            pings,
            closing: None,
            attached: false,
            ended: false,
            over: false,
        }
    }

    /// Reads, lets the session work, and writes what could not be written before. Ready once the connection is
    /// over and its session has been told.
    pub(super) fn poll(&mut self, wakers: &mut Wakers<'_, '_>) -> Poll<()> {
        if self.over {
            return Poll::Ready(());
        }
        BUFFERS.with_borrow_mut(|buffers| {
            if self.closing.is_none() {
                if let Poll::Ready(cause) = self.poll_open(wakers, buffers) {
                    return self.finish(cause);
                }
                if self.closing.is_none() {
                    return Poll::Pending;
                }
            }
            let cause = ready!(self.poll_closing(wakers, buffers));
            self.finish(cause)
        })
    }

    /// Writes what waits in the outbox. Answers whether the task has to look at the connection: it began to
    /// close, or is over.
    pub(super) fn flush(&mut self, wakers: &mut Wakers<'_, '_>) -> bool {
        let was_closing = self.closing.is_some();
        match BUFFERS.with_borrow_mut(|buffers| self.poll_write(wakers, buffers)) {
            Poll::Ready(cause) => {
                self.release(cause);
                self.over = true;
                true
            }
            Poll::Pending => self.closing.is_some() && !was_closing,
        }
    }

    fn poll_open(&mut self, wakers: &mut Wakers<'_, '_>, buffers: &mut Buffers) -> Poll<EndCause> {
        let mut budget = BUDGET;
        loop {
            let session_ready = self.session.poll_ready(wakers.task).is_ready();
            // Frames of the outbox are the flusher's; here only what was left over, or is none of the session's.
            if (!self.unwritten.is_empty() || !self.attached)
                && let Poll::Ready(cause) = self.poll_write(wakers, buffers)
            {
                return Poll::Ready(cause);
            }
            if self.closing.is_some() {
                return Poll::Pending;
            }
            if let Poll::Ready(cause) = self.poll_pings(wakers.task) {
                return Poll::Ready(cause);
            }
            if !session_ready {
                return Poll::Pending;
            }
            if budget == 0 {
                wakers.task.waker().wake_by_ref();
                return Poll::Pending;
            }
            budget -= 1;
            match ready!(self.poll_input(wakers.task, buffers)) {
                Ok(()) => {}
                Err(cause) => return Poll::Ready(cause),
            }
        }
    }

    /// Reads until one message was given to the session. Pending means that the socket is empty.
    fn poll_input(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Poll<Result<(), EndCause>> {
        loop {
            let mut rest = std::mem::take(&mut self.rest);
            let (used, outcome) = self.decode(&mut rest);
            rest.advance(used.min(rest.len()));
            self.rest = rest;
            match outcome {
                Decoded::Progress => return Poll::Ready(Ok(())),
                Decoded::Incomplete => {}
            }
            if self.rest.is_empty() {
                self.rest = BytesMut::new();
            }
            let mut buffer = ReadBuf::new(&mut buffers.read);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(Err(EndCause::PeerClosed)),
                Ok(()) => {}
                Err(_) => return Poll::Ready(Err(EndCause::PeerClosed)),
            }
            let filled = buffer.filled().len();
            let Some(input) = buffers.read.get_mut(..filled) else {
                continue;
            };
            if !self.rest.is_empty() {
                self.rest.extend_from_slice(input);
                continue;
            }
            let (used, outcome) = self.decode(input);
            self.rest = BytesMut::from(input.get(used..).unwrap_or_default());
            match outcome {
                Decoded::Progress => return Poll::Ready(Ok(())),
                Decoded::Incomplete => {}
            }
        }
    }

    /// Decodes frames until one was meant for the session. Answers how many bytes were used.
    fn decode(&mut self, input: &mut [u8]) -> (usize, Decoded) {
        let mut used = 0;
        loop {
            let Some(rest) = input.get_mut(used..).filter(|rest| !rest.is_empty()) else {
                return (used, Decoded::Incomplete);
            };
            let (length, event) = match self.decoder.decode(rest) {
                Ok(Step::Incomplete) => return (used, Decoded::Incomplete),
                Ok(Step::Frame(length, event)) => (length, event),
                Err(violation) => {
                    self.violate(violation);
                    return (input.len(), Decoded::Progress);
                }
            };
            used += length;
            match event {
                None => {}
                Some(Event::Message(message)) => {
                    self.session.receive(message);
                    return (used, Decoded::Progress);
                }
                Some(Event::Assembled(message)) => {
                    self.session.receive(&message);
                    return (used, Decoded::Progress);
                }
                Some(Event::Ping(payload)) => {
                    encode::control(0xa, payload, &mut self.unwritten);
                    return (used, Decoded::Progress);
                }
                Some(Event::Pong) => {
                    if let Some(pings) = &mut self.pings {
                        pings.deadline = None;
                    }
                }
                Some(Event::Close(code)) => {
                    // Echo the code without a reason; the session learns that the client left.
                    let payload = code.map(u16::to_be_bytes);
                    encode::control(
                        0x8,
                        payload.as_ref().map_or(&[], |code| &code[..]),
                        &mut self.unwritten,
                    );
                    self.start_closing(EndCause::PeerClosed, Duration::from_millis(1));
                    return (used, Decoded::Progress);
                }
            }
        }
    }

    fn violate(&mut self, violation: Violation) {
        let close = violation.to_close();
        encode::close(violation.code, violation.reason, &mut self.unwritten);
        self.start_closing(EndCause::Violation(close), CLOSE_WAIT);
    }

    fn start_closing(&mut self, cause: EndCause, wait: Duration) {
        self.rest = BytesMut::new();
        self.closing = Some(Box::new(Closing {
            cause,
            deadline: Box::pin(tokio::time::sleep(wait)),
        }));
    }

    /// Writes until nothing waits or the socket is full. Ready only when the connection has ended.
    fn poll_write(&mut self, wakers: &mut Wakers<'_, '_>, buffers: &mut Buffers) -> Poll<EndCause> {
        self.attached = true;
        let Wakers { task: cx, outbox } = wakers;
        let mut outbox = Context::from_waker(outbox);
        loop {
            if !self.unwritten.is_empty() {
                match self.stream.poll_send(cx, &self.unwritten) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(EndCause::PeerClosed),
                    Poll::Ready(Ok(written)) => {
                        self.unwritten.drain(..written);
                        self.write_deadline = None;
                        continue;
                    }
                    Poll::Pending => return self.poll_write_deadline(cx),
                }
            }
            self.unwritten = Vec::new();
            self.write_deadline = None;
            if self.closing.is_some() {
                return Poll::Pending;
            }
            buffers.write.clear();
            let mut close = None;
            while buffers.write.len() < WRITE_GATHER && close.is_none() {
                buffers.frames.clear();
                let max = self.options.outbox.max_batch;
                match self.outbox.poll_drain(&mut outbox, max, &mut buffers.frames) {
                    Poll::Pending => break,
                    Poll::Ready(Drained::Frames) => {
                        let compression = self.options.compression.filter(|_| self.compression);
                        encode::message(&buffers.frames, self.encoding, compression, &mut buffers.write);
                    }
                    Poll::Ready(Drained::Closed(with)) => close = Some(with),
                }
            }
            buffers.frames.clear();
            if let Some(close) = close {
                match sendable_code(&close) {
                    Some(code) => {
                        encode::close(code, &close.reason, &mut buffers.write);
                        self.start_closing(EndCause::Delivered, CLOSE_WAIT);
                    }
                    // Codes that no close frame can carry: the TCP connection just ends.
                    None => self.start_closing(EndCause::Delivered, Duration::ZERO),
                }
            }
            if buffers.write.is_empty() {
                return if self.stream_needs_flush(cx) {
                    self.poll_write_deadline(cx)
                } else {
                    Poll::Pending
                };
            }
            match self.stream.poll_send(cx, &buffers.write) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(EndCause::PeerClosed),
                Poll::Ready(Ok(written)) => {
                    if let Some(left) = buffers.write.get(written..).filter(|left| !left.is_empty()) {
                        self.unwritten = left.to_vec();
                    }
                }
                Poll::Pending => {
                    self.unwritten.clone_from(&buffers.write);
                    return self.poll_write_deadline(cx);
                }
            }
        }
    }

    /// TLS may hold encrypted bytes that the socket did not take.
    fn stream_needs_flush(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.stream, NetStream::Tls(_)) && Pin::new(&mut self.stream).poll_flush(cx).is_pending()
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>) -> Poll<EndCause> {
        // A session that has closed holds nothing for a peer that does not read: only the close frame waits.
        if self.outbox.is_closed() {
            self.release(EndCause::Delivered);
        }
        let timeout = self.options.write_timeout;
        let deadline = self
            .write_deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline.as_mut().poll(cx).map(|()| EndCause::WriteTimeout)
    }

    fn poll_pings(&mut self, cx: &mut Context<'_>) -> Poll<EndCause> {
        let Some(pings) = &mut self.pings else {
            return Poll::Pending;
        };
        while pings.next.as_mut().poll(cx).is_ready() {
            if pings.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Poll::Ready(EndCause::PeerClosed);
            }
            encode::control(0x9, &[], &mut self.unwritten);
            let now = Instant::now();
            let next = now + pings.interval;
            if pings.deadline.is_none() {
                pings.deadline = pings.timeout.map(|timeout| now + timeout);
            }
            let wake = pings.deadline.map_or(next, |deadline| next.min(deadline));
            pings.next.as_mut().reset(wake);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The close frame is written; wait for the peer's and drop everything else.
    fn poll_closing(&mut self, wakers: &mut Wakers<'_, '_>, buffers: &mut Buffers) -> Poll<EndCause> {
        if let Poll::Ready(cause) = self.poll_write(wakers, buffers) {
            return Poll::Ready(cause);
        }
        let cx = &mut *wakers.task;
        let Some(closing) = &mut self.closing else {
            return Poll::Pending;
        };
        if closing.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(closing.cause.clone());
        }
        let cause = closing.cause.clone();
        loop {
            let mut buffer = ReadBuf::new(&mut buffers.read);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    // 0x88: the peer's close frame, whatever it carries.
                    if buffer.filled().contains(&0x88) && self.unwritten.is_empty() {
                        return Poll::Ready(cause);
                    }
                }
                _ => return Poll::Ready(cause),
            }
        }
    }
}

enum Decoded {
    /// The session, the outgoing bytes or the state changed.
    Progress,
    Incomplete,
}

impl<S: Session> Link<S> {
    fn finish(&mut self, cause: EndCause) -> Poll<()> {
        self.release(cause);
        Poll::Ready(())
    }

    /// Tells the session once that the connection is over.
    fn release(&mut self, cause: EndCause) {
        if !self.ended {
            self.ended = true;
            self.session.end(cause);
        }
    }
}

/// The code as a close frame can carry it (RFC 6455 7.4).
fn sendable_code(close: &Close) -> Option<u16> {
    let code = u16::try_from(close.code).ok()?;
    (code >= 1000 && !matches!(code, 1005 | 1006 | 1015 | 3000)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_fit_a_close_frame_are_sent() {
        for (code, sent) in [
            (3001, Some(3001)),
            (3000, None),
            (0, None),
            (1, None),
            (1005, None),
            (70_000, None),
        ] {
            assert_eq!(sendable_code(&Close::new(code, "x")), sent);
        }
    }
}

//! Request bodies: DATA frames as they arrive.
//!
//! Back-pressure is QUIC's: what the service does not read stays in the stream's window and the client waits.
//! Dropping the body stops the stream, so that an upload nobody reads ends at once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::error::{Code, ConnectionFault};
use super::frame;
use super::head;
use super::input::{Input, InputError, MAX_CHUNK};
use crate::http::BodyError;
use crate::quic::Connection;

/// Why a request body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestBodyError {
    /// The client reset the stream or is gone.
    #[error("request was aborted by the client")]
    Aborted,
    /// The client broke a rule of HTTP; its stream or connection is closed with the fitting code.
    #[error("malformed request body: {0}")]
    Malformed(&'static str),
}

/// The body of one request.
pub(crate) struct RequestBody {
    input: Input,
    connection: Connection,
    state: State,
    /// Bytes that `content-length` promises and that have not come.
    missing: Option<u64>,
    /// Trailers were read: only frames of unknown types may follow.
    trailed: bool,
    /// Tells the request's task to reset the response.
    reject: Option<oneshot::Sender<Code>>,
}

enum State {
    /// Between two frames.
    Frames,
    /// Within a DATA frame.
    Data(u64),
    /// Within a frame of an unknown type.
    Skip(u64),
    /// Within the trailers.
    Trailers { remaining: usize, section: BytesMut },
    /// All was read, or nothing more will be.
    Ended,
}

impl RequestBody {
    /// The body on `input`, and a receiver that gets a code if the body turns out malformed.
    pub(crate) fn new(
        input: Input,
        connection: Connection,
        content_length: Option<u64>,
    ) -> (Self, oneshot::Receiver<Code>) {
        let (reject, rejected) = oneshot::channel();
        let body = Self {
            input,
            connection,
            state: State::Frames,
            missing: content_length,
            trailed: false,
            reject: Some(reject),
        };
        (body, rejected)
    }

    /// Looks whether the body has already ended, as it has for nearly every GET, without waiting.
    pub(crate) fn probe(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(_)) = self.poll_position(cx) {
            self.state = State::Ended;
        }
    }

    /// Moves on to the next bytes of DATA or trailers, or to the end.
    fn poll_position(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RequestBodyError>> {
        loop {
            match &mut self.state {
                State::Data(0) | State::Skip(0) => self.state = State::Frames,
                State::Skip(remaining) => {
                    let max = usize::try_from(*remaining).unwrap_or(MAX_CHUNK).min(MAX_CHUNK);
                    let chunk = match ready!(self.input.poll_chunk(cx, max)) {
                        Ok(Some(chunk)) => chunk,
                        Ok(None) => return Poll::Ready(Err(self.fail(InputError::Truncated))),
                        Err(error) => return Poll::Ready(Err(self.fail(error))),
                    };
                    *remaining = remaining.saturating_sub(chunk.len() as u64);
                }
                State::Frames => {
                    let header = match ready!(self.input.poll_header(cx)) {
                        Ok(header) => header,
                        Err(error) => return Poll::Ready(Err(self.fail(error))),
                    };
                    let entered = match header {
                        Some((kind, len)) => self.enter(kind, len),
                        None => self.end(),
                    };
                    if let Err(error) = entered {
                        return Poll::Ready(Err(error));
                    }
                }
                State::Data(_) | State::Trailers { .. } | State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn enter(&mut self, kind: u64, len: u64) -> Result<(), RequestBodyError> {
        self.state = match kind {
            frame::DATA | frame::HEADERS if self.trailed => {
                return Err(self.break_connection(Code::FRAME_UNEXPECTED, "frame after trailers"));
            }
            frame::DATA => {
                if let Some(missing) = &mut self.missing {
                    match missing.checked_sub(len) {
                        Some(rest) => *missing = rest,
                        None => return Err(self.reject("body longer than content-length")),
                    }
                }
                State::Data(len)
            }
            frame::HEADERS => match usize::try_from(len) {
                Ok(remaining) if remaining <= MAX_TRAILERS => State::Trailers {
                    remaining,
                    section: BytesMut::new(),
                },
                _ => return Err(self.reject("trailers too large")),
            },
            frame::SETTINGS
            | frame::GOAWAY
            | frame::CANCEL_PUSH
            | frame::MAX_PUSH_ID
            | frame::PUSH_PROMISE => {
                return Err(self.break_connection(Code::FRAME_UNEXPECTED, "frame on a request stream"));
            }
            _ => match frame::check_reserved(kind) {
                Ok(()) => State::Skip(len),
                Err(fault) => return Err(self.break_connection(fault.code, fault.reason)),
            },
        };
        Ok(())
    }

    fn end(&mut self) -> Result<(), RequestBodyError> {
        if self.missing.is_some_and(|missing| missing > 0) {
            return Err(self.reject("body shorter than content-length"));
        }
        self.state = State::Ended;
        Ok(())
    }

    fn poll_data(&mut self, cx: &mut Context<'_>, remaining: u64) -> Poll<Result<Bytes, RequestBodyError>> {
        let max = usize::try_from(remaining).unwrap_or(MAX_CHUNK).min(MAX_CHUNK);
        Poll::Ready(match ready!(self.input.poll_chunk(cx, max)) {
            Ok(Some(chunk)) => {
                self.state = State::Data(remaining.saturating_sub(chunk.len() as u64));
                // A chunk keeps alive the packets that it arrived with. A service that collects a body of
                // many tiny frames would hold a thousand times what the client sent, so it gets a copy.
                Ok(Bytes::copy_from_slice(&chunk))
            }
            Ok(None) => Err(self.fail(InputError::Truncated)),
            Err(error) => Err(self.fail(error)),
        })
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<HeaderMap, RequestBodyError>> {
        while let State::Trailers { remaining, section } = &mut self.state {
            if *remaining == 0 {
                let section = std::mem::take(section);
                self.state = State::Frames;
                self.trailed = true;
                return Poll::Ready(match head::decode_trailers(&section, MAX_TRAILERS as u64) {
                    Ok(trailers) => Ok(trailers),
                    Err(head::HeadError::Qpack(_)) => {
                        Err(self.break_connection(Code::QPACK_DECOMPRESSION_FAILED, "trailers"))
                    }
                    Err(_) => Err(self.reject("malformed trailers")),
                });
            }
            match ready!(self.input.poll_chunk(cx, *remaining)) {
                Ok(Some(chunk)) => {
                    *remaining -= chunk.len();
                    section.extend_from_slice(&chunk);
                }
                Ok(None) => return Poll::Ready(Err(self.fail(InputError::Truncated))),
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
        Poll::Ready(Ok(HeaderMap::new()))
    }

    fn fail(&mut self, error: InputError) -> RequestBodyError {
        match error.fault() {
            None => RequestBodyError::Aborted,
            Some(fault) => self.break_connection(fault.code, fault.reason),
        }
    }

    /// The request is malformed (RFC 9114 section 4.1.2): its stream dies, the connection lives.
    fn reject(&mut self, reason: &'static str) -> RequestBodyError {
        self.input.stop(Code::MESSAGE_ERROR);
        if let Some(reject) = self.reject.take() {
            let _ = reject.send(Code::MESSAGE_ERROR);
        }
        RequestBodyError::Malformed(reason)
    }

    fn break_connection(&mut self, code: Code, reason: &'static str) -> RequestBodyError {
        ConnectionFault::new(code, reason).close(&self.connection);
        RequestBodyError::Malformed(reason)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = match ready!(this.poll_position(cx)) {
            Err(error) => Err(error),
            Ok(()) => match this.state {
                State::Data(remaining) => ready!(this.poll_data(cx, remaining)).map(Frame::data),
                State::Trailers { .. } => ready!(this.poll_trailers(cx)).map(Frame::trailers),
                _ => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(polled.map_err(|error| {
            this.state = State::Ended;
            BodyError::from(error)
        })))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.state, self.missing) {
            (State::Ended, _) => SizeHint::with_exact(0),
            (State::Data(remaining), Some(missing)) => {
                SizeHint::with_exact(missing.saturating_add(*remaining))
            }
            (_, Some(missing)) => SizeHint::with_exact(missing),
            (_, None) => SizeHint::default(),
        }
    }
}

/// Trailers are rare and short.
const MAX_TRAILERS: usize = 16 * 1024;

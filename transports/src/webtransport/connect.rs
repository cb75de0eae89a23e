//! The CONNECT that opens a session.

use std::task::{Context, Poll, ready};

use http::StatusCode;

use super::capsule::{CapsuleDecoder, CapsuleError, encode_close};
use crate::http3::error::Code;
use crate::http3::head::RequestHead;
use crate::http3::input::Input;
use crate::http3::output::{Output, OutputError, STALL};
use crate::http3::response;
use crate::quic::Connection;
use crate::{Acceptor, Close};

/// An extended CONNECT to the path of WebTransport, not answered yet.
pub(crate) struct ConnectRequest {
    pub(crate) head: Box<RequestHead>,
    pub(crate) output: Output,
    pub(crate) input: Input,
}

impl ConnectRequest {
    /// Id of the session that it opens.
    pub(crate) fn id(&self) -> u64 {
        self.output.id()
    }

    /// Turns it away unprocessed: the client may repeat it elsewhere.
    pub(crate) fn reject(&mut self) {
        self.output.reset(Code::REQUEST_REJECTED);
        self.input.stop(Code::REQUEST_REJECTED);
    }
}

/// Decides whether a session may be opened, in the order of protocol.md 5.5.
pub(crate) fn check<A: Acceptor>(request: &ConnectRequest, acceptor: &A) -> Result<(), StatusCode> {
    let is_webtransport = matches!(
        request.head.protocol.as_deref(),
        Some("webtransport" | "webtransport-h3")
    );
    if !is_webtransport || !acceptor.origin_allowed(request.head.request.headers()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if !acceptor.has_room() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    Ok(())
}

/// Answers a CONNECT with an error status.
pub(crate) async fn refuse(request: Box<ConnectRequest>, status: StatusCode) -> crate::http3::Event {
    let ConnectRequest {
        head,
        mut output,
        input,
    } = *request;
    let answered = response::write(&mut output, head.request.method(), response::refusal(status)).await;
    if answered.is_ok() {
        output.delivered(STALL).await;
    }
    drop(input);
    crate::http3::Event::Served
}

/// The CONNECT stream of an open session.
pub(super) struct ConnectStream {
    output: Output,
    input: Input,
    capsules: CapsuleDecoder,
    connection: Connection,
}

impl ConnectStream {
    pub(super) fn new(output: Output, input: Input, connection: Connection) -> Self {
        Self {
            output,
            input,
            capsules: CapsuleDecoder::default(),
            connection,
        }
    }

    /// Answers the CONNECT: the session is open.
    pub(super) async fn accept(&mut self) -> Result<(), OutputError> {
        let mut response = http::Response::new(());
        // Browsers that speak draft 02 look for it; others ignore it.
        response.headers_mut().insert(
            "sec-webtransport-http3-draft",
            http::HeaderValue::from_static("draft02"),
        );
        response::write_head(&mut self.output, response).await
    }

    /// Ready once the client has closed the session: by a capsule, by ending or resetting the stream, by
    /// breaking its rules, or by losing the connection.
    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A client that floods this stream with unknown capsules takes turns with its own session.
        for _ in 0..CHUNKS_AT_ONCE {
            let Ok(Some(chunk)) = ready!(self.input.poll_chunk(cx, CHUNK)) else {
                return Poll::Ready(());
            };
            match self.capsules.decode(&chunk) {
                Ok(None) => {}
                Ok(Some(close)) => {
                    tracing::debug!(
                        code = close.code,
                        reason = close.reason,
                        "client closed its session"
                    );
                    return Poll::Ready(());
                }
                Err(CapsuleError::Malformed) => {
                    self.output.reset(Code::MESSAGE_ERROR);
                    self.input.stop(Code::MESSAGE_ERROR);
                    return Poll::Ready(());
                }
                Err(CapsuleError::Frame(fault)) => {
                    fault.close(&self.connection);
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Closes the session with a capsule; `None` ends the stream without one, which means code 0 and no reason.
    pub(super) async fn close(&mut self, close: Option<&Close>) {
        if let Some(close) = close {
            let capsule = encode_close(close.code, &close.reason);
            let written = tokio::time::timeout(FAREWELL, self.output.write(&mut [capsule])).await;
            if !matches!(written, Ok(Ok(()))) {
                self.output.reset(Code::REQUEST_CANCELLED);
                return;
            }
        }
        self.output.finish();
    }

    /// Waits until the client has acknowledged the close and ended its own half, each at most [`FAREWELL`].
    /// The stream is not stopped earlier: some clients would forget the capsule over it.
    pub(super) async fn farewell(mut self) {
        self.output.delivered(FAREWELL).await;
        let ended = std::future::poll_fn(|cx| self.poll_closed(cx));
        let _ = tokio::time::timeout(FAREWELL, ended).await;
    }
}

/// How long a peer may take for each step of a farewell.
pub(super) const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

const CHUNK: usize = 4096;

const CHUNKS_AT_ONCE: usize = 16;

//! One bidirectional stream from its first byte: a request, or a stream of a WebTransport session.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::{SemaphorePermit, oneshot};

use super::body::RequestBody;
use super::connection::{Context, Event};
use super::error::{Code, ConnectionFault};
use super::frame;
use super::head::{self, HeadError, RequestHead};
use super::input::{Input, InputError};
use super::output::{Output, OutputError, STALL};
use super::response::{self, ResponseError};
use crate::http::Body;
use crate::quic::{RecvStream, SendStream};
use crate::webtransport::{ConnectRequest, DataStream};

/// Serves the stream, or hands it on to the connection as part of a WebTransport session.
///
/// `is_late` says that GOAWAY has told the client not to open requests any more.
pub(super) async fn serve<A>(
    context: Arc<Context<A>>,
    send: SendStream,
    recv: RecvStream,
    is_late: bool,
) -> Event {
    let mut input = Input::new(recv);
    let opening = tokio::time::timeout(
        context.server.options.setup_timeout,
        open(&context, &mut input, is_late),
    )
    .await;
    let opening = opening.unwrap_or(Err(Refusal::Stream(Code::REQUEST_INCOMPLETE)));
    let mut output = Output::new(send, Code::INTERNAL_ERROR);
    match opening {
        Ok(Opening::Data { session }) => {
            output.set_on_drop(Code::WT_SESSION_GONE);
            Event::Data(Box::new(DataStream {
                session,
                output,
                input,
            }))
        }
        Ok(Opening::Request { head, permit }) => {
            if is_session(&context, &head) {
                return Event::Connect(Box::new(ConnectRequest { head, output, input }));
            }
            exchange(&context, head, output, input).await;
            drop(permit);
            Event::Served
        }
        Err(Refusal::TooLarge) => {
            let response = response::refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            if response::write(&mut output, &Method::GET, response).await.is_ok() {
                output.delivered(STALL).await;
            }
            input.stop(Code::NO_ERROR);
            Event::Served
        }
        Err(Refusal::Stream(code)) => {
            output.reset(code);
            input.stop(code);
            Event::Served
        }
        Err(Refusal::Connection(fault)) => {
            fault.close(&context.connection);
            Event::Served
        }
    }
}

/// What the first frame of a stream tells.
enum Opening<'a> {
    /// A stream of a WebTransport session.
    Data { session: u64 },
    /// A request; large heads hold the connection's permit until they are answered.
    Request {
        head: Box<RequestHead>,
        permit: Option<SemaphorePermit<'a>>,
    },
}

/// Why there is nothing to serve.
enum Refusal {
    TooLarge,
    Stream(Code),
    Connection(ConnectionFault),
}

async fn open<'a, A>(
    context: &'a Context<A>,
    input: &mut Input,
    is_late: bool,
) -> Result<Opening<'a>, Refusal> {
    let mut is_first = true;
    loop {
        let header = input.header().await?;
        let (kind, value) = header.ok_or(Refusal::Stream(Code::REQUEST_INCOMPLETE))?;
        match kind {
            frame::WEBTRANSPORT_STREAM if is_first && context.server.options.webtransport.is_some() => {
                return Ok(Opening::Data { session: value });
            }
            frame::HEADERS if is_late => return Err(Refusal::Stream(Code::REQUEST_REJECTED)),
            frame::HEADERS => return read_head(context, input, value).await,
            frame::DATA
            | frame::SETTINGS
            | frame::GOAWAY
            | frame::CANCEL_PUSH
            | frame::MAX_PUSH_ID
            | frame::PUSH_PROMISE => {
                return Err(Refusal::Connection(ConnectionFault::new(
                    Code::FRAME_UNEXPECTED,
                    "request must start with HEADERS",
                )));
            }
            _ => {
                frame::check_reserved(kind).map_err(Refusal::Connection)?;
                input.skip(value).await?;
            }
        }
        is_first = false;
    }
}

async fn read_head<'a, A>(
    context: &'a Context<A>,
    input: &mut Input,
    len: u64,
) -> Result<Opening<'a>, Refusal> {
    let limit = context.server.options.max_field_section;
    if len > limit {
        return Err(Refusal::TooLarge);
    }
    let permit = match len {
        0..=LARGE_HEAD => None,
        _ => context.large_heads.acquire().await.ok(),
    };
    let section = input.payload(len as usize).await?;
    let head = head::decode_request(&section, limit).map_err(|error| {
        tracing::debug!(peer = %context.facts.peer, %error, "refused HTTP/3 request");
        match (error, error.code()) {
            (HeadError::Qpack(_), Some(code)) => {
                Refusal::Connection(ConnectionFault::new(code, "field section"))
            }
            (_, Some(code)) => Refusal::Stream(code),
            (_, None) => Refusal::TooLarge,
        }
    })?;
    Ok(Opening::Request {
        head: Box::new(head),
        permit,
    })
}

/// Whether the request opens a WebTransport session, or tries to: it is then answered by that module.
fn is_session<A>(context: &Context<A>, head: &RequestHead) -> bool {
    head.protocol.is_some()
        && (context.server.options.webtransport.as_ref())
            .is_some_and(|options| options.path == head.request.uri().path())
}

async fn exchange<A>(context: &Context<A>, head: Box<RequestHead>, mut output: Output, input: Input) {
    let (mut body, rejected) = RequestBody::new(input, context.connection.clone(), head.content_length);
    poll_fn(|cx| {
        body.probe(cx);
        Poll::Ready(())
    })
    .await;
    let (mut parts, ()) = head.request.into_parts();
    parts.extensions.insert(context.facts.clone());
    let method = parts.method.clone();
    let request = Request::from_parts(parts, body.boxed_unsync());
    let outcome = answer(context, request, &method, &mut output, rejected).await;
    match outcome {
        Ok(()) => output.delivered(STALL).await,
        Err(code) => output.reset(code),
    }
}

/// Calls the service and writes its response, until the client breaks a rule or wants no answer any more:
/// whatever produces the answer is then dropped. The error is the code to reset the stream with.
async fn answer<A>(
    context: &Context<A>,
    request: Request<Body>,
    method: &Method,
    output: &mut Output,
    rejected: oneshot::Receiver<Code>,
) -> Result<(), Code> {
    // The body's sender may be gone long before the response is written.
    let mut rejected = rejected.fuse();
    let mut stopped = pin!(output.stopped());
    let response = tokio::select! {
        biased;
        Ok(code) = &mut rejected => return Err(code),
        () = &mut stopped => return Err(Code::REQUEST_CANCELLED),
        response = context.server.service.call(request) => response,
    };
    let written = tokio::select! {
        biased;
        Ok(code) = &mut rejected => return Err(code),
        () = &mut stopped => return Err(Code::REQUEST_CANCELLED),
        written = response::write(output, method, response) => written,
    };
    written.map_err(|error| match error {
        ResponseError::Output(OutputError::Unwanted) => Code::REQUEST_CANCELLED,
        ResponseError::Output(OutputError::Stalled) => Code::EXCESSIVE_LOAD,
        ResponseError::Body(error) => {
            tracing::debug!(peer = %context.facts.peer, %error, "response body failed");
            Code::INTERNAL_ERROR
        }
    })
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        match error.fault() {
            Some(fault) => Self::Connection(fault),
            None => Self::Stream(Code::REQUEST_CANCELLED),
        }
    }
}

/// Heads above this many bytes are read and answered one at a time on each connection: 100 streams with
/// sections of the advertised 1 MiB would otherwise make a connection hold 100 MiB.
const LARGE_HEAD: u64 = 32 * 1024;

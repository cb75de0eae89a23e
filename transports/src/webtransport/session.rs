//! The task of one session, from its CONNECT to its close.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Uri;

use super::WebTransportOptions;
use super::commands::Commands;
use super::connect::{ConnectRequest, ConnectStream, FAREWELL};
use super::gate::Gate;
use super::sessions::{DataStream, Inbox};
use super::writer::{WriteEnd, Writer};
use crate::flush::Flusher;
use crate::http3::error::Code;
use crate::http3::input::{Input, InputError, MAX_CHUNK};
use crate::http3::output::Output;
use crate::http3::{ConnectionContext, Event};
use crate::{Acceptor, Close, Drained, Encoding, EndCause, Handshake, Outbox, Session, TransportKind, query};

/// Answers the CONNECT, waits for the session's stream, and carries frames until either side closes.
///
/// All steps are boxed, the carrying too: a future has room for a value wherever it is moved to.
pub(crate) async fn run<A: Acceptor>(
    context: Arc<ConnectionContext<A>>,
    request: Box<ConnectRequest>,
    inbox: Arc<Inbox>,
) -> Event {
    let id = request.id();
    if let Some(mut carrier) = Box::pin(start(context, request, inbox)).await {
        let end = poll_fn(|cx| carrier.poll(cx)).await;
        Box::pin(carrier.close(end)).await;
    }
    Event::SessionEnded(id)
}

/// Opens the session, or closes it if it cannot be.
async fn start<A: Acceptor>(
    context: Arc<ConnectionContext<A>>,
    request: Box<ConnectRequest>,
    inbox: Arc<Inbox>,
) -> Option<Box<Carrier<A::Session>>> {
    let ConnectRequest { head, output, input } = *request;
    let options = context.server.options.webtransport.as_ref()?;
    let mut connect = ConnectStream::new(output, input, context.connection.clone());
    let stream = match open(&context, options, &mut connect, &inbox).await {
        Ok(stream) => stream,
        Err(close) => {
            connect.close(close.as_ref()).await;
            connect.farewell().await;
            return None;
        }
    };
    let (parts, ()) = head.request.into_parts();
    let handshake = Handshake {
        transport: TransportKind::Webtransport,
        encoding: encoding(&parts.uri),
        peer: context.facts.peer,
        uri: parts.uri,
        headers: parts.headers,
        version: parts.version,
        tls: context.facts.tls.clone(),
        session: None,
        transport_pings: false,
    };
    let server = &context.server;
    Some(Box::new(Carrier::new(
        handshake,
        *stream,
        connect,
        inbox,
        options,
        &*server.acceptor,
        server.flusher.clone(),
    )))
}

/// Waits for the stream of a session; the error is how to close it instead.
async fn open<A: Acceptor>(
    context: &ConnectionContext<A>,
    options: &WebTransportOptions,
    connect: &mut ConnectStream,
    inbox: &Inbox,
) -> Result<Box<DataStream>, Option<Close>> {
    connect.accept().await.map_err(|_| None)?;
    tokio::select! {
        biased;
        () = poll_fn(|cx| connect.poll_closed(cx)) => Err(None),
        close = poll_fn(|cx| inbox.poll_violation(cx)) => Err(Some(close)),
        stream = poll_fn(|cx| inbox.poll_stream(cx)) => Ok(stream),
        () = context.server.stop.cancelled() => Err(Some(Close::new(3001, "shutdown"))),
        () = tokio::time::sleep(options.stream_timeout) => Err(Some(Close::new(3502, "stale"))),
    }
}

/// `cf_protocol=protobuf` alone selects Protobuf (protocol.md 5.5).
fn encoding(uri: &Uri) -> Encoding {
    match query::parameter(uri.query().unwrap_or_default(), "cf_protocol").as_deref() {
        Some("protobuf") => Encoding::Protobuf,
        _ => Encoding::Json,
    }
}

/// Carries frames between one stream and one session.
struct Carrier<S> {
    session: S,
    outbox: Arc<Outbox>,
    writer: Writer,
    commands: Commands,
    /// False once the input could not be split: only the outbox is left to write.
    reads: bool,
    output: Output,
    input: Input,
    input_gate: Gate,
    connect: ConnectStream,
    /// For the CONNECT stream and the inbox, which are silent until the end.
    end_gate: Gate,
    inbox: Arc<Inbox>,
}

/// Why the carrying ended.
enum End {
    /// The session closed, and its last frame is written.
    Closed(Close),
    /// The client closed or vanished.
    Gone,
    /// A write was not taken in time.
    TimedOut,
    /// The client broke the rules of its session.
    Violation(Close),
}

impl<S: Session> Carrier<S> {
    fn new<A: Acceptor<Session = S>>(
        handshake: Handshake,
        stream: DataStream,
        connect: ConnectStream,
        inbox: Arc<Inbox>,
        options: &WebTransportOptions,
        acceptor: &A,
        flusher: Arc<Flusher>,
    ) -> Self {
        let DataStream { output, input, .. } = stream;
        let outbox = Outbox::open(&options.outbox);
        let encoding = handshake.encoding;
        Self {
            session: acceptor.open(handshake, outbox.clone()),
            outbox,
            writer: Writer::new(encoding, options, flusher),
            commands: Commands::new(encoding, options.message_size_limit),
            reads: true,
            output,
            input,
            input_gate: Gate::new(),
            connect,
            end_gate: Gate::new(),
            inbox,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let end = self.end_gate.poll(cx, |cx| {
            if let Poll::Ready(close) = self.inbox.poll_violation(cx) {
                return Poll::Ready(End::Violation(close));
            }
            self.connect.poll_closed(cx).map(|()| End::Gone)
        });
        if end.is_ready() {
            return end;
        }
        // Commands first: the replies to all that have arrived then leave in one write.
        let read = self.poll_read(cx);
        if let Poll::Ready(end) = self.writer.poll(cx, &mut self.output, &self.outbox) {
            return Poll::Ready(match end {
                WriteEnd::Closed(close) => End::Closed(close),
                WriteEnd::Gone => End::Gone,
                WriteEnd::TimedOut => End::TimedOut,
            });
        }
        ready!(read);
        Poll::Ready(End::Gone)
    }

    /// Ready once the client has ended its stream, or it broke.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..COMMANDS_AT_ONCE {
            ready!(self.session.poll_ready(cx));
            if !self.reads {
                return Poll::Pending;
            }
            match self.commands.take() {
                Ok(Some(command)) => self.session.receive(command),
                Ok(None) => match ready!(self.poll_chunk(cx)) {
                    Ok(Some(chunk)) => self.commands.push(&chunk),
                    Ok(None) | Err(_) => return Poll::Ready(()),
                },
                Err(fault) => {
                    self.reads = false;
                    self.session.reject(fault);
                }
            }
        }
        // A client that never pauses takes turns with its own replies.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, InputError>> {
        self.input_gate
            .poll(cx, |cx| self.input.poll_chunk(cx, MAX_CHUNK))
    }

    async fn close(self: Box<Self>, end: End) {
        let Self {
            mut session,
            mut output,
            mut input,
            mut connect,
            outbox,
            inbox: _inbox,
            ..
        } = *self;
        let close = match end {
            End::Closed(close) => {
                output.finish();
                output.delivered(FAREWELL).await;
                session.end(EndCause::Delivered);
                // The acknowledgement comes from the client's QUIC stack, not from its application: a capsule
                // that follows at once would tear the stream down before a browser's page has read the push
                // that tells it to stay away. A client that has read it closes by itself.
                let left = poll_fn(|cx| poll_left(&mut connect, &mut input, cx));
                let _ = tokio::time::timeout(FAREWELL, left).await;
                Some(close)
            }
            End::Gone => {
                session.end(EndCause::PeerClosed);
                None
            }
            End::TimedOut => {
                let close = own_close(&outbox);
                session.end(match close {
                    Some(_) => EndCause::Delivered,
                    None => EndCause::WriteTimeout,
                });
                Some(close.unwrap_or(WRITE_TIMEOUT))
            }
            End::Violation(close) => {
                session.end(EndCause::Violation(close.clone()));
                Some(close)
            }
        };
        drop(session);
        connect.close(close.as_ref()).await;
        // Streams of a closed session end with this code; a finished one is not affected.
        input.stop(Code::WT_SESSION_GONE);
        drop(output);
        connect.farewell().await;
    }
}

/// Ready once the client has closed the session or ended its half of the data stream; what it sends is dropped.
fn poll_left(connect: &mut ConnectStream, input: &mut Input, cx: &mut Context<'_>) -> Poll<()> {
    if connect.poll_closed(cx).is_ready() {
        return Poll::Ready(());
    }
    for _ in 0..COMMANDS_AT_ONCE {
        if !matches!(ready!(input.poll_chunk(cx, MAX_CHUNK)), Ok(Some(_))) {
            return Poll::Ready(());
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The close that the session asked for while its last write was stuck, as a slow reader's session does.
fn own_close(outbox: &Outbox) -> Option<Close> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut unsent = Vec::new();
    while let Poll::Ready(drained) = outbox.poll_drain(&mut cx, usize::MAX, &mut unsent) {
        if let Drained::Closed(close) = drained {
            return Some(close);
        }
    }
    None
}

const WRITE_TIMEOUT: Close = Close::new(3009, "write error");

/// Commands that one session handles before it lets its writer, and other tasks, run.
const COMMANDS_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_selects_the_encoding() {
        for (uri, expected) in [
            ("/c", Encoding::Json),
            ("/c?cf_protocol=protobuf", Encoding::Protobuf),
            ("/c?a=b&cf_protocol=protobuf", Encoding::Protobuf),
            ("/c?cf_protocol=json&cf_protocol=protobuf", Encoding::Json),
            ("/c?format=protobuf", Encoding::Json),
        ] {
            assert_eq!(encoding(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}

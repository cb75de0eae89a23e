//! One connection: its streams, its sessions, and the rules between them.
//!
//! A single task owns all of it, so nothing here is locked. Work that takes time (reading a stream's type,
//! answering a request, driving a session) runs in child tasks, each of which ends with an [`Event`].
//!
//! ```text
//!  uni stream ──> type ──┬─ control, QPACK ──> PeerStreams ── SETTINGS ──┐
//!                        └─ others: stopped                              v
//!  bidi stream ─> type ──┬─ HEADERS ─┬─ CONNECT :protocol ──────> waits for SETTINGS ──> session
//!                        │           └─ request ──> service                                ^
//!                        └─ 0x41 session ───────────> waits for its session ───────────────┘
//! ```
//!
//! The arrows that wait exist because QUIC delivers streams in any order. Both waits are bounded, in number
//! and in time.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::error::{Code, ConnectionFault};
use super::frame;
use super::input::Input;
use super::peer_streams::{self, PeerStreams};
use super::request;
use super::server::Server;
use super::settings::Settings;
use super::varint;
use crate::http::ConnectionFacts;
use crate::quic::{self, Connection, HandshakeData, Incoming, RecvStream, SendStream, VarInt};
use crate::webtransport::{self, ConnectRequest, DataStream, Sessions};
use crate::{Acceptor, TlsFacts};

/// What the tasks of one connection share.
pub(crate) struct Context<A> {
    pub(crate) server: Arc<Server<A>>,
    pub(crate) connection: Connection,
    pub(crate) facts: ConnectionFacts,
    /// One permit: only one large header section is held at a time.
    pub(super) large_heads: Semaphore,
}

/// How a child task ended.
pub(crate) enum Event {
    /// A request was answered, a refusal written, or a stream given up.
    Served,
    /// A unidirectional stream of this type is to be read on.
    Uni { kind: u64, input: Input },
    /// A unidirectional stream for this session was refused.
    UniRefused { session: u64 },
    /// A bidirectional stream belongs to a session.
    Data(Box<DataStream>),
    /// A CONNECT wants to open a session.
    Connect(Box<ConnectRequest>),
    /// A session is over.
    SessionEnded(u64),
}

/// Serves one connection to its end.
pub(super) async fn serve<A: Acceptor>(
    server: Arc<Server<A>>,
    incoming: Incoming,
    handshake: OwnedSemaphorePermit,
) {
    // Boxed, and done with before the long part: what a handshake needs does not stay in the task.
    let started = Box::pin(start(server, incoming)).await;
    drop(handshake);
    if let Some(mut driver) = started {
        driver.run().await;
    }
}

async fn start<A>(server: Arc<Server<A>>, incoming: Incoming) -> Option<Box<Driver<A>>> {
    let peer = incoming.remote_address()?;
    let setup_timeout = server.options.setup_timeout;
    let settings = Settings {
        max_field_section: server.options.max_field_section,
        webtransport: server.options.webtransport.is_some(),
    };
    let connection = incoming.accept().ok()?;
    let established = tokio::select! {
        established = timeout(setup_timeout, establish(connection, settings)) => established.ok().flatten(),
        // A client that has not begun anything yet goes elsewhere; one that is gone is not waited for.
        () = server.stop.cancelled() => None,
    };
    // Dropping a connection that is too slow closes it.
    let Some((connection, control)) = established else {
        tracing::debug!(%peer, "QUIC handshake not finished");
        return None;
    };
    let facts = ConnectionFacts {
        peer: connection.remote_address(),
        tls: Some(tls_facts(&connection)),
    };
    Some(Box::new(Driver {
        control,
        peer_streams: PeerStreams::default(),
        children: JoinSet::new(),
        sessions: Sessions::default(),
        has_settings: false,
        waiting: Vec::new(),
        settings_deadline: Instant::now() + setup_timeout,
        idle_since: Instant::now(),
        next_request: 0,
        has_all_streams: server.options.max_request_streams <= quic::INITIAL_REQUEST_STREAMS,
        is_stopping: false,
        context: Arc::new(Context {
            server,
            connection,
            facts,
            large_heads: Semaphore::new(1),
        }),
    }))
}

/// Finishes the handshake, and sends SETTINGS before that: the client then has them with our first flight and
/// need not wait another round trip before it opens a session.
async fn establish(connection: Connection, settings: Settings) -> Option<(Connection, SendStream)> {
    // Only a complete ClientHello yields keys to send with; it may take two packets.
    connection.hello().await.ok()?;
    let control = open_control(&connection, settings).await?;
    connection.established().await.ok()?;
    Some((connection, control))
}

async fn open_control(connection: &Connection, settings: Settings) -> Option<SendStream> {
    let mut control = connection.open_uni().await.ok()?;
    let mut payload = Vec::new();
    settings.encode(&mut payload);
    let mut bytes = BytesMut::new();
    varint::encode(peer_streams::CONTROL, &mut bytes);
    varint::encode(frame::SETTINGS, &mut bytes);
    varint::encode(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(&payload);
    control.write_all_chunks(&mut [bytes.freeze()]).await.ok()?;
    Some(control)
}

fn tls_facts(connection: &Connection) -> TlsFacts {
    let handshake = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok());
    TlsFacts {
        server_name: handshake.and_then(|data| data.server_name),
        client_certificate: connection.peer_identity().is_some(),
    }
}

struct Driver<A> {
    context: Arc<Context<A>>,
    /// Our control stream: it must stay open as long as the connection.
    control: SendStream,
    peer_streams: PeerStreams,
    children: JoinSet<Event>,
    sessions: Sessions,
    has_settings: bool,
    /// CONNECTs that overtook the client's SETTINGS.
    #[expect(clippy::vec_box, reason = "they come boxed, and their tasks want them so")]
    waiting: Vec<Box<ConnectRequest>>,
    settings_deadline: Instant,
    /// When the last child ended; meaningless while there are any.
    idle_since: Instant,
    /// First request stream that was not accepted yet: the id that GOAWAY tells.
    next_request: u64,
    /// The client was granted more than [`quic::INITIAL_REQUEST_STREAMS`].
    has_all_streams: bool,
    is_stopping: bool,
}

impl<A: Acceptor> Driver<A> {
    async fn run(&mut self) {
        if let Err(fault) = self.drive().await {
            fault.close(&self.context.connection);
        }
        // The connection is closed: every child notices by itself, and sessions are told why they end.
        Box::pin(self.farewell()).await;
    }

    async fn farewell(&mut self) {
        let ended = async { while self.children.join_next().await.is_some() {} };
        if timeout(FAREWELL, ended).await.is_err() {
            self.children.shutdown().await;
        }
    }

    async fn drive(&mut self) -> Result<(), ConnectionFault> {
        let connection = self.context.connection.clone();
        let stop = self.context.server.stop.clone();
        loop {
            if self.is_stopping && self.children.is_empty() {
                connection.close(Code::NO_ERROR.into(), b"");
                return Ok(());
            }
            let deadline = self.deadline();
            tokio::select! {
                Some(event) = self.children.join_next() => {
                    if self.children.is_empty() {
                        self.idle_since = Instant::now();
                    }
                    // A panic in a service ends its request only; its stream was reset on the way.
                    if let Ok(event) = event {
                        self.handle(event)?;
                    }
                }
                settings = poll_fn(|cx| self.peer_streams.poll(cx)) => {
                    settings?;
                    self.has_settings = true;
                    for request in std::mem::take(&mut self.waiting) {
                        self.open_session(request);
                    }
                }
                stream = connection.accept_bi() => match stream {
                    Ok((send, recv)) => self.accept_bi(send, recv),
                    Err(_) => return Ok(()),
                },
                stream = connection.accept_uni() => match stream {
                    Ok(recv) => self.accept_uni(recv),
                    Err(_) => return Ok(()),
                },
                // No endpoint of ours uses datagrams: they are read so that they take no room, and dropped.
                datagram = connection.read_datagram() => {
                    if datagram.is_err() {
                        return Ok(());
                    }
                }
                () = stop.cancelled(), if !self.is_stopping => Box::pin(self.stop()).await,
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.expire()?;
                }
            }
        }
    }

    fn accept_bi(&mut self, send: SendStream, recv: RecvStream) {
        self.next_request = VarInt::from(send.id()).into_inner() + 4;
        // Most connections carry one session in two streams; whoever has more in hand gets the full number.
        if !self.has_all_streams && self.children.len() >= BUSY_FROM {
            self.has_all_streams = true;
            let all = VarInt::from_u32(self.context.server.options.max_request_streams);
            self.context.connection.set_max_concurrent_bi_streams(all);
        }
        self.children
            .spawn(request::serve(self.context.clone(), send, recv, self.is_stopping));
    }

    fn accept_uni(&mut self, recv: RecvStream) {
        let limit = self.context.server.options.setup_timeout;
        self.children.spawn(async move {
            let mut input = Input::new(recv);
            timeout(limit, uni_type(&mut input))
                .await
                .ok()
                .flatten()
                .map_or(Event::Served, |typed| typed.into_event(input))
        });
    }

    fn handle(&mut self, event: Event) -> Result<(), ConnectionFault> {
        match event {
            Event::Served => Ok(()),
            Event::Uni { kind, input } => self.peer_streams.insert(kind, input),
            Event::UniRefused { session } => {
                self.sessions.count_refusal(session);
                Ok(())
            }
            Event::Data(stream) => self
                .sessions
                .deliver(stream, self.context.server.options.setup_timeout),
            Event::Connect(request) if self.has_settings || self.is_stopping => {
                self.open_session(request);
                Ok(())
            }
            Event::Connect(request) => {
                self.waiting.push(request);
                Ok(())
            }
            Event::SessionEnded(id) => {
                self.sessions.remove(id);
                Ok(())
            }
        }
    }

    fn open_session(&mut self, mut request: Box<ConnectRequest>) {
        if self.is_stopping {
            request.reject();
            return;
        }
        match webtransport::check(&request, &*self.context.server.acceptor) {
            Ok(()) => {
                let inbox = self.sessions.insert(request.id());
                self.children
                    .spawn(webtransport::run(self.context.clone(), request, inbox));
            }
            Err(status) => {
                self.children.spawn(webtransport::refuse(request, status));
            }
        }
    }

    /// Tells the client to open no more requests, and turns away those that wait.
    async fn stop(&mut self) {
        self.is_stopping = true;
        for mut request in std::mem::take(&mut self.waiting) {
            request.reject();
        }
        let mut goaway = BytesMut::new();
        varint::encode(frame::GOAWAY, &mut goaway);
        varint::encode(varint::len(self.next_request) as u64, &mut goaway);
        varint::encode(self.next_request, &mut goaway);
        let mut goaway: [Bytes; 1] = [goaway.freeze()];
        // A client that gives no window on our control stream does without.
        let _ = timeout(FAREWELL, self.control.write_all_chunks(&mut goaway)).await;
    }

    /// The next instant at which [`expire`](Self::expire) has something to do.
    fn deadline(&self) -> Option<Instant> {
        let settings = (!self.has_settings).then_some(self.settings_deadline);
        let idle = (self.children.is_empty() && self.waiting.is_empty())
            .then(|| self.idle_since + self.context.server.options.idle_timeout);
        [settings, idle, self.sessions.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn expire(&mut self) -> Result<(), ConnectionFault> {
        let now = Instant::now();
        self.sessions.expire(now);
        if !self.has_settings && self.settings_deadline <= now {
            return Err(ConnectionFault::new(
                Code::MISSING_SETTINGS,
                "no SETTINGS in time",
            ));
        }
        let idle_for = now.saturating_duration_since(self.idle_since);
        if self.children.is_empty()
            && self.waiting.is_empty()
            && idle_for >= self.context.server.options.idle_timeout
        {
            return Err(ConnectionFault::new(Code::NO_ERROR, "idle"));
        }
        Ok(())
    }
}

/// What the type of a unidirectional stream asks for.
enum UniType {
    Critical(u64),
    Session(u64),
    Unknown,
}

async fn uni_type(input: &mut Input) -> Option<UniType> {
    match input.varint().await.ok()?? {
        kind @ (peer_streams::CONTROL
        | peer_streams::PUSH
        | peer_streams::QPACK_ENCODER
        | peer_streams::QPACK_DECODER) => Some(UniType::Critical(kind)),
        WEBTRANSPORT_UNI => Some(UniType::Session(input.varint().await.ok()??)),
        _ => Some(UniType::Unknown),
    }
}

impl UniType {
    fn into_event(self, mut input: Input) -> Event {
        match self {
            Self::Critical(kind) => Event::Uni { kind, input },
            Self::Session(session) => {
                input.stop(webtransport::STREAM_REFUSED);
                Event::UniRefused { session }
            }
            Self::Unknown => {
                input.stop(Code::STREAM_CREATION_ERROR);
                Event::Served
            }
        }
    }
}

/// Type of a unidirectional stream of a WebTransport session.
const WEBTRANSPORT_UNI: u64 = 0x54;

/// Children with which a connection is taken for a busy one: a session is one child and two streams.
const BUSY_FROM: usize = quic::INITIAL_REQUEST_STREAMS as usize / 2;

/// Children of a closed connection end at once; this bounds a defect, not a peer.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

//! One socket, its connections, and the one task that drives them.
//!
//! ```text
//!  socket ──batch──> endpoint ──by connection id──> connection ──events──> waiting tasks
//!    ^                                                  │
//!    └──────────── transmits ── driver <── due ─────────┴── tasks that wrote, timers
//! ```
//!
//! A connection that has something to do enters the list of due connections, once however much it is, and the
//! driver is woken once for all of them: a broadcast to a thousand sessions is one wake-up and a thousand packets.
//! Between every few connections the driver looks at the socket, so acknowledgements are read while a broadcast is
//! still being sent.
//!
//! Locks: a connection's state may be held while the list of due connections is taken; the core (endpoint and table
//! of connections) is never held together with a connection.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;
use parking_lot::Mutex;
use quinn_proto::{
    ConnectionError, ConnectionEvent, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Incoming,
    ServerConfig, Transmit,
};
use quinn_udp::RecvMeta;
use tokio::sync::Notify;

use super::connection::{Connection, Held, Inner};
use super::driver::Driver;
use super::socket::{self, Buffers, Socket};
use super::table::Table;

/// Connections that may wait to be accepted; more are refused.
const MAX_INCOMING: usize = 1024;

pub(super) struct Shard {
    pub(super) socket: Socket,
    core: Mutex<Core>,
    due: Mutex<Due>,
    idle: Notify,
}

struct Core {
    endpoint: Endpoint,
    connections: Table<Arc<Inner>>,
    incoming: VecDeque<Incoming>,
    acceptor: Option<Waker>,
    /// New connections are told to go elsewhere.
    is_refusing: bool,
    /// The endpoint's handle is gone.
    is_closed: bool,
    /// Packets that the endpoint answers with by itself.
    answer: Vec<u8>,
}

#[derive(Default)]
struct Due {
    connections: Vec<Arc<Inner>>,
    driver: Option<Waker>,
}

/// Starts a shard and its driver on the current runtime.
pub(super) fn start(socket: UdpSocket, config: ServerConfig) -> io::Result<Arc<Shard>> {
    let socket = Socket::new(socket)?;
    let endpoint = Endpoint::new(
        Arc::new(EndpointConfig::default()),
        Some(Arc::new(config)),
        socket.allows_mtud(),
        None,
    );
    let shard = Arc::new(Shard {
        socket,
        core: Mutex::new(Core {
            endpoint,
            connections: Table::default(),
            incoming: VecDeque::new(),
            acceptor: None,
            is_refusing: false,
            is_closed: false,
            answer: Vec::new(),
        }),
        due: Mutex::default(),
        idle: Notify::new(),
    });
    // Works for many connections and yields by itself.
    tokio::spawn(tokio::task::unconstrained(Driver::new(shard.clone())));
    Ok(shard)
}

impl Shard {
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn poll_incoming(&self, cx: &Context<'_>) -> Poll<Incoming> {
        let mut core = self.core.lock();
        match core.incoming.pop_front() {
            Some(incoming) => Poll::Ready(incoming),
            None => {
                core.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn accept(self: &Arc<Self>, incoming: Incoming) -> Result<Connection, ConnectionError> {
        let mut core = self.core.lock();
        let Core {
            endpoint,
            connections,
            answer,
            ..
        } = &mut *core;
        answer.clear();
        match endpoint.accept(incoming, Instant::now(), answer, None) {
            Ok((handle, proto)) => {
                let inner = Arc::new(Inner::new(self.clone(), handle, proto));
                connections.insert(handle, inner.clone());
                drop(core);
                inner.touch(&mut inner.state.lock());
                Ok(Connection(Arc::new(Held(inner))))
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.answer(&transmit, answer);
                }
                Err(error.cause)
            }
        }
    }

    pub(super) fn retry(&self, incoming: Incoming) {
        let mut core = self.core.lock();
        let Core { endpoint, answer, .. } = &mut *core;
        answer.clear();
        let transmit = match endpoint.retry(incoming, answer) {
            Ok(transmit) => transmit,
            Err(error) => endpoint.refuse(error.into_incoming(), answer),
        };
        self.answer(&transmit, answer);
    }

    pub(super) fn refuse(&self, incoming: Incoming) {
        let mut core = self.core.lock();
        let Core { endpoint, answer, .. } = &mut *core;
        answer.clear();
        let transmit = endpoint.refuse(incoming, answer);
        self.answer(&transmit, answer);
    }

    /// Refuses those that wait, and all that come.
    pub(super) fn refuse_new(&self) {
        let waiting = {
            let mut core = self.core.lock();
            core.is_refusing = true;
            std::mem::take(&mut core.incoming)
        };
        for incoming in waiting {
            self.refuse(incoming);
        }
    }

    /// The endpoint's handle is gone: the driver ends with the last connection.
    pub(super) fn close(&self) {
        self.refuse_new();
        self.core.lock().is_closed = true;
        self.wake_driver();
    }

    pub(super) fn open_connections(&self) -> usize {
        self.core.lock().connections.len()
    }

    pub(super) async fn wait_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.core.lock().connections.is_empty() {
                return;
            }
            idle.await;
        }
    }

    /// Enters a connection into the list of those to drive. Call only after setting its `is_due`.
    pub(super) fn enter(&self, connection: Arc<Inner>) {
        let driver = {
            let mut due = self.due.lock();
            due.connections.push(connection);
            due.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Moves the list of due connections to the end of `into`; if it is empty, the driver is woken when it fills.
    pub(super) fn take_due(&self, cx: &Context<'_>, into: &mut VecDeque<Arc<Inner>>) {
        let mut due = self.due.lock();
        if due.connections.is_empty() {
            due.driver = Some(cx.waker().clone());
        } else {
            into.extend(due.connections.drain(..));
        }
    }

    /// Whether the driver may sleep: it will be woken for whatever comes.
    pub(super) fn nothing_due(&self) -> bool {
        let due = self.due.lock();
        due.connections.is_empty() && due.driver.is_some()
    }

    pub(super) fn find(&self, handle: usize) -> Option<Arc<Inner>> {
        self.core
            .lock()
            .connections
            .get(ConnectionHandle(handle))
            .cloned()
    }

    /// Nothing is left to drive, now and later.
    pub(super) fn has_ended(&self) -> bool {
        let core = self.core.lock();
        core.is_closed && core.connections.is_empty()
    }

    /// Receives a batch; what is for connections is appended to `events`. Answers whether there was any.
    pub(super) fn receive(
        &self,
        cx: &mut Context<'_>,
        now: Instant,
        buffers: &mut Buffers,
        events: &mut Vec<(Arc<Inner>, ConnectionEvent)>,
    ) -> bool {
        let mut core = self.core.lock();
        self.socket
            .poll_recv(cx, buffers, |peer, meta, bytes| {
                for datagram in bytes.chunks(meta.stride.max(1)) {
                    self.route(&mut core, now, peer, meta, datagram, events);
                }
            })
            .is_ready()
    }

    fn route(
        &self,
        core: &mut Core,
        now: Instant,
        peer: SocketAddr,
        meta: &RecvMeta,
        datagram: &[u8],
        events: &mut Vec<(Arc<Inner>, ConnectionEvent)>,
    ) {
        let Core {
            endpoint,
            connections,
            incoming,
            acceptor,
            is_refusing,
            answer,
            ..
        } = core;
        answer.clear();
        let bytes = BytesMut::from(datagram);
        match endpoint.handle(now, peer, meta.dst_ip, socket::ecn(meta), bytes, answer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(connection) = connections.get(handle) {
                    events.push((connection.clone(), event));
                }
            }
            Some(DatagramEvent::NewConnection(new)) if !*is_refusing && incoming.len() < MAX_INCOMING => {
                incoming.push_back(new);
                if let Some(acceptor) = acceptor.take() {
                    acceptor.wake();
                }
            }
            Some(DatagramEvent::NewConnection(new)) => {
                let transmit = endpoint.refuse(new, answer);
                self.answer(&transmit, answer);
            }
            Some(DatagramEvent::Response(transmit)) => self.answer(&transmit, answer),
            None => {}
        }
    }

    /// Hands a connection's events to the endpoint; appends what it answers. `true` if the connection is gone.
    pub(super) fn settle(
        &self,
        connection: &Inner,
        events: &mut Vec<quinn_proto::EndpointEvent>,
        answers: &mut Vec<ConnectionEvent>,
    ) -> bool {
        let mut core = self.core.lock();
        let mut is_gone = false;
        for event in events.drain(..) {
            if event.is_drained() {
                is_gone = true;
                core.connections.remove(connection.handle);
            }
            answers.extend(core.endpoint.handle_event(connection.handle, event));
        }
        if core.connections.is_empty() {
            self.idle.notify_waiters();
        }
        is_gone
    }

    /// Sends a packet that belongs to no connection. If the socket is full it is lost: the peer will ask again.
    fn answer(&self, transmit: &Transmit, bytes: &[u8]) {
        let _ = self.socket.send(transmit, bytes);
    }

    fn wake_driver(&self) {
        let driver = self.due.lock().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

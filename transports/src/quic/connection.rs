//! One connection, as its tasks see it.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use quinn_proto::{ConnectionError, ConnectionHandle, Dir, Event, StreamEvent, VarInt};

use super::shard::Shard;
use super::stream::{RecvStream, SendStream};
use super::waiting::{Reason, Waiting};

/// A QUIC connection. Clones and its streams share it; when the last of them is dropped, it is closed with code 0.
#[derive(Clone)]
pub struct Connection(pub(super) Arc<Held>);

/// Keeps a connection open.
pub(super) struct Held(pub(super) Arc<Inner>);

/// What tasks and the shard share of a connection.
pub(super) struct Inner {
    pub(super) shard: Arc<Shard>,
    pub(super) handle: ConnectionHandle,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) proto: quinn_proto::Connection,
    pub(super) waiting: Waiting,
    /// In the shard's list of connections to drive.
    pub(super) is_due: bool,
    /// Waits for its turn behind an address that it shares.
    pub(super) is_paced: bool,
    /// Entry in the shard's timers.
    pub(super) armed: Option<Instant>,
    /// The ClientHello was read.
    has_hello: bool,
    /// The handshake is complete.
    is_connected: bool,
    /// Why the connection is over.
    pub(super) error: Option<ConnectionError>,
}

impl Connection {
    /// Waits until the client's hello is complete: from then on, data can be sent.
    ///
    /// # Errors
    /// If the connection ends before.
    pub async fn hello(&self) -> Result<(), ConnectionError> {
        self.handshake(|state| state.has_hello).await
    }

    /// Waits until the handshake is complete.
    ///
    /// # Errors
    /// If the connection ends before.
    pub async fn established(&self) -> Result<(), ConnectionError> {
        self.handshake(|state| state.is_connected).await
    }

    /// What the handshake told, in the type of the TLS layer.
    #[must_use]
    pub fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner().state.lock().proto.crypto_session().handshake_data()
    }

    /// The client's certificate, in the type of the TLS layer.
    #[must_use]
    pub fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner().state.lock().proto.crypto_session().peer_identity()
    }

    /// Address of the peer; it may change.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.inner().state.lock().proto.remote_address()
    }

    /// Opens a unidirectional stream as soon as the peer permits it.
    ///
    /// # Errors
    /// If the connection ends before.
    pub async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        let opened = self.wait(Reason::Open(Dir::Uni), |state| {
            state.proto.streams().open(Dir::Uni)
        });
        Ok(SendStream::new(self.clone(), opened.await?))
    }

    /// The next unidirectional stream of the peer.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        let accepted = self.wait(Reason::Accept(Dir::Uni), |state| {
            state.proto.streams().accept(Dir::Uni)
        });
        Ok(RecvStream::new(self.clone(), accepted.await?))
    }

    /// The next bidirectional stream of the peer.
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let accepted = self.wait(Reason::Accept(Dir::Bi), |state| {
            state.proto.streams().accept(Dir::Bi)
        });
        let id = accepted.await?;
        Ok((
            SendStream::new(self.clone(), id),
            RecvStream::new(self.clone(), id),
        ))
    }

    /// The next datagram of the peer (RFC 9221).
    ///
    /// # Errors
    /// When the connection is over.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        self.wait(Reason::Datagram, |state| state.proto.datagrams().recv())
            .await
    }

    /// Lets the peer open up to `count` bidirectional streams at once.
    pub fn set_max_concurrent_bi_streams(&self, count: VarInt) {
        let mut state = self.inner().state.lock();
        state.proto.set_max_concurrent_streams(Dir::Bi, count);
        self.inner().touch(&mut state);
    }

    /// Closes the connection; what is unsent is dropped. Later calls change nothing.
    pub fn close(&self, code: VarInt, reason: &[u8]) {
        self.inner().close(code, Bytes::copy_from_slice(reason));
    }

    /// Why the connection is over; `None` while it is not.
    #[must_use]
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.inner().state.lock().error.clone()
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }

    async fn handshake(&self, is_done: impl Fn(&State) -> bool) -> Result<(), ConnectionError> {
        self.wait(Reason::Handshake, |state| is_done(state).then_some(()))
            .await
    }

    /// Waits until `take` has something. Taking may return credit to the peer, so the connection is driven.
    async fn wait<T>(
        &self,
        reason: Reason,
        take: impl Fn(&mut State) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        poll_fn(|cx: &mut Context<'_>| {
            let mut state = self.inner().state.lock();
            if let Some(taken) = take(&mut state) {
                self.inner().touch(&mut state);
                return Poll::Ready(Ok(taken));
            }
            if let Some(error) = &state.error {
                return Poll::Ready(Err(error.clone()));
            }
            state.waiting.register(reason, cx);
            Poll::Pending
        })
        .await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.inner().handle).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close(VarInt::from_u32(0), Bytes::new());
    }
}

impl Inner {
    pub(super) fn new(shard: Arc<Shard>, handle: ConnectionHandle, proto: quinn_proto::Connection) -> Self {
        let state = State {
            proto,
            waiting: Waiting::default(),
            is_due: false,
            is_paced: false,
            armed: None,
            has_hello: false,
            is_connected: false,
            error: None,
        };
        Self {
            shard,
            handle,
            state: Mutex::new(state),
        }
    }

    /// Has the shard drive this connection: there may be something to send.
    pub(super) fn touch(self: &Arc<Self>, state: &mut State) {
        if !state.is_due {
            state.is_due = true;
            self.shard.enter(self.clone());
        }
    }

    fn close(self: &Arc<Self>, code: VarInt, reason: Bytes) {
        let mut state = self.state.lock();
        if state.error.is_none() {
            state.proto.close(Instant::now(), code, reason);
            state.end(ConnectionError::LocallyClosed);
            self.touch(&mut state);
        }
    }
}

impl State {
    /// Tells the tasks what happened.
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::HandshakeDataReady => {
                self.has_hello = true;
                self.waiting.wake(Reason::Handshake);
            }
            Event::Connected => {
                self.has_hello = true;
                self.is_connected = true;
                self.waiting.wake(Reason::Handshake);
            }
            Event::ConnectionLost { reason } => self.end(reason),
            Event::DatagramReceived => self.waiting.wake(Reason::Datagram),
            Event::DatagramsUnblocked => {}
            Event::Stream(event) => match event {
                StreamEvent::Opened { dir } => self.waiting.wake(Reason::Accept(dir)),
                StreamEvent::Readable { id } => self.waiting.wake(Reason::Read(id)),
                StreamEvent::Writable { id } => self.waiting.wake(Reason::Write(id)),
                StreamEvent::Finished { id } => self.waiting.wake(Reason::Stopped(id)),
                StreamEvent::Stopped { id, .. } => {
                    self.waiting.wake(Reason::Stopped(id));
                    self.waiting.wake(Reason::Write(id));
                }
                StreamEvent::Available { dir } => self.waiting.wake(Reason::Open(dir)),
            },
        }
    }

    pub(super) fn end(&mut self, error: ConnectionError) {
        if self.error.is_none() {
            self.error = Some(error);
        }
        self.waiting.wake_all();
    }
}

//! The task of a shard.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn_proto::{ConnectionEvent, EndpointEvent, Transmit};
use tokio::time::Sleep;

use super::connection::{Inner, State};
use super::pacing::Pacing;
use super::shard::Shard;
use super::socket::Buffers;
use super::timers::Timers;

/// Connections that are driven before the socket is looked at again.
const AT_ONCE: usize = 16;
/// Looks at the socket before other tasks get their turn.
const ROUNDS: usize = 8;
/// Transmits of one connection before others get their turn.
const TRANSMITS: usize = 16;

pub(super) struct Driver {
    shard: Arc<Shard>,
    /// Connections to drive.
    due: VecDeque<Arc<Inner>>,
    timers: Timers,
    sleep: Pin<Box<Sleep>>,
    pacing: Pacing<Arc<Inner>>,
    buffers: Buffers,
    /// Packets being made.
    packets: Vec<u8>,
    /// What the socket did not take.
    unsent: Option<(Transmit, Vec<u8>)>,
    received: Vec<(Arc<Inner>, ConnectionEvent)>,
    told: Vec<EndpointEvent>,
    answers: Vec<ConnectionEvent>,
}

impl Driver {
    pub(super) fn new(shard: Arc<Shard>) -> Self {
        Self {
            shard,
            due: VecDeque::new(),
            timers: Timers::default(),
            sleep: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            pacing: Pacing::new(),
            buffers: Buffers::default(),
            packets: Vec::new(),
            unsent: None,
            received: Vec::new(),
            told: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            let now = Instant::now();
            let received = this.receive(cx, now);
            this.expire(now);
            this.shard.take_due(cx, &mut this.due);
            this.resume(now);
            let is_writable = this.poll_unsent(cx);
            if is_writable {
                this.drive(now);
            }
            let has_more = is_writable && !this.due.is_empty();
            if received || has_more || (is_writable && this.unsent.is_some()) {
                continue;
            }
            if this.shard.has_ended() {
                return Poll::Ready(());
            }
            let is_asleep = this.poll_sleep(cx).is_pending() && this.pacing.poll_next(cx).is_pending();
            if is_asleep && this.shard.nothing_due() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Driver {
    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let any = self.shard.receive(cx, now, &mut self.buffers, &mut self.received);
        for (connection, event) in self.received.drain(..) {
            let mut state = connection.state.lock();
            state.proto.handle_event(event);
            if !std::mem::replace(&mut state.is_due, true) {
                drop(state);
                self.due.push_back(connection);
            }
        }
        any
    }

    /// Connections whose time has come.
    fn expire(&mut self, now: Instant) {
        while let Some(handle) = self.timers.pop(now) {
            let Some(connection) = self.shard.find(handle) else {
                continue;
            };
            let mut state = connection.state.lock();
            state.armed = None;
            let deadline = state.proto.poll_timeout();
            if deadline.is_none_or(|deadline| deadline > now) {
                let State { armed, .. } = &mut *state;
                self.timers.arm(handle, armed, deadline);
                continue;
            }
            state.proto.handle_timeout(now);
            // Driving it sets its next deadline, also if it was due already.
            if !std::mem::replace(&mut state.is_due, true) {
                drop(state);
                self.due.push_back(connection);
            }
        }
    }

    /// Connections that waited for their turn behind a shared address.
    fn resume(&mut self, now: Instant) {
        let Some(waited) = self.pacing.begin(now) else {
            return;
        };
        for connection in waited.rev() {
            let mut state = connection.state.lock();
            state.is_paced = false;
            if !std::mem::replace(&mut state.is_due, true) {
                drop(state);
                self.due.push_front(connection);
            }
        }
    }

    /// Whether the socket takes packets.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((transmit, packets)) = &self.unsent else {
            return true;
        };
        while self.shard.socket.poll_writable(cx).is_ready() {
            if self.shard.socket.send(transmit, packets) {
                self.unsent = None;
                return true;
            }
        }
        false
    }

    fn drive(&mut self, now: Instant) {
        for _ in 0..AT_ONCE {
            if self.unsent.is_some() {
                return;
            }
            let Some(connection) = self.due.pop_front() else {
                return;
            };
            self.drive_one(&connection, now);
        }
    }

    fn drive_one(&mut self, connection: &Arc<Inner>, now: Instant) {
        let mut state = connection.state.lock();
        state.is_due = false;
        let peer = state.proto.remote_address();
        let may_send = self.pacing.admits(peer);
        let has_more = may_send && self.transmit(&mut state, peer, now);
        if !may_send && !std::mem::replace(&mut state.is_paced, true) {
            self.pacing.defer(connection.clone());
        }
        while let Some(event) = state.proto.poll_endpoint_events() {
            self.told.push(event);
        }
        while let Some(event) = state.proto.poll() {
            state.handle(event);
        }
        let mut has_answers = false;
        if !self.told.is_empty() {
            drop(state);
            let is_gone = self.shard.settle(connection, &mut self.told, &mut self.answers);
            state = connection.state.lock();
            if is_gone {
                // Nobody is left to hear them; the next connection must not.
                self.answers.clear();
                let State { armed, .. } = &mut *state;
                self.timers.disarm(connection.handle.0, armed);
                return;
            }
            for answer in self.answers.drain(..) {
                has_answers = true;
                state.proto.handle_event(answer);
            }
        }
        let deadline = state.proto.poll_timeout();
        let State { armed, is_due, .. } = &mut *state;
        self.timers.arm(connection.handle.0, armed, deadline);
        if (has_more || has_answers) && !std::mem::replace(is_due, true) {
            drop(state);
            self.due.push_back(connection.clone());
        }
    }

    /// Sends what a connection has to send; answers whether there may be more.
    fn transmit(&mut self, state: &mut State, peer: SocketAddr, now: Instant) -> bool {
        let segments = self.shard.socket.max_segments();
        for _ in 0..TRANSMITS {
            self.packets.clear();
            let Some(transmit) = state.proto.poll_transmit(now, segments, &mut self.packets) else {
                return false;
            };
            if !self.shard.socket.send(&transmit, &self.packets) {
                self.unsent = Some((transmit, std::mem::take(&mut self.packets)));
                return true;
            }
            self.pacing.count(peer);
        }
        true
    }

    /// Ready once the earliest deadline has passed.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(next) = self.timers.next() else {
            return Poll::Pending;
        };
        let next = tokio::time::Instant::from_std(next);
        if self.sleep.deadline() != next {
            self.sleep.as_mut().reset(next);
        }
        self.sleep.as_mut().poll(cx)
    }
}

//! What the rest of the server holds of a connection: its outbox and its mailbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_transports::{Encoding, Outbox, TransportKind};
use tokio::sync::oneshot;

use crate::channels::SubscriptionGrant;
use crate::engine::Since;
use crate::protocol::{Disconnect, Unsubscribe};

/// One connection, as the hub and the node see it.
#[derive(Debug)]
pub struct Handle {
    /// Client id, a UUIDv4.
    pub client: String,
    /// Encoding of its frames.
    pub encoding: Encoding,
    /// Its transport, for metrics.
    pub transport: TransportKind,
    /// Where its frames go.
    pub outbox: Arc<Outbox>,
    /// Where events for its session go.
    pub mailbox: Mailbox,
    /// Bytes that wait in batches of its channels, and are not in its outbox yet.
    pub batched: AtomicUsize,
}

/// Something that happened elsewhere and that a session must act on.
#[derive(Debug)]
pub enum Event {
    /// Close the connection.
    Disconnect(Disconnect),
    /// A token was revoked on which the session may live: it is to ask.
    TokensRevoked,
    /// A positioned subscription lost its position.
    InsufficientState(Arc<str>),
    /// The server API subscribes the connection.
    Subscribe {
        /// The channel.
        channel: Arc<str>,
        /// What it is granted.
        grant: Box<SubscriptionGrant>,
        /// Position to recover from.
        since: Option<Since>,
        /// Told when the session has acted.
        done: oneshot::Sender<()>,
    },
    /// The server API ends a subscription.
    Unsubscribe {
        /// The channel.
        channel: Arc<str>,
        /// What the client is told.
        unsubscribe: Unsubscribe,
        /// Told when the session has acted.
        done: oneshot::Sender<()>,
    },
    /// The server API moves the connection's expiry.
    Refresh {
        /// Unix seconds; 0 = never.
        expire_at: i64,
        /// New connection info; empty keeps the old.
        info: Bytes,
        /// Told when the session has acted.
        done: oneshot::Sender<()>,
    },
}

/// Events for one session. Bounded by its sources: the hub posts at most one event per subscription and
/// connection fault, the server API waits for each of its events, but for revocations, of which one waits for all.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    closed: bool,
    session: Option<Waker>,
}

impl Mailbox {
    /// Posts an event and wakes the session; dropped when the session has ended.
    pub fn post(&self, event: Event) {
        let waker = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            let says_nothing_new = matches!(event, Event::TokensRevoked)
                && matches!(state.events.back(), Some(Event::TokensRevoked));
            if says_nothing_new {
                return;
            }
            state.events.push_back(event);
            state.session.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the next event, or registers the session's waker.
    pub fn poll(&self, cx: &mut Context<'_>) -> Option<Event> {
        let mut state = self.state.lock();
        let event = state.events.pop_front();
        if event.is_none() {
            state.events = VecDeque::new();
            match &mut state.session {
                Some(waker) => waker.clone_from(cx.waker()),
                slot => *slot = Some(cx.waker().clone()),
            }
        }
        event
    }

    /// Drops what is posted now and later.
    pub fn close(&self) {
        let events = {
            let mut state = self.state.lock();
            state.closed = true;
            state.session = None;
            std::mem::take(&mut state.events)
        };
        drop(events);
    }
}

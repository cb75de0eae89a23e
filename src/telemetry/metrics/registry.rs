//! All counters of a server, and what happens to them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_transports::TransportKind;

use super::codes::Codes;
use super::family::MetricValue;
use super::histogram::{API_BOUNDS, BROADCAST_BOUNDS, COMMAND_BOUNDS, Histogram};
use super::labels::{Action, BrokerMessage, ClientLabel, CommandKind, FrameType};
use super::table::{Counter, Gauge, Table};
use super::{process, text};
use crate::api::{ApiObserver, Fault, Method, Protocol};
use crate::engine::Suppressed;
use crate::limits::LimitLayer;
use crate::node::Counts;

/// The counters of a server. Methods named after what happened count it, without locks on the way of a message.
pub struct Metrics {
    pub(super) version: String,
    pub(super) sent: Table<TransportKind, Table<FrameType, Traffic>>,
    pub(super) received: Table<TransportKind, Table<FrameType, Traffic>>,
    pub(super) connections: Table<TransportKind, Table<ClientLabel, Population>>,
    pub(super) subscriptions: Table<ClientLabel, Population>,
    pub(super) commands: Table<CommandKind, Histogram>,
    pub(super) ping_pong: Table<TransportKind, Histogram>,
    pub(super) broadcast: Histogram,
    pub(super) broker_sent: Table<BrokerMessage, Counter>,
    pub(super) broker_received: Table<BrokerMessage, Counter>,
    pub(super) actions: Table<Action, Counter>,
    /// By whether everything was recovered, then by whether that was anything.
    pub(super) recover: Table<bool, Table<bool, Counter>>,
    pub(super) connection_limit: Counter,
    pub(super) suppressed: Table<Suppressed, Counter>,
    pub(super) over_limit: Table<LimitLayer, Table<CommandKind, Counter>>,
    pub(super) reply_errors: Table<CommandKind, Codes>,
    pub(super) unsubscribes: Codes,
    pub(super) disconnects: Codes,
    pub(super) closes: Table<TransportKind, Codes>,
    pub(super) api: Table<Protocol, Table<Method, Histogram>>,
    pub(super) api_errors: Mutex<BTreeMap<ApiErrorKey, u64>>,
    pub(super) http_requests: Mutex<BTreeMap<HttpOutcome, BTreeMap<String, u64>>>,
}

/// Protocol, method and error. All are names and codes of ours.
pub(super) type ApiErrorKey = (&'static str, &'static str, Cow<'static, str>);

/// Method and status of an HTTP request. What is counted by it is told apart by path.
pub(super) type HttpOutcome = (&'static str, u16);

/// Messages of one kind.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) messages: Counter,
    pub(super) bytes: Counter,
}

/// What comes and goes.
#[derive(Default)]
pub(super) struct Population {
    pub(super) accepted: Counter,
    pub(super) inflight: Gauge,
}

impl Metrics {
    /// Counters at zero for a server of that version.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            sent: Table::default(),
            received: Table::default(),
            connections: Table::default(),
            subscriptions: Table::default(),
            commands: Table::new(|| Histogram::new(COMMAND_BOUNDS)),
            ping_pong: Table::new(|| Histogram::new(COMMAND_BOUNDS)),
            broadcast: Histogram::new(BROADCAST_BOUNDS),
            broker_sent: Table::default(),
            broker_received: Table::default(),
            actions: Table::default(),
            recover: Table::default(),
            connection_limit: Counter::default(),
            suppressed: Table::default(),
            over_limit: Table::default(),
            reply_errors: Table::new(|| Codes::from(100)),
            unsubscribes: Codes::from(2500),
            disconnects: Codes::from(3500),
            closes: Table::new(|| Codes::from(3500)),
            api: Table::new(|| Table::new(|| Histogram::new(API_BOUNDS))),
            api_errors: Mutex::default(),
            http_requests: Mutex::default(),
        }
    }

    /// Messages queued for clients; `bytes` before framing and compression.
    pub fn sent(&self, transport: TransportKind, kind: FrameType, count: u64, bytes: u64) {
        self.sent[transport][kind].add(count, bytes);
    }

    /// Messages from clients.
    pub fn received(&self, transport: TransportKind, kind: FrameType, count: u64, bytes: u64) {
        self.received[transport][kind].add(count, bytes);
    }

    /// A client connected.
    pub fn connection_opened(&self, transport: TransportKind, client: ClientLabel) {
        self.connections[transport][client].enter();
        self.action(Action::AddClient);
    }

    /// A connected client left.
    pub fn connection_closed(&self, transport: TransportKind, client: ClientLabel) {
        self.connections[transport][client].leave();
        self.action(Action::RemoveClient);
    }

    /// A subscription was made.
    pub fn subscribed(&self, client: ClientLabel) {
        self.subscriptions[client].enter();
        self.action(Action::AddSubscription);
    }

    /// A subscription ended.
    pub fn unsubscribed(&self, client: ClientLabel) {
        self.subscriptions[client].leave();
        self.action(Action::RemoveSubscription);
    }

    /// A command was answered.
    pub fn command(&self, kind: CommandKind, duration: Duration) {
        self.commands[kind].observe(duration);
    }

    /// A command was answered with an error.
    pub fn reply_error(&self, kind: CommandKind, code: u32) {
        self.reply_errors[kind].count(code);
    }

    /// A ping was answered.
    pub fn ping_pong(&self, transport: TransportKind, duration: Duration) {
        self.ping_pong[transport].observe(duration);
    }

    /// A subscribe asked for recovery.
    pub fn recover(&self, recovered: bool, has_publications: bool) {
        self.recover[recovered][has_publications].add(1);
    }

    /// A publication was offered to all local subscribers.
    pub fn broadcast(&self, duration: Duration) {
        self.broadcast.observe(duration);
    }

    /// A publication, join or leave went to the broker. Other frames count as control messages.
    pub fn broker_sent(&self, kind: FrameType) {
        self.broker_sent[kind.into()].add(1);
    }

    /// The same came from the broker.
    pub fn broker_received(&self, kind: FrameType) {
        self.broker_received[kind.into()].add(1);
    }

    /// A node did something. [`connection_opened`](Self::connection_opened) and its siblings count their own.
    pub fn action(&self, action: Action) {
        self.actions[action].add(1);
    }

    /// A publication was accepted but not delivered.
    pub fn publish_suppressed(&self, reason: Suppressed) {
        self.suppressed[reason].add(1);
    }

    /// A command, or the error it caused, was above a limit.
    pub fn over_limit(&self, layer: LimitLayer, kind: CommandKind) {
        self.over_limit[layer][kind].add(1);
    }

    /// A connection was refused for the total limit.
    pub fn connection_limit_reached(&self) {
        self.connection_limit.add(1);
    }

    /// The server ended a subscription.
    pub fn server_unsubscribe(&self, code: u32) {
        self.unsubscribes.count(code);
    }

    /// The server ended a connection.
    pub fn disconnect(&self, code: u32) {
        self.disconnects.count(code);
    }

    /// A transport was closed by the server with a code of its own protocol; counted for WebSocket only.
    pub fn transport_close(&self, transport: TransportKind, code: u32) {
        if transport == TransportKind::Websocket {
            self.closes[transport].count(code);
        }
    }

    /// An HTTP request ended. `path` must be a route's and not the peer's, or series would grow without bound. Takes
    /// a lock; for servers that were told to count requests.
    pub fn http_request(&self, path: &str, method: &'static str, status: u16) {
        let mut requests = self.http_requests.lock();
        let paths = requests.entry((method, status)).or_default();
        match paths.get_mut(path) {
            Some(count) => *count += 1,
            None => {
                paths.insert(path.to_owned(), 1);
            }
        }
    }

    /// The page for Prometheus ([`TEXT_FORMAT`](super::TEXT_FORMAT)), its families in the order of their names.
    /// Reads `/proc` for the numbers of the process, which takes well below a millisecond.
    #[must_use]
    pub fn render(&self, counts: &Counts) -> String {
        let mut families = self.families(counts);
        families.extend(process::families());
        families.sort_by_key(|family| family.name);
        text::page(&families)
    }

    /// All metrics by flat key, for `info` (operations.md 4).
    #[must_use]
    pub fn flatten(&self, counts: &Counts) -> BTreeMap<String, MetricValue> {
        let mut flat = BTreeMap::new();
        for family in self.families(counts) {
            family.flatten(&mut flat);
        }
        flat
    }
}

impl ApiObserver for Metrics {
    fn command(&self, protocol: Protocol, method: Method, duration: Duration) {
        self.api[protocol][method].observe(duration);
    }

    fn error(&self, protocol: Protocol, method: Option<Method>, fault: Fault) {
        let key = (protocol.name(), method.map_or("", Method::name), fault.label());
        *self.api_errors.lock().entry(key).or_default() += 1;
    }
}

impl Traffic {
    fn add(&self, count: u64, bytes: u64) {
        self.messages.add(count);
        self.bytes.add(bytes);
    }
}

impl Population {
    fn enter(&self) {
        self.accepted.add(1);
        self.inflight.shift(1);
    }

    fn leave(&self) {
        self.inflight.shift(-1);
    }
}

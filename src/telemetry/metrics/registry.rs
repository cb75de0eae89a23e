//! All counters of a server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tidegate_transports::TransportKind;

use super::family::{Family, Labels, MetricValue, Series};
use super::histogram::{API_BOUNDS, BROADCAST_BOUNDS, COMMAND_BOUNDS, Histogram};
use super::labels::{ClientLabel, CommandKind, FrameType};
use super::process;
use crate::api::{ApiObserver, Fault, Method, Protocol};
use crate::engine::Suppressed;
use crate::node::Counts;

const TRANSPORTS: usize = TransportKind::ALL.len();
const COMMANDS: usize = CommandKind::ALL.len();
const FRAMES: usize = FrameType::ALL.len();
const CLIENTS: usize = ClientLabel::ALL.len();
/// Publication, join, leave, control.
const BROKER_TYPES: [&str; 4] = ["control", "join", "leave", "publication"];

/// The counters of a server. Methods named after what happened count it; all are cheap, those of the message path
/// are relaxed atomics in arrays.
pub struct Metrics {
    version: String,
    sent: [[Traffic; FRAMES]; TRANSPORTS],
    received: [[Traffic; FRAMES]; TRANSPORTS],
    accepted: [[AtomicU64; CLIENTS]; TRANSPORTS],
    inflight: [[AtomicI64; CLIENTS]; TRANSPORTS],
    subscriptions_accepted: [AtomicU64; CLIENTS],
    subscriptions_inflight: [AtomicI64; CLIENTS],
    commands: [Histogram; COMMANDS],
    ping_pong: [Histogram; TRANSPORTS],
    broadcast: Histogram,
    broker_sent: [AtomicU64; BROKER_TYPES.len()],
    broker_received: [AtomicU64; BROKER_TYPES.len()],
    /// By recovered and has publications.
    recover: [[AtomicU64; 2]; 2],
    connection_limit: AtomicU64,
    suppressed: [AtomicU64; 2],
    reply_errors: ByCode<CommandCode>,
    unsubscribes: ByCode<u32>,
    disconnects: ByCode<u32>,
    closes: ByCode<(&'static str, u32)>,
    api: Mutex<BTreeMap<(&'static str, &'static str), Histogram>>,
    api_errors: ByCode<(&'static str, &'static str, Cow<'static, str>)>,
    http_requests: ByCode<(String, &'static str, u16)>,
}

/// A command's name and an error code.
type CommandCode = (&'static str, u32);
/// Counters that appear with their first use. Rare events only: it locks. Its keys are codes of ours or of the
/// backend, never a client's.
type ByCode<K> = Mutex<BTreeMap<K, u64>>;

#[derive(Default)]
struct Traffic {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Metrics {
    /// Counters at zero for a server of that version.
    #[must_use]
    pub fn new(version: &str) -> Self {
        fn table<T: Default, const N: usize>() -> [T; N] {
            std::array::from_fn(|_| T::default())
        }
        Self {
            version: version.to_owned(),
            sent: std::array::from_fn(|_| table()),
            received: std::array::from_fn(|_| table()),
            accepted: std::array::from_fn(|_| table()),
            inflight: std::array::from_fn(|_| table()),
            subscriptions_accepted: table(),
            subscriptions_inflight: table(),
            commands: std::array::from_fn(|_| Histogram::new(COMMAND_BOUNDS)),
            ping_pong: std::array::from_fn(|_| Histogram::new(COMMAND_BOUNDS)),
            broadcast: Histogram::new(BROADCAST_BOUNDS),
            broker_sent: table(),
            broker_received: table(),
            recover: std::array::from_fn(|_| table()),
            connection_limit: AtomicU64::new(0),
            suppressed: table(),
            reply_errors: ByCode::default(),
            unsubscribes: ByCode::default(),
            disconnects: ByCode::default(),
            closes: ByCode::default(),
            api: Mutex::default(),
            api_errors: ByCode::default(),
            http_requests: ByCode::default(),
        }
    }

    /// Messages queued for clients; `bytes` before framing and compression.
    pub fn sent(&self, transport: TransportKind, kind: FrameType, count: u64, bytes: u64) {
        traffic(&self.sent, transport, kind, count, bytes);
    }

    /// Messages from clients.
    pub fn received(&self, transport: TransportKind, kind: FrameType, count: u64, bytes: u64) {
        traffic(&self.received, transport, kind, count, bytes);
    }

    /// A client connected.
    pub fn connection_opened(&self, transport: TransportKind, client: ClientLabel) {
        if let Some(counter) = self
            .accepted
            .get(transport as usize)
            .and_then(|of| of.get(client.index()))
        {
            counter.fetch_add(1, Relaxed);
        }
        self.shift_inflight(transport, client, 1);
    }

    /// A connected client left.
    pub fn connection_closed(&self, transport: TransportKind, client: ClientLabel) {
        self.shift_inflight(transport, client, -1);
    }

    fn shift_inflight(&self, transport: TransportKind, client: ClientLabel, by: i64) {
        if let Some(gauge) = self
            .inflight
            .get(transport as usize)
            .and_then(|of| of.get(client.index()))
        {
            gauge.fetch_add(by, Relaxed);
        }
    }

    /// A subscription was made.
    pub fn subscribed(&self, client: ClientLabel) {
        if let Some(counter) = self.subscriptions_accepted.get(client.index()) {
            counter.fetch_add(1, Relaxed);
        }
        if let Some(gauge) = self.subscriptions_inflight.get(client.index()) {
            gauge.fetch_add(1, Relaxed);
        }
    }

    /// A subscription ended.
    pub fn unsubscribed(&self, client: ClientLabel) {
        if let Some(gauge) = self.subscriptions_inflight.get(client.index()) {
            gauge.fetch_sub(1, Relaxed);
        }
    }

    /// A command was answered.
    pub fn command(&self, kind: CommandKind, duration: Duration) {
        if let Some(histogram) = self.commands.get(kind.index()) {
            histogram.observe(duration);
        }
    }

    /// A ping was answered.
    pub fn ping_pong(&self, transport: TransportKind, duration: Duration) {
        if let Some(histogram) = self.ping_pong.get(transport as usize) {
            histogram.observe(duration);
        }
    }

    /// A publication was offered to all local subscribers.
    pub fn broadcast(&self, duration: Duration) {
        self.broadcast.observe(duration);
    }

    /// A publication went to the broker (`publication`), or a join or leave.
    pub fn broker_sent(&self, kind: FrameType) {
        count_broker(&self.broker_sent, kind);
    }

    /// The same came from the broker.
    pub fn broker_received(&self, kind: FrameType) {
        count_broker(&self.broker_received, kind);
    }

    /// A subscribe asked for recovery.
    pub fn recover(&self, recovered: bool, has_publications: bool) {
        if let Some(counter) = self
            .recover
            .get(usize::from(recovered))
            .and_then(|of| of.get(usize::from(has_publications)))
        {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// A connection was refused for the total limit.
    pub fn connection_limit_reached(&self) {
        self.connection_limit.fetch_add(1, Relaxed);
    }

    /// A publication was accepted but not delivered.
    pub fn publish_suppressed(&self, reason: Suppressed) {
        let index = usize::from(reason == Suppressed::Version);
        if let Some(counter) = self.suppressed.get(index) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// A command was answered with an error.
    pub fn reply_error(&self, kind: CommandKind, code: u32) {
        add(&self.reply_errors, (kind.name(), code));
    }

    /// The server ended a subscription.
    pub fn server_unsubscribe(&self, code: u32) {
        add(&self.unsubscribes, code);
    }

    /// The server ended a connection.
    pub fn disconnect(&self, code: u32) {
        add(&self.disconnects, bounded(code));
    }

    /// A transport was closed by the server with a code of its own protocol; counted for WebSocket only.
    pub fn transport_close(&self, transport: TransportKind, code: u32) {
        if transport == TransportKind::Websocket {
            add(&self.closes, (transport.name(), bounded(code)));
        }
    }

    /// A request ended. `path` must be a route's, not the peer's.
    pub fn http_request(&self, path: &str, method: &'static str, status: u16) {
        add(&self.http_requests, (path.to_owned(), method, status));
    }

    /// The page for Prometheus ([`TEXT_FORMAT`](super::TEXT_FORMAT)).
    #[must_use]
    pub fn render(&self, counts: Counts) -> String {
        let mut out = String::with_capacity(16 * 1024);
        for family in self.families(counts).iter().chain(&process::families()) {
            family.write_text(&mut out);
        }
        out
    }

    /// All metrics by flat key, for `info`.
    #[must_use]
    pub fn flatten(&self, counts: Counts) -> BTreeMap<String, MetricValue> {
        let mut flat = BTreeMap::new();
        for family in self.families(counts) {
            family.flatten(&mut flat);
        }
        flat
    }

    fn families(&self, counts: Counts) -> Vec<Family> {
        let mut families = self.node_families(counts);
        families.extend(self.client_families());
        families.extend(self.transport_families());
        families.extend(self.api_families());
        families
    }

    fn node_families(&self, counts: Counts) -> Vec<Family> {
        let gauge = |name, help, value: usize| single(name, help, MetricValue::Gauge(value as f64));
        let broker = |of: &[AtomicU64]| {
            BROKER_TYPES
                .iter()
                .zip(of)
                .map(|(kind, count)| {
                    (
                        vec![("channel_namespace", "".into()), ("type", (*kind).into())],
                        counter(count),
                    )
                })
                .collect()
        };
        let suppressed = [Suppressed::Idempotency, Suppressed::Version]
            .iter()
            .zip(&self.suppressed);
        vec![
            gauge(
                "centrifugo_node_num_clients",
                "Number of clients connected.",
                counts.clients,
            ),
            gauge(
                "centrifugo_node_num_users",
                "Number of unique users connected.",
                counts.users,
            ),
            gauge(
                "centrifugo_node_num_subscriptions",
                "Number of subscriptions.",
                counts.subscriptions,
            ),
            gauge(
                "centrifugo_node_num_channels",
                "Number of channels with one or more subscribers.",
                counts.channels,
            ),
            gauge("centrifugo_node_num_nodes", "Number of nodes in the cluster.", 1),
            Family {
                name: "centrifugo_node_build",
                help: "Node build info.",
                series: Series::Values(vec![(
                    vec![("version", self.version.clone().into())],
                    MetricValue::Gauge(1.0),
                )]),
            },
            values(
                "centrifugo_node_messages_sent_count",
                "Number of messages sent to the broker.",
                broker(&self.broker_sent),
            ),
            values(
                "centrifugo_node_messages_received_count",
                "Number of messages received from the broker.",
                broker(&self.broker_received),
            ),
            Family {
                name: "centrifugo_node_broadcast_duration_seconds",
                help: "Duration of the fan-out of one publication on this node.",
                series: Series::Histograms(vec![(
                    vec![("channel_namespace", "".into()), ("type", "publication".into())],
                    self.broadcast.read(),
                )]),
            },
            single(
                "centrifugo_node_client_connection_limit",
                "Number of connections refused for the node's limit.",
                counter(&self.connection_limit),
            ),
            values(
                "centrifugo_node_incoming_http_requests_total",
                "Number of finished HTTP requests.",
                coded(&self.http_requests, |(path, method, status)| {
                    vec![
                        ("method", (*method).into()),
                        ("path", path.clone().into()),
                        ("status", status.to_string().into()),
                    ]
                }),
            ),
            values(
                "centrifugo_broker_publish_suppressed_count",
                "Number of publications accepted and not delivered.",
                suppressed
                    .filter(|(_, count)| count.load(Relaxed) > 0)
                    .map(|(reason, count)| {
                        (
                            vec![("channel_namespace", "".into()), ("reason", reason.name().into())],
                            counter(count),
                        )
                    })
                    .collect(),
            ),
        ]
    }

    fn client_families(&self) -> Vec<Family> {
        let method =
            |kind: &CommandKind| vec![("channel_namespace", "".into()), ("method", kind.name().into())];
        let commands = || CommandKind::ALL.iter().zip(&self.commands);
        let yes_no = |index: usize| if index == 1 { "yes" } else { "no" };
        vec![
            values(
                "centrifugo_client_connections_accepted",
                "Number of connections accepted.",
                by_client(&self.accepted, counter),
            ),
            values(
                "centrifugo_client_connections_inflight",
                "Number of open connections.",
                by_client(&self.inflight, gauge),
            ),
            values(
                "centrifugo_client_subscriptions_accepted",
                "Number of subscriptions accepted.",
                by_name(&self.subscriptions_accepted, |of| {
                    MetricValue::Counter(of.load(Relaxed) as f64)
                }),
            ),
            values(
                "centrifugo_client_subscriptions_inflight",
                "Number of subscriptions.",
                by_name(&self.subscriptions_inflight, |of| {
                    MetricValue::Gauge(of.load(Relaxed) as f64)
                }),
            ),
            Family {
                name: "centrifugo_client_command_duration_seconds",
                help: "Duration of client commands.",
                series: Series::Summaries(commands().map(|(kind, of)| (method(kind), of.totals())).collect()),
            },
            Family {
                name: "centrifugo_client_command_duration_seconds_histogram",
                help: "Duration of client commands.",
                series: Series::Histograms(commands().map(|(kind, of)| (method(kind), of.read())).collect()),
            },
            values(
                "centrifugo_client_num_reply_errors",
                "Number of errors in replies to clients.",
                coded(&self.reply_errors, |(method, code)| {
                    vec![
                        ("channel_namespace", "".into()),
                        ("code", code.to_string().into()),
                        ("method", (*method).into()),
                    ]
                }),
            ),
            values(
                "centrifugo_client_num_server_unsubscribes",
                "Number of subscriptions ended by the server.",
                coded(&self.unsubscribes, |code| {
                    vec![
                        ("channel_namespace", "".into()),
                        ("code", code.to_string().into()),
                    ]
                }),
            ),
            values(
                "centrifugo_client_num_server_disconnects",
                "Number of connections ended by the server.",
                coded(&self.disconnects, |code| vec![("code", code.to_string().into())]),
            ),
            values(
                "centrifugo_client_recover",
                "Number of recovery attempts.",
                self.recover
                    .iter()
                    .enumerate()
                    .flat_map(|(recovered, of)| {
                        of.iter()
                            .enumerate()
                            .map(move |(has, count)| (recovered, has, count))
                    })
                    .filter(|(.., count)| count.load(Relaxed) > 0)
                    .map(|(recovered, has, count)| {
                        let labels = vec![
                            ("channel_namespace", "".into()),
                            ("has_recovered_publications", yes_no(has).into()),
                            ("recovered", yes_no(recovered).into()),
                        ];
                        (labels, counter(count))
                    })
                    .collect(),
            ),
            Family {
                name: "centrifugo_client_ping_pong_duration_seconds",
                help: "Time from a ping to its pong.",
                series: Series::Histograms(
                    TransportKind::ALL
                        .iter()
                        .filter_map(|kind| Some((kind, self.ping_pong.get(*kind as usize)?.read())))
                        .filter(|(_, reading)| reading.count > 0)
                        .map(|(kind, reading)| (vec![("transport", kind.name().into())], reading))
                        .collect(),
                ),
            },
        ]
    }

    fn transport_families(&self) -> Vec<Family> {
        let messages = |of: &Traffic| counter(&of.messages);
        let bytes = |of: &Traffic| counter(&of.bytes);
        vec![
            values(
                "centrifugo_transport_messages_sent",
                "Number of messages sent to clients.",
                by_frame(&self.sent, messages),
            ),
            values(
                "centrifugo_transport_messages_sent_size",
                "Bytes of messages sent to clients.",
                by_frame(&self.sent, bytes),
            ),
            values(
                "centrifugo_transport_messages_received",
                "Number of messages received from clients.",
                by_frame(&self.received, messages),
            ),
            values(
                "centrifugo_transport_messages_received_size",
                "Bytes of messages received from clients.",
                by_frame(&self.received, bytes),
            ),
            values(
                "centrifugo_transport_outgoing_close_count",
                "Number of close codes sent to clients.",
                coded(&self.closes, |(transport, code)| {
                    vec![
                        ("code", code.to_string().into()),
                        ("transport", (*transport).into()),
                    ]
                }),
            ),
        ]
    }

    fn api_families(&self) -> Vec<Family> {
        let labels = |(protocol, method): &(&'static str, &'static str)| -> Labels {
            vec![("method", (*method).into()), ("protocol", (*protocol).into())]
        };
        let api = self.api.lock();
        vec![
            Family {
                name: "centrifugo_api_command_duration_seconds",
                help: "Duration of server API commands.",
                series: Series::Summaries(api.iter().map(|(key, of)| (labels(key), of.totals())).collect()),
            },
            Family {
                name: "centrifugo_api_command_duration_seconds_histogram",
                help: "Duration of server API commands.",
                series: Series::Histograms(api.iter().map(|(key, of)| (labels(key), of.read())).collect()),
            },
            values(
                "centrifugo_api_command_errors_total",
                "Number of server API commands that failed.",
                coded(&self.api_errors, |(protocol, method, error)| {
                    vec![
                        ("error", error.clone()),
                        ("method", (*method).into()),
                        ("protocol", (*protocol).into()),
                    ]
                }),
            ),
        ]
    }
}

impl ApiObserver for Metrics {
    fn command(&self, protocol: Protocol, method: Method, duration: Duration) {
        let mut api = self.api.lock();
        let key = (protocol.name(), method.name());
        api.entry(key)
            .or_insert_with(|| Histogram::new(API_BOUNDS))
            .observe(duration);
    }

    fn error(&self, protocol: Protocol, method: Option<Method>, fault: Fault) {
        add(
            &self.api_errors,
            (protocol.name(), method.map_or("", Method::name), fault.label()),
        );
    }
}

/// Codes come from the server API as well: keep what it may invent from becoming series without end.
fn bounded(code: u32) -> u32 {
    if code < 5000 { code } else { 0 }
}

fn traffic(
    table: &[[Traffic; FRAMES]; TRANSPORTS],
    transport: TransportKind,
    kind: FrameType,
    count: u64,
    bytes: u64,
) {
    if let Some(of) = table.get(transport as usize).and_then(|of| of.get(kind.index())) {
        of.messages.fetch_add(count, Relaxed);
        of.bytes.fetch_add(bytes, Relaxed);
    }
}

fn count_broker(counters: &[AtomicU64; BROKER_TYPES.len()], kind: FrameType) {
    let index = match kind {
        FrameType::PushJoin => 1,
        FrameType::PushLeave => 2,
        FrameType::PushPublication => 3,
        _ => 0,
    };
    if let Some(counter) = counters.get(index) {
        counter.fetch_add(1, Relaxed);
    }
}

fn add<K: Ord>(counters: &ByCode<K>, key: K) {
    *counters.lock().entry(key).or_default() += 1;
}

fn counter(of: &AtomicU64) -> MetricValue {
    MetricValue::Counter(of.load(Relaxed) as f64)
}

fn gauge(of: &AtomicI64) -> MetricValue {
    MetricValue::Gauge(of.load(Relaxed) as f64)
}

fn single(name: &'static str, help: &'static str, value: MetricValue) -> Family {
    values(name, help, vec![(Vec::new(), value)])
}

fn values(name: &'static str, help: &'static str, values: Vec<(Labels, MetricValue)>) -> Family {
    Family {
        name,
        help,
        series: Series::Values(values),
    }
}

fn coded<K>(counters: &ByCode<K>, labels: impl Fn(&K) -> Labels) -> Vec<(Labels, MetricValue)> {
    counters
        .lock()
        .iter()
        .map(|(key, count)| (labels(key), MetricValue::Counter(*count as f64)))
        .collect()
}

fn by_client<A>(
    table: &[[A; CLIENTS]; TRANSPORTS],
    read: impl Fn(&A) -> MetricValue,
) -> Vec<(Labels, MetricValue)> {
    let mut series = Vec::new();
    for transport in TransportKind::ALL {
        for client in ClientLabel::ALL {
            let Some(value) = table
                .get(transport as usize)
                .and_then(|of| of.get(client.index()))
                .map(&read)
            else {
                continue;
            };
            // Series appear with their first use.
            if value != MetricValue::Counter(0.0) && value != MetricValue::Gauge(0.0) {
                let labels = vec![
                    ("accept_protocol", "".into()),
                    ("client_name", client.name().into()),
                    ("client_version", client.version().into()),
                    ("transport", transport.name().into()),
                ];
                series.push((labels, value));
            }
        }
    }
    series
}

/// Versions do not tell subscriptions apart: clients of one name are added up.
fn by_name<A>(table: &[A; CLIENTS], read: impl Fn(&A) -> MetricValue) -> Vec<(Labels, MetricValue)> {
    let mut series: Vec<(Labels, MetricValue)> = Vec::new();
    for client in ClientLabel::ALL {
        let Some(value) = table.get(client.index()).map(&read) else {
            continue;
        };
        let labels = vec![
            ("channel_namespace", "".into()),
            ("client_name", client.name().into()),
        ];
        match series.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, MetricValue::Gauge(sum) | MetricValue::Counter(sum))) => match value {
                MetricValue::Gauge(value) | MetricValue::Counter(value) => *sum += value,
            },
            None => series.push((labels, value)),
        }
    }
    series.retain(|(_, value)| !matches!(value, MetricValue::Gauge(0.0) | MetricValue::Counter(0.0)));
    series
}

fn by_frame(
    table: &[[Traffic; FRAMES]; TRANSPORTS],
    read: impl Fn(&Traffic) -> MetricValue,
) -> Vec<(Labels, MetricValue)> {
    let mut series = Vec::new();
    for transport in TransportKind::ALL {
        let Some(frames) = table.get(transport as usize) else {
            continue;
        };
        for (kind, of) in FrameType::ALL.iter().zip(frames) {
            if of.messages.load(Relaxed) > 0 {
                let labels = vec![
                    ("channel_namespace", "".into()),
                    ("frame_type", kind.name().into()),
                    ("transport", transport.name().into()),
                ];
                series.push((labels, read(of)));
            }
        }
    }
    series
}

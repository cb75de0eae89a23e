//! What is on the page: each family with its labels, read from the counters.

use std::borrow::Cow;

use tidegate_transports::TransportKind;

use super::codes::Codes;
use super::family::{Family, Labels, MetricValue, Series};
use super::histogram::{Distribution, Histogram};
use super::labels::{ClientLabel, CommandKind, FrameType, Label};
use super::registry::{Metrics, Population, Traffic};
use super::table::{Counter, Table};
use crate::engine::Inbound;
use crate::node::Counts;

/// The namespace of a channel, which the reference leaves empty in its open edition.
const NAMESPACE: (&str, &str) = ("channel_namespace", "");

impl Metrics {
    /// Every family, also those that have no series yet.
    pub(super) fn families(&self, counts: &Counts) -> Vec<Family> {
        let mut families = node_gauges(counts);
        families.extend(inbound(counts));
        families.extend(self.node());
        families.extend(self.clients());
        families.extend(self.commands());
        families.extend(self.transports());
        families.extend(self.api());
        families
    }

    fn node(&self) -> Vec<Family> {
        let build = vec![("version", Cow::Owned(self.version.clone()))];
        let broadcast = vec![(
            labels([NAMESPACE, ("type", "publication")]),
            self.broadcast.read(),
        )];
        vec![
            values(
                "centrifugo_node_build",
                "Version of the node.",
                vec![(build, MetricValue::Gauge(1.0))],
            ),
            values(
                "centrifugo_node_messages_sent_count",
                "Messages sent to the broker.",
                by_label(&self.broker_sent, "type", true),
            ),
            values(
                "centrifugo_node_messages_received_count",
                "Messages received from the broker.",
                by_label(&self.broker_received, "type", true),
            ),
            values(
                "centrifugo_node_action_count",
                "Actions carried out by the node.",
                by_label(&self.actions, "action", false),
            ),
            histograms(
                "centrifugo_node_broadcast_duration_seconds",
                "Time to offer a publication to all subscribers on the node.",
                broadcast,
            ),
            single(
                "centrifugo_node_client_connection_limit",
                "Connections refused for the node's limit.",
                self.connection_limit.value(),
            ),
            values(
                "centrifugo_node_incoming_http_requests_total",
                "HTTP requests that ended.",
                self.http_requests(),
            ),
            values(
                "centrifugo_broker_publish_suppressed_count",
                "Publications accepted but not delivered.",
                by_label(&self.suppressed, "reason", false),
            ),
        ]
    }

    fn http_requests(&self) -> Vec<(Labels, MetricValue)> {
        let mut series = Vec::new();
        for ((method, status), paths) in self.http_requests.lock().iter() {
            for (path, count) in paths {
                let labels = vec![
                    ("method", Cow::Borrowed(*method)),
                    ("path", path.clone().into()),
                    ("status", status.to_string().into()),
                ];
                series.push((labels, MetricValue::Counter(*count as f64)));
            }
        }
        series
    }

    fn clients(&self) -> Vec<Family> {
        let ping_pong = self.ping_pong.iter().map(|(transport, histogram)| {
            let labels = labels([("transport", transport.text())]);
            (labels, histogram.read())
        });
        vec![
            values(
                "centrifugo_client_connections_accepted",
                "Connections accepted.",
                by_client(&self.connections, |of| of.accepted.value()),
            ),
            values(
                "centrifugo_client_connections_inflight",
                "Connections open.",
                by_client(&self.connections, |of| of.inflight.value()),
            ),
            values(
                "centrifugo_client_subscriptions_accepted",
                "Subscriptions accepted.",
                by_client_name(&self.subscriptions, |of| of.accepted.value()),
            ),
            values(
                "centrifugo_client_subscriptions_inflight",
                "Subscriptions held.",
                by_client_name(&self.subscriptions, |of| of.inflight.value()),
            ),
            values(
                "centrifugo_client_num_server_unsubscribes",
                "Subscriptions ended by the server.",
                by_code(&self.unsubscribes, |code| {
                    vec![("channel_namespace", "".into()), ("code", code)]
                }),
            ),
            values(
                "centrifugo_client_num_server_disconnects",
                "Connections ended by the server.",
                by_code(&self.disconnects, |code| vec![("code", code)]),
            ),
            values(
                "centrifugo_client_recover",
                "Subscribe commands that asked for recovery.",
                self.recoveries(),
            ),
            values(
                "centrifugo_rate_limit_hits_over_limit",
                "Commands, and errors caused by commands, above an operation rate limit.",
                self.over_limits(),
            ),
            histograms(
                "centrifugo_client_ping_pong_duration_seconds",
                "Time from a ping to its pong.",
                ping_pong.filter(|(_, reading)| reading.count > 0).collect(),
            ),
        ]
    }

    fn recoveries(&self) -> Vec<(Labels, MetricValue)> {
        let mut series = Vec::new();
        for (recovered, counters) in self.recover.iter() {
            for (has_publications, counter) in counters.iter().filter(|(_, counter)| counter.get() > 0) {
                let labels = labels([
                    NAMESPACE,
                    ("has_recovered_publications", has_publications.text()),
                    ("recovered", recovered.text()),
                ]);
                series.push((labels, counter.value()));
            }
        }
        series
    }

    fn over_limits(&self) -> Vec<(Labels, MetricValue)> {
        let mut series = Vec::new();
        for (layer, counters) in self.over_limit.iter() {
            for (kind, counter) in counters.iter().filter(|(_, counter)| counter.get() > 0) {
                let labels = labels([("command", kind.text()), ("layer", layer.text())]);
                series.push((labels, counter.value()));
            }
        }
        series
    }

    fn commands(&self) -> Vec<Family> {
        let help = "Time to answer a command of a client.";
        let read = || {
            let of = |(kind, histogram): (CommandKind, &Histogram)| {
                (labels([NAMESPACE, ("method", kind.text())]), histogram.read())
            };
            self.commands.iter().map(of).collect()
        };
        let errors = self.reply_errors.iter().flat_map(|(kind, codes)| {
            by_code(codes, move |code| {
                vec![
                    ("channel_namespace", "".into()),
                    ("code", code),
                    ("method", kind.text().into()),
                ]
            })
        });
        vec![
            summaries("centrifugo_client_command_duration_seconds", help, read()),
            histograms(
                "centrifugo_client_command_duration_seconds_histogram",
                help,
                read(),
            ),
            values(
                "centrifugo_client_num_reply_errors",
                "Commands of clients answered with an error.",
                errors.collect(),
            ),
        ]
    }

    fn transports(&self) -> Vec<Family> {
        let messages = |of: &Traffic| of.messages.value();
        let bytes = |of: &Traffic| of.bytes.value();
        let closes = self.closes.iter().flat_map(|(transport, codes)| {
            by_code(codes, move |code| {
                vec![("code", code), ("transport", transport.text().into())]
            })
        });
        vec![
            values(
                "centrifugo_transport_messages_sent",
                "Messages sent to clients.",
                by_frame(&self.sent, messages),
            ),
            values(
                "centrifugo_transport_messages_sent_size",
                "Bytes of messages sent to clients, before compression and framing.",
                by_frame(&self.sent, bytes),
            ),
            values(
                "centrifugo_transport_messages_received",
                "Messages received from clients.",
                by_frame(&self.received, messages),
            ),
            values(
                "centrifugo_transport_messages_received_size",
                "Bytes of messages received from clients.",
                by_frame(&self.received, bytes),
            ),
            values(
                "centrifugo_transport_outgoing_close_count",
                "Connections closed by the server with a code.",
                closes.collect(),
            ),
        ]
    }

    fn api(&self) -> Vec<Family> {
        let help = "Time to carry out a method of the server API.";
        let read = || -> Vec<(Labels, Distribution)> {
            let mut series = Vec::new();
            for (protocol, methods) in self.api.iter() {
                for (method, histogram) in methods.iter() {
                    let labels = labels([("method", method.text()), ("protocol", protocol.text())]);
                    series.push((labels, histogram.read()));
                }
            }
            series.retain(|(_, reading)| reading.count > 0);
            series
        };
        let errors = self
            .api_errors
            .lock()
            .iter()
            .map(|((protocol, method, error), count)| {
                let labels = vec![
                    ("error", error.clone()),
                    ("method", (*method).into()),
                    ("protocol", (*protocol).into()),
                ];
                (labels, MetricValue::Counter(*count as f64))
            })
            .collect();
        vec![
            summaries("centrifugo_api_command_duration_seconds", help, read()),
            histograms("centrifugo_api_command_duration_seconds_histogram", help, read()),
            values(
                "centrifugo_api_command_errors_total",
                "Methods of the server API that failed.",
                errors,
            ),
        ]
    }
}

fn node_gauges(counts: &Counts) -> Vec<Family> {
    [
        (
            "centrifugo_node_num_clients",
            "Clients connected to the node.",
            counts.clients,
        ),
        (
            "centrifugo_node_num_users",
            "Users connected to the node.",
            counts.users,
        ),
        (
            "centrifugo_node_num_subscriptions",
            "Subscriptions on the node.",
            counts.subscriptions,
        ),
        (
            "centrifugo_node_num_channels",
            "Channels with subscribers on the node.",
            counts.channels,
        ),
        ("centrifugo_node_num_nodes", "Nodes of the cluster.", counts.nodes),
    ]
    .map(|(name, help, value)| single(name, help, MetricValue::Gauge(value as f64)))
    .into()
}

/// Messages on their way from Redis. The reference shows those that were dropped for any engine.
fn inbound(counts: &Counts) -> Vec<Family> {
    let (clients, nodes) = (&counts.from_broker, &counts.from_nodes);
    let of = |name: &'static str, value: &'static str| labels([("broker_name", ""), (name, value)]);
    let failed =
        |text, count: u64| (count > 0).then(|| (of("error", text), MetricValue::Counter(count as f64)));
    let mut errors = Vec::new();
    if let Some(Inbound { errors: counted, .. }) = clients {
        errors.extend(failed("connection", counted.connection));
        errors.extend(failed("handle_client_message", counted.message));
        errors.extend(failed("subscribe_channel", counted.subscribe));
    }
    if let Some(Inbound { errors: counted, .. }) = nodes {
        errors.extend(failed("control_connection", counted.connection));
        errors.extend(failed("handle_control_message", counted.message));
        errors.extend(failed("subscribe_control_channel", counted.subscribe));
    }
    let dropped = [("client", clients), ("control", nodes)].map(|(kind, inbound)| {
        let count = inbound.as_ref().map_or(0, |inbound| inbound.dropped);
        (of("channel_type", kind), MetricValue::Counter(count as f64))
    });
    let waiting = clients
        .iter()
        .flat_map(|inbound| inbound.waiting.iter().enumerate());
    let buffered = waiting.map(|(index, count)| {
        let mut labels = of("channel_type", "client");
        labels.push(("pub_sub_processor", index.to_string().into()));
        (labels, MetricValue::Gauge(*count as f64))
    });
    vec![
        values(
            "centrifugo_broker_redis_pub_sub_buffered_messages",
            "Messages from Redis that wait to be delivered.",
            buffered.collect(),
        ),
        values(
            "centrifugo_broker_redis_pub_sub_dropped_messages",
            "Messages from Redis for which there was no room.",
            dropped.into(),
        ),
        values(
            "centrifugo_broker_redis_pub_sub_errors",
            "Failures on the way from Redis.",
            errors,
        ),
    ]
}

/// Series of a label beside the namespace; all of them, or those that have been counted.
fn by_label<L: Label>(
    table: &Table<L, Counter>,
    name: &'static str,
    always: bool,
) -> Vec<(Labels, MetricValue)> {
    table
        .iter()
        .filter(|(_, counter)| always || counter.get() > 0)
        .map(|(label, counter)| (labels([NAMESPACE, (name, label.text())]), counter.value()))
        .collect()
}

fn by_code(codes: &Codes, labels: impl Fn(Cow<'static, str>) -> Labels) -> Vec<(Labels, MetricValue)> {
    codes
        .read()
        .into_iter()
        .map(|(code, count)| {
            (
                labels(code.to_string().into()),
                MetricValue::Counter(count as f64),
            )
        })
        .collect()
}

fn by_client(
    table: &Table<TransportKind, Table<ClientLabel, Population>>,
    read: impl Fn(&Population) -> MetricValue,
) -> Vec<(Labels, MetricValue)> {
    let mut series = Vec::new();
    for (transport, clients) in table.iter() {
        for (client, of) in clients.iter().filter(|(_, of)| of.accepted.get() > 0) {
            let labels = labels([
                ("accept_protocol", ""),
                ("client_name", client.text()),
                ("client_version", client.version()),
                ("transport", transport.text()),
            ]);
            series.push((labels, read(of)));
        }
    }
    series
}

/// Versions do not tell subscriptions apart: clients of one name are added up.
fn by_client_name(
    table: &Table<ClientLabel, Population>,
    read: impl Fn(&Population) -> MetricValue,
) -> Vec<(Labels, MetricValue)> {
    let mut series: Vec<(Labels, MetricValue)> = Vec::new();
    for (client, of) in table.iter().filter(|(_, of)| of.accepted.get() > 0) {
        let labels = labels([NAMESPACE, ("client_name", client.text())]);
        match series.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, MetricValue::Gauge(sum) | MetricValue::Counter(sum))) => *sum += read(of).get(),
            None => series.push((labels, read(of))),
        }
    }
    series
}

fn by_frame(
    table: &Table<TransportKind, Table<FrameType, Traffic>>,
    read: impl Fn(&Traffic) -> MetricValue,
) -> Vec<(Labels, MetricValue)> {
    let mut series = Vec::new();
    for (transport, frames) in table.iter() {
        for (kind, of) in frames.iter().filter(|(_, of)| of.messages.get() > 0) {
            let labels = labels([
                NAMESPACE,
                ("frame_type", kind.text()),
                ("transport", transport.text()),
            ]);
            series.push((labels, read(of)));
        }
    }
    series
}

/// In the order of names, as pages show labels.
fn labels<const N: usize>(mut pairs: [(&'static str, &'static str); N]) -> Labels {
    pairs.sort_unstable_by_key(|(name, _)| *name);
    pairs.map(|(name, text)| (name, text.into())).into()
}

fn single(name: &'static str, help: &'static str, value: MetricValue) -> Family {
    values(name, help, vec![(Vec::new(), value)])
}

fn values(name: &'static str, help: &'static str, values: Vec<(Labels, MetricValue)>) -> Family {
    family(name, help, Series::Values(values))
}

fn summaries(name: &'static str, help: &'static str, readings: Vec<(Labels, Distribution)>) -> Family {
    family(name, help, Series::Summaries(readings))
}

fn histograms(name: &'static str, help: &'static str, readings: Vec<(Labels, Distribution)>) -> Family {
    family(name, help, Series::Histograms(readings))
}

fn family(name: &'static str, help: &'static str, series: Series) -> Family {
    Family { name, help, series }
}

//! The page as a dashboard reads it, and the same inside `info`.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use tidegate_transports::TransportKind;

use super::labels::Label;
use super::*;
use crate::api::{ApiError, ApiObserver, Fault, Method, Protocol};
use crate::engine::Suppressed;
use crate::engine::{Inbound, InboundErrors};
use crate::limits::LimitLayer;
use crate::node::Counts;

const COUNTS: Counts = Counts {
    clients: 4,
    users: 3,
    channels: 2,
    subscriptions: 5,
    nodes: 1,
    from_broker: None,
    from_nodes: None,
};

/// Something of everything.
fn counted() -> Metrics {
    let metrics = Metrics::new("0.1.0 Tidegate");
    let client = ClientLabel::new("js", "");
    metrics.connection_opened(TransportKind::Websocket, client);
    metrics.connection_opened(TransportKind::Webtransport, ClientLabel::new("", ""));
    metrics.connection_closed(TransportKind::Webtransport, ClientLabel::new("", ""));
    metrics.subscribed(client);
    metrics.subscribed(ClientLabel::new("go", "1.0"));
    metrics.unsubscribed(client);
    metrics.sent(TransportKind::Websocket, FrameType::PushPublication, 3, 90);
    metrics.received(TransportKind::Sse, FrameType::Publish, 1, 40);
    metrics.command(CommandKind::Connect, Duration::from_micros(200));
    metrics.reply_error(CommandKind::Subscribe, 103);
    metrics.reply_error(CommandKind::Publish, 1000);
    metrics.ping_pong(TransportKind::Webtransport, Duration::from_millis(30));
    metrics.recover(true, false);
    metrics.broadcast(Duration::from_micros(3));
    metrics.broker_sent(FrameType::PushPublication);
    metrics.broker_received(FrameType::PushJoin);
    metrics.action(Action::HistoryRemove);
    metrics.publish_suppressed(Suppressed::Idempotency);
    metrics.connection_limit_reached();
    metrics.over_limit(LimitLayer::UserCommand, CommandKind::Publish);
    metrics.http_request("/api/publish", "POST", 200);
    metrics.http_request("/api/publish", "POST", 200);
    metrics.http_request("other", "GET", 404);
    metrics.server_unsubscribe(2500);
    metrics.disconnect(3501);
    metrics.transport_close(TransportKind::Websocket, 3501);
    metrics.transport_close(TransportKind::Sse, 3501);
    ApiObserver::command(
        &metrics,
        Protocol::Http,
        Method::Publish,
        Duration::from_millis(1),
    );
    metrics.error(
        Protocol::Http,
        Some(Method::Publish),
        Fault::Answered(ApiError::UnknownChannel),
    );
    metrics.error(Protocol::Http, None, Fault::Unmarshal);
    metrics
}

/// What of the page is the same wherever it is rendered, without buckets and help.
fn golden(metrics: &Metrics) -> String {
    let page = metrics.render(&COUNTS);
    let is_ours = |line: &&str| line.starts_with("centrifugo_") && !line.contains("_bucket{");
    page.lines()
        .filter(is_ours)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_page_has_the_series_that_dashboards_query() {
    let mut expected = String::new();
    let mut expect = |lines: &str| {
        for line in lines.lines() {
            let line = line.trim().replace("NS", "channel_namespace=\"\"");
            if !line.is_empty() {
                expected.push_str(&format!("centrifugo_{line}\n"));
            }
        }
    };
    expect(
        r#"
        api_command_duration_seconds_sum{method="publish",protocol="http"} 0.001
        api_command_duration_seconds_count{method="publish",protocol="http"} 1
        api_command_duration_seconds_histogram_sum{method="publish",protocol="http"} 0.001
        api_command_duration_seconds_histogram_count{method="publish",protocol="http"} 1
        api_command_errors_total{error="unmarshal",method="",protocol="http"} 1
        api_command_errors_total{error="102",method="publish",protocol="http"} 1
        broker_publish_suppressed_count{NS,reason="idempotency"} 1
        broker_redis_pub_sub_dropped_messages{broker_name="",channel_type="client"} 0
        broker_redis_pub_sub_dropped_messages{broker_name="",channel_type="control"} 0
        "#,
    );
    for name in ["seconds", "seconds_histogram"] {
        for kind in CommandKind::ALL {
            let (sum, count) = if *kind == CommandKind::Connect {
                ("0.0002", 1)
            } else {
                ("0", 0)
            };
            let method = kind.name();
            expect(&format!(
                "client_command_duration_{name}_sum{{NS,method=\"{method}\"}} {sum}"
            ));
            expect(&format!(
                "client_command_duration_{name}_count{{NS,method=\"{method}\"}} {count}"
            ));
        }
    }
    expect(
        r#"
        client_connections_accepted{accept_protocol="",client_name="unregistered",client_version="unversioned",transport="websocket"} 1
        client_connections_accepted{accept_protocol="",client_name="unnamed",client_version="unversioned",transport="webtransport"} 1
        client_connections_inflight{accept_protocol="",client_name="unregistered",client_version="unversioned",transport="websocket"} 1
        client_connections_inflight{accept_protocol="",client_name="unnamed",client_version="unversioned",transport="webtransport"} 0
        client_num_reply_errors{NS,code="103",method="subscribe"} 1
        client_num_reply_errors{NS,code="1000",method="publish"} 1
        client_num_server_disconnects{code="3501"} 1
        client_num_server_unsubscribes{NS,code="2500"} 1
        client_ping_pong_duration_seconds_sum{transport="webtransport"} 0.03
        client_ping_pong_duration_seconds_count{transport="webtransport"} 1
        client_recover{NS,has_recovered_publications="no",recovered="yes"} 1
        client_subscriptions_accepted{NS,client_name="unregistered"} 2
        client_subscriptions_inflight{NS,client_name="unregistered"} 1
        node_action_count{action="add_client",NS} 2
        node_action_count{action="remove_client",NS} 1
        node_action_count{action="add_subscription",NS} 2
        node_action_count{action="remove_subscription",NS} 1
        node_action_count{action="history_remove",NS} 1
        node_broadcast_duration_seconds_sum{NS,type="publication"} 0.000003
        node_broadcast_duration_seconds_count{NS,type="publication"} 1
        node_build{version="0.1.0 Tidegate"} 1
        node_client_connection_limit 1
        node_incoming_http_requests_total{method="GET",path="other",status="404"} 1
        node_incoming_http_requests_total{method="POST",path="/api/publish",status="200"} 2
        node_messages_received_count{NS,type="control"} 0
        node_messages_received_count{NS,type="join"} 1
        node_messages_received_count{NS,type="leave"} 0
        node_messages_received_count{NS,type="publication"} 0
        node_messages_sent_count{NS,type="control"} 0
        node_messages_sent_count{NS,type="join"} 0
        node_messages_sent_count{NS,type="leave"} 0
        node_messages_sent_count{NS,type="publication"} 1
        node_num_channels 2
        node_num_clients 4
        node_num_nodes 1
        node_num_subscriptions 5
        node_num_users 3
        rate_limit_hits_over_limit{command="publish",layer="user_command"} 1
        transport_messages_received{NS,frame_type="publish",transport="sse"} 1
        transport_messages_received_size{NS,frame_type="publish",transport="sse"} 40
        transport_messages_sent{NS,frame_type="push_publication",transport="websocket"} 3
        transport_messages_sent_size{NS,frame_type="push_publication",transport="websocket"} 90
        transport_outgoing_close_count{code="3501",transport="websocket"} 1
        "#,
    );
    assert_eq!(golden(&counted()), expected);
}

#[test]
fn a_fresh_server_shows_what_is_always_there() {
    let page = Metrics::new("1").render(&COUNTS);
    let families: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE centrifugo_"))
        .collect();
    assert_eq!(
        families,
        [
            "broker_redis_pub_sub_dropped_messages counter",
            "client_command_duration_seconds summary",
            "client_command_duration_seconds_histogram histogram",
            "node_broadcast_duration_seconds histogram",
            "node_build gauge",
            "node_client_connection_limit counter",
            "node_messages_received_count counter",
            "node_messages_sent_count counter",
            "node_num_channels gauge",
            "node_num_clients gauge",
            "node_num_nodes gauge",
            "node_num_subscriptions gauge",
            "node_num_users gauge",
        ]
    );
}

#[test]
fn messages_on_their_way_from_redis_are_counted() {
    let counts = Counts {
        from_broker: Some(Inbound {
            errors: InboundErrors {
                message: 1,
                subscribe: 2,
                connection: 3,
            },
            dropped: 4,
            waiting: vec![0, 5],
        }),
        from_nodes: Some(Inbound {
            errors: InboundErrors {
                message: 8,
                subscribe: 6,
                connection: 7,
            },
            dropped: 0,
            waiting: Vec::new(),
        }),
        ..COUNTS
    };
    let page = Metrics::new("1").render(&counts);
    let lines: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("centrifugo_broker_redis_pub_sub_"))
        .collect();
    assert_eq!(
        lines,
        [
            r#"buffered_messages{broker_name="",channel_type="client",pub_sub_processor="0"} 0"#,
            r#"buffered_messages{broker_name="",channel_type="client",pub_sub_processor="1"} 5"#,
            r#"dropped_messages{broker_name="",channel_type="client"} 4"#,
            r#"dropped_messages{broker_name="",channel_type="control"} 0"#,
            r#"errors{broker_name="",error="connection"} 3"#,
            r#"errors{broker_name="",error="handle_client_message"} 1"#,
            r#"errors{broker_name="",error="subscribe_channel"} 2"#,
            r#"errors{broker_name="",error="control_connection"} 7"#,
            r#"errors{broker_name="",error="handle_control_message"} 8"#,
            r#"errors{broker_name="",error="subscribe_control_channel"} 6"#,
        ]
    );
}

/// The rules of the text format that a scraper insists on.
#[test]
fn the_page_is_well_formed() {
    let page = counted().render(&COUNTS);
    let mut types = BTreeMap::new();
    let mut series = BTreeSet::new();
    let mut current = "";
    for line in page.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} is declared twice");
            current = name;
        } else if !line.starts_with("# HELP ") {
            let (id, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{line}");
            assert!(series.insert(id), "{id} is there twice");
            let suffix = id.split('{').next().unwrap().strip_prefix(current).unwrap();
            let allowed: &[&str] = match types[current] {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["_sum", "_count"],
                _ => &[""],
            };
            assert!(allowed.contains(&suffix), "{line}");
        }
    }
    assert!(page.ends_with('\n'));
    assert_eq!(
        page.matches("centrifugo_client_recover{").count(),
        1,
        "unused series stay away"
    );
}

#[test]
fn flat_keys_split_the_name_and_drop_empty_labels() {
    let flat = counted().flatten(&COUNTS);
    for (key, value) in [
        ("centrifugo.node.num_clients", MetricValue::Gauge(4.0)),
        (
            "centrifugo.transport.messages_sent.frame_type.push_publication.transport.websocket",
            MetricValue::Counter(3.0),
        ),
        (
            "centrifugo.client.command_duration_seconds.count.method.connect",
            MetricValue::Counter(1.0),
        ),
        (
            "centrifugo.client.command_duration_seconds.sum.method.rpc",
            MetricValue::Counter(0.0),
        ),
        (
            "centrifugo.api.command_errors_total.error.102.method.publish.protocol.http",
            MetricValue::Counter(1.0),
        ),
    ] {
        assert_eq!(flat.get(key), Some(&value), "{key}");
    }
    assert!(flat.keys().all(|key| key.starts_with("centrifugo.")));
    assert!(!flat.keys().any(|key| key.contains("histogram")));
}

#[test]
fn counters_inside_info_are_changes() {
    let counter = MetricValue::Counter(5.0);
    assert_eq!(counter.change_since(None), 0.0);
    assert_eq!(counter.change_since(Some(None)), 5.0);
    assert_eq!(counter.change_since(Some(Some(MetricValue::Counter(3.0)))), 2.0);
    assert_eq!(
        MetricValue::Gauge(7.0).change_since(Some(Some(MetricValue::Gauge(3.0)))),
        7.0
    );
}

#[test]
fn threads_lose_no_count() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 2_000;
    let metrics = Metrics::new("1");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let client = ClientLabel::new("js", "1");
                for round in 0..ROUNDS {
                    metrics.connection_opened(TransportKind::Websocket, client);
                    metrics.sent(TransportKind::Websocket, FrameType::PushPublication, 2, 10);
                    metrics.command(CommandKind::Publish, Duration::from_micros(round));
                    metrics.reply_error(CommandKind::Publish, 100 + u32::try_from(round % 64).unwrap());
                    metrics.connection_closed(TransportKind::Websocket, client);
                }
            });
        }
        // Reading meanwhile neither waits nor disturbs.
        assert!(
            metrics
                .render(&COUNTS)
                .contains("centrifugo_node_num_clients 4\n")
        );
    });
    let total = (THREADS * ROUNDS) as f64;
    let flat = metrics.flatten(&COUNTS);
    let sum = |prefix: &str| -> f64 {
        let values = flat.iter().filter(|(key, _)| key.starts_with(prefix));
        values.map(|(_, value)| value.get()).sum()
    };
    assert_eq!(sum("centrifugo.client.connections_accepted"), total);
    assert_eq!(sum("centrifugo.client.connections_inflight"), 0.0);
    assert_eq!(sum("centrifugo.transport.messages_sent.frame_type"), 2.0 * total);
    assert_eq!(sum("centrifugo.transport.messages_sent_size"), 10.0 * total);
    assert_eq!(
        sum("centrifugo.client.command_duration_seconds.count.method.publish"),
        total
    );
    assert_eq!(sum("centrifugo.client.num_reply_errors"), total);
}

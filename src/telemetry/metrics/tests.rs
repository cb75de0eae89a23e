use std::time::Duration;

use tidegate_transports::TransportKind;

use super::*;
use crate::api::{ApiObserver, Method, Protocol};
use crate::node::Counts;

fn counted() -> Metrics {
    let metrics = Metrics::new("0.1.0 Tidegate");
    let client = ClientLabel::new("js", "");
    metrics.connection_opened(TransportKind::Websocket, client);
    metrics.subscribed(client);
    metrics.sent(TransportKind::Websocket, FrameType::PushPublication, 3, 90);
    metrics.command(CommandKind::Connect, Duration::from_micros(200));
    metrics.reply_error(CommandKind::Subscribe, 103);
    metrics.disconnect(3501);
    ApiObserver::command(
        &metrics,
        Protocol::Http,
        Method::Publish,
        Duration::from_millis(1),
    );
    metrics
}

const COUNTS: Counts = Counts {
    clients: 1,
    users: 1,
    channels: 1,
    subscriptions: 1,
};

#[test]
fn the_page_has_the_names_that_dashboards_query() {
    let page = counted().render(COUNTS);
    for line in [
        "# TYPE centrifugo_node_num_clients gauge\ncentrifugo_node_num_clients 1\n",
        "centrifugo_node_build{version=\"0.1.0 Tidegate\"} 1\n",
        "centrifugo_client_connections_inflight{accept_protocol=\"\",client_name=\"unregistered\",client_version=\"unversioned\",transport=\"websocket\"} 1\n",
        "centrifugo_transport_messages_sent{channel_namespace=\"\",frame_type=\"push_publication\",transport=\"websocket\"} 3\n",
        "centrifugo_transport_messages_sent_size{channel_namespace=\"\",frame_type=\"push_publication\",transport=\"websocket\"} 90\n",
        "centrifugo_client_command_duration_seconds_count{channel_namespace=\"\",method=\"connect\"} 1\n",
        "centrifugo_client_command_duration_seconds_histogram_bucket{channel_namespace=\"\",method=\"connect\",le=\"0.0001\"} 0\n",
        "centrifugo_client_command_duration_seconds_histogram_bucket{channel_namespace=\"\",method=\"connect\",le=\"0.00025\"} 1\n",
        "centrifugo_client_command_duration_seconds_histogram_bucket{channel_namespace=\"\",method=\"connect\",le=\"+Inf\"} 1\n",
        "centrifugo_client_num_reply_errors{channel_namespace=\"\",code=\"103\",method=\"subscribe\"} 1\n",
        "centrifugo_client_num_server_disconnects{code=\"3501\"} 1\n",
        "centrifugo_api_command_duration_seconds_count{method=\"publish\",protocol=\"http\"} 1\n",
    ] {
        assert!(page.contains(line), "missing {line} in\n{page}");
    }
    assert!(
        !page.contains("centrifugo_client_recover{"),
        "unused series stay away"
    );
}

#[test]
fn flat_keys_split_the_name_and_drop_empty_labels() {
    let flat = counted().flatten(COUNTS);
    assert_eq!(
        flat.get("centrifugo.node.num_clients"),
        Some(&MetricValue::Gauge(1.0))
    );
    let key = "centrifugo.transport.messages_sent.frame_type.push_publication.transport.websocket";
    assert_eq!(flat.get(key), Some(&MetricValue::Counter(3.0)));
    let key = "centrifugo.client.command_duration_seconds.count.method.connect";
    assert_eq!(flat.get(key), Some(&MetricValue::Counter(1.0)));
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
fn labels_survive_any_text() {
    let metrics = Metrics::new("a\"b\\c\nd");
    assert!(metrics.render(COUNTS).contains(r#"version="a\"b\\c\nd""#));
}

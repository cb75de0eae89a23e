//! Nodes that NATS joins, and what clients and backends see of it (engines.md 11).

use serde_json::{Value, json};

use crate::nats_server::NatsServer;
use crate::nodes::known;
use crate::servers::eventually;
use crate::support::http::Request;
use crate::support::{Peer, TestServer, merge};

async fn nodes(nats: &NatsServer, options: Value) -> Vec<TestServer> {
    let mut nodes = Vec::new();
    for index in 0..2 {
        let mut config = json!({
            "client": { "insecure": true },
            "node": { "name": format!("node-{index}") },
            "broker": { "enabled": true, "type": "nats", "nats": { "url": nats.address() } },
            "channel": {
                "without_namespace": { "join_leave": true, "allow_publish_for_client": true },
                "namespaces": [
                    { "name": "hist", "history_size": 10, "history_ttl": "60s", "force_recovery": true },
                    { "name": "delta", "allowed_delta_types": ["fossil"], "delta_publish": true }
                ]
            }
        });
        merge(&mut config["broker"]["nats"], options.clone());
        nodes.push(TestServer::start(config).await);
    }
    for node in &nodes {
        eventually("nodes that know each other", async || {
            (known(node).await.len() == 2).then_some(())
        })
        .await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_every_node_are_reached() {
    let nats = NatsServer::start(false, &[]);
    let nodes = nodes(&nats, json!({})).await;
    let mut peers = [nodes[0].user("1").await, nodes[1].user("2").await];
    for peer in &mut peers {
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
    }
    nodes[0].publish("a", json!({ "n": 1 })).await;
    for peer in &mut peers {
        peer.expect(r#"{"push":{"channel":"a","pub":{"data":{"n":1}}}}"#)
            .await;
    }
    let all = nodes[1].api("channels", json!({})).await;
    assert_eq!(all, r#"{"result":{"channels":{"a":{"num_clients":2}}}}"#);
    let disconnect = json!({ "user": "1", "disconnect": { "code": 4321, "reason": "go" } });
    assert_eq!(nodes[1].api("disconnect", disconnect).await, r#"{"result":{}}"#);
    peers[0].expect_close(4321, "go").await;
    assert_eq!(
        nodes[0].api("block_user", json!({ "user": "2" })).await,
        r#"{"result":{}}"#
    );
    peers[1].expect_close(3507, "permission denied").await;

    let mut streaming = Peer::http_stream(&nodes[0], r#"{"id":1,"connect":{}}"#).await;
    streaming.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true,"session":"<session>","node":"<node>"}}"#).await;
    let (session, node) = (
        streaming.name("session").to_owned(),
        streaming.name("node").to_owned(),
    );
    let body = json!({ "session": session, "node": node, "data": r#"{"id":2,"subscribe":{"channel":"b"}}"# });
    let request = Request::post("/emulation", body.to_string()).header("Content-Type", "application/json");
    assert_eq!(nodes[1].request(request).await.status, 204);
    streaming.expect(r#"{"id":2,"subscribe":{}}"#).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_history_is_refused() {
    const INTERNAL: &str = r#"{"error":{"code":100,"message":"internal server error"}}"#;
    let nats = NatsServer::start(false, &[]);
    let nodes = nodes(&nats, json!({})).await;
    let mut peer = nodes[0].user("1").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"hist:a"}}"#,
        r#"{"id":2,"error":{"code":108,"message":"not available"}}"#,
    )
    .await;
    for method in ["history", "history_remove"] {
        assert_eq!(
            nodes[0]
                .api(method, json!({ "channel": "hist:a", "limit": 1 }))
                .await,
            INTERNAL
        );
    }
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"a*"}}"#,
        r#"{"id":3,"error":{"code":107,"message":"bad request"}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"publish":{"channel":"a*","data":1}}"#,
        r#"{"id":4,"error":{"code":107,"message":"bad request"}}"#,
    )
    .await;
    assert_eq!(
        nodes[0]
            .api("publish", json!({ "channel": "a*", "data": 1 }))
            .await,
        INTERNAL
    );
    assert_eq!(
        nodes[0]
            .api("publish", json!({ "channel": "a b", "data": 1 }))
            .await,
        INTERNAL
    );
    // Differences are agreed on, and publications are whole all the same.
    peer.ask(
        r#"{"id":5,"subscribe":{"channel":"delta:a","delta":"fossil"}}"#,
        r#"{"id":5,"subscribe":{"delta":true}}"#,
    )
    .await;
    let text = "x".repeat(100);
    for _ in 0..2 {
        nodes[1].publish("delta:a", json!({ "t": text })).await;
        let escaped = json!({ "t": text }).to_string();
        let push = json!({ "push": { "channel": "delta:a", "pub": { "data": escaped } } });
        peer.expect(&push.to_string()).await;
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_wildcards_are_told_the_channel() {
    let nats = NatsServer::start(false, &[]);
    let nodes = nodes(&nats, json!({ "allow_wildcards": true })).await;
    let mut peer = nodes[0].user("1").await;
    for (id, channel) in [(2, "news.*"), (3, "news.a")] {
        peer.ask(
            &json!({ "id": id, "subscribe": { "channel": channel } }).to_string(),
            &json!({ "id": id, "subscribe": {} }).to_string(),
        )
        .await;
    }
    nodes[1].publish("news.b", json!(1)).await;
    peer.expect(r#"{"push":{"channel":"news.*","pub":{"data":1,"channel":"news.b"}}}"#)
        .await;
    let mut all = nodes[1].user("2").await;
    all.ask(
        r#"{"id":2,"subscribe":{"channel":"news.>"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    nodes[0].publish("news.c.d", json!(2)).await;
    all.expect(r#"{"push":{"channel":"news.\u003e","pub":{"data":2,"channel":"news.c.d"}}}"#)
        .await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_recovered_from_jetstream_on_another_node() {
    let nats = NatsServer::start(true, &[]);
    let nodes = nodes(
        &nats,
        json!({ "jetstream": { "enabled": true, "storage": "memory" } }),
    )
    .await;
    let mut peer = nodes[0].user("1").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"hist:a"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    nodes[1].publish("hist:a", json!(1)).await;
    peer.expect(r#"{"push":{"channel":"hist:a","pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    let epoch = peer.name("epoch").to_owned();
    drop(peer);
    for number in 2..5 {
        nodes[0].publish("hist:a", json!(number)).await;
    }
    let mut back = nodes[1].user("1").await;
    let subscribe = json!({ "id": 2, "subscribe": {
        "channel": "hist:a", "recover": true, "offset": 1, "epoch": epoch
    } });
    back.send(&subscribe.to_string());
    let reply: Value = serde_json::from_str(&back.message("the recovery").await).unwrap();
    let result = &reply["subscribe"];
    assert_eq!(
        (&result["recovered"], &result["epoch"]),
        (&json!(true), &json!(epoch)),
        "{reply}"
    );
    let offsets: Vec<_> = result["publications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["offset"].clone())
        .collect();
    assert_eq!(offsets, [2, 3, 4]);
    assert_eq!(
        nodes[0]
            .api("history_remove", json!({ "channel": "hist:a" }))
            .await,
        r#"{"result":{}}"#
    );
    let history: Value = serde_json::from_str(
        &nodes[1]
            .api("history", json!({ "channel": "hist:a", "limit": 10 }))
            .await,
    )
    .unwrap();
    assert_eq!(history["result"]["publications"], json!([]));
    assert_eq!(history["result"]["offset"], json!(4));
    for node in nodes {
        node.stop().await;
    }
}

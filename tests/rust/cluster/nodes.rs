//! Nodes that know each other.

use serde_json::{Value, json};

use crate::servers::{Server, eventually};
use crate::support::{TestServer, merge};

/// A node on a Redis.
pub async fn node(redis: &Server, changes: Value) -> TestServer {
    let mut config = json!({
        "client": { "insecure": true },
        "engine": { "type": "redis", "redis": { "address": format!("127.0.0.1:{}", redis.port) } },
        "ready": { "enabled": true },
        "channel": {
            "without_namespace": { "presence": true, "join_leave": true },
            "namespaces": [{ "name": "hist", "history_size": 10, "history_ttl": "60s", "force_recovery": true }]
        }
    });
    merge(&mut config, changes);
    TestServer::start(config).await
}

/// Nodes that know each other.
pub async fn nodes(redis: &Server, count: usize) -> Vec<TestServer> {
    let mut nodes = Vec::new();
    for index in 0..count {
        nodes.push(node(redis, json!({ "node": { "name": format!("node-{index}") } })).await);
    }
    for node in &nodes {
        eventually("nodes that know each other", async || {
            (known(node).await.len() == count).then_some(())
        })
        .await;
    }
    nodes
}

/// The nodes that a node names.
pub async fn known(node: &TestServer) -> Vec<Value> {
    let info: Value = serde_json::from_str(&node.api("info", json!({})).await).unwrap();
    info["result"]["nodes"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_knows_all_of_them() {
    let redis = Server::start(&[]);
    let mut nodes = nodes(&redis, 3).await;
    let _peer = nodes[1].user("42").await;
    for node in &nodes {
        let mut names: Vec<_> = known(node)
            .await
            .iter()
            .map(|info| info["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["node-0", "node-1", "node-2"]);
        eventually("the client in the numbers", async || {
            let known = known(node).await;
            let of = known.iter().find(|info| info["name"] == "node-1").unwrap();
            let is_ours = of["version"].as_str().unwrap().ends_with(" Tidegate");
            (is_ours && of["num_clients"] == json!(1) && of["num_users"] == json!(1)).then_some(())
        })
        .await;
    }
    for node in &nodes {
        assert_eq!(node.node().counts().nodes, 3);
    }
    // The one that leaves says so: nobody waits for its silence.
    nodes.remove(2).stop().await;
    eventually("its absence", async || {
        (known(&nodes[0]).await.len() == 2).then_some(())
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publications_presence_and_history_are_everywhere() {
    let redis = Server::start(&[]);
    let nodes = nodes(&redis, 2).await;
    let mut one = nodes[0].user("1").await;
    let mut two = nodes[1].user("2").await;
    one.ask(
        r#"{"id":2,"subscribe":{"channel":"hist:a"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    two.ask(
        r#"{"id":2,"subscribe":{"channel":"hist:a"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    assert_eq!(one.name("epoch"), two.name("epoch"));
    nodes[1].publish("hist:a", json!({ "n": 1 })).await;
    let push = r#"{"push":{"channel":"hist:a","pub":{"data":{"n":1},"offset":1,"epoch":"<epoch>"}}}"#;
    one.expect(push).await;
    two.expect(push).await;
    let history = nodes[0]
        .api("history", json!({ "channel": "hist:a", "limit": 10 }))
        .await;
    assert!(history.contains(r#""data":{"n":1},"offset":1"#), "{history}");

    one.ask(
        r#"{"id":3,"subscribe":{"channel":"room"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    two.ask(
        r#"{"id":3,"subscribe":{"channel":"room"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    for node in &nodes {
        let stats = node.api("presence_stats", json!({ "channel": "room" })).await;
        assert_eq!(stats, r#"{"result":{"num_clients":2,"num_users":2}}"#);
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_those_of_all_nodes() {
    let redis = Server::start(&[]);
    let nodes = nodes(&redis, 3).await;
    let mut peers = Vec::new();
    for (node, channels) in nodes.iter().zip([&["a", "b"][..], &["b", "c"], &["b"]]) {
        let mut peer = node.user("42").await;
        for (index, channel) in channels.iter().enumerate() {
            let id = index + 2;
            peer.ask(
                &json!({ "id": id, "subscribe": { "channel": channel } }).to_string(),
                &json!({ "id": id, "subscribe": {} }).to_string(),
            )
            .await;
        }
        peers.push(peer);
    }
    for node in &nodes {
        let all = node.api("channels", json!({})).await;
        assert_eq!(
            all,
            r#"{"result":{"channels":{"a":{"num_clients":1},"b":{"num_clients":3},"c":{"num_clients":1}}}}"#
        );
        let some = node.api("channels", json!({ "pattern": "[ac]" })).await;
        assert_eq!(
            some,
            r#"{"result":{"channels":{"a":{"num_clients":1},"c":{"num_clients":1}}}}"#
        );
    }
    for node in nodes {
        node.stop().await;
    }
}

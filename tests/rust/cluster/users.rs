//! Connections of one user to all nodes.

use serde_json::json;

use crate::nodes::node;
use crate::servers::{Server, eventually};
use crate::support::token;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_that_many_connections_to_all_nodes() {
    let mut redis = Server::start(&[]);
    let limited = json!({ "client": { "user_connection_limit_cluster": 2, "insecure": false } });
    let nodes = [node(&redis, limited.clone()).await, node(&redis, limited).await];
    for node in &nodes {
        eventually("Redis", async || node.node().readiness().ready.then_some(())).await;
    }
    let connect = |user: &str| {
        format!(
            r#"{{"id":1,"connect":{{"token":"{}"}}}}"#,
            token(&json!({ "sub": user }))
        )
    };
    let first = nodes[0].user("42").await;
    let _second = nodes[1].user("42").await;
    for node in &nodes {
        let mut third = node.websocket().await;
        third.send(&connect("42"));
        third.expect_close(3504, "connection limit").await;
    }
    let _other = nodes[0].user("43").await;
    drop(first);
    eventually("a free place", async || {
        let mut peer = nodes[1].websocket().await;
        peer.send(&connect("42"));
        let crate::support::Heard::Frame(frame) = peer.hear("an answer").await else {
            return None;
        };
        String::from_utf8(frame)
            .unwrap()
            .contains("\"client\"")
            .then_some(())
    })
    .await;
    // Who cannot be counted is let in.
    redis.kill();
    eventually("the loss", async || {
        (!nodes[0].node().readiness().ready).then_some(())
    })
    .await;
    let _third = nodes[0].user("42").await;
    for node in nodes {
        node.stop().await;
    }
}

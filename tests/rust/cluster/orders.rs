//! What the API asks of one node happens at all of them.

use serde_json::json;

use crate::nodes::nodes;
use crate::servers::{Server, eventually};
use crate::support::Peer;

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_every_node_are_reached() {
    let redis = Server::start(&[]);
    let nodes = nodes(&redis, 2).await;
    let mut peers = [nodes[0].user("42").await, nodes[1].user("42").await];
    let mut other = nodes[1].user("43").await;

    let answer = nodes[0]
        .api(
            "subscribe",
            json!({ "user": "42", "channel": "hist:a", "data": { "d": 1 }, "override": { "force_recovery": { "value": false } } }),
        )
        .await;
    assert_eq!(answer, r#"{"result":{}}"#);
    for peer in &mut peers {
        peer.expect(r#"{"push":{"channel":"hist:a","subscribe":{"data":{"d":1}}}}"#)
            .await;
    }
    nodes[1].publish("hist:a", json!(1)).await;
    for peer in &mut peers {
        peer.expect(r#"{"push":{"channel":"hist:a","pub":{"data":1,"offset":1,"epoch":"<epoch>"}}}"#)
            .await;
    }
    assert_eq!(
        nodes[1]
            .api("unsubscribe", json!({ "user": "42", "channel": "hist:a" }))
            .await,
        r#"{"result":{}}"#
    );
    for peer in &mut peers {
        peer.expect(
            r#"{"push":{"channel":"hist:a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
        )
        .await;
    }
    let refresh = json!({ "user": "42", "expire_at": 4_000_000_000_i64 });
    assert_eq!(nodes[0].api("refresh", refresh).await, r#"{"result":{}}"#);
    for peer in &mut peers {
        let push = peer.message("the refresh").await;
        assert!(
            push.starts_with(r#"{"push":{"refresh":{"expires":true,"ttl":"#),
            "{push}"
        );
    }
    let spared = client_of(&mut peers[1]).await;
    let disconnect =
        json!({ "user": "42", "whitelist": [spared], "disconnect": { "code": 4321, "reason": "go" } });
    assert_eq!(nodes[0].api("disconnect", disconnect).await, r#"{"result":{}}"#);
    peers[0].expect_close(4321, "go").await;
    let again = json!({ "user": "42", "client": spared });
    assert_eq!(nodes[0].api("disconnect", again).await, r#"{"result":{}}"#);
    peers[1].expect_close(3503, "force disconnect").await;
    other
        .ask(
            r#"{"id":9,"subscribe":{"channel":"x"}}"#,
            r#"{"id":9,"subscribe":{}}"#,
        )
        .await;
    for node in nodes {
        node.stop().await;
    }
}

/// What `connected` has bound.
async fn client_of(peer: &mut Peer) -> String {
    peer.name("client").to_owned()
}

/// The node that is asked acts although the others cannot be told, and says that they could not.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_passed_on_is_carried_out_here() {
    let mut redis = Server::start(&[]);
    let nodes = nodes(&redis, 2).await;
    let mut here = nodes[0].user("42").await;
    redis.kill();
    eventually("the loss", async || {
        (!nodes[0].node().readiness().ready).then_some(())
    })
    .await;
    let answer = nodes[0].api("disconnect", json!({ "user": "42" })).await;
    assert_eq!(
        answer,
        r#"{"error":{"code":100,"message":"internal server error"}}"#
    );
    here.expect_close(3503, "force disconnect").await;
    for node in nodes {
        node.stop().await;
    }
}

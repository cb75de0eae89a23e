//! Who and what is refused at one node is refused at all of them.

use serde_json::{Value, json};

use crate::nodes::{node, nodes};
use crate::servers::{Server, eventually};
use crate::support::{Heard, Peer, TestServer, token};

const DONE: &str = r#"{"result":{}}"#;

async fn is_blocked(node: &TestServer, user: &str) -> bool {
    let mut peer = node.connecting(&json!({ "sub": user })).await;
    matches!(peer.hear("an answer").await, Heard::Close(3507, _))
}

async fn call(node: &TestServer, method: &str, body: Value) {
    assert_eq!(node.api(method, body).await, DONE, "{method}");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_those_of_all_nodes() {
    let redis = Server::start(&[]);
    let nodes = nodes(&redis, 2).await;
    let [here, there] = &nodes[..] else { unreachable!() };

    let mut live = there.user("42").await;
    call(here, "block_user", json!({ "user": "42" })).await;
    live.expect_close(3507, "permission denied").await;
    assert!(is_blocked(there, "42").await && !is_blocked(there, "43").await);
    call(there, "unblock_user", json!({ "user": "42" })).await;
    eventually("the end of the block", async || {
        (!is_blocked(here, "42").await).then_some(())
    })
    .await;
    call(here, "block_user", json!({ "user": "42" })).await;
    eventually("another block", async || {
        is_blocked(there, "42").await.then_some(())
    })
    .await;

    let stolen = json!({ "sub": "7", "jti": "a" });
    let mut live = there.connected(stolen.clone()).await;
    call(here, "revoke_token", json!({ "uid": "a" })).await;
    live.expect_close(3014, "state invalidated").await;
    expect_expired(there, &stolen).await;

    let old = json!({ "sub": "8", "iat": 1000 });
    let mut live = there.connected(old.clone()).await;
    let mut subscribed = there.connected(json!({ "sub": "8", "iat": 3000 })).await;
    subscribe(
        &mut subscribed,
        json!({ "sub": "8", "channel": "$a", "iat": 1000 }),
    )
    .await;
    let before = json!({ "user": "8", "issued_before": 2000 });
    call(here, "invalidate_user_tokens", before).await;
    live.expect_close(3014, "state invalidated").await;
    expect_expired(there, &old).await;
    let before = json!({ "user": "8", "issued_before": 2000, "channel": "$a" });
    call(here, "invalidate_user_tokens", before).await;
    subscribed
        .expect(r#"{"push":{"channel":"$a","unsubscribe":{"code":2502,"reason":"state invalidated"}}}"#)
        .await;
    for node in nodes {
        node.stop().await;
    }
}

async fn expect_expired(node: &TestServer, claims: &Value) {
    let mut peer = node.connecting(claims).await;
    peer.expect(r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#)
        .await;
}

async fn subscribe(peer: &mut Peer, claims: Value) {
    let token = token(&claims);
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"$a","token":"{token}"}}}}"#),
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
}

/// More than one answer holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_learns_what_is_refused() {
    let redis = Server::start(&[]);
    let elder = node(&redis, json!({})).await;
    eventually("Redis", async || elder.node().readiness().ready.then_some(())).await;
    let blocks: Vec<Value> = (0..1200)
        .map(|user| json!({ "block_user": { "user": format!("u{user}") } }))
        .collect();
    let done = elder.api("batch", json!({ "commands": blocks })).await;
    assert!(!done.contains("error"), "{done}");
    call(&elder, "unblock_user", json!({ "user": "u7" })).await;
    let newcomer = node(&redis, json!({})).await;
    for user in ["u0", "u1199", "u999"] {
        eventually("what the elder knows", async || {
            is_blocked(&newcomer, user).await.then_some(())
        })
        .await;
    }
    assert!(!is_blocked(&newcomer, "u7").await);
    for node in [elder, newcomer] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_cut_off_learns_what_it_missed() {
    let mut redis = Server::start(&[]);
    let nodes = nodes(&redis, 2).await;
    redis.kill();
    eventually("the loss", async || {
        let lost = nodes.iter().all(|node| !node.node().readiness().ready);
        lost.then_some(())
    })
    .await;
    let mut live = nodes[1].user("42").await;
    let told = nodes[0].api("block_user", json!({ "user": "42" })).await;
    assert_eq!(
        told,
        r#"{"error":{"code":100,"message":"internal server error"}}"#
    );
    assert!(is_blocked(&nodes[0], "42").await);
    redis.start_again();
    live.expect_close(3507, "permission denied").await;
    for node in nodes {
        node.stop().await;
    }
}

//! What works and what does not while Redis is away (engines.md 13).

use serde_json::json;

use crate::nodes::node;
use crate::servers::{Server, eventually};
use crate::support::TestServer;
use crate::support::http::Request;

const INTERNAL: &str = r#"{"error":{"code":100,"message":"internal server error"}}"#;

async fn status(server: &TestServer, path: &str) -> u16 {
    server.request(Request::get(path)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_the_table() {
    let mut redis = Server::start(&[]);
    let server = node(
        &redis,
        json!({ "channel": { "namespaces": [
            { "name": "hist", "history_size": 10, "history_ttl": "60s", "force_recovery": true,
              "allow_history_for_client": true, "allow_publish_for_client": true },
            { "name": "plain", "presence": false },
            { "name": "room", "presence": true, "allow_presence_for_client": true }
        ] } }),
    )
    .await;
    eventually("Redis", async || server.node().readiness().ready.then_some(())).await;
    let mut there = server.user("1").await;
    for (id, channel) in [(2, "plain:a"), (3, "room:a")] {
        there
            .ask(
                &json!({ "id": id, "subscribe": { "channel": channel } }).to_string(),
                &json!({ "id": id, "subscribe": {} }).to_string(),
            )
            .await;
    }
    there
        .ask(
            r#"{"id":4,"subscribe":{"channel":"hist:a"}}"#,
            r#"{"id":4,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
        )
        .await;
    redis.kill();
    eventually("the loss", async || {
        let readiness = server.node().readiness();
        (readiness.broker.is_some() && readiness.presence.is_some()).then_some(())
    })
    .await;

    let counts = server.node().counts();
    for inbound in [counts.from_broker, counts.from_nodes] {
        assert!(inbound.unwrap().errors.connection > 0);
    }

    // Of those that are there, nobody is thrown out.
    for (id, method, body) in [
        (5, "publish", json!({ "channel": "hist:a", "data": 1 })),
        (6, "history", json!({ "channel": "hist:a", "limit": 1 })),
        (7, "presence", json!({ "channel": "room:a" })),
    ] {
        there.send(&json!({ "id": id, method: body }).to_string());
        there
            .expect(&format!(
                r#"{{"id":{id},"error":{{"code":100,"message":"internal server error","temporary":true}}}}"#
            ))
            .await;
    }
    // A channel that the node has already, and of which nothing else is needed.
    let mut late = server.user("2").await;
    late.ask(
        r#"{"id":2,"subscribe":{"channel":"plain:a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    // Everything else cannot be promised.
    for channel in ["plain:new", "room:a", "hist:a"] {
        let mut peer = server.user("3").await;
        peer.send(&json!({ "id": 2, "subscribe": { "channel": channel } }).to_string());
        peer.expect_close(3004, "internal server error").await;
    }
    for (method, body) in [
        ("publish", json!({ "channel": "hist:a", "data": 1 })),
        ("publish", json!({ "channel": "plain:a", "data": 1 })),
        ("history", json!({ "channel": "hist:a", "limit": 1 })),
        ("history_remove", json!({ "channel": "hist:a" })),
        ("presence", json!({ "channel": "room:a" })),
        ("presence_stats", json!({ "channel": "room:a" })),
        ("disconnect", json!({ "user": "nobody" })),
    ] {
        assert_eq!(server.api(method, body).await, INTERNAL, "{method}");
    }
    let info = server.api("info", json!({})).await;
    assert!(info.contains(r#""num_clients":2"#), "{info}");
    let channels = server.api("channels", json!({ "pattern": "plain:*" })).await;
    assert_eq!(
        channels,
        r#"{"result":{"channels":{"plain:a":{"num_clients":2}}}}"#
    );
    assert_eq!(
        (status(&server, "/health").await, status(&server, "/ready").await),
        (200, 503)
    );

    redis.start_again();
    eventually("Redis", async || server.node().readiness().ready.then_some(())).await;
    server.publish("plain:a", json!(2)).await;
    for peer in [&mut there, &mut late] {
        peer.expect_all(&[r#"{"push":{"channel":"plain:a","pub":{"data":2}}}"#])
            .await;
    }
    // Its stream has gone: that is found without a publication.
    there
        .expect(r#"{"push":{"channel":"hist:a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}"#)
        .await;
    server.stop().await;
}

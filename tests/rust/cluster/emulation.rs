//! A balancer sends the requests of a streaming client anywhere.

use serde_json::json;

use crate::nodes::nodes;
use crate::servers::Server;
use crate::support::http::Request;
use crate::support::{Peer, TestServer};

const CONNECT: &str = r#"{"id":1,"connect":{}}"#;

async fn emulate(server: &TestServer, body: String) -> u16 {
    let request = Request::post("/emulation", body).header("Content-Type", "application/json");
    server.request(request).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_stream_of_another_node_in_order() {
    let redis = Server::start(&[]);
    let nodes = nodes(&redis, 3).await;
    let mut peer = Peer::http_stream(&nodes[0], CONNECT).await;
    peer.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true,"session":"<session>","node":"<node>"}}"#).await;
    let (session, node) = (peer.name("session").to_owned(), peer.name("node").to_owned());
    for id in 2..52 {
        let data = if id % 2 == 0 {
            json!({ "id": id, "subscribe": { "channel": "a" } })
        } else {
            json!({ "id": id, "unsubscribe": { "channel": "a" } })
        };
        let body = json!({ "session": session, "node": node, "data": data.to_string() });
        assert_eq!(emulate(&nodes[id % 3], body.to_string()).await, 204);
    }
    for id in 2..52 {
        let method = if id % 2 == 0 { "subscribe" } else { "unsubscribe" };
        peer.expect(&json!({ "id": id, method: {} }).to_string()).await;
    }
    let unknown = json!({ "session": "nobody", "node": node, "data": CONNECT }).to_string();
    assert_eq!(emulate(&nodes[1], unknown).await, 204);
    let nowhere = json!({ "session": session, "node": "nowhere", "data": CONNECT }).to_string();
    assert_eq!(emulate(&nodes[1], nowhere).await, 404);
    let nonsense = json!({ "session": session, "node": node, "data": "nonsense" }).to_string();
    assert_eq!(emulate(&nodes[2], nonsense).await, 204);
    peer.expect_close(3501, "bad request").await;
    for node in nodes {
        node.stop().await;
    }
}

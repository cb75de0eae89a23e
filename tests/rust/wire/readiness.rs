//! `/ready` and `/health`. What they say while Redis fails is in `tests/rust/cluster/outage.rs` and `tests/rust/faults`.

use serde_json::json;
use tokio::net::TcpStream;

use crate::support::TestServer;
use crate::support::http::Request;
use crate::support::process::ServerProcess;

async fn get(server: &TestServer, path: &str) -> (u16, String) {
    let answer = server.request(Request::get(path)).await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn it_is_served_when_it_is_asked_for() {
    let server = TestServer::insecure().await;
    assert_eq!(get(&server, "/ready").await.0, 404);
    server.stop().await;
    let server = TestServer::start(json!({ "ready": { "enabled": true, "handler_prefix": "/here" } })).await;
    assert_eq!(get(&server, "/here").await, (200, r#"{"ready":true}"#.to_owned()));
    assert_eq!(get(&server, "/ready").await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_is_healthy_and_not_ready() {
    let server = TestServer::start(json!({ "ready": { "enabled": true } })).await;
    server.node().shut_down().await;
    assert_eq!(
        get(&server, "/ready").await,
        (503, r#"{"ready":false,"node":"shutting down"}"#.to_owned())
    );
    assert_eq!(get(&server, "/health").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn it_is_for_operators_only() {
    let server = ServerProcess::start(json!({ "ready": { "enabled": true } })).await;
    let status = async |address| {
        let stream = TcpStream::connect(address).await.unwrap();
        Request::get("/ready").exchange(stream).await.status
    };
    assert_eq!(status(server.internal()).await, 200);
    assert_eq!(status(server.external()).await, 404);
    server.stop().await;
}

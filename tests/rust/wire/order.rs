//! Order: what one client or the server says arrives as it was said.

use serde_json::json;

use crate::support::{Peer, TestServer};

async fn listeners(server: &TestServer) -> Vec<Peer> {
    let mut listeners = vec![
        server.user("1").await,
        server.websocket().await,
        Peer::webtransport(server, "").await,
    ];
    for peer in &mut listeners[1..] {
        peer.ask(
            r#"{"id":1,"connect":{}}"#,
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
        )
        .await;
    }
    for peer in &mut listeners {
        peer.ask(
            r#"{"id":2,"subscribe":{"channel":"a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
    }
    listeners
}

async fn burst(concurrency: u32) {
    let server =
        TestServer::start(json!({ "client": { "insecure": true, "concurrency": concurrency } })).await;
    let mut listeners = listeners(&server).await;
    let mut publisher = server.user("42").await;
    for n in 0..1000 {
        let id = n + 10;
        publisher.send(&format!(
            r#"{{"id":{id},"publish":{{"channel":"a","data":{n}}}}}"#
        ));
    }
    for n in 0..1000 {
        publisher
            .expect(&format!(r#"{{"id":{},"publish":{{}}}}"#, n + 10))
            .await;
    }
    for peer in &mut listeners {
        for n in 0..1000 {
            let expected = format!(
                r#"{{"push":{{"channel":"a","pub":{{"data":{n},"info":{{"user":"42","client":"<publisher>"}}}}}}}}"#
            );
            peer.expect(&expected).await;
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_client() {
    burst(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_client_where_commands_run_side_by_side() {
    burst(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_publications_of_the_server() {
    let server = TestServer::insecure().await;
    let mut listeners = listeners(&server).await;
    let reading: Vec<_> = listeners
        .drain(..)
        .map(|mut peer| {
            tokio::spawn(async move {
                for n in 0..10_000 {
                    peer.expect(&format!(r#"{{"push":{{"channel":"a","pub":{{"data":{n}}}}}}}"#))
                        .await;
                }
            })
        })
        .collect();
    // A hundred requests of a hundred publications: a batch is done in its order, and each waits for the last.
    for hundred in 0..100 {
        let commands: Vec<_> = (hundred * 100..(hundred + 1) * 100)
            .map(|n| json!({ "publish": { "channel": "a", "data": n } }))
            .collect();
        server.api("batch", json!({ "commands": commands })).await;
    }
    for peer in reading {
        peer.await.unwrap();
    }
    server.stop().await;
}

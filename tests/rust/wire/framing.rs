//! Frames of several commands, and of none (1.2, 1.5).

use serde_json::json;

use crate::support::{Heard, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn commands_share_a_frame() {
    let server = TestServer::insecure().await;
    let mut peer = server.websocket().await;
    peer.send("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}\n");
    peer.expect(r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#)
        .await;
    peer.expect(r#"{"id":2,"subscribe":{}}"#).await;
    peer.expect(r#"{"id":3,"unsubscribe":{}}"#).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_mistake_is_done() {
    let server = TestServer::insecure().await;
    for mistake in [
        "nonsense",
        "",
        "[]",
        "{\"id\":-1}",
        "{\"id\":3",
        "{\"id\":4294967296}",
    ] {
        let mut peer = server.user("42").await;
        peer.send(&format!(
            "{{\"id\":2,\"subscribe\":{{\"channel\":\"a\"}}}}\n{mistake}\n{{\"id\":4}}"
        ));
        peer.expect(r#"{"id":2,"subscribe":{}}"#).await;
        peer.expect_close(3501, "bad request").await;
    }
    for empty in ["", "\n", "\n\n"] {
        let mut peer = server.user("42").await;
        peer.provoke(empty, 3501, "bad request").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_read_leniently() {
    let server = TestServer::insecure().await;
    let mut peer = server.user("42").await;
    for command in [
        r#"{"id":2,"subscribe":{"channel":"a"},"unknown":[{"x":null}]}"#,
        r#"  { "subscribe" : { "channel" : "b" , "token" : null } , "id" : 2 , "publish": null }"#,
        r#"{"id":2,"subscribe":{"channel":"\u0063"}}"#,
    ] {
        peer.ask(command, r#"{"id":2,"subscribe":{}}"#).await;
    }
    // JSON in a binary message is JSON nevertheless.
    peer.send_bytes(br#"{"id":3,"unsubscribe":{"channel":"a"}}"#.to_vec());
    peer.expect(r#"{"id":3,"unsubscribe":{}}"#).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_are_escaped_and_payloads_are_not() {
    let server = TestServer::insecure().await;
    let mut peer = server.user("42").await;
    peer.send_raw(r#"{"id":2,"subscribe":{"channel":"<a>&\"\\"}}"#);
    peer.expect(r#"{"id":2,"subscribe":{}}"#).await;
    peer.send_raw(r#"{"id":3,"publish":{"channel":"<a>&\"\\","data":"<&>"}}"#);
    let mut heard = [
        peer.message("two messages").await,
        peer.message("two messages").await,
    ];
    heard.sort();
    assert_eq!(heard[0], r#"{"id":3,"publish":{}}"#);
    let client = peer.name("client");
    assert_eq!(
        heard[1],
        format!(
            r#"{{"push":{{"channel":"\u003ca\u003e\u0026\"\\","pub":{{"data":"<&>","info":{{"user":"42","client":"{client}"}}}}}}}}"#
        )
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_limit() {
    let server = TestServer::start(json!({
        "client": { "insecure": true }, "websocket": { "message_size_limit": 1000 }
    }))
    .await;
    let mut peer = server.user("42").await;
    let command = r#"{"id":2,"subscribe":{"channel":"a"}}"#;
    peer.ask(&format!("{command:<1000}"), r#"{"id":2,"subscribe":{}}"#)
        .await;
    peer.send(&format!("{command:<1001}"));
    assert_eq!(peer.hear("the close").await, Heard::Close(1009, String::new()));
    server.until_counts("nobody", |counts| counts.clients == 0).await;
    server.stop().await;
}

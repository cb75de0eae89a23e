//! All other commands (3.5).

use serde_json::json;

use crate::support::TestServer;

async fn server() -> TestServer {
    TestServer::start(json!({
        "rpc": { "ping": { "enabled": true } },
        "channel": {
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [
                { "name": "open", "allow_subscribe_for_client": true, "allow_publish_for_client": true,
                  "presence": true, "allow_presence_for_client": true,
                  "history_size": 5, "history_ttl": "60s", "allow_history_for_client": true },
                { "name": "members", "allow_subscribe_for_client": true, "allow_publish_for_subscriber": true,
                  "presence": true, "allow_presence_for_subscriber": true,
                  "history_size": 5, "history_ttl": "60s", "allow_history_for_subscriber": true },
                { "name": "object", "allow_publish_for_client": true, "publication_data_format": "json_object" }
            ]
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_channel_ends_the_connection() {
    let server = server().await;
    for command in [
        r#""unsubscribe":{}"#,
        r#""publish":{"data":{}}"#,
        r#""presence":{}"#,
        r#""presence_stats":{"channel":""}"#,
        r#""history":{}"#,
        r#""sub_refresh":{"token":"x"}"#,
        r#""refresh":{}"#,
        r#""ping":{}"#,
        r#""unheard_of":{}"#,
    ] {
        let mut peer = server.user("42").await;
        peer.provoke(&format!(r#"{{"id":2,{command}}}"#), 3501, "bad request")
            .await;
    }
    let mut peer = server.user("42").await;
    peer.provoke(r#"{"send":{"data":{}}}"#, 3508, "not available")
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let server = server().await;
    let mut peer = server.user("42").await;
    for (command, code, message) in [
        (
            r#""publish":{"channel":"nowhere:a","data":1}"#,
            102,
            "unknown channel",
        ),
        (r#""presence":{"channel":"nowhere:a"}"#, 102, "unknown channel"),
        (
            r#""presence_stats":{"channel":"nowhere:a"}"#,
            102,
            "unknown channel",
        ),
        (r#""history":{"channel":"nowhere:a"}"#, 102, "unknown channel"),
        (r#""publish":{"channel":"ü","data":1}"#, 107, "bad request"),
        (r#""history":{"channel":"ü"}"#, 107, "bad request"),
        (r#""publish":{"channel":"open:a"}"#, 107, "bad request"),
        (
            r#""publish":{"channel":"object:a","data":[1]}"#,
            107,
            "bad request",
        ),
        (r#""publish":{"channel":"a","data":1}"#, 103, "permission denied"),
        (
            r#""publish":{"channel":"members:a","data":1}"#,
            103,
            "permission denied",
        ),
        (r#""presence":{"channel":"a"}"#, 108, "not available"),
        (r#""presence_stats":{"channel":"a"}"#, 108, "not available"),
        (r#""presence":{"channel":"members:a"}"#, 103, "permission denied"),
        (
            r#""presence_stats":{"channel":"members:a"}"#,
            103,
            "permission denied",
        ),
        (r#""history":{"channel":"a"}"#, 108, "not available"),
        (r#""history":{"channel":"members:a"}"#, 103, "permission denied"),
        (
            r#""history":{"channel":"open:a","limit":1,"since":{"offset":1,"epoch":"nonsense"}}"#,
            112,
            "unrecoverable position",
        ),
        (
            r#""history":{"channel":"open:a","limit":1,"reverse":true,"since":{"offset":0,"epoch":""}}"#,
            107,
            "bad request",
        ),
        (
            r#""rpc":{"method":"unheard of","data":{}}"#,
            104,
            "method not found",
        ),
        (
            r#""sub_refresh":{"channel":"a","token":"x"}"#,
            103,
            "permission denied",
        ),
        (r#""ping":{},"rpc":{"method":"ping"}"#, 108, "not available"),
    ] {
        let reply = format!(r#"{{"id":2,"error":{{"code":{code},"message":"{message}"}}}}"#);
        peer.ask(&format!(r#"{{"id":2,{command}}}"#), &reply).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing() {
    let server = server().await;
    let mut peer = server
        .connected(json!({ "sub": "42", "info": { "name": "Ann" } }))
        .await;
    peer.ask(
        r#"{"id":2,"publish":{"channel":"object:a","data":{"a": [1,  2]}}}"#,
        r#"{"id":2,"publish":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"members:a"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    peer.send(r#"{"id":4,"publish":{"channel":"members:a","data":{"a": [1,  2]}}}"#);
    // What was said arrives as it was said, spaces and all, with who said it.
    peer.expect_all(&[
        r#"{"push":{"channel":"members:a","pub":{"data":{"a": [1,  2]},"info":{"user":"42","client":"<client>","conn_info":{"name":"Ann"}},"offset":1,"epoch":"<epoch>"}}}"#,
        r#"{"id":4,"publish":{}}"#,
    ])
    .await;
    // Null is data. Nothing is not.
    peer.send(r#"{"id":5,"publish":{"channel":"members:a","data":null}}"#);
    peer.expect_all(&[
        r#"{"push":{"channel":"members:a","pub":{"data":null,"info":{"user":"42","client":"<client>","conn_info":{"name":"Ann"}},"offset":2}}}"#,
        r#"{"id":5,"publish":{}}"#,
    ])
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publications_of_the_server_have_tags_but_no_author() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    server
        .api(
            "publish",
            json!({ "channel": "a", "data": "<b>", "tags": { "k": "v" } }),
        )
        .await;
    let heard = peer.message("a publication").await;
    assert_eq!(
        heard,
        r#"{"push":{"channel":"a","pub":{"data":"<b>","tags":{"k":"v"}}}}"#
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence() {
    let server = server().await;
    let mut peer = server.connected(json!({ "sub": "42", "info": { "n": 1 } })).await;
    peer.ask(
        r#"{"id":2,"presence":{"channel":"open:a"}}"#,
        r#"{"id":2,"presence":{"presence":{}}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"presence_stats":{"channel":"open:a"}}"#,
        r#"{"id":3,"presence_stats":{"num_clients":0,"num_users":0}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"open:a"}}"#,
        r#"{"id":4,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":5,"presence":{"channel":"open:a"}}"#,
        r#"{"id":5,"presence":{"presence":{"<client>":{"user":"42","client":"<client>","conn_info":{"n":1}}}}}"#,
    )
    .await;
    let mut same_user = server.user("42").await;
    same_user
        .ask(
            r#"{"id":2,"subscribe":{"channel":"open:a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
    peer.ask(
        r#"{"id":6,"presence_stats":{"channel":"open:a"}}"#,
        r#"{"id":6,"presence_stats":{"num_clients":2,"num_users":1}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"history":{"channel":"open:a"}}"#,
        r#"{"id":2,"history":{"publications":[],"epoch":"<epoch>","offset":0}}"#,
    )
    .await;
    for n in 1..=7 {
        server.publish("open:a", json!({ "n": n })).await;
    }
    let item = |n: u32| format!(r#"{{"data":{{"n":{n}}},"offset":{n}}}"#);
    for (request, items) in [
        ("", vec![]),
        (r#","limit":2"#, vec![3, 4]),
        (r#","limit":-1"#, vec![3, 4, 5, 6, 7]),
        (r#","limit":100"#, vec![3, 4, 5, 6, 7]),
        (r#","limit":2,"reverse":true"#, vec![7, 6]),
        (r#","limit":2,"since":{"offset":4,"epoch":"<epoch>"}"#, vec![5, 6]),
        (r#","limit":2,"since":{"offset":4}"#, vec![5, 6]),
        (r#","limit":2,"since":{"offset":1,"epoch":"<epoch>"}"#, vec![3, 4]),
        (
            r#","limit":2,"since":{"offset":5,"epoch":"<epoch>"},"reverse":true"#,
            vec![4, 3],
        ),
        (r#","limit":2,"since":{"offset":7,"epoch":"<epoch>"}"#, vec![]),
        (r#","limit":2,"since":{"offset":70,"epoch":"<epoch>"}"#, vec![]),
    ] {
        let items: Vec<String> = items.into_iter().map(item).collect();
        let items = items.join(",");
        let reply =
            format!(r#"{{"id":3,"history":{{"publications":[{items}],"epoch":"<epoch>","offset":7}}}}"#);
        peer.ask(
            &format!(r#"{{"id":3,"history":{{"channel":"open:a"{request}}}}}"#),
            &reply,
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_capped_for_clients() {
    let server = TestServer::start(json!({
        "client": { "insecure": true, "history_max_publication_limit": 2 },
        "channel": { "without_namespace": { "history_size": 10, "history_ttl": "60s" } }
    }))
    .await;
    let mut peer = server.user("42").await;
    for n in 1..=4 {
        server.publish("a", json!(n)).await;
    }
    for limit in [-1, 3, 1000] {
        peer.ask(
            &format!(r#"{{"id":2,"history":{{"channel":"a","limit":{limit}}}}}"#),
            r#"{"id":2,"history":{"publications":[{"data":1,"offset":1},{"data":2,"offset":2}],"epoch":"<epoch>","offset":4}}"#,
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rpc() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(r#"{"id":2,"rpc":{"method":"ping"}}"#, r#"{"id":2,"rpc":{}}"#)
        .await;
    server.stop().await;

    // Where there is no method at all, there are no calls either.
    let server = TestServer::start(json!({})).await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"rpc":{"method":"ping"}}"#,
        r#"{"id":2,"error":{"code":108,"message":"not available"}}"#,
    )
    .await;
    server.stop().await;
}

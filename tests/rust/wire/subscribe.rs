//! Subscribing, with the outcomes in the order of 3.4.

use serde_json::json;

use crate::support::{TestServer, in_seconds, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "channel_limit": 5 },
        "channel": {
            "max_length": 20,
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [
                { "name": "closed" },
                { "name": "limited", "allow_user_limited_channels": true, "allow_subscribe_for_client": true },
                { "name": "digits", "allow_subscribe_for_client": true, "channel_regex": "^[0-9]+$" },
                { "name": "room", "allow_subscribe_for_client": true, "presence": true, "join_leave": true,
                  "force_push_join_leave": true, "allow_presence_for_subscriber": true },
                { "name": "positioned", "allow_subscribe_for_client": true, "force_positioning": true,
                  "history_size": 10, "history_ttl": "60s" },
                { "name": "choice", "allow_subscribe_for_client": true, "allow_positioning": true,
                  "allow_recovery": true, "history_size": 10, "history_ttl": "60s" },
                { "name": "named", "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true }
            ]
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let server = server().await;
    let mut peer = server.user("42").await;
    for (command, code, message) in [
        (r#"{"channel":"012345678901234567890"}"#, 107, "bad request"),
        (r#"{"channel":"nowhere:a"}"#, 102, "unknown channel"),
        (r#"{"channel":"digits:a"}"#, 107, "bad request"),
        (r#"{"channel":"ü"}"#, 107, "bad request"),
        (r#"{"channel":"$private"}"#, 103, "permission denied"),
        (r#"{"channel":"closed:a"}"#, 103, "permission denied"),
        (r#"{"channel":"limited:a#43"}"#, 103, "permission denied"),
        (r#"{"channel":"limited:a#4,2"}"#, 103, "permission denied"),
        (r#"{"channel":"a","type":1}"#, 103, "permission denied"),
        (r#"{"channel":"a","type":4}"#, 108, "not available"),
        (r#"{"channel":"a","type":9}"#, 103, "permission denied"),
        (r#"{"channel":"$a","token":"nonsense"}"#, 103, "permission denied"),
        (
            r#"{"channel":"a","tf":{"cmp":"ex","key":"k"}}"#,
            107,
            "bad request",
        ),
    ] {
        let reply = format!(r#"{{"id":2,"error":{{"code":{code},"message":"{message}"}}}}"#);
        peer.ask(&format!(r#"{{"id":2,"subscribe":{command}}}"#), &reply)
            .await;
    }
    // None of these left anything behind.
    server
        .until_counts("no subscriptions", |counts| counts.subscriptions == 0)
        .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"digits:12"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"limited:a#42,43"}}"#,
        r#"{"id":4,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_end_the_connection() {
    let server = server().await;
    for (command, code, reason) in [
        (r#"{"channel":""}"#, 3501, "bad request"),
        ("{}", 3501, "bad request"),
        (r#"{"channel":"a","delta":"xdelta"}"#, 3501, "bad request"),
    ] {
        let mut peer = server.user("42").await;
        peer.provoke(&format!(r#"{{"id":2,"subscribe":{command}}}"#), code, reason)
            .await;
    }
    for (channel, claims) in [
        ("$other", json!({ "sub": "42", "channel": "$a" })),
        ("$a", json!({ "sub": "43", "channel": "$a" })),
        (
            "$a",
            json!({ "sub": "42", "channel": "$a", "client": "somebody else" }),
        ),
    ] {
        let mut peer = server.user("42").await;
        let token = token(&claims);
        let command = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}","token":"{token}"}}}}"#);
        peer.provoke(&command, 3500, "invalid token").await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twice_and_too_many() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"a"}}"#,
        r#"{"id":3,"error":{"code":105,"message":"already subscribed"}}"#,
    )
    .await;
    for channel in ["b", "c", "d", "e"] {
        let command = format!(r#"{{"id":4,"subscribe":{{"channel":"{channel}"}}}}"#);
        peer.ask(&command, r#"{"id":4,"subscribe":{}}"#).await;
    }
    peer.ask(
        r#"{"id":5,"subscribe":{"channel":"f"}}"#,
        r#"{"id":5,"error":{"code":106,"message":"limit exceeded"}}"#,
    )
    .await;
    // Whoever leaves makes room. What is not there can be left as well.
    peer.ask(
        r#"{"id":6,"unsubscribe":{"channel":"b"}}"#,
        r#"{"id":6,"unsubscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":7,"unsubscribe":{"channel":"b"}}"#,
        r#"{"id":7,"unsubscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":8,"unsubscribe":{"channel":"nowhere:b"}}"#,
        r#"{"id":8,"unsubscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":9,"subscribe":{"channel":"f"}}"#,
        r#"{"id":9,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anonymous_need_a_permission_of_their_own() {
    let server = server().await;
    let mut peer = server.connected(json!({})).await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"limited:x#"}}"#,
        r#"{"id":3,"error":{"code":103,"message":"permission denied"}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"named:a"}}"#,
        r#"{"id":4,"subscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_decides_alone() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let ask = |channel: &str, claims: serde_json::Value| {
        let token = token(&claims);
        format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}","token":"{token}"}}}}"#)
    };
    peer.ask(
        &ask(
            "$a",
            json!({ "sub": "42", "channel": "$a", "data": { "hello": 1 } }),
        ),
        r#"{"id":2,"subscribe":{"data":{"hello":1}}}"#,
    )
    .await;
    peer.ask(
        &ask(
            "closed:b",
            json!({ "sub": "42", "channel": "closed:b", "exp": in_seconds(60) }),
        ),
        r#"{"id":2,"subscribe":{"expires":true,"ttl":<ttl>}}"#,
    )
    .await;
    peer.ask(
        &ask("c", json!({ "sub": "42", "channel": "c", "exp": in_seconds(-5) })),
        r#"{"id":2,"error":{"code":109,"message":"token expired"}}"#,
    )
    .await;
    peer.ask(
        &ask(
            "c",
            json!({ "sub": "42", "channel": "c", "expire_at": in_seconds(-5) }),
        ),
        r#"{"id":2,"error":{"code":110,"message":"expired"}}"#,
    )
    .await;
    peer.ask(
        &ask("c", json!({ "sub": "42" })),
        r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#,
    )
    .await;
    peer.ask(
        &ask("c", json!({ "sub": "42", "channel": "nowhere:c" })),
        r#"{"id":2,"error":{"code":102,"message":"unknown channel"}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_follow_the_reply_and_leaves_the_end() {
    let server = server().await;
    let mut one = server.connected(json!({ "sub": "1", "info": { "n": 1 } })).await;
    one.send(r#"{"id":2,"subscribe":{"channel":"room:a"}}"#);
    one.expect(r#"{"id":2,"subscribe":{}}"#).await;
    one.expect(
        r#"{"push":{"channel":"room:a","join":{"info":{"user":"1","client":"<client>","conn_info":{"n":1}}}}}"#,
    )
    .await;
    let mut two = server.user("2").await;
    two.ask(
        r#"{"id":2,"subscribe":{"channel":"room:a"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    one.expect(r#"{"push":{"channel":"room:a","join":{"info":{"user":"2","client":"<two>"}}}}"#)
        .await;
    two.expect(r#"{"push":{"channel":"room:a","join":{"info":{"user":"2","client":"<client>"}}}}"#)
        .await;
    assert_eq!(one.name("two"), two.name("client"));
    two.ask(
        r#"{"id":3,"presence_stats":{"channel":"room:a"}}"#,
        r#"{"id":3,"presence_stats":{"num_clients":2,"num_users":2}}"#,
    )
    .await;
    two.ask(
        r#"{"id":4,"unsubscribe":{"channel":"room:a"}}"#,
        r#"{"id":4,"unsubscribe":{}}"#,
    )
    .await;
    one.expect(r#"{"push":{"channel":"room:a","leave":{"info":{"user":"2","client":"<two>"}}}}"#)
        .await;
    two.ask(
        r#"{"id":5,"subscribe":{"channel":"room:a"}}"#,
        r#"{"id":5,"subscribe":{}}"#,
    )
    .await;
    one.expect(r#"{"push":{"channel":"room:a","join":{"info":{"user":"2","client":"<two>"}}}}"#)
        .await;
    two.close(1000);
    one.expect(r#"{"push":{"channel":"room:a","leave":{"info":{"user":"2","client":"<two>"}}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_are_honoured_where_allowed() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a","positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil","flag":1}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"positioned:a"}}"#,
        r#"{"id":3,"subscribe":{"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"choice:a"}}"#,
        r#"{"id":4,"subscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":5,"subscribe":{"channel":"choice:b","positioned":true}}"#,
        r#"{"id":5,"subscribe":{"epoch":"<epoch b>","positioned":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":6,"subscribe":{"channel":"choice:c","recoverable":true}}"#,
        r#"{"id":6,"subscribe":{"recoverable":true,"epoch":"<epoch c>","positioned":true}}"#,
    )
    .await;
    assert_eq!(peer.name("epoch").len(), 8);
    server.stop().await;
}

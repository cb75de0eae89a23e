//! Tags filters (history-and-recovery.md 9, channels-and-auth.md 7.8): asked for by clients, imposed by tokens.

use serde_json::{Value, json};

use crate::support::{Peer, TestServer, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "recovery_max_publication_limit": 5 },
        "channel": {
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [
                { "name": "tf", "allow_tags_filter": true, "allow_subscribe_for_client": true, "presence": true,
                  "join_leave": true, "force_push_join_leave": true },
                { "name": "st", "allow_tags_filter": true, "allow_subscribe_for_client": true, "force_recovery": true,
                  "history_size": 10, "history_ttl": "60s" },
                { "name": "cache", "allow_tags_filter": true, "allow_subscribe_for_client": true,
                  "force_recovery": true, "force_recovery_mode": "cache", "auto_cache_recover": true,
                  "history_size": 10, "history_ttl": "60s" }
            ]
        }
    }))
    .await
}

/// Publishes a number under a price.
async fn publish(server: &TestServer, channel: &str, n: u32, price: &str) {
    let request = json!({ "channel": channel, "data": n, "tags": { "price": price } });
    let answer = server.api("publish", request).await;
    assert!(answer.starts_with(r#"{"result":{"#), "{answer}");
}

async fn stream(server: &TestServer, channel: &str, prices: &[&str]) {
    for (index, price) in prices.iter().enumerate() {
        publish(server, channel, u32::try_from(index).unwrap() + 1, price).await;
    }
}

async fn expect(peer: &mut Peer, channel: &str, publications: &[&str]) {
    for publication in publications {
        peer.expect(&format!(
            r#"{{"push":{{"channel":"{channel}","pub":{publication}}}}}"#
        ))
        .await;
    }
}

const CHEAP: &str = r#""tf":{"key":"price","cmp":"lt","val":"10"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_filter() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let deep = format!(
        "{}{}{}",
        r#"{"op":"not","nodes":["#.repeat(65),
        r#"{"cmp":"ex","key":"a"}"#,
        "]}".repeat(65)
    );
    for (id, filter) in [
        r#"{}"#,
        r#"{"key":"a","cmp":"is","val":"1"}"#,
        r#"{"key":"a","cmp":"eq"}"#,
        r#"{"key":"a","cmp":"in","val":"1"}"#,
        r#"{"cmp":"eq","val":"1"}"#,
        r#"{"op":"nor","nodes":[{"cmp":"ex","key":"a"}]}"#,
        r#"{"op":"and"}"#,
        r#"{"op":"not","nodes":[{"cmp":"ex","key":"a"},{"cmp":"ex","key":"a"}]}"#,
    ]
    .iter()
    .enumerate()
    {
        let id = id + 2;
        peer.ask(
            &format!(r#"{{"id":{id},"subscribe":{{"channel":"tf:a","tf":{filter}}}}}"#),
            &format!(r#"{{"id":{id},"error":{{"code":107,"message":"bad request"}}}}"#),
        )
        .await;
    }
    // A good one where none is allowed.
    peer.ask(
        &format!(r#"{{"id":20,"subscribe":{{"channel":"a",{CHEAP}}}}}"#),
        r#"{"id":20,"error":{"code":107,"message":"bad request"}}"#,
    )
    .await;
    // Deeper than JSON is read.
    peer.send(&format!(
        r#"{{"id":21,"subscribe":{{"channel":"tf:a","tf":{deep}}}}}"#
    ));
    peer.expect_close(3501, "bad request").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_of_what_is_published() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"tf:a",{CHEAP}}}}}"#),
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    // Joins and leaves are for all.
    peer.expect(r#"{"push":{"channel":"tf:a","join":{"info":{"user":"42","client":"<client>"}}}}"#)
        .await;
    stream(&server, "tf:a", &["9.99", "10.00", "10", "1e0", "-3", "cheap"]).await;
    server.publish("tf:a", json!("no tags")).await;
    publish(&server, "tf:a", 7, "9.9999999999999999999").await;
    expect(
        &mut peer,
        "tf:a",
        &[
            r#"{"data":1,"tags":{"price":"9.99"}}"#,
            r#"{"data":5,"tags":{"price":"-3"}}"#,
            r#"{"data":7,"tags":{"price":"9.9999999999999999999"}}"#,
        ],
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_no_gap() {
    let server = server().await;
    stream(&server, "st:a", &["1", "20", "3", "40"]).await;
    let mut peer = server.user("42").await;
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"st:a","recover":true,{CHEAP}}}}}"#),
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":1,"offset":1,"tags":{"price":"1"}},{"data":3,"offset":3,"tags":{"price":"3"}}],"recovered":true,"positioned":true,"was_recovering":true}}"#,
    )
    .await;
    publish(&server, "st:a", 5, "50").await;
    publish(&server, "st:a", 6, "6").await;
    expect(
        &mut peer,
        "st:a",
        &[r#"{"data":6,"offset":6,"tags":{"price":"6"}}"#],
    )
    .await;

    // The client goes on from the last one it was sent, and what was dropped since is dropped again.
    let mut peer = server.user("42").await;
    for (id, request, answer) in [
        (
            2,
            r#""offset":3,"#,
            r#""publications":[{"data":6,"offset":6,"tags":{"price":"6"}}],"recovered":true,"offset":3,"positioned":true,"was_recovering":true"#,
        ),
        (
            4,
            r#""offset":6,"#,
            r#""recovered":true,"offset":6,"positioned":true,"was_recovering":true"#,
        ),
        // More than five were published since, wanted or not.
        (
            6,
            r#""offset":0,"#,
            r#""offset":6,"positioned":true,"was_recovering":true"#,
        ),
    ] {
        peer.ask(
            &format!(r#"{{"id":{id},"subscribe":{{"channel":"st:a","recover":true,{request}{CHEAP}}}}}"#),
            &format!(r#"{{"id":{id},"subscribe":{{"recoverable":true,"epoch":"<epoch>",{answer}}}}}"#),
        )
        .await;
        let id = id + 1;
        peer.ask(
            &format!(r#"{{"id":{id},"unsubscribe":{{"channel":"st:a"}}}}"#),
            &format!(r#"{{"id":{id},"unsubscribe":{{}}}}"#),
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_that_is_wanted() {
    let server = server().await;
    stream(&server, "cache:a", &["1", "2", "30", "40"]).await;
    let cases = [
        (
            "",
            r#""publications":[{"data":2,"offset":2,"tags":{"price":"2"}}],"recovered":true,"positioned":true,"was_recovering":true"#,
        ),
        (
            r#","recover":true,"offset":4,"epoch":"<epoch>""#,
            r#""recovered":true,"offset":4,"positioned":true,"was_recovering":true"#,
        ),
        (
            r#","recover":true,"offset":2,"epoch":"<epoch>""#,
            r#""publications":[{"data":2,"offset":2,"tags":{"price":"2"}}],"recovered":true,"offset":2,"positioned":true,"was_recovering":true"#,
        ),
    ];
    let mut epoch = String::new();
    for (request, answer) in cases {
        let mut peer = server.user("42").await;
        if !epoch.is_empty() {
            peer.bind("epoch", &epoch);
        }
        peer.ask(
            &format!(r#"{{"id":2,"subscribe":{{"channel":"cache:a",{CHEAP}{request}}}}}"#),
            &format!(r#"{{"id":2,"subscribe":{{"recoverable":true,"epoch":"<epoch>",{answer}}}}}"#),
        )
        .await;
        epoch = peer.name("epoch").to_owned();
    }
    // Five are looked at; as many that nobody wants are as good as nothing.
    stream(&server, "cache:b", &["1", "20", "30", "40", "50", "60"]).await;
    let mut peer = server.user("42").await;
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"cache:b",{CHEAP}}}}}"#),
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","offset":6,"positioned":true,"was_recovering":true}}"#,
    )
    .await;
    server.stop().await;
}

fn filter(cmp: &str, val: &str) -> Value {
    json!({ "key": "price", "cmp": cmp, "val": val })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_what_may_be_seen_at_all() {
    let server = server().await;
    stream(&server, "st:a", &["1", "20", "3", "400"]).await;
    let mut peer = server.user("42").await;
    // It needs no permission in the namespace; with a filter of the client both must let pass.
    let claims = json!({ "sub": "42", "channel": "st:a", "server_tags_filter": filter("gt", "1") });
    peer.bind("token", &token(&claims));
    peer.ask(
        &format!(r#"{{"id":2,"subscribe":{{"channel":"st:a","token":"<token>","recover":true,{CHEAP}}}}}"#),
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":3,"offset":3,"tags":{"price":"3"}}],"recovered":true,"positioned":true,"was_recovering":true}}"#,
    )
    .await;
    stream(&server, "st:a", &["0", "5"]).await;
    expect(
        &mut peer,
        "st:a",
        &[r#"{"data":2,"offset":6,"tags":{"price":"5"}}"#],
    )
    .await;

    // A new token brings a new one, or none.
    let refreshes = [
        json!({ "sub": "42", "channel": "st:a", "server_tags_filter": filter("lt", "1") }),
        json!({ "sub": "42", "channel": "st:a" }),
    ];
    let shown = [
        &[r#"{"data":1,"offset":7,"tags":{"price":"0"}}"#][..],
        &[
            r#"{"data":1,"offset":9,"tags":{"price":"0"}}"#,
            r#"{"data":2,"offset":10,"tags":{"price":"6"}}"#,
        ],
    ];
    for (id, (claims, shown)) in refreshes.iter().zip(shown).enumerate() {
        let id = id + 3;
        peer.ask(
            &format!(
                r#"{{"id":{id},"sub_refresh":{{"channel":"st:a","token":"{}"}}}}"#,
                token(claims)
            ),
            &format!(r#"{{"id":{id},"sub_refresh":{{}}}}"#),
        )
        .await;
        stream(&server, "st:a", &["0", "6"]).await;
        expect(&mut peer, "st:a", shown).await;
    }
    // One that cannot be read grants nothing.
    let mut other = server.user("42").await;
    let claims = json!({ "sub": "42", "channel": "st:a", "server_tags_filter": { "op": "and" } });
    other.bind("token", &token(&claims));
    other
        .ask(
            r#"{"id":2,"subscribe":{"channel":"st:a","token":"<token>"}}"#,
            r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#,
        )
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_the_server_are_filtered_too() {
    let server = server().await;
    stream(&server, "st:a", &["1", "20"]).await;
    let claims = |filter: Value| json!({ "sub": "42", "subs": { "st:a": { "server_tags_filter": filter } } });
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&claims(filter("gte", "10"))));
    // What the client asks for there is not read.
    peer.ask(
        &format!(r#"{{"id":1,"connect":{{"token":"<token>","subs":{{"st:a":{{"recover":true,{CHEAP}}}}}}}}}"#),
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"st:a":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":2,"offset":2,"tags":{"price":"20"}}],"recovered":true,"positioned":true,"was_recovering":true}},"ping":25,"pong":true}}"#,
    )
    .await;
    stream(&server, "st:a", &["1", "20"]).await;
    expect(
        &mut peer,
        "st:a",
        &[r#"{"data":2,"offset":4,"tags":{"price":"20"}}"#],
    )
    .await;
    peer.ask(
        &format!(
            r#"{{"id":2,"refresh":{{"token":"{}"}}}}"#,
            token(&claims(filter("lt", "10")))
        ),
        r#"{"id":2,"refresh":{}}"#,
    )
    .await;
    stream(&server, "st:a", &["1", "20", "3"]).await;
    expect(
        &mut peer,
        "st:a",
        &[
            r#"{"data":1,"offset":5,"tags":{"price":"1"}}"#,
            r#"{"data":3,"offset":7,"tags":{"price":"3"}}"#,
        ],
    )
    .await;
    server.stop().await;
}

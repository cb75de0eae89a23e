//! Recovery: the table of history-and-recovery.md 5, live positions (6), cache mode.

use serde_json::json;

use crate::support::TestServer;

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "insecure": true, "recovery_max_publication_limit": 5 },
        "channel": {
            "namespaces": [
                { "name": "st", "history_size": 10, "history_ttl": "60s", "force_recovery": true },
                { "name": "two", "history_size": 2, "history_ttl": "60s", "force_recovery": true },
                { "name": "po", "history_size": 10, "history_ttl": "60s", "force_positioning": true },
                { "name": "cache", "history_size": 10, "history_ttl": "60s", "force_recovery": true,
                  "force_recovery_mode": "cache" },
                { "name": "auto", "history_size": 10, "history_ttl": "60s", "force_recovery": true,
                  "force_recovery_mode": "cache", "auto_cache_recover": true }
            ]
        }
    }))
    .await
}

async fn publish(server: &TestServer, channel: &str, numbers: std::ops::RangeInclusive<u32>) {
    for n in numbers {
        server.publish(channel, json!({ "n": n })).await;
    }
}

/// Each case on a connection of its own, all of which know the same epoch.
async fn check(server: &TestServer, channel: &str, cases: &[(&str, &str)]) {
    let answer = server
        .api("history", json!({ "channel": channel, "limit": 0 }))
        .await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let epoch = answer["result"]["epoch"].as_str().unwrap();
    for (request, result) in cases {
        let mut peer = server.user("42").await;
        peer.bind("epoch", epoch);
        let command = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"{request}}}}}"#);
        let reply = format!(r#"{{"id":2,{result}}}"#);
        peer.ask(&command, &reply).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_three() {
    let server = server().await;
    publish(&server, "st:a", 1..=3).await;
    check(
        &server,
        "st:a",
        &[
            ("", r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true}"#),
            (
                r#","recover":true,"offset":1,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":2},"offset":2},{"data":{"n":3},"offset":3}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":3,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","recovered":true,"offset":3,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":9,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":1,"epoch":"another""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":0,"epoch":"_""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true"#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":1},"offset":1},{"data":{"n":2},"offset":2},{"data":{"n":3},"offset":3}],"recovered":true,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":1,"epoch":"another","flag":2"#,
                r#""error":{"code":112,"message":"unrecoverable position"}"#,
            ),
            (
                r#","recover":true,"offset":3,"epoch":"<epoch>","flag":3"#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","recovered":true,"offset":3,"positioned":true,"was_recovering":true}"#,
            ),
        ],
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream() {
    let server = server().await;
    check(
        &server,
        "st:new",
        &[(
            r#","recover":true"#,
            r#""subscribe":{"recoverable":true,"epoch":"<epoch>","recovered":true,"positioned":true,"was_recovering":true}"#,
        )],
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_cannot_be_recovered() {
    let server = server().await;
    // Two of three are kept.
    publish(&server, "two:a", 1..=4).await;
    check(
        &server,
        "two:a",
        &[
            (
                r#","recover":true,"offset":1,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":4,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":2,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":3},"offset":3},{"data":{"n":4},"offset":4}],"recovered":true,"offset":2,"positioned":true,"was_recovering":true}"#,
            ),
        ],
    )
    .await;
    // Five may be recovered at once.
    publish(&server, "st:many", 1..=6).await;
    check(
        &server,
        "st:many",
        &[
            (
                r#","recover":true,"offset":0,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":6,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":0,"epoch":"<epoch>","flag":2"#,
                r#""error":{"code":112,"message":"unrecoverable position"}"#,
            ),
        ],
    )
    .await;
    // A history that was removed keeps its top.
    publish(&server, "st:removed", 1..=3).await;
    server
        .api("history_remove", json!({ "channel": "st:removed" }))
        .await;
    check(
        &server,
        "st:removed",
        &[
            (
                r#","recover":true,"offset":2,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":3,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","recovered":true,"offset":3,"positioned":true,"was_recovering":true}"#,
            ),
        ],
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_alone_are_not_recovered() {
    let server = TestServer::start(json!({
        "channel": { "without_namespace": { "history_size": 10, "history_ttl": "60s", "force_positioning": true,
            "allow_subscribe_for_client": true } }
    }))
    .await;
    publish(&server, "p", 1..=3).await;
    check(
        &server,
        "p",
        &[(
            r#","recover":true,"offset":1,"epoch":"<epoch>""#,
            r#""subscribe":{"epoch":"<epoch>","offset":3,"positioned":true,"was_recovering":true}"#,
        )],
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_recovery_the_stream_goes_on() {
    let server = server().await;
    publish(&server, "st:a", 1..=2).await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"st:a","recover":true,"offset":1,"epoch":""}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":2},"offset":2}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}}"#,
    )
    .await;
    publish(&server, "st:a", 3..=4).await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":{"n":3},"offset":3}}}"#)
        .await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":{"n":4},"offset":4}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_publication_tells_the_epoch() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"st:a"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    publish(&server, "st:a", 1..=2).await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":{"n":1},"offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    peer.expect(r#"{"push":{"channel":"st:a","pub":{"data":{"n":2},"offset":2}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_recovers_the_newest() {
    let server = server().await;
    check(
        &server,
        "cache:empty",
        &[(
            r#","recover":true"#,
            r#""subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true,"was_recovering":true}"#,
        )],
    )
    .await;
    publish(&server, "cache:a", 1..=3).await;
    check(
        &server,
        "cache:a",
        &[
            ("", r#""subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true}"#),
            (
                r#","recover":true,"offset":1,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":3},"offset":3}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":1,"epoch":"another""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":3},"offset":3}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}"#,
            ),
            (
                r#","recover":true,"offset":3,"epoch":"<epoch>""#,
                r#""subscribe":{"recoverable":true,"epoch":"<epoch>","recovered":true,"offset":3,"positioned":true,"was_recovering":true}"#,
            ),
        ],
    )
    .await;
    publish(&server, "auto:a", 1..=3).await;
    check(
        &server,
        "auto:a",
        &[(
            "",
            r#""subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"n":3},"offset":3}],"recovered":true,"positioned":true,"was_recovering":true}"#,
        )],
    )
    .await;
    server.stop().await;
}

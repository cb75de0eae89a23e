//! Names of channels, permissions, and what they have to do with each other (channels-and-auth.md 1, 3, 8, 9).

use serde_json::{Value, json};

use crate::support::{Peer, TestServer, in_seconds, token};

const OK: &str = r#""subscribe":{}"#;
const UNKNOWN: &str = r#""error":{"code":102,"message":"unknown channel"}"#;
const DENIED: &str = r#""error":{"code":103,"message":"permission denied"}"#;
const BAD: &str = r#""error":{"code":107,"message":"bad request"}"#;
const NOT_AVAILABLE: &str = r#""error":{"code":108,"message":"not available"}"#;

/// Asks with one id and expects the rest of the reply.
async fn check(peer: &mut Peer, command: &str, outcome: &str) {
    peer.ask(
        &format!(r#"{{"id":9,{command}}}"#),
        &format!(r#"{{"id":9,{outcome}}}"#),
    )
    .await;
}

async fn subscribe(peer: &mut Peer, channel: &str, outcome: &str) {
    check(
        peer,
        &format!(r#""subscribe":{{"channel":"{channel}"}}"#),
        outcome,
    )
    .await;
}

fn open_to_clients(also: Value) -> Value {
    let mut options = json!({
        "allow_subscribe_for_client": true, "allow_publish_for_client": true,
        "presence": true, "allow_presence_for_client": true,
        "history_size": 5, "history_ttl": "60s", "allow_history_for_client": true
    });
    crate::support::merge(&mut options, also);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_name_finds_its_namespace() {
    let server = TestServer::start(json!({
        "channel": {
            "without_namespace": { "allow_subscribe_for_client": true },
            "namespaces": [{ "name": "a.b-c_D" }, { "name": "open", "allow_subscribe_for_client": true }]
        }
    }))
    .await;
    let mut peer = server.user("42").await;
    for (channel, outcome) in [
        ("a", OK),
        (":a", OK),
        ("open:a", OK),
        ("open:", OK),
        ("open:a:b", OK),
        ("a.b-c_D:a", DENIED),
        ("OPEN:a", UNKNOWN),
        ("nowhere:open:a", UNKNOWN),
        ("$open:a", DENIED),
        ("$nowhere:a", UNKNOWN),
        ("$$open:a", UNKNOWN),
        // Reserved, and yet not refused.
        ("open:*/&", OK),
        // Where lists of users are off, # is a letter.
        ("open:a#43", OK),
    ] {
        subscribe(&mut peer, channel, outcome).await;
    }
    // Every name is a channel of its own.
    server.publish(":a", json!("another channel")).await;
    server.publish("$a", json!("another channel")).await;
    server.publish("a", json!("this one")).await;
    peer.expect(r#"{"push":{"channel":":a","pub":{"data":"another channel"}}}"#)
        .await;
    peer.expect(r#"{"push":{"channel":"a","pub":{"data":"this one"}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_separators() {
    let server = TestServer::start(json!({
        "channel": {
            "private_prefix": "!", "namespace_boundary": "/", "user_boundary": "@", "user_separator": ";",
            "max_length": -1,
            "namespaces": [{ "name": "dm", "allow_user_limited_channels": true }]
        }
    }))
    .await;
    let mut peer = server.user("42").await;
    subscribe(&mut peer, "dm/a@41;42", OK).await;
    subscribe(&mut peer, "dm/a@41,42", DENIED).await;
    subscribe(&mut peer, "!dm/a@42", DENIED).await;
    subscribe(&mut peer, "dm:a@42", DENIED).await;
    let long = format!("dm/{}@42", "x".repeat(1000));
    subscribe(&mut peer, &long, OK).await;
    server.stop().await;
}

/// Only clients meet the expression, and only where they name a channel to do something in it.
#[tokio::test(flavor = "multi_thread")]
async fn where_an_expression_is_asked() {
    let server = TestServer::start(json!({
        "channel": {
            "max_length": 10,
            "namespaces": [open_to_clients_named("digits", json!({ "channel_regex": "^[0-9]+$" }))]
        }
    }))
    .await;
    let mut peer = server.websocket().await;
    let claims =
        json!({ "sub": "42", "channels": ["digits:x", "$digits:y", "digits:long-name", "digits:#43"] });
    peer.bind("token", &token(&claims));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"digits:z":{},"digits:7":{}}}}"#,
        r##"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"$digits:y":{},"digits:#43":{},"digits:7":{},"digits:long-name":{},"digits:x":{}},"ping":25,"pong":true}}"##,
    )
    .await;
    for command in [
        r#""subscribe":{"channel":"digits:a"}"#,
        r#""publish":{"channel":"digits:a","data":1}"#,
        r#""presence":{"channel":"digits:a"}"#,
        r#""presence_stats":{"channel":"digits:a"}"#,
        r#""history":{"channel":"digits:a"}"#,
    ] {
        check(&mut peer, command, BAD).await;
    }
    check(
        &mut peer,
        r#""unsubscribe":{"channel":"digits:x"}"#,
        r#""unsubscribe":{}"#,
    )
    .await;
    server.publish("digits:long-name", json!("API")).await;
    peer.expect(
        r#"{"push":{"channel":"digits:long-name","pub":{"data":"API","offset":1,"epoch":"<epoch>"}}}"#,
    )
    .await;
    // Length is a matter of subscribing.
    subscribe(&mut peer, "digits:1234", BAD).await;
    check(
        &mut peer,
        r#""publish":{"channel":"digits:12345","data":1}"#,
        r#""publish":{}"#,
    )
    .await;
    server.stop().await;
}

fn open_to_clients_named(name: &str, also: Value) -> Value {
    let mut options = open_to_clients(also);
    options["name"] = name.into();
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn private_channels_are_private_to_subscribers_only() {
    let server =
        TestServer::start(json!({ "channel": { "namespaces": [open_to_clients_named("open", json!({}))] } }))
            .await;
    let mut peer = server.user("42").await;
    subscribe(&mut peer, "$open:a", DENIED).await;
    check(
        &mut peer,
        r#""publish":{"channel":"$open:a","data":1}"#,
        r#""publish":{}"#,
    )
    .await;
    check(
        &mut peer,
        r#""history":{"channel":"$open:a","limit":1}"#,
        r#""history":{"publications":[{"data":1,"info":{"user":"42","client":"<client>"},"offset":1}],"epoch":"<epoch>","offset":1}"#,
    )
    .await;
    check(
        &mut peer,
        r#""presence_stats":{"channel":"$open:a"}"#,
        r#""presence_stats":{"num_clients":0,"num_users":0}"#,
    )
    .await;
    server.stop().await;
}

/// `allow_…_for_anonymous` extends what stands beside it and grants nothing alone, to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn the_anonymous() {
    let alone = |name: &str| {
        json!({ "name": name, "allow_subscribe_for_anonymous": true, "allow_publish_for_anonymous": true,
            "presence": true, "allow_presence_for_anonymous": true,
            "history_size": 5, "history_ttl": "60s", "allow_history_for_anonymous": true })
    };
    let mut both = alone("both");
    crate::support::merge(&mut both, open_to_clients(json!({})));
    let server = TestServer::start(json!({
        "channel": { "namespaces": [alone("alone"), both, open_to_clients_named("open", json!({}))] }
    }))
    .await;
    let mut somebody = server.user("42").await;
    let mut nobody = server.connected(json!({})).await;
    for (command, granted) in [
        (r#""subscribe":{"channel":"NS:a"}"#, OK),
        (r#""publish":{"channel":"NS:b","data":1}"#, r#""publish":{}"#),
        (
            r#""presence_stats":{"channel":"NS:b"}"#,
            r#""presence_stats":{"num_clients":0,"num_users":0}"#,
        ),
        (
            r#""history":{"channel":"NS:c"}"#,
            r#""history":{"publications":[],"epoch":"<_>","offset":0}"#,
        ),
    ] {
        for (namespace, for_somebody, for_nobody) in [
            ("alone", DENIED, DENIED),
            ("open", granted, DENIED),
            ("both", granted, granted),
        ] {
            let command = command.replace("NS", namespace);
            check(&mut somebody, &command, for_somebody).await;
            check(&mut nobody, &command, for_nobody).await;
        }
    }
    server.stop().await;
}

/// An insecure server grants last, and only what exists (3.1).
#[tokio::test(flavor = "multi_thread")]
async fn what_an_insecure_server_still_refuses() {
    let server = TestServer::start(json!({
        "client": { "insecure": true },
        "channel": { "namespaces": [{ "name": "digits", "channel_regex": "^[0-9]+$", "allow_user_limited_channels": true }] }
    }))
    .await;
    let mut peer = server.websocket().await;
    peer.ask(
        r##"{"id":1,"connect":{"subs":{"a":{},"$b":{},"digits:c":{},"digits:1":{}}}}"##,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"a":{},"digits:1":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    for (command, outcome) in [
        (r#""subscribe":{"channel":"nowhere:a"}"#, UNKNOWN),
        (r#""subscribe":{"channel":"digits:a"}"#, BAD),
        (r#""subscribe":{"channel":"$a"}"#, DENIED),
        (r#""subscribe":{"channel":"b","type":1}"#, DENIED),
        (r#""subscribe":{"channel":"digits:2"}"#, OK),
        (r#""presence":{"channel":"b"}"#, NOT_AVAILABLE),
        (r#""history":{"channel":"b"}"#, NOT_AVAILABLE),
        (r#""publish":{"channel":"b","data":1}"#, r#""publish":{}"#),
    ] {
        check(&mut peer, command, outcome).await;
    }
    // A token that came along is verified, and does not end the connection.
    for (claims, outcome) in [
        (
            json!({ "sub": "42", "exp": in_seconds(-5) }),
            r#""error":{"code":109,"message":"token expired"}"#,
        ),
        (
            json!({ "sub": "42", "exp": in_seconds(100) }),
            r#""connect":{"client":"<_>","version":"<version>","ping":25,"pong":true}"#,
        ),
    ] {
        let mut peer = server.websocket().await;
        let command = format!(r#""connect":{{"token":"{}"}}"#, token(&claims));
        check(&mut peer, &command, outcome).await;
    }
    let mut peer = server.websocket().await;
    peer.provoke(
        r#"{"id":1,"connect":{"token":"nonsense"}}"#,
        3500,
        "invalid token",
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn formats_of_data() {
    let namespace = |name: &str, format: &str| json!({ "name": name, "allow_publish_for_client": true, "publication_data_format": format });
    let server = TestServer::start(json!({
        "channel": {
            "publication_data_format": "json",
            "namespaces": [namespace("inherits", ""), namespace("object", "json_object"), namespace("any", "binary")]
        }
    }))
    .await;
    let mut peer = server.user("42").await;
    for (channel, data, is_good) in [
        ("inherits:a", "[1]", true),
        ("object:a", r#" {"a":1} "#, true),
        ("object:a", "[1]", false),
        ("object:a", "null", false),
        ("any:a", "[1]", true),
    ] {
        let outcome = if is_good { r#""publish":{}"# } else { BAD };
        let command = format!(r#""publish":{{"channel":"{channel}","data":{data}}}"#);
        check(&mut peer, &command, outcome).await;
    }
    check(&mut peer, r#""publish":{"channel":"inherits:a"}"#, BAD).await;
    check(&mut peer, r#""publish":{"channel":"any:a"}"#, r#""publish":{}"#).await;
    let bad = r#"{"error":{"code":107,"message":"bad request"}}"#;
    let request = json!({ "channel": "object:a", "data": 1 });
    assert_eq!(server.api("publish", request).await, bad);
    let request = json!({ "channels": ["object:a", "any:a"], "data": 1 });
    let answer = server.api("broadcast", request).await;
    assert_eq!(
        answer,
        r#"{"result":{"responses":[{"error":{"code":107,"message":"bad request"}},{"result":{}}]}}"#
    );
    server.stop().await;
}

/// Positions work without history: there is an epoch and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn positions_without_history() {
    let server = TestServer::start(json!({
        "channel": { "without_namespace": { "allow_subscribe_for_client": true, "force_positioning": true } }
    }))
    .await;
    let mut peer = server.user("42").await;
    subscribe(
        &mut peer,
        "a",
        r#""subscribe":{"epoch":"<epoch>","positioned":true}"#,
    )
    .await;
    server.publish("a", json!(1)).await;
    peer.expect(r#"{"push":{"channel":"a","pub":{"data":1}}}"#).await;
    server.stop().await;
}

/// Channel info of a subscription token, in one's own join (9).
#[tokio::test(flavor = "multi_thread")]
async fn an_own_join_with_channel_info() {
    let server = TestServer::start(json!({
        "channel": { "namespaces": [{ "name": "jj", "presence": true, "join_leave": true,
            "force_push_join_leave": true, "allow_presence_for_subscriber": true, "allow_publish_for_subscriber": true }] }
    }))
    .await;
    let mut peer = server.connected(json!({ "sub": "1", "info": { "c": 1 } })).await;
    let info = |info: Value| token(&json!({ "sub": "1", "channel": "jj:1", "info": info }));
    peer.bind("token", &info(json!({ "ch": 1 })));
    check(
        &mut peer,
        r#""subscribe":{"channel":"jj:1","token":"<token>"}"#,
        OK,
    )
    .await;
    peer.expect(r#"{"push":{"channel":"jj:1","join":{"info":{"user":"1","client":"<client>","conn_info":{"c":1},"chan_info":{"ch":1}}}}}"#)
        .await;
    check(
        &mut peer,
        r#""presence":{"channel":"jj:1"}"#,
        r#""presence":{"presence":{"<client>":{"user":"1","client":"<client>","conn_info":{"c":1},"chan_info":{"ch":1}}}}"#,
    )
    .await;
    // A refreshed subscription has the info of its new token, none included.
    for (claims, info) in [
        (
            json!({ "sub": "1", "channel": "jj:1", "info": 2 }),
            r#","chan_info":2"#,
        ),
        (json!({ "sub": "1", "channel": "jj:1" }), ""),
    ] {
        let refresh = format!(
            r#""sub_refresh":{{"channel":"jj:1","token":"{}"}}"#,
            token(&claims)
        );
        check(&mut peer, &refresh, r#""sub_refresh":{}"#).await;
        peer.send(r#"{"id":3,"publish":{"channel":"jj:1","data":1}}"#);
        peer.expect_all(&[
            r#"{"id":3,"publish":{}}"#,
            &format!(
                r#"{{"push":{{"channel":"jj:1","pub":{{"data":1,"info":{{"user":"1","client":"<client>","conn_info":{{"c":1}}{info}}}}}}}}}"#
            ),
        ])
        .await;
    }
    // Nobody hears of leaving themselves.
    check(
        &mut peer,
        r#""unsubscribe":{"channel":"jj:1"}"#,
        r#""unsubscribe":{}"#,
    )
    .await;
    subscribe(&mut peer, "jj:1", DENIED).await;
    server.stop().await;
}

/// What a token replaces of the namespace's options (4.4).
#[tokio::test(flavor = "multi_thread")]
async fn overrides() {
    let server = TestServer::start(json!({
        "channel": { "namespaces": [
            { "name": "plain", "history_size": 5, "history_ttl": "60s" },
            { "name": "room", "presence": true, "allow_presence_for_subscriber": true, "join_leave": true,
              "force_push_join_leave": true }
        ] }
    }))
    .await;
    let opens = |channel: &str, overrides: Value| {
        let claims = json!({ "sub": "42", "channel": channel, "override": overrides });
        format!(
            r#""subscribe":{{"channel":"{channel}","token":"{}"}}"#,
            token(&claims)
        )
    };
    let mut peer = server.user("42").await;
    check(&mut peer, &opens("plain:a", json!({})), OK).await;
    check(
        &mut peer,
        &opens(
            "plain:b",
            json!({ "force_positioning": { "value": true }, "presence": { "value": true } }),
        ),
        r#""subscribe":{"epoch":"<b>","positioned":true}"#,
    )
    .await;
    // The entry is stored; asking for it is still off.
    check(&mut peer, r#""presence":{"channel":"plain:b"}"#, NOT_AVAILABLE).await;
    check(
        &mut peer,
        &opens("plain:c", json!({ "force_recovery": { "value": true } })),
        r#""subscribe":{"recoverable":true,"epoch":"<c>","positioned":true}"#,
    )
    .await;
    // One who is silent and deaf among others.
    let mut other = server.user("43").await;
    let hears = format!(
        r#""subscribe":{{"channel":"room:a","token":"{}"}}"#,
        token(&json!({ "sub": "43", "channel": "room:a" }))
    );
    check(&mut other, &hears, OK).await;
    other
        .expect(r#"{"push":{"channel":"room:a","join":{"info":{"user":"43","client":"<client>"}}}}"#)
        .await;
    let silent = json!({ "join_leave": { "value": false }, "force_push_join_leave": {}, "presence": { "value": false } });
    check(&mut peer, &opens("room:a", silent), OK).await;
    check(
        &mut other,
        r#""presence_stats":{"channel":"room:a"}"#,
        r#""presence_stats":{"num_clients":1,"num_users":1}"#,
    )
    .await;
    check(
        &mut peer,
        r#""unsubscribe":{"channel":"room:a"}"#,
        r#""unsubscribe":{}"#,
    )
    .await;
    server.publish("room:a", json!("no leave came before")).await;
    other
        .expect(r#"{"push":{"channel":"room:a","pub":{"data":"no leave came before"}}}"#)
        .await;
    server.stop().await;
}

/// Recovery of the newest publication without being asked (8, 9).
#[tokio::test(flavor = "multi_thread")]
async fn auto_cache_recovery() {
    let server = TestServer::start(json!({
        "channel": { "namespaces": [{ "name": "cache", "allow_subscribe_for_client": true, "history_size": 3,
            "history_ttl": "60s", "force_recovery": true, "force_recovery_mode": "cache", "auto_cache_recover": true }] }
    }))
    .await;
    for i in 1..=3 {
        server.publish("cache:a", json!({ "i": i })).await;
    }
    let mut peer = server.user("42").await;
    let result = r#"{"recoverable":true,"epoch":"<epoch>","publications":[{"data":{"i":3},"offset":3}],"recovered":true,"positioned":true,"was_recovering":true}"#;
    subscribe(&mut peer, "cache:a", &format!(r#""subscribe":{result}"#)).await;
    // Every origin but the server API.
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42", "channels": ["cache:a"] })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>"}}"#,
        &format!(
            r#"{{"id":1,"connect":{{"client":"<client>","version":"<version>","subs":{{"cache:a":{result}}},"ping":25,"pong":true}}}}"#
        ),
    )
    .await;
    let mut peer = server.user("43").await;
    server
        .api("subscribe", json!({ "user": "43", "channel": "cache:a" }))
        .await;
    peer.expect(r#"{"push":{"channel":"cache:a","subscribe":{"recoverable":true,"epoch":"<epoch>","offset":3,"positioned":true}}}"#)
        .await;
    server.stop().await;
}

/// What a reload takes over at once (1, configuration.md 2.7): options, patterns and keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload() {
    let server = TestServer::start(json!({ "channel": { "namespaces": [
        { "name": "before", "allow_subscribe_for_client": true }
    ] } }))
    .await;
    let mut peer = server.user("42").await;
    subscribe(&mut peer, "before:a", OK).await;
    for (channel, outcome) in [("a", DENIED), ("/users/a", DENIED), ("after:a", UNKNOWN)] {
        subscribe(&mut peer, channel, outcome).await;
    }
    server.reload(json!({
        "client": { "token": { "hmac_secret_key": "new", "hmac_previous_secret_key": crate::support::SECRET } },
        "channel": {
            "patterns": true,
            "namespaces": [
                { "name": "after", "allow_subscribe_for_client": true },
                { "name": "users", "pattern": "/users/:name", "allow_subscribe_for_client": true }
            ]
        }
    }));
    for (channel, outcome) in [
        ("before:b", UNKNOWN),
        ("/users/a", OK),
        ("/a", UNKNOWN),
        ("after:a", OK),
    ] {
        subscribe(&mut peer, channel, outcome).await;
    }
    // Who is subscribed stays so.
    check(
        &mut peer,
        r#""unsubscribe":{"channel":"before:a"}"#,
        r#""unsubscribe":{}"#,
    )
    .await;
    for secret in ["new", crate::support::SECRET] {
        let mut peer = server.websocket().await;
        let token = crate::support::token_signed_with(secret, &json!({ "sub": "42" }));
        let connected = r#""connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}"#;
        check(
            &mut peer,
            &format!(r#""connect":{{"token":"{token}"}}"#),
            connected,
        )
        .await;
    }
    server.stop().await;
}

/// A server-side subscription that expires takes its connection along (4.7).
#[tokio::test(flavor = "multi_thread")]
async fn a_server_side_subscription_expires() {
    let server = TestServer::start(json!({
        "client": { "expired_sub_close_delay": "0.2s", "presence_update_interval": "0.4s" }
    }))
    .await;
    let mut peer = server.user("42").await;
    let request = json!({ "user": "42", "channel": "a", "expire_at": in_seconds(2) });
    assert_eq!(server.api("subscribe", request).await, r#"{"result":{}}"#);
    // When it ends is not the client's business.
    peer.expect(r#"{"push":{"channel":"a","subscribe":{}}}"#).await;
    peer.expect_close(3006, "subscription expired").await;
    server.stop().await;
}

/// What the server API says to clients that it does not concern (6).
#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_by_the_server_api() {
    let server = TestServer::start(
        json!({ "channel": { "without_namespace": { "allow_subscribe_for_client": true } } }),
    )
    .await;
    let mut peer = server.user("42").await;
    // An empty channel means nothing; one that the client never heard of is told all the same.
    let answer = server
        .api("unsubscribe", json!({ "user": "42", "channel": "" }))
        .await;
    assert!(!answer.contains("internal"), "{answer}");
    server
        .api("unsubscribe", json!({ "user": "42", "channel": "never" }))
        .await;
    peer.expect(r#"{"push":{"channel":"never","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;
    // A second subscribe replaces the first and is told again.
    subscribe(&mut peer, "a", OK).await;
    for n in 1..=2 {
        server
            .api("subscribe", json!({ "user": "42", "channel": "a", "data": n }))
            .await;
        peer.expect(&format!(
            r#"{{"push":{{"channel":"a","subscribe":{{"data":{n}}}}}}}"#
        ))
        .await;
    }
    server.publish("a", json!("once")).await;
    server.publish("a", json!("and once more")).await;
    peer.expect(r#"{"push":{"channel":"a","pub":{"data":"once"}}}"#)
        .await;
    peer.expect(r#"{"push":{"channel":"a","pub":{"data":"and once more"}}}"#)
        .await;
    subscribe(
        &mut peer,
        "a",
        r#""error":{"code":105,"message":"already subscribed"}"#,
    )
    .await;
    server.stop().await;
}

/// What a client gets of what it asks for at connect, beside its personal channel (6, 9).
#[tokio::test(flavor = "multi_thread")]
async fn subs_of_the_connect_command() {
    let server = TestServer::start(json!({
        "client": { "subscribe_to_user_personal_channel": { "enabled": true, "personal_channel_namespace": "personal" } },
        "channel": { "namespaces": [
            { "name": "personal" },
            { "name": "open", "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true },
            { "name": "cli", "allow_subscribe_for_client": true },
            { "name": "ul", "allow_user_limited_channels": true, "allow_subscribe_for_client": true },
            { "name": "pub" }
        ] }
    }))
    .await;
    let mut peer = server.websocket().await;
    // Capabilities are for subscribe commands.
    let caps = json!([{ "channels": ["pub:1"], "allow": ["sub"] }]);
    peer.bind("token", &token(&json!({ "sub": "88", "caps": caps })));
    peer.ask(
        r##"{"id":1,"connect":{"token":"<token>","subs":{"open:1":{},"cli:1":{},"ul:#88":{},"ul:#89":{},"pub:1":{},"$cli:1":{},"cli:ü":{}}}}"##,
        r##"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"cli:1":{},"open:1":{},"personal:#88":{},"ul:#88":{}},"ping":25,"pong":true}}"##,
    )
    .await;
    subscribe(&mut peer, "pub:1", OK).await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({})));
    peer.ask(
        r##"{"id":1,"connect":{"token":"<token>","subs":{"open:1":{},"cli:1":{},"ul:#":{}}}}"##,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"open:1":{}},"ping":25,"pong":true}}"#,
    )
    .await;
    server.stop().await;
}

//! Capabilities of connections and subscriptions (channels-and-auth.md 3.9, 7.1).

use prost::Message;
use serde_json::{Value, json};
use tidegate::protocol::message::{
    Command, ConnectRequest, Error, Push, RefreshRequest, RefreshResult, Reply, SubscribeRequest,
    SubscribeResult, Unsubscribe,
};

use crate::support::{Heard, Peer, TestServer, token};

/// A server that allows clients nothing, in channels that have everything.
async fn server() -> TestServer {
    TestServer::start(json!({
        "channel": { "without_namespace": {
            "presence": true, "join_leave": true, "history_size": 10, "history_ttl": "60s"
        } }
    }))
    .await
}

async fn with_caps(server: &TestServer, caps: Value) -> Peer {
    server.connected(json!({ "sub": "42", "caps": caps })).await
}

const DENIED: &str = r#""error":{"code":103,"message":"permission denied"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_is_for_its_operation() {
    let server = server().await;
    for (allow, outcomes) in [
        ("none", [DENIED; 4]),
        ("sub", [r#""subscribe":{}"#, DENIED, DENIED, DENIED]),
        ("pub", [DENIED, r#""publish":{}"#, DENIED, DENIED]),
        (
            "prs",
            [
                DENIED,
                DENIED,
                r#""presence_stats":{"num_clients":<clients>,"num_users":<users>}"#,
                DENIED,
            ],
        ),
        (
            "hst",
            [
                DENIED,
                DENIED,
                DENIED,
                r#""history":{"publications":[],"epoch":"<epoch>","offset":<offset>}"#,
            ],
        ),
    ] {
        let mut peer = with_caps(&server, json!([{ "channels": ["a"], "allow": [allow] }])).await;
        // Join and leave are no part of these transcripts: nobody wished for them.
        let commands = [
            r#""publish":{"channel":"a","data":1}"#,
            r#""presence_stats":{"channel":"a"}"#,
            r#""history":{"channel":"a"}"#,
        ];
        for (command, outcome) in commands.iter().zip(&outcomes[1..]) {
            peer.ask(
                &format!(r#"{{"id":2,{command}}}"#),
                &format!(r#"{{"id":2,{outcome}}}"#),
            )
            .await;
        }
        peer.ask(
            r#"{"id":3,"subscribe":{"channel":"a"}}"#,
            &format!(r#"{{"id":3,{}}}"#, outcomes[0]),
        )
        .await;
        peer.ask(
            r#"{"id":4,"subscribe":{"channel":"b"}}"#,
            &format!(r#"{{"id":4,{DENIED}}}"#),
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_match() {
    let server = server().await;
    let caps = json!([
        { "channels": ["exact"], "allow": ["sub"] },
        { "channels": ["wild_*", "w?"], "match": "wildcard", "allow": ["sub"] },
        { "channels": ["one/*", "all/**"], "match": "doublestar", "allow": ["sub"] },
        { "channels": ["^re[0-9]+$", "("], "match": "regex", "allow": ["sub"] },
        { "channels": ["unknown"], "match": "telepathy", "allow": ["sub"] }
    ]);
    let mut peer = with_caps(&server, caps).await;
    for (channel, granted) in [
        ("exact", true),
        ("exactly", false),
        ("wild_", true),
        ("wild_a/b", true),
        ("w1", true),
        ("w", false),
        ("one/a", true),
        ("one/a/b", false),
        ("all/a/b", true),
        ("re42", true),
        ("re", false),
        ("(", false),
        ("unknown", false),
        ("$wild_a", false),
    ] {
        let outcome = if granted { r#""subscribe":{}"# } else { DENIED };
        let command = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#);
        peer.ask(&command, &format!(r#"{{"id":2,{outcome}}}"#)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_may_rest_on_capabilities() {
    let server = server().await;
    let caps = json!([
        { "channels": ["*"], "match": "wildcard", "allow": ["sub"] },
        { "channels": ["h"], "allow": ["hst"] },
        { "channels": ["p"], "allow": ["prs"] }
    ]);
    let mut peer = with_caps(&server, caps).await;
    let wish = |channel: &str| {
        format!(
            r#"{{"id":2,"subscribe":{{"channel":"{channel}","positioned":true,"recoverable":true,"join_leave":true}}}}"#
        )
    };
    peer.ask(&wish("a"), r#"{"id":2,"subscribe":{}}"#).await;
    peer.ask(
        &wish("h"),
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    peer.ask(&wish("p"), r#"{"id":2,"subscribe":{}}"#).await;
    peer.expect(r#"{"push":{"channel":"p","join":{"info":{"user":"42","client":"<client>"}}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_replaces_capabilities() {
    let server = server().await;
    let mut peer = with_caps(
        &server,
        json!([{ "channels": ["a", "b"], "allow": ["sub", "pub"] }]),
    )
    .await;
    for channel in ["a", "b"] {
        let command = format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#);
        peer.ask(&command, r#"{"id":2,"subscribe":{}}"#).await;
    }
    // A subscription that does not rest on capabilities stays.
    peer.bind("opened", &token(&json!({ "sub": "42", "channel": "c" })));
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"c","token":"<opened>"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    let claims = json!({ "sub": "42", "caps": [{ "channels": ["b"], "allow": ["sub"] }] });
    peer.bind("new", &token(&claims));
    peer.ask(
        r#"{"id":4,"refresh":{"token":"<new>"}}"#,
        r#"{"id":4,"refresh":{}}"#,
    )
    .await;
    peer.expect(r#"{"push":{"channel":"a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;
    peer.ask(
        r#"{"id":5,"publish":{"channel":"b","data":1}}"#,
        &format!(r#"{{"id":5,{DENIED}}}"#),
    )
    .await;
    server
        .until_counts("two subscriptions", |counts| counts.subscriptions == 2)
        .await;
    server.publish("b", json!("still here")).await;
    peer.expect(r#"{"push":{"channel":"b","pub":{"data":"still here","offset":1,"epoch":"<epoch>"}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_token_allows_things_in_its_channel() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let opens = |allow: Value| token(&json!({ "sub": "42", "channel": "$a", "allow": allow }));
    peer.bind("token", &opens(json!(["pub", "hst", "dance"])));
    peer.bind("other", &opens(json!(["prs"])));
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"$a","token":"<token>","positioned":true}}"#,
        r#"{"id":2,"subscribe":{"epoch":"<epoch>","positioned":true}}"#,
    )
    .await;
    let commands = [
        r#""publish":{"channel":"$a","data":1}"#,
        r#""history":{"channel":"$a"}"#,
        r#""presence_stats":{"channel":"$a"}"#,
        r#""publish":{"channel":"b","data":1}"#,
    ];
    peer.send(&format!(r#"{{"id":3,{}}}"#, commands[0]));
    peer.expect_all(&[
        r#"{"id":3,"publish":{}}"#,
        r#"{"push":{"channel":"$a","pub":{"data":1,"info":{"user":"42","client":"<client>"},"offset":1,"epoch":"<epoch>"}}}"#,
    ])
    .await;
    for (command, outcome) in commands[1..].iter().zip([
        r#""history":{"publications":[],"epoch":"<epoch>","offset":1}"#,
        DENIED,
        DENIED,
    ]) {
        peer.ask(
            &format!(r#"{{"id":4,{command}}}"#),
            &format!(r#"{{"id":4,{outcome}}}"#),
        )
        .await;
    }
    peer.ask(
        r#"{"id":5,"sub_refresh":{"channel":"$a","token":"<other>"}}"#,
        r#"{"id":5,"sub_refresh":{}}"#,
    )
    .await;
    for (command, outcome) in commands.iter().zip([
        DENIED,
        DENIED,
        r#""presence_stats":{"num_clients":1,"num_users":1}"#,
        DENIED,
    ]) {
        peer.ask(
            &format!(r#"{{"id":6,{command}}}"#),
            &format!(r#"{{"id":6,{outcome}}}"#),
        )
        .await;
    }
    // It ends with the subscription.
    peer.ask(
        r#"{"id":7,"unsubscribe":{"channel":"$a"}}"#,
        r#"{"id":7,"unsubscribe":{}}"#,
    )
    .await;
    peer.ask(
        &format!(r#"{{"id":8,{}}}"#, commands[2]),
        &format!(r#"{{"id":8,{DENIED}}}"#),
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_of_the_wrong_type_spoil_the_token() {
    let server = server().await;
    for caps in [
        json!({}),
        json!("sub"),
        json!([{ "channels": "a", "allow": ["sub"] }]),
    ] {
        let mut peer = server.websocket().await;
        peer.bind("token", &token(&json!({ "sub": "42", "caps": caps })));
        peer.provoke(r#"{"id":1,"connect":{"token":"<token>"}}"#, 3500, "invalid token")
            .await;
    }
    let mut peer = server.user("42").await;
    peer.bind(
        "token",
        &token(&json!({ "sub": "42", "channel": "$a", "allow": "pub" })),
    );
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"$a","token":"<token>"}}"#,
        &format!(r#"{{"id":2,{DENIED}}}"#),
    )
    .await;
    server.stop().await;
}

/// The same in Protobuf: a grant, a refusal, and what a refresh ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_replaces_capabilities_in_protobuf() {
    let server = server().await;
    let claims = |channel: &str| {
        let caps = json!([{ "channels": [channel], "match": "wildcard", "allow": ["sub"] }]);
        token(&json!({ "sub": "42", "caps": caps }))
    };
    let subscribe = |id, channel: &str| Command {
        id,
        subscribe: Some(SubscribeRequest {
            channel: channel.to_owned(),
            ..SubscribeRequest::default()
        }),
        ..Command::default()
    };
    let path = "/connection/websocket?format=protobuf";
    let mut peer = Peer::websocket(server.dial().await, path, &[]).await;
    let connect = ConnectRequest {
        token: claims("a*"),
        ..ConnectRequest::default()
    };
    let refresh = RefreshRequest { token: claims("b*") };
    let commands = [
        Command {
            id: 1,
            connect: Some(connect),
            ..Command::default()
        },
        subscribe(2, "a1"),
        subscribe(3, "b1"),
        Command {
            id: 4,
            refresh: Some(refresh),
            ..Command::default()
        },
        subscribe(5, "b1"),
    ];
    let frame: Vec<u8> = commands
        .iter()
        .flat_map(Message::encode_length_delimited_to_vec)
        .collect();
    peer.send_bytes(frame);
    let mut replies = Vec::new();
    while replies.len() < 6 {
        let Heard::Frame(frame) = peer.hear("Protobuf").await else {
            panic!("closed after {replies:?}");
        };
        let mut frame = bytes::Bytes::from(frame);
        while !frame.is_empty() {
            replies.push(Reply::decode_length_delimited(&mut frame).unwrap());
        }
    }
    let of = |body: Reply, id| Reply { id, ..body };
    let granted = || Reply {
        subscribe: Some(SubscribeResult::default()),
        ..Reply::default()
    };
    let denied = Reply {
        error: Some(Error {
            code: 103,
            message: "permission denied".to_owned(),
            temporary: false,
        }),
        ..Reply::default()
    };
    let refreshed = Reply {
        refresh: Some(RefreshResult::default()),
        ..Reply::default()
    };
    let ended = Push {
        channel: "a1".to_owned(),
        unsubscribe: Some(Unsubscribe {
            code: 2000,
            reason: "server unsubscribe".to_owned(),
        }),
        ..Push::default()
    };
    let push = Reply {
        push: Some(ended),
        ..Reply::default()
    };
    assert!(replies.remove(0).connect.is_some());
    assert_eq!(
        replies,
        [
            of(granted(), 2),
            of(denied, 3),
            of(refreshed, 4),
            push,
            of(granted(), 5)
        ]
    );
    server.stop().await;
}

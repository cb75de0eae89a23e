//! What messages look like, field by field: JSON (1.2) beside Protobuf (1.3).

use bytes::Bytes;
use serde_json::json;
use tidegate::protocol::message::{
    ClientInfo, Command, Error, HistoryRequest, HistoryResult, Join, Leave, PresenceRequest, PresenceResult,
    PresenceStatsRequest, PresenceStatsResult, Publication, PublishRequest, PublishResult, Push,
    RefreshRequest, RefreshResult, Reply, RpcRequest, RpcResult, StreamPosition, SubRefreshRequest,
    SubRefreshResult, SubscribeRequest, SubscribeResult, Unsubscribe, UnsubscribeRequest, UnsubscribeResult,
};

use crate::binary::Binary;
use crate::support::{TestServer, in_seconds, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "rpc": { "ping": { "enabled": true } },
        "channel": { "namespaces": [
            { "name": "all", "allow_subscribe_for_client": true, "allow_publish_for_client": true,
              "allow_subscribe_for_anonymous": true, "allow_presence_for_anonymous": true,
              "presence": true, "allow_presence_for_client": true, "join_leave": true, "force_push_join_leave": true,
              "history_size": 5, "history_ttl": "60s", "allow_history_for_client": true, "force_recovery": true },
            { "name": "any", "allow_subscribe_for_client": true, "allow_publish_for_client": true,
              "channel_regex": "" , "publication_data_format": "binary" },
            { "name": "text", "allow_subscribe_for_client": true, "allow_publish_for_client": true,
              "channel_regex": "." }
        ] }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reply_in_protobuf() {
    let server = server().await;
    let mut peer = Binary::user(&server, json!({ "sub": "42", "info": { "n": 1 } })).await;
    let client = peer.client.clone();
    let info = ClientInfo {
        user: "42".into(),
        client: client.clone(),
        conn_info: Bytes::from_static(br#"{"n":1}"#),
        ..ClientInfo::default()
    };
    let subscribe = SubscribeRequest {
        channel: "all:a".into(),
        flag: 1 | 1 << 40,
        ..Default::default()
    };
    let reply = peer
        .ask(Command {
            id: 2,
            subscribe: Some(subscribe),
            ..Default::default()
        })
        .await;
    let epoch = reply.subscribe.as_ref().unwrap().epoch.clone();
    assert_eq!(epoch.len(), 8);
    let result = SubscribeResult {
        recoverable: true,
        epoch: epoch.clone(),
        positioned: true,
        ..Default::default()
    };
    assert_eq!(
        reply,
        Reply {
            id: 2,
            subscribe: Some(result),
            ..Default::default()
        }
    );
    let join = Join {
        info: Some(info.clone()),
    };
    peer.expect_push(Push {
        channel: "all:a".into(),
        join: Some(join),
        ..Default::default()
    })
    .await;

    let data = Bytes::from_static(b"\x00\xff\n{");
    let publish = PublishRequest {
        channel: "all:a".into(),
        data: data.clone(),
        ..Default::default()
    };
    peer.send(Command {
        id: 3,
        publish: Some(publish),
        ..Default::default()
    });
    let publication = Publication {
        data,
        info: Some(info.clone()),
        offset: 1,
        ..Default::default()
    };
    let pushed = Publication {
        epoch: epoch.clone(),
        ..publication.clone()
    };
    peer.expect_push(Push {
        channel: "all:a".into(),
        r#pub: Some(pushed),
        ..Default::default()
    })
    .await;
    let done = Some(PublishResult::default());
    peer.expect(Reply {
        id: 3,
        publish: done,
        ..Default::default()
    })
    .await;

    let presence = PresenceRequest {
        channel: "all:a".into(),
    };
    let result = PresenceResult {
        presence: [(client, info.clone())].into(),
    };
    peer.exchange(
        Command {
            id: 4,
            presence: Some(presence),
            ..Default::default()
        },
        Reply {
            id: 4,
            presence: Some(result),
            ..Default::default()
        },
    )
    .await;
    let stats = PresenceStatsRequest {
        channel: "all:a".into(),
    };
    let result = PresenceStatsResult {
        num_clients: 1,
        num_users: 1,
    };
    peer.exchange(
        Command {
            id: 5,
            presence_stats: Some(stats),
            ..Default::default()
        },
        Reply {
            id: 5,
            presence_stats: Some(result),
            ..Default::default()
        },
    )
    .await;
    let since = StreamPosition {
        offset: 0,
        epoch: epoch.clone(),
    };
    let history = HistoryRequest {
        channel: "all:a".into(),
        limit: 10,
        since: Some(since),
        reverse: false,
    };
    let result = HistoryResult {
        publications: vec![publication],
        epoch: epoch.clone(),
        offset: 1,
    };
    peer.exchange(
        Command {
            id: 6,
            history: Some(history),
            ..Default::default()
        },
        Reply {
            id: 6,
            history: Some(result),
            ..Default::default()
        },
    )
    .await;
    let rpc = RpcRequest {
        method: "ping".into(),
        ..Default::default()
    };
    peer.exchange(
        Command {
            id: 7,
            rpc: Some(rpc),
            ..Default::default()
        },
        Reply {
            id: 7,
            rpc: Some(RpcResult::default()),
            ..Default::default()
        },
    )
    .await;
    let refresh = RefreshRequest {
        token: token(&json!({ "sub": "42" })),
    };
    peer.exchange(
        Command {
            id: 8,
            refresh: Some(refresh),
            ..Default::default()
        },
        Reply {
            id: 8,
            refresh: Some(RefreshResult::default()),
            ..Default::default()
        },
    )
    .await;
    let error = Error {
        code: 103,
        message: "permission denied".into(),
        temporary: false,
    };
    let sub_refresh = SubRefreshRequest {
        channel: "all:b".into(),
        token: "x".into(),
        ..Default::default()
    };
    peer.exchange(
        Command {
            id: 9,
            sub_refresh: Some(sub_refresh),
            ..Default::default()
        },
        Reply {
            id: 9,
            error: Some(error),
            ..Default::default()
        },
    )
    .await;
    let unsubscribe = UnsubscribeRequest {
        channel: "all:a".into(),
    };
    peer.exchange(
        Command {
            id: u32::MAX,
            unsubscribe: Some(unsubscribe),
            ..Default::default()
        },
        Reply {
            id: u32::MAX,
            unsubscribe: Some(UnsubscribeResult::default()),
            ..Default::default()
        },
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_recovery_in_protobuf() {
    let server = server().await;
    let mut peer = Binary::user(&server, json!({ "sub": "42" })).await;
    let subscribe = SubscribeRequest {
        channel: "all:a".into(),
        ..Default::default()
    };
    let reply = peer
        .ask(Command {
            id: 2,
            subscribe: Some(subscribe.clone()),
            ..Default::default()
        })
        .await;
    let epoch = reply.subscribe.unwrap().epoch;
    let ours = peer.push().await.join.unwrap().info.unwrap();
    assert_eq!((ours.user.as_str(), &ours.client), ("42", &peer.client));

    let other = Binary::user(&server, json!({ "sub": "43" })).await;
    other.send(Command {
        id: 2,
        subscribe: Some(subscribe),
        ..Default::default()
    });
    let info = ClientInfo {
        user: "43".into(),
        client: other.client.clone(),
        ..Default::default()
    };
    let join = Join {
        info: Some(info.clone()),
    };
    peer.expect_push(Push {
        channel: "all:a".into(),
        join: Some(join),
        ..Default::default()
    })
    .await;
    drop(other);
    let leave = Leave { info: Some(info) };
    peer.expect_push(Push {
        channel: "all:a".into(),
        leave: Some(leave),
        ..Default::default()
    })
    .await;

    for n in 1..=2 {
        let call = json!({ "channel": "all:a", "data": n, "tags": { "k": "v" }, "version": n });
        server.api("publish", call).await;
    }
    let publication = |n: u64| Publication {
        data: Bytes::from(n.to_string()),
        offset: n,
        tags: [("k".to_owned(), "v".to_owned())].into(),
        version: n,
        ..Default::default()
    };
    let first = Publication {
        epoch: epoch.clone(),
        ..publication(1)
    };
    peer.expect_push(Push {
        channel: "all:a".into(),
        r#pub: Some(first),
        ..Default::default()
    })
    .await;
    peer.expect_push(Push {
        channel: "all:a".into(),
        r#pub: Some(publication(2)),
        ..Default::default()
    })
    .await;

    server
        .api("unsubscribe", json!({ "user": "42", "channel": "all:a" }))
        .await;
    let unsubscribe = Unsubscribe {
        code: 2000,
        reason: "server unsubscribe".into(),
    };
    peer.expect_push(Push {
        channel: "all:a".into(),
        unsubscribe: Some(unsubscribe),
        ..Default::default()
    })
    .await;
    let subscribe = SubscribeRequest {
        channel: "all:a".into(),
        recover: true,
        epoch: epoch.clone(),
        offset: 1,
        flag: 2,
        ..Default::default()
    };
    let result = SubscribeResult {
        recoverable: true,
        epoch: epoch.clone(),
        publications: vec![publication(2)],
        recovered: true,
        offset: 1,
        positioned: true,
        was_recovering: true,
        ..Default::default()
    };
    peer.exchange(
        Command {
            id: 3,
            subscribe: Some(subscribe),
            ..Default::default()
        },
        Reply {
            id: 3,
            subscribe: Some(result),
            ..Default::default()
        },
    )
    .await;

    // A subscription that ends, and its renewal.
    let claims = json!({ "sub": "42", "channel": "$all:b", "exp": in_seconds(600) });
    let subscribe = SubscribeRequest {
        channel: "$all:b".into(),
        token: token(&claims),
        ..Default::default()
    };
    peer.push().await;
    let result = peer
        .ask(Command {
            id: 4,
            subscribe: Some(subscribe),
            ..Default::default()
        })
        .await
        .subscribe;
    let result = result.unwrap();
    assert!(result.expires && (590..=600).contains(&result.ttl), "{result:?}");
    peer.push().await;
    let forever = token(&json!({ "sub": "42", "channel": "$all:b" }));
    let sub_refresh = SubRefreshRequest {
        channel: "$all:b".into(),
        token: forever,
        ..Default::default()
    };
    peer.exchange(
        Command {
            id: 5,
            sub_refresh: Some(sub_refresh),
            ..Default::default()
        },
        Reply {
            id: 5,
            sub_refresh: Some(SubRefreshResult::default()),
            ..Default::default()
        },
    )
    .await;
    server.stop().await;
}

/// Fields that a reader does not know are skipped, whatever their kind.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_in_protobuf() {
    let server = server().await;
    let mut peer = Binary::user(&server, json!({ "sub": "42" })).await;
    // id 2; field 500: varint, 64 bits, bytes, 32 bits; rpc { method: "ping", field 501: 1 }.
    let command = b"\x08\x02\xa0\x1f\x01\xa1\x1f\0\0\0\0\0\0\0\0\xa2\x1f\x01x\xa5\x1f\0\0\0\0\x6a\x09\x12\x04ping\xa8\x1f\x01";
    peer.send_bytes(&[&[u8::try_from(command.len()).unwrap()], &command[..]].concat());
    peer.expect(Reply {
        id: 2,
        rpc: Some(RpcResult::default()),
        ..Default::default()
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_of_a_command_wins() {
    let server = server().await;
    let mut peer = server.user("42").await;
    for (requests, reply) in [
        (
            r#""subscribe":{"channel":"any:a"},"unsubscribe":{"channel":"any:b"}"#,
            r#""subscribe":{}"#,
        ),
        (
            r#""publish":{"channel":"any:b","data":1},"unsubscribe":{"channel":"any:a"}"#,
            r#""unsubscribe":{}"#,
        ),
        (
            r#""presence":{"channel":"all:a"},"publish":{"channel":"any:a","data":1}"#,
            r#""publish":{}"#,
        ),
        (
            r#""presence_stats":{"channel":"all:a"},"presence":{"channel":"all:a"}"#,
            r#""presence":{"presence":{}}"#,
        ),
        (
            r#""history":{"channel":"all:a"},"presence_stats":{"channel":"all:a"}"#,
            r#""presence_stats":{"num_clients":0,"num_users":0}"#,
        ),
        (
            r#""rpc":{"method":"ping"},"history":{"channel":"all:a"}"#,
            r#""history":{"publications":[],"epoch":"<epoch>","offset":0}"#,
        ),
        (
            r#""send":{},"refresh":{},"sub_refresh":{},"rpc":{"method":"ping"}"#,
            r#""rpc":{}"#,
        ),
        (
            r#""ping":{},"unsubscribe":{"channel":"any:a"}"#,
            r#""error":{"code":108,"message":"not available"}"#,
        ),
    ] {
        peer.ask(
            &format!(r#"{{"id":7,{requests}}}"#),
            &format!(r#"{{"id":7,{reply}}}"#),
        )
        .await;
    }
    peer.provoke(
        r#"{"id":8,"send":{"data":1},"refresh":{"token":"x"}}"#,
        3508,
        "not available",
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_zero_is_left_out_but_for_these() {
    let server = server().await;
    // Nobody in particular: the name of a user is always written.
    let mut peer = server.connected(json!({})).await;
    peer.send(r#"{"id":2,"subscribe":{"channel":"all:a"}}"#);
    peer.expect(r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}"#)
        .await;
    peer.expect(r#"{"push":{"channel":"all:a","join":{"info":{"user":"","client":"<client>"}}}}"#)
        .await;
    peer.ask(
        r#"{"id":3,"presence":{"channel":"all:a"}}"#,
        r#"{"id":3,"presence":{"presence":{"<client>":{"user":"","client":"<client>"}}}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4294967295,"unsubscribe":{"channel":"all:a"}}"#,
        r#"{"id":4294967295,"unsubscribe":{}}"#,
    )
    .await;
    server.stop().await;
}

/// Names of channels are strings of the protocol. What is in payloads is not.
#[tokio::test(flavor = "multi_thread")]
async fn every_escape() {
    let server = server().await;
    let mut peer = server.user("42").await;
    let channel = r#"text:\"\\\/\b\f\n\r\t\u0000\u001f<>&\u2028\u2029\u00e9\ud83d\ude00\u007f"#;
    peer.send_raw(&format!(r#"{{"id":2,"subscribe":{{"channel":"{channel}"}}}}"#));
    peer.expect(r#"{"id":2,"subscribe":{}}"#).await;
    let data = r#"{"\u2028":"<>&\u003c\/","":[ 1 ,\t2.50e+3 ,-0, null ]}"#.replace("\\t2", "\t2");
    peer.send_raw(&format!(
        r#"{{"id":3,"publish":{{"channel":"{channel}","data":{data}}}}}"#
    ));
    let heard = peer.message("a publication").await;
    let client = peer.name("client");
    let escaped =
        r#"text:\"\\/\u0008\u000c\n\r\t\u0000\u001f\u003c\u003e\u0026\u2028\u2029é😀"#.to_owned() + "\u{7f}";
    assert_eq!(
        heard,
        format!(
            r#"{{"push":{{"channel":"{escaped}","pub":{{"data":{data},"info":{{"user":"42","client":"{client}"}}}}}}}}"#
        )
    );
    server.stop().await;
}

/// A line feed would end the message: it is not there where JSON is embedded.
#[tokio::test(flavor = "multi_thread")]
async fn line_feeds_of_payloads_are_removed() {
    let server = server().await;
    let mut reader = server.user("42").await;
    reader
        .ask(
            r#"{"id":2,"subscribe":{"channel":"any:a"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
    let writer = Binary::user(&server, json!({ "sub": "43" })).await;
    reader.bind("writer", &writer.client);
    for (data, seen) in [
        (&b"\n{\n \"a\" :\n[1,\r\n2]\n}\n"[..], "{ \"a\" :[1,\r2]}"),
        (b" 1 ", " 1 "),
        (b"\"\\n\"", r#""\n""#),
    ] {
        let publish = PublishRequest {
            channel: "any:a".into(),
            data: Bytes::from_static(data),
            ..Default::default()
        };
        writer.send(Command {
            id: 2,
            publish: Some(publish),
            ..Default::default()
        });
        let expected = format!(
            r#"{{"push":{{"channel":"any:a","pub":{{"data":{seen},"info":{{"user":"43","client":"<writer>"}}}}}}}}"#
        );
        reader.expect(&expected).await;
    }
    // Nothing at all is left out.
    let publish = PublishRequest {
        channel: "any:a".into(),
        ..Default::default()
    };
    writer.send(Command {
        id: 2,
        publish: Some(publish),
        ..Default::default()
    });
    reader
        .expect(r#"{"push":{"channel":"any:a","pub":{"info":{"user":"43","client":"<writer>"}}}}"#)
        .await;
    server.stop().await;
}

/// Each payload is checked by itself: two halves do not make a whole.
#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_would_fit_together_are_refused() {
    let server = server().await;
    for data in [&b"1,\"info\":2"[..], b"{", b"1 2", b"\"", b"nul", b"\xff", b"\n"] {
        let mut reader = server.user("42").await;
        reader
            .ask(
                r#"{"id":2,"subscribe":{"channel":"any:a"}}"#,
                r#"{"id":2,"subscribe":{}}"#,
            )
            .await;
        let writer = Binary::user(&server, json!({ "sub": "43" })).await;
        let publish = PublishRequest {
            channel: "any:a".into(),
            data: Bytes::from_static(data),
            ..Default::default()
        };
        writer.send(Command {
            id: 2,
            publish: Some(publish),
            ..Default::default()
        });
        reader.expect_close(3506, "inappropriate protocol").await;
    }
    // What is in a stream is refused to those who read it, too.
    let writer = Binary::user(&server, json!({ "sub": "43" })).await;
    let publish = PublishRequest {
        channel: "all:a".into(),
        data: Bytes::from_static(b"\x01"),
        ..Default::default()
    };
    writer.send(Command {
        id: 2,
        publish: Some(publish),
        ..Default::default()
    });
    let mut reader = server.user("42").await;
    crate::support::until_published(&server, "all:a").await;
    reader
        .provoke(
            r#"{"id":2,"history":{"channel":"all:a","limit":1}}"#,
            3506,
            "inappropriate protocol",
        )
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_fields_in_any_case_and_the_last_one_counts() {
    let server = server().await;
    let mut peer = server.user("42").await;
    for command in [
        r#"{"ID":2,"Unsubscribe":{"CHANNEL":"any:a"}}"#,
        r#"{"id":1,"unsubscribe":{"channel":""},"id":2,"unsubscribe":{"channel":"x","channel":"any:a"}}"#,
        "\t{\"id\":2,\r\"unsubscribe\":{\"channel\":\"any:a\"}} ",
        r#"{"id":2,"unsubscribe":{"channel":"any:a"},"connect":null,"ping":null}"#,
    ] {
        peer.ask(command, r#"{"id":2,"unsubscribe":{}}"#).await;
    }
    // Null is data, where data is expected, and nothing anywhere else.
    peer.ask(
        r#"{"id":2,"rpc":{"method":"ping","data":null,"METHOD":"ping"}}"#,
        r#"{"id":2,"rpc":{}}"#,
    )
    .await;
    server.stop().await;
}

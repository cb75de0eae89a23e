//! Presence (engines.md 6.7).

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::super::{Missing, Needs};
use super::*;
use crate::engine::{PresenceStats, PresenceStore};

fn stats(clients: u32, users: u32) -> PresenceStats {
    PresenceStats { clients, users }
}

fn now() -> u64 {
    super::super::presence::unix_seconds()
}

#[tokio::test]
async fn members_are_kept_as_centrifugo_does() {
    let server = Server::start().await;
    let presence = presence(&server, presence_options(false)).await;
    presence.add("ch", "c1", info("u", "c1")).await.unwrap();
    presence.add("ch", "c2", info("u", "c2")).await.unwrap();
    assert_eq!(
        server.keys().await,
        ["p.presence.data.ch", "p.presence.expire.ch"]
    );
    let data = server.hash("p.presence.data.ch").await;
    assert_eq!(data["c1"], "\n\u{1}u\u{12}\u{2}c1");
    for key in ["p.presence.data.ch", "p.presence.expire.ch"] {
        assert!((50..=60).contains(&server.ttl(key).await));
    }
    let score: u64 = server.run("ZSCORE p.presence.expire.ch c1").await;
    assert!((now() + 50..=now() + 60).contains(&score));
    let members = presence.presence("ch").await.unwrap();
    let expected = ["c1", "c2"].map(|client| (client.to_owned(), info("u", client)));
    assert_eq!(members, BTreeMap::from(expected));
    assert_eq!(presence.stats("ch").await, Ok(stats(2, 1)));
    presence.remove("ch", "c1", "u").await.unwrap();
    presence.remove("ch", "c2", "u").await.unwrap();
    assert!(server.keys().await.is_empty());
    assert_eq!(presence.stats("ch").await, Ok(stats(0, 0)));
}

#[tokio::test]
async fn members_that_were_not_renewed_go() {
    let server = Server::start().await;
    let presence = presence(&server, presence_options(false)).await;
    for client in ["c1", "c2"] {
        presence.add("ch", client, info("u", client)).await.unwrap();
    }
    let _: i64 = server
        .run(&format!("ZADD p.presence.expire.ch {} c1", now()))
        .await;
    let members = presence.presence("ch").await.unwrap();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["c2"]);
    let left: i64 = server.run("HLEN p.presence.data.ch").await;
    assert_eq!(left, 1, "removed and not only hidden");
    let left: i64 = server.run("ZCARD p.presence.expire.ch").await;
    assert_eq!(left, 1);
}

#[tokio::test]
async fn users_are_mapped_on_request() {
    let server = Server::start().await;
    let presence = presence(&server, presence_options(true)).await;
    for (user, client) in [("u1", "c1"), ("u1", "c2"), ("u2", "c3"), ("u1", "c1")] {
        presence.add("ch", client, info(user, client)).await.unwrap();
    }
    assert_eq!(
        server.keys().await,
        [
            "p.presence.data.ch",
            "p.presence.expire.ch",
            "p.presence.user.clients.ch",
            "p.presence.user.expire.ch"
        ]
    );
    let counts = [
        ("u1".to_owned(), "2".to_owned()),
        ("u2".to_owned(), "1".to_owned()),
    ];
    assert_eq!(
        server.hash("p.presence.user.clients.ch").await,
        BTreeMap::from(counts)
    );
    for key in ["p.presence.user.clients.ch", "p.presence.user.expire.ch"] {
        assert!((50..=60).contains(&server.ttl(key).await));
    }
    assert_eq!(presence.stats("ch").await, Ok(stats(3, 2)));
    presence.remove("ch", "c1", "u1").await.unwrap();
    presence.remove("ch", "c1", "u1").await.unwrap();
    assert_eq!(
        server.hash("p.presence.user.clients.ch").await["u1"],
        "1",
        "removed once"
    );
    presence.remove("ch", "c2", "u1").await.unwrap();
    assert_eq!(presence.stats("ch").await, Ok(stats(1, 1)));
    // A user goes with its own expiry.
    let _: i64 = server
        .run(&format!("ZADD p.presence.user.expire.ch {} u2", now()))
        .await;
    assert_eq!(presence.stats("ch").await, Ok(stats(1, 0)));
}

#[tokio::test]
async fn large_channels_are_read_and_purged_some_at_a_time() {
    let server = Server::start().await;
    let presence = presence(&server, presence_options(false)).await;
    let adding = (0..6000).map(|number| {
        let presence = &presence;
        async move {
            let client = format!("c{number}");
            let info = info(&format!("u{}", number % 70), &client);
            presence.add("ch", &client, info).await.unwrap();
        }
    });
    join_all(adding).await;
    assert_eq!(presence.presence("ch").await.unwrap().len(), 6000);
    assert_eq!(presence.stats("ch").await, Ok(stats(6000, 70)));
    let calls = server.calls().await;
    assert!(calls["hscan"] >= 2 * 6, "{calls:?}");
    assert_eq!(calls.get("hgetall"), None);
    // Most of them expire at once.
    let script = "for i = 0, 5499 do redis.call('zadd', KEYS[1], 1, 'c' .. i) end";
    let () = server
        .call(&[b"EVAL", script.as_bytes(), b"1", b"p.presence.expire.ch"])
        .await;
    let before = server.calls().await["evalsha"];
    assert_eq!(presence.presence("ch").await.unwrap().len(), 500);
    let calls = server.calls().await;
    assert!(calls["evalsha"] - before >= 6, "some at a time");
    assert_eq!(calls["hgetall"], 1, "small enough now");
}

#[tokio::test]
async fn many_channels_in_one_run_are_all_read() {
    let server = Server::start().await;
    let presence = presence(&server, presence_options(false)).await;
    let presence = &presence;
    let adding = (0..4000).map(|number| async move {
        let client = format!("c{number}");
        let channel = format!("ch{}", number % 20);
        presence.add(&channel, &client, info("u", &client)).await.unwrap();
    });
    join_all(adding).await;
    let reading =
        (0..20).map(|number| async move { presence.presence(&format!("ch{number}")).await.unwrap().len() });
    assert_eq!(join_all(reading).await, [200; 20]);
    assert_eq!(server.calls().await.get("hscan"), None, "all of them are small");
}

#[tokio::test]
async fn members_that_nobody_can_read_are_left_out() {
    let server = Server::start().await;
    let presence = presence(&server, presence_options(false)).await;
    presence.add("ch", "c1", info("u", "c1")).await.unwrap();
    let _: i64 = server
        .call(&[b"HSET", b"p.presence.data.ch", b"bad", b"\xff"])
        .await;
    assert_eq!(presence.presence("ch").await.unwrap().len(), 1);
}

fn needs(hash_field_ttl: bool) -> Needs {
    Needs {
        streams: true,
        hash_field_ttl,
    }
}

#[tokio::test]
async fn what_a_server_lacks_is_told_at_the_start() {
    let server = Server::start_valkey(&["--rename-command", "HEXPIRE", ""]).await;
    let shards = shards(&server).await;
    assert_eq!(shards.probe(needs(false)).await, Ok(()));
    assert_eq!(shards.probe(needs(true)).await, Err(Missing::HashFieldTtl));
}

#[tokio::test]
async fn fields_expire_where_servers_can() {
    let server = Server::start_valkey(&[]).await;
    assert_eq!(shards(&server).await.probe(needs(true)).await, Ok(()));
    let options = PresenceOptions {
        ttl: Duration::from_secs(1),
        user_mapping: true,
        hash_field_ttl: true,
    };
    let presence = presence(&server, options).await;
    presence.add("ch", "c1", info("u1", "c1")).await.unwrap();
    presence.add("ch", "c2", info("u2", "c2")).await.unwrap();
    assert_eq!(
        server.keys().await,
        ["p.presence.data.ch", "p.presence.user.clients.ch"],
        "no sets of expiries"
    );
    assert_eq!(presence.stats("ch").await, Ok(stats(2, 2)));
    presence.remove("ch", "c2", "u2").await.unwrap();
    assert_eq!(presence.stats("ch").await, Ok(stats(1, 1)));
    // One is renewed, the other is not.
    presence.add("ch", "c3", info("u3", "c3")).await.unwrap();
    until("a field to expire", async || {
        presence.add("ch", "c3", info("u3", "c3")).await.unwrap();
        presence.presence("ch").await.unwrap().keys().eq(["c3"])
    })
    .await;
}

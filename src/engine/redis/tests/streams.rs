//! Publishing with history in streams (engines.md 6.1) and without (6.3).

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::*;
use crate::engine::{EngineError, Suppressed};

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[tokio::test]
async fn publications_are_stored_and_sent_as_centrifugo_does() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let mut ear = server.listen("p.client.ch").await;
    let first = publish(&broker, "ch", "one", keep(2)).await;
    let epoch = first.epoch.as_str();
    assert_eq!(first.offset, 1);
    assert!(epoch.len() == 8 && epoch.bytes().all(|byte| byte.is_ascii_alphabetic()));
    assert_eq!(
        ear.hear().await,
        bytes(&[b"__p1:1:", epoch.as_bytes(), b"__", &stored("one")])
    );
    assert_eq!(server.keys().await, ["p.stream.ch", "p.stream.meta.ch"]);
    let meta = BTreeMap::from([
        ("e".to_owned(), epoch.to_owned()),
        ("s".to_owned(), "1".to_owned()),
    ]);
    assert_eq!(server.hash("p.stream.meta.ch").await, meta);
    assert!((3590..=3600).contains(&server.ttl("p.stream.meta.ch").await));
    assert!((290..=300).contains(&server.ttl("p.stream.ch").await));
    for data in ["two", "three"] {
        publish(&broker, "ch", data, keep(2)).await;
    }
    let kept =
        [("2-0", "two"), ("3-0", "three")].map(|(id, data)| (id.to_owned(), ("d".to_owned(), stored(data))));
    assert_eq!(server.stream("p.stream.ch").await, kept, "trimmed exactly");
}

#[tokio::test]
async fn differences_travel_with_what_they_are_from() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let mut ear = server.listen("p.client.ch").await;
    let delta = PublishOptions {
        delta: true,
        ..keep(9)
    };
    let epoch = publish(&broker, "ch", "one", delta.clone()).await.epoch;
    let epoch = epoch.as_str().as_bytes();
    let one = stored("one");
    assert_eq!(ear.hear().await, bytes(&[b"__d1:1:", epoch, b":0::7:", &one]));
    publish(&broker, "ch", "two", delta.clone()).await;
    let two = stored("two");
    assert_eq!(
        ear.hear().await,
        bytes(&[b"__d1:2:", epoch, b":7:", &one, b":7:", &two])
    );
    broker.remove_history("ch").await.unwrap();
    assert_eq!(server.keys().await, ["p.stream.meta.ch"], "the position stays");
    publish(&broker, "ch", "two", delta).await;
    assert_eq!(ear.hear().await, bytes(&[b"__d1:3:", epoch, b":0::7:", &two]));
}

#[tokio::test]
async fn without_history_only_the_message_is_sent() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let mut ear = server.listen("p.client.ch").await;
    let plain = PublishOptions::default();
    let published = broker
        .publish("ch", publication("one"), plain.clone())
        .await
        .unwrap();
    assert_eq!(
        published,
        Published {
            position: None,
            suppressed: None
        }
    );
    assert_eq!(ear.hear().await, stored("one"));
    let delta = PublishOptions { delta: true, ..plain };
    broker.publish("ch", publication("two"), delta).await.unwrap();
    assert_eq!(ear.hear().await, b"\x22\x03two\x40\x01\x48\x01");
    broker.publish_join("ch", info("u", "c")).await.unwrap();
    assert_eq!(ear.hear().await, b"__j__\x0a\x01u\x12\x01c");
    broker.publish_leave("ch", info("u", "c")).await.unwrap();
    assert_eq!(ear.hear().await, b"__l__\x0a\x01u\x12\x01c");
    assert!(server.keys().await.is_empty());
}

#[tokio::test]
async fn a_repeated_key_has_the_first_result() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let mut ear = server.listen("p.client.ch").await;
    let once = |key: &str| PublishOptions {
        idempotency_key: Some(key.to_owned()),
        ..keep(9)
    };
    let first = publish(&broker, "ch", "one", once("k")).await;
    publish(&broker, "ch", "two", once("l")).await;
    let again = broker
        .publish("ch", publication("three"), once("k"))
        .await
        .unwrap();
    assert_eq!(again.position, Some(first.clone()));
    assert_eq!(again.suppressed, Some(Suppressed::Idempotency));
    let result = BTreeMap::from([
        ("e".to_owned(), first.epoch.as_str().to_owned()),
        ("s".to_owned(), "1".to_owned()),
    ]);
    assert_eq!(server.hash("p.result.ch.k").await, result);
    assert!((290..=300).contains(&server.ttl("p.result.ch.k").await));
    // Without history the same.
    let plain = PublishOptions {
        idempotency_key: Some("m".to_owned()),
        ..PublishOptions::default()
    };
    for suppressed in [None, Some(Suppressed::Idempotency)] {
        let published = broker
            .publish("ch", publication("four"), plain.clone())
            .await
            .unwrap();
        assert_eq!(
            published,
            Published {
                position: None,
                suppressed
            }
        );
    }
    assert_eq!(
        server.hash("p.result.ch.m").await,
        BTreeMap::from([("e".to_owned(), String::new())])
    );
    assert!((290..=300).contains(&server.ttl("p.result.ch.m").await));
    let known = broker
        .publish("ch", publication("five"), once("m"))
        .await
        .unwrap();
    assert_eq!(known.position, None, "nothing is known of a position");
    for data in ["one", "two", "four"] {
        assert!(ear.hear().await.ends_with(&stored(data)));
    }
    broker.publish_join("ch", info("u", "c")).await.unwrap();
    assert!(ear.hear().await.starts_with(b"__j__"), "nothing else was sent");
}

#[tokio::test]
async fn versions_that_are_not_newer_are_not_published() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let send = async |version: u64, epoch: &str| {
        let publication = Publication {
            version,
            ..publication("x")
        };
        let options = PublishOptions {
            version_epoch: epoch.to_owned(),
            ..keep(9)
        };
        let published = broker.publish("ch", publication, options).await.unwrap();
        (published.position.unwrap().offset, published.suppressed.is_some())
    };
    assert_eq!(send(5, "a").await, (1, false));
    let before = server.ttl("p.stream.ch").await;
    let () = server.run("PERSIST p.stream.ch").await;
    assert!(before > 0);
    assert_eq!(send(5, "a").await, (1, true));
    assert_eq!(
        server.ttl("p.stream.ch").await,
        -1,
        "what is not published touches no time to live"
    );
    assert_eq!(send(4, "").await, (1, true), "an empty epoch matches any");
    assert_eq!(send(0, "").await, (2, false));
    assert_eq!(
        server.hash("p.stream.meta.ch").await["v"],
        "5",
        "kept where there is none"
    );
    assert_eq!(send(4, "b").await, (3, false));
    assert_eq!(send(10, "b").await, (4, false), "numbers are compared, not texts");
    assert_eq!(server.hash("p.stream.meta.ch").await["ve"], "b");
    assert_eq!(send(u64::MAX - 1, "b").await, (5, false));
    assert_eq!(send(u64::MAX, "b").await, (6, false), "to the last digit");
    assert_eq!(send(u64::MAX - 1, "b").await, (6, true));
}

#[tokio::test]
async fn a_stream_without_its_position_is_begun_anew() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let old = publish(&broker, "ch", "one", keep(9)).await;
    publish(&broker, "ch", "two", keep(9)).await;
    let () = server.run("DEL p.stream.meta.ch").await;
    let new = publish(&broker, "ch", "three", keep(9)).await;
    assert_eq!(new.offset, 1);
    assert_ne!(new.epoch, old.epoch);
    assert_eq!(server.stream("p.stream.ch").await.len(), 1);
    // A position for ever.
    let mut for_ever = keep(9);
    for_ever.retention.as_mut().unwrap().meta_ttl = Duration::ZERO;
    publish(&broker, "ever", "one", for_ever).await;
    assert_eq!(server.ttl("p.stream.meta.ever").await, -1);
}

#[tokio::test]
async fn the_error_of_one_channel_is_its_own() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let () = server.run("SET p.stream.meta.c7 x").await;
    let channels: Vec<String> = (0..20).map(|index| format!("c{index}")).collect();
    let all = channels
        .iter()
        .map(|channel| broker.publish(channel, publication("x"), keep(9)));
    for (channel, published) in channels.iter().zip(join_all(all).await) {
        match published {
            Err(EngineError::Unavailable(error)) if channel == "c7" => {
                assert!(error.contains("WRONGTYPE"), "{error}");
            }
            Ok(published) => assert_eq!(published.position.unwrap().offset, 1, "{channel}"),
            Err(error) => panic!("{channel}: {error}"),
        }
    }
    let reads = channels
        .iter()
        .map(|channel| broker.history(channel, query(None, None, false)));
    let failed: Vec<bool> = join_all(reads).await.iter().map(Result::is_err).collect();
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);
    assert!(failed[7]);
}

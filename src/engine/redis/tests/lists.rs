//! History in lists (engines.md 6.2, 6.5).

use super::*;
use crate::engine::Suppressed;

#[tokio::test]
async fn publications_are_stored_and_sent_as_centrifugo_does() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Lists).await;
    let mut ear = server.listen("p.client.ch").await;
    let mut epoch = String::new();
    for data in ["one", "two", "three"] {
        epoch = publish(&broker, "ch", data, keep(2))
            .await
            .epoch
            .as_str()
            .to_owned();
    }
    let entry =
        |offset: u64, data: &str| [format!("__p1:{offset}:{epoch}__").into_bytes(), stored(data)].concat();
    assert_eq!(ear.hear().await, entry(1, "one"));
    let kept: Vec<Vec<u8>> = server.run("LRANGE p.list.ch 0 -1").await;
    assert_eq!(kept, [entry(3, "three"), entry(2, "two")]);
    assert_eq!(server.keys().await, ["p.list.ch", "p.list.meta.ch"]);
    assert!((3590..=3600).contains(&server.ttl("p.list.meta.ch").await));
    assert!((290..=300).contains(&server.ttl("p.list.ch").await));
    assert_eq!(server.hash("p.list.meta.ch").await["s"], "3");
    broker.remove_history("ch").await.unwrap();
    assert_eq!(server.keys().await, ["p.list.meta.ch"]);
}

#[tokio::test]
async fn differences_are_from_publications_without_their_envelope() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Lists).await;
    let mut ear = server.listen("p.client.ch").await;
    let delta = PublishOptions {
        delta: true,
        ..keep(9)
    };
    let epoch = publish(&broker, "ch", "one", delta.clone()).await.epoch;
    publish(&broker, "ch", "two", delta).await;
    let (one, two) = (stored("one"), stored("two"));
    let epoch = epoch.as_str().as_bytes();
    assert_eq!(ear.hear().await, [b"__d1:1:", epoch, b":0::7:", &one].concat());
    // The reference sends the entry with its envelope here.
    assert_eq!(
        ear.hear().await,
        [b"__d1:2:", epoch, b":7:", &one, b":7:", &two].concat()
    );
}

#[tokio::test]
async fn a_repeated_key_has_the_first_result() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Lists).await;
    let once = PublishOptions {
        idempotency_key: Some("k".to_owned()),
        ..keep(9)
    };
    let first = publish(&broker, "ch", "one", once.clone()).await;
    publish(&broker, "ch", "two", keep(9)).await;
    let again = broker.publish("ch", publication("three"), once).await.unwrap();
    assert_eq!(again.position, Some(first));
    assert_eq!(again.suppressed, Some(Suppressed::Idempotency));
    assert_eq!(server.hash("p.result.ch.k").await["s"], "1");
}

#[tokio::test]
async fn what_another_epoch_has_left_is_not_read() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Lists).await;
    for data in ["one", "two", "three"] {
        publish(&broker, "ch", data, keep(9)).await;
    }
    let () = server.run("DEL p.list.meta.ch").await;
    publish(&broker, "ch", "four", keep(9)).await;
    publish(&broker, "ch", "five", keep(9)).await;
    for reverse in [false, true] {
        let history = broker.history("ch", query(None, None, reverse)).await.unwrap();
        let mut data: Vec<&[u8]> = history.publications.iter().map(|one| &one.data[..]).collect();
        if reverse {
            data.reverse();
        }
        assert_eq!(data, [b"four", b"five"]);
        assert_eq!(history.top.offset, 2);
    }
}

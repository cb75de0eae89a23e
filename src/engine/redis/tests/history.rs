//! Reading history (engines.md 6.4, 6.5): the same answers as from memory, whatever the page size.

use super::*;
use crate::engine::memory::MemoryBroker;
use crate::engine::{EngineError, History};

#[tokio::test]
async fn a_read_makes_and_keeps_the_position() {
    let server = Server::start().await;
    for (history, meta) in [
        (HistoryIn::Streams, "p.stream.meta.ch"),
        (HistoryIn::Lists, "p.list.meta.ch"),
    ] {
        let broker = broker(&server, history).await;
        let read = broker.history("ch", query(Some(0), None, false)).await.unwrap();
        assert_eq!(read.top.offset, 0);
        assert_eq!(server.hash(meta).await["e"], read.top.epoch.as_str());
        assert!((3590..=3600).contains(&server.ttl(meta).await));
        let _: i64 = server.run(&format!("EXPIRE {meta} 5")).await;
        let again = broker.history("ch", query(Some(0), None, false)).await.unwrap();
        assert_eq!(again.top, read.top);
        assert!(
            (3590..=3600).contains(&server.ttl(meta).await),
            "every read renews it"
        );
        assert_eq!(server.keys().await, [meta], "position only");
        let _: i64 = server.run(&format!("DEL {meta}")).await;
    }
}

#[tokio::test]
async fn answers_are_those_of_the_memory_engine() {
    let server = Server::start().await;
    for history in [HistoryIn::Streams, HistoryIn::Lists] {
        for (published, size, removed) in [
            (0, 5, false),
            (1, 5, false),
            (4, 5, false),
            (9, 5, false),
            (9, 5, true),
        ] {
            let channel = format!("{history:?}{published}{removed}");
            let redis = broker(&server, history).await;
            let memory = MemoryBroker::default();
            for number in 0..published {
                let data = number.to_string();
                redis
                    .publish(&channel, publication(&data), keep(size))
                    .await
                    .unwrap();
                memory
                    .publish(&channel, publication(&data), keep(size))
                    .await
                    .unwrap();
            }
            if removed {
                redis.remove_history(&channel).await.unwrap();
                memory.remove_history(&channel).await.unwrap();
            }
            compare(&redis, &memory, &channel).await;
        }
    }
}

async fn compare(redis: &RedisBroker, memory: &MemoryBroker, channel: &str) {
    let epoch_of = |history: History| history.top.epoch.as_str().to_owned();
    let position = query(Some(0), None, false);
    let redis_epoch = epoch_of(redis.history(channel, position.clone()).await.unwrap());
    let memory_epoch = epoch_of(memory.history(channel, position).await.unwrap());
    for limit in [None, Some(0), Some(1), Some(3), Some(100)] {
        for reverse in [false, true] {
            let sinces = (0..13)
                .map(Some)
                .chain([None, Some(u64::MAX - 1), Some(u64::MAX)]);
            for since in sinces {
                for epoch in [Some(""), None, Some("other")] {
                    let ask = |own: &str| {
                        let epoch = epoch.unwrap_or(own).to_owned();
                        query(limit, since.map(|since| (since, epoch.as_str())), reverse)
                    };
                    let ours = redis.history(channel, ask(&redis_epoch)).await;
                    let theirs = memory.history(channel, ask(&memory_epoch)).await;
                    let simple = |read: Result<History, EngineError>| {
                        read.map(|history| (history.publications, history.top.offset))
                    };
                    assert_eq!(
                        simple(ours),
                        simple(theirs),
                        "{channel} {limit:?} {since:?} {epoch:?} reverse {reverse}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn large_streams_are_read_in_pages() {
    let server = Server::start().await;
    for history in [HistoryIn::Streams, HistoryIn::Lists] {
        let broker = broker(&server, history).await;
        let channel = format!("{history:?}");
        let publishing = (0..5000).map(|number| {
            let broker = &broker;
            let channel = &channel;
            async move { publish(broker, channel, &number.to_string(), keep(4000)).await }
        });
        futures_util::future::join_all(publishing).await;
        let before = evaluations(&server).await;
        for (limit, since, reverse, first, last) in [
            (None, None, false, 1001, 5000),
            (None, Some(1500), false, 1501, 5000),
            (Some(3000), Some(1500), false, 1501, 4500),
            (Some(3000), Some(10), false, 1001, 4000),
            (None, None, true, 5000, 1001),
            (Some(2000), Some(4000), true, 3999, 2000),
        ] {
            let query = query(limit, since.map(|since| (since, "")), reverse);
            let read = broker.history(&channel, query).await.unwrap();
            let offsets: Vec<u64> = read.publications.iter().map(|one| one.offset).collect();
            let expected: Vec<u64> = if reverse {
                (last..=first).rev().collect()
            } else {
                (first..=last).collect()
            };
            assert_eq!(
                offsets, expected,
                "{history:?} {limit:?} {since:?} reverse {reverse}"
            );
            assert_eq!(read.top.offset, 5000);
        }
        // What may be read at a time counts 256 bytes for each, besides its own.
        assert!(evaluations(&server).await - before >= 6 * 3);
    }
}

async fn evaluations(server: &Server) -> u64 {
    server.calls().await["evalsha"]
}

#[tokio::test]
async fn many_reads_in_one_run_all_get_on() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    let large = "x".repeat(100);
    for number in 0..40 {
        let publishing = (0..60).map(|_| {
            let (broker, large) = (&broker, &large);
            async move { publish(broker, &format!("c{number}"), large, keep(100)).await }
        });
        futures_util::future::join_all(publishing).await;
    }
    let channels: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let reads = channels
        .iter()
        .map(|channel| broker.history(channel, query(Some(50), Some((5, "")), false)));
    for read in futures_util::future::join_all(reads).await {
        let offsets: Vec<u64> = read.unwrap().publications.iter().map(|one| one.offset).collect();
        assert_eq!(offsets, (6..=55).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn entries_that_nobody_can_read_are_left_out() {
    let server = Server::start().await;
    let broker = broker(&server, HistoryIn::Streams).await;
    publish(&broker, "ch", "one", keep(9)).await;
    let _: String = server
        .call(&[b"XADD", b"p.stream.ch", b"2", b"d", b"\xff\xff"])
        .await;
    let _: i64 = server.run("HINCRBY p.stream.meta.ch s 1").await;
    publish(&broker, "ch", "three", keep(9)).await;
    let read = broker.history("ch", query(None, None, false)).await.unwrap();
    let offsets: Vec<u64> = read.publications.iter().map(|one| one.offset).collect();
    assert_eq!(offsets, [1, 3]);
}

//! What arrives from Redis, and what is subscribed there (engines.md 5, 7).

use std::collections::HashSet;

use parking_lot::Mutex;

use super::*;
use crate::engine::lingering::LINGER;
use crate::engine::{Epoch, Previous, Receiver};

/// A node that writes down what it is told.
#[derive(Default)]
struct Recorder {
    lines: Mutex<Vec<String>>,
    restored: Mutex<Vec<Arc<str>>>,
    used: Mutex<HashSet<String>>,
}

impl Recorder {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }
}

impl Receiver for Recorder {
    fn handle_publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        previous: Previous<'_>,
    ) {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let previous = match previous {
            Previous::Unwanted => String::new(),
            Previous::Unknown => " after ?".to_owned(),
            Previous::Known(before) => format!(" after {}", text(&before.data)),
        };
        let position = epoch.map_or(String::new(), |_| format!(" at {}", publication.offset));
        let line = format!("{channel}: {}{position}{previous}", text(&publication.data));
        self.lines.lock().push(line);
    }

    fn handle_join(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.lines
            .lock()
            .push(format!("{channel}: {} joined", info.client));
    }

    fn handle_leave(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.lines.lock().push(format!("{channel}: {} left", info.client));
    }

    fn has_subscribers(&self, channel: &str) -> bool {
        self.used.lock().contains(channel)
    }

    fn handle_restored(&self, channels: Vec<Arc<str>>) {
        self.restored.lock().extend(channels);
    }
}

async fn attached(server: &Server) -> (Arc<Recorder>, RedisBroker) {
    let broker = broker(server, HistoryIn::Streams).await;
    let recorder = Arc::new(Recorder::default());
    broker.attach(recorder.clone());
    until("broker to listen", async || broker.ready().is_ok()).await;
    (recorder, broker)
}

async fn subscribers(server: &Server, channel: &str) -> u64 {
    let counts: Vec<(String, u64)> = server.run(&format!("PUBSUB NUMSUB p.client.{channel}")).await;
    counts.iter().map(|(_, count)| count).sum()
}

#[tokio::test]
async fn what_nodes_publish_is_received_as_it_was_meant() {
    let server = Server::start().await;
    let (recorder, broker) = attached(&server).await;
    broker.subscribe("ch").await.unwrap();
    let delta = |options: PublishOptions| PublishOptions {
        delta: true,
        ..options
    };
    broker
        .publish("ch", publication("a"), PublishOptions::default())
        .await
        .unwrap();
    broker
        .publish("ch", publication("b"), delta(PublishOptions::default()))
        .await
        .unwrap();
    publish(&broker, "ch", "c", keep(9)).await;
    publish(&broker, "ch", "d", delta(keep(9))).await;
    broker.publish_join("ch", info("u", "c1")).await.unwrap();
    broker.publish_leave("ch", info("u", "c1")).await.unwrap();
    publish(&broker, "other", "x", keep(9)).await;
    publish(&broker, "ch", "e", keep(9)).await;
    let expected = [
        "ch: a",
        "ch: b after ?",
        "ch: c at 1",
        "ch: d at 2 after c",
        "ch: c1 joined",
        "ch: c1 left",
        "ch: e at 3",
    ];
    until("all to arrive", async || recorder.lines().len() >= expected.len()).await;
    assert_eq!(recorder.lines(), expected);
}

#[tokio::test]
async fn what_others_publish_is_received_or_dropped() {
    let server = Server::start().await;
    let (recorder, broker) = attached(&server).await;
    broker.subscribe("ch").await.unwrap();
    let send = async |message: &[u8]| {
        let _: i64 = server.call(&[b"PUBLISH", b"p.client.ch", message]).await;
    };
    for message in [
        b"\x22\x07{\"z\":1}".as_slice(),
        b"{\"z\":1}",
        b"__x__",
        b"__p1:x:e__\x22\x01y",
        b"__d1:5:e:99:",
        b"",
        b"__p1:7:e__\x22\x01y",
        b"__d1:8:e:3:\x22\x01y:3:\x22\x01z",
    ] {
        send(message).await;
    }
    let expected = ["ch: {\"z\":1}", "ch: ", "ch: y at 7", "ch: z at 8 after y"];
    until("all to arrive", async || recorder.lines().len() >= expected.len()).await;
    assert_eq!(
        recorder.lines(),
        expected,
        "an empty message is an empty publication"
    );
}

#[tokio::test]
async fn channels_are_subscribed_while_they_are_used() {
    let server = Server::start().await;
    let (recorder, broker) = attached(&server).await;
    let many: Vec<_> = (0..50).map(|_| broker.subscribe("ch")).collect();
    for subscribed in futures_util::future::join_all(many).await {
        subscribed.unwrap();
    }
    assert_eq!(subscribers(&server, "ch").await, 1);
    assert_eq!(subscribers(&server, "nobody").await, 0);
    // Somebody is back before it goes.
    recorder.used.lock().insert("ch".to_owned());
    broker.unsubscribe("ch").await.unwrap();
    tokio::time::sleep(LINGER + Duration::from_millis(200)).await;
    assert_eq!(subscribers(&server, "ch").await, 1);
    recorder.used.lock().clear();
    broker.unsubscribe("ch").await.unwrap();
    until("channel to go", async || subscribers(&server, "ch").await == 0).await;
    broker.subscribe("ch").await.unwrap();
    assert_eq!(subscribers(&server, "ch").await, 1);
}

#[tokio::test]
async fn interrupted_channels_are_told_and_delivered_again() {
    let server = Server::start().await;
    let (recorder, broker) = attached(&server).await;
    for channel in ["a", "b"] {
        broker.subscribe(channel).await.unwrap();
    }
    let _: i64 = server.run("CLIENT KILL TYPE pubsub").await;
    until("channels to be restored", async || {
        recorder.restored.lock().len() >= 2
    })
    .await;
    let mut restored = recorder.restored.lock().clone();
    restored.sort();
    assert_eq!(restored, [Arc::<str>::from("a"), Arc::from("b")]);
    publish(&broker, "b", "x", keep(9)).await;
    until("it to arrive", async || recorder.lines() == ["b: x at 1"]).await;
}

#[tokio::test]
async fn publications_of_a_channel_keep_their_order() {
    let server = Server::start().await;
    let (recorder, broker) = attached(&server).await;
    for channel in ["a", "b", "c"] {
        broker.subscribe(channel).await.unwrap();
    }
    let publishing = (0..3000).map(|number: u32| {
        let channel = ["a", "b", "c"][number as usize % 3];
        let options = if number.is_multiple_of(2) {
            keep(9)
        } else {
            PublishOptions::default()
        };
        broker.publish(channel, publication(&number.to_string()), options)
    });
    futures_util::future::join_all(publishing).await;
    until("all to arrive", async || recorder.lines.lock().len() == 3000).await;
    for channel in ["a", "b", "c"] {
        let prefix = format!("{channel}: ");
        let lines = recorder.lines();
        let numbers = lines.iter().filter_map(|line| {
            let number = line.strip_prefix(&prefix)?.split(' ').next()?;
            number.parse::<u32>().ok()
        });
        assert!(numbers.is_sorted(), "swapped in {channel}");
    }
}

//! NATS, with and without JetStream.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tidegate::config::{self, Config, Sources};
use tidegate::engine::{ClientInfo, EngineError, Publication, PublishOptions};
use tidegate::server::Engines;

use crate::brokers::{self, kept, publish, query, text};
use crate::kit::{BrokerKit, Delivered, TestNode, brokers_of};
use crate::nats_server::NatsServer;

/// The configuration of a node whose broker is NATS.
fn configured(nats: &Value) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let text = json!({ "broker": { "enabled": true, "type": "nats", "nats": nats } }).to_string();
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    config::load(&sources).unwrap().config
}

fn kit(nats: &Value, has_history: bool, server: NatsServer) -> BrokerKit {
    let config = Arc::new(configured(nats));
    BrokerKit {
        broker: brokers_of(config),
        is_shared: true,
        has_history,
        has_versions: true,
        forgets_versions: false,
        reads_backwards: true,
        servers: Box::new(server),
    }
}

async fn node(options: Value) -> (TestNode, async_nats::Client, BrokerKit) {
    let server = NatsServer::start(false, &[]);
    let foreign = async_nats::connect(server.address()).await.unwrap();
    let mut nats = json!({ "url": server.address() });
    nats.as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    let kit = kit(&nats, false, server);
    (TestNode::new(&kit).await, foreign, kit)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core() {
    let server = NatsServer::start(false, &[]);
    let nats = json!({ "url": server.address() });
    brokers::suite(kit(&nats, false, server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jetstream() {
    for storage in ["file", "memory"] {
        let server = NatsServer::start(true, &[]);
        let nats = json!({
            "url": server.address(),
            "prefix": "tide.gate",
            "jetstream": { "enabled": true, "storage": storage }
        });
        brokers::suite(kit(&nats, true, server)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_core_nats_cannot_do_is_said() {
    let (node, _, _kit) = node(json!({})).await;
    let history = node.broker.history("c", query(None, None, false)).await;
    assert_eq!(history.err(), Some(EngineError::NotAvailable));
    let removed = node.broker.remove_history("c").await;
    assert_eq!(removed.err(), Some(EngineError::NotAvailable));
    // History is ignored as is the key of a repeat.
    for _ in 0..2 {
        let options = PublishOptions {
            idempotency_key: Some("k".to_owned()),
            ..kept(10)
        };
        let published = publish(&node, "c", "x", options).await;
        assert_eq!((published.position, published.suppressed), (None, None));
    }
    for name in ["a b", "a..b"] {
        let published = node
            .broker
            .publish(name, text("x"), PublishOptions::default())
            .await;
        assert!(
            matches!(published, Err(EngineError::Unavailable(_))),
            "{name}: {published:?}"
        );
    }
    for name in ["a.*", "a>", "*"] {
        let published = node
            .broker
            .publish(name, text("x"), PublishOptions::default())
            .await;
        assert_eq!(published.err(), Some(EngineError::BadChannel), "{name}");
        assert_eq!(
            node.broker.subscribe(name).await.err(),
            Some(EngineError::BadChannel),
            "{name}"
        );
    }
    let large = Publication {
        data: Bytes::from(vec![b'1'; 2 << 20]),
        ..Publication::default()
    };
    let published = node.broker.publish("c", large, PublishOptions::default()).await;
    assert!(
        matches!(published, Err(EngineError::Unavailable(_))),
        "{published:?}"
    );
    publish(&node, "c", "and it goes on", PublishOptions::default()).await;
}

/// engines.md 11: what another node would see, and what it would send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_those_of_the_reference() {
    let (node, foreign, _kit) = node(json!({})).await;
    let mut seen = foreign.subscribe("centrifugo.client.news.a").await.unwrap();
    foreign.flush().await.unwrap();
    node.subscribe("news.a").await;
    let publication = Publication {
        data: Bytes::from_static(b"{\"n\":1}"),
        tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        time_ms: 1,
        ..Publication::default()
    };
    let options = PublishOptions {
        delta: true,
        ..PublishOptions::default()
    };
    node.broker.publish("news.a", publication, options).await.unwrap();
    let expected = b"\x12\x06news.a\x22\x15\x22\x07{\"n\":1}\x3a\x06\x0a\x01a\x12\x01b\x40\x01\x48\x01";
    assert_eq!(seen.next().await.unwrap().payload, &expected[..]);
    let info = Arc::new(ClientInfo {
        client: "0123456789abcdef0123456789abcdef0123".to_owned(),
        ..ClientInfo::default()
    });
    node.broker.publish_join("news.a", info).await.unwrap();
    let expected = b"\x12\x06news.a\x2a\x28\x0a\x26\x12\x240123456789abcdef0123456789abcdef0123";
    assert_eq!(seen.next().await.unwrap().payload, &expected[..]);

    node.delivers("news.a", 2).await;
    for garbage in [&b"\xff\xff"[..], b"", b"\x22\x09{}"] {
        foreign
            .publish("centrifugo.client.news.a", Bytes::from_static(garbage))
            .await
            .unwrap();
    }
    foreign
        .publish(
            "centrifugo.client.news.a",
            Bytes::from_static(b"\x12\x06news.a\x22\x06\x22\x04\"ok\""),
        )
        .await
        .unwrap();
    let delivered = node.delivers("news.a", 3).await;
    assert!(matches!(&delivered[2], Delivered::Publication { data, offset: 0, .. } if *data == "\"ok\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wildcards() {
    let (node, _, _kit) = node(json!({ "allow_wildcards": true })).await;
    for pattern in ["news.*", "news.>", "news.a"] {
        node.subscribe(pattern).await;
    }
    publish(&node, "news.a", "1", PublishOptions::default()).await;
    publish(&node, "news.a.b", "2", PublishOptions::default()).await;
    for (pattern, channels) in [
        ("news.>", &["news.a", "news.a.b"][..]),
        ("news.*", &["news.a"]),
        ("news.a", &["news.a"]),
    ] {
        node.delivers(pattern, channels.len()).await;
        let publications = node.publications(pattern);
        let origins: Vec<_> = publications
            .iter()
            .map(|publication| publication.origin())
            .collect();
        assert_eq!(origins, channels, "{pattern}");
    }
    let published = node
        .broker
        .publish("news.*", text("x"), PublishOptions::default())
        .await;
    assert_eq!(published.err(), Some(EngineError::BadChannel));
    // They go to those who listen to the same pattern only.
    let info = Arc::new(ClientInfo::default());
    node.broker.publish_join("news.*", info.clone()).await.unwrap();
    node.broker.publish_join("news.>", info).await.unwrap();
    assert_eq!(
        node.delivers("news.*", 2).await[1],
        Delivered::Join(String::new())
    );
    assert_eq!(
        node.delivers("news.>", 3).await[2],
        Delivered::Join(String::new())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_mode() {
    let raw = json!({ "raw_mode": {
        "enabled": true, "prefix": "sensors.", "channel_replacements": { ":": "." }
    } });
    let (node, foreign, _kit) = node(raw).await;
    let mut seen = foreign.subscribe("sensors.room.one").await.unwrap();
    foreign.flush().await.unwrap();
    node.subscribe("room:one").await;
    node.broker
        .publish_join("room:one", Arc::default())
        .await
        .unwrap();
    publish(&node, "room:one", "21", PublishOptions::default()).await;
    assert_eq!(
        seen.next().await.unwrap().payload,
        "\"21\"",
        "and no join before it"
    );
    node.delivers("room:one", 1).await;
    foreign
        .publish("sensors.room.one", "{\"t\":22}".into())
        .await
        .unwrap();
    node.delivers("room:one", 2).await;
    let publication = &node.publications("room:one")[1];
    assert_eq!(
        (&publication.data[..], publication.origin()),
        (&b"{\"t\":22}"[..], "room.one")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_tokens() {
    let with_password = NatsServer::start(false, &["--user", "u", "--pass", "p@ss"]);
    let with_token = NatsServer::start(false, &["--auth", "t0ken"]);
    for (server, url) in [
        (
            &with_password,
            format!("nats://u:p%40ss@127.0.0.1:{}", with_password.port),
        ),
        (&with_token, format!("t0ken@127.0.0.1:{}", with_token.port)),
    ] {
        let engines = Engines::open(&configured(&json!({ "url": url }))).await.unwrap();
        crate::kit::eventually("a connection", async || engines.broker.ready().ok()).await;
        let refused = Engines::open(&configured(&json!({ "url": server.address() })))
            .await
            .unwrap();
        crate::kit::eventually("the reason", async || {
            let error = refused.broker.ready().err()?;
            error.to_string().contains("authorization").then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_cannot_keep_history_are_refused() {
    let server = NatsServer::start(false, &[]);
    let config = configured(&json!({ "url": server.address(), "jetstream": { "enabled": true } }));
    let lack = Engines::open(&config).await.unwrap().probe().await.unwrap_err();
    assert!(lack.to_string().contains("JetStream"), "{lack}");

    let server = NatsServer::start(true, &[]);
    let foreign = async_nats::jetstream::new(async_nats::connect(server.address()).await.unwrap());
    let stream = async_nats::jetstream::stream::Config {
        name: "centrifugo_history".to_owned(),
        subjects: vec!["something.else".to_owned()],
        ..Default::default()
    };
    foreign.create_stream(stream).await.unwrap();
    let config = configured(&json!({ "url": server.address(), "jetstream": { "enabled": true } }));
    let lack = Engines::open(&config).await.unwrap().probe().await.unwrap_err();
    assert!(lack.to_string().contains("centrifugo_history"), "{lack}");
}

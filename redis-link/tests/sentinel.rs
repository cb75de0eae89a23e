//! A master behind sentinels: followed through a failover.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_redis_link::{
    Commands, Credentials, Endpoint, Kind, LinkError, Sentinels, Sink, Subscriptions, Topology,
};

use support::sentinel::Watched;
use support::{command, eventually};

#[derive(Default)]
struct Log(Mutex<Vec<Bytes>>, Mutex<usize>);

impl Sink for Log {
    fn message(&self, _: &[u8], payload: Bytes) {
        self.0.lock().push(payload);
    }

    fn lost(&self, _: &LinkError) {}

    fn restored(&self, channels: Vec<Bytes>) {
        *self.1.lock() += channels.len();
    }
}

#[tokio::test]
async fn a_failover_is_followed() {
    let Watched {
        mut master,
        replica,
        sentinels,
    } = Watched::start().await;
    let mut options = master.options();
    options.topology = Topology::Sentinel(Sentinels {
        endpoints: sentinels
            .iter()
            .map(|sentinel| Endpoint::Tcp {
                host: "127.0.0.1".to_owned(),
                port: sentinel.port,
            })
            .collect(),
        master: "main".to_owned(),
        credentials: Credentials::default(),
        client_name: String::new(),
        tls: None,
    });
    let commands = Commands::open(&options);
    let log = Arc::new(Log::default());
    let subscriptions = Subscriptions::open(&options, Kind::Plain, Bytes::from_static(b"alive"), log.clone());
    eventually("a connection", async || subscriptions.ready().ok()).await;
    subscriptions
        .subscribe(Bytes::from_static(b"news"))
        .await
        .unwrap();
    eventually("a write", async || {
        commands.call(command(&["SET", "a", "1"])).await.ok()
    })
    .await;
    commands
        .call(command(&["PUBLISH", "news", "before"]))
        .await
        .unwrap();

    master.kill();
    eventually("the failure", async || {
        commands.call(command(&["PING"])).await.err()
    })
    .await;
    eventually("a write at the new master", async || {
        commands.call(command(&["SET", "b", "1"])).await.ok()
    })
    .await;
    assert_eq!(replica.cli(&["GET", "b"]).trim(), "1");
    eventually("the subscriptions at the new master", async || {
        (*log.1.lock() == 1).then_some(())
    })
    .await;
    commands
        .call(command(&["PUBLISH", "news", "after"]))
        .await
        .unwrap();
    eventually("the message", async || (log.0.lock().len() == 2).then_some(())).await;

    let mut unknown = options.clone();
    if let Topology::Sentinel(sentinels) = &mut unknown.topology {
        sentinels.master = "other".to_owned();
    }
    let commands = Commands::open(&unknown);
    eventually("the refusal", async || {
        let error = commands.ready().unwrap_err().to_string();
        error.contains("knows no master \"other\"").then_some(())
    })
    .await;
}

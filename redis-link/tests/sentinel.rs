//! A master behind sentinels: followed through a failover.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_redis_link::{
    Commands, Credentials, Endpoint, Kind, LinkError, Options, Sentinels, Sink, Subscriptions, Topology,
    items, text,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use support::sentinel::Watched;
use support::{Server, command, eventually};

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
    let options = behind(
        &master,
        sentinels.iter().map(|sentinel| at(sentinel.port)).collect(),
    );
    let (commands, log, _subscriptions) = at_work(&options).await;
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

#[tokio::test]
async fn replicas_are_read_while_they_are_well() {
    let watched = Watched::start().await;
    let endpoints = watched
        .sentinels
        .iter()
        .map(|sentinel| at(sentinel.port))
        .collect();
    let mut options = behind(&watched.master, endpoints);
    assert!(Commands::open_replicas(&options).is_none());
    options.replicas = true;
    let replicas = Commands::open_replicas(&options).unwrap();
    watched.master.cli(&["SET", "a", "1"]);
    eventually("a read at the replica", async || {
        let value = replicas.call(command(&["GET", "a"])).await.ok()?;
        (text(value).ok()? == "1").then_some(())
    })
    .await;
    let port = replicas.call(command(&["CONFIG", "GET", "port"])).await.unwrap();
    let port = items(port).unwrap().pop().unwrap();
    assert_eq!(text(port).unwrap(), watched.replica.port.to_string());

    // Its master is gone as far as it knows, and it goes on to answer what it had.
    watched.replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    eventually("the end of its service", async || replicas.ready().err()).await;
    drop(watched);
}

/// Connections over which `a` was written and `news` is subscribed to.
async fn at_work(options: &Options) -> (Commands, Arc<Log>, Subscriptions) {
    let commands = Commands::open(options);
    let log = Arc::new(Log::default());
    let subscriptions = Subscriptions::open(options, Kind::Plain, Bytes::from_static(b"alive"), log.clone());
    eventually("a connection", async || subscriptions.ready().ok()).await;
    subscriptions
        .subscribe(Bytes::from_static(b"news"))
        .await
        .unwrap();
    eventually("a write", async || {
        commands.call(command(&["SET", "a", "1"])).await.ok()
    })
    .await;
    (commands, log, subscriptions)
}

/// Options for a master that these sentinels name.
fn behind(master: &Server, endpoints: Vec<Endpoint>) -> Options {
    let mut options = master.options();
    options.topology = Topology::Sentinel(Sentinels {
        endpoints,
        master: "main".to_owned(),
        credentials: Credentials::default(),
        client_name: String::new(),
        tls: None,
    });
    options
}

fn at(port: u16) -> Endpoint {
    Endpoint::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

/// What a sentinel says, and how often it did.
struct Says {
    port: u16,
    epoch: u32,
    asked: usize,
}

impl Says {
    fn first(master: &Server) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            port: master.port,
            epoch: 1,
            asked: 0,
        }))
    }

    fn fail_over(&mut self, to: &Server) {
        self.port = to.port;
        self.epoch += 1;
    }
}

/// Says to whoever asks who the master is, and of which epoch.
async fn fake_sentinel(says: Arc<Mutex<Says>>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let says = says.clone();
            tokio::spawn(async move {
                let mut question = Vec::new();
                while stream.read_buf(&mut question).await.is_ok_and(|count| count > 0) {
                    let (port, epoch) = {
                        let says = says.lock();
                        (says.port, says.epoch)
                    };
                    let text = String::from_utf8_lossy(&question);
                    let answer = if text.contains("PING") {
                        "+PONG\r\n".to_owned()
                    } else if text.contains("GET-MASTER-ADDR-BY-NAME") {
                        format!("*2\r\n+127.0.0.1\r\n+{port}\r\n")
                    } else if text.contains("MASTER") {
                        says.lock().asked += 1;
                        format!("*2\r\n$12\r\nconfig-epoch\r\n+{epoch}\r\n")
                    } else {
                        "-ERR unknown\r\n".to_owned()
                    };
                    question.clear();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    at(port)
}

#[tokio::test]
async fn a_master_that_was_replaced_behind_its_back_is_left() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let (cut_off, other) = (Says::first(&old), Says::first(&old));
    let endpoints = vec![
        fake_sentinel(cut_off.clone()).await,
        fake_sentinel(other.clone()).await,
    ];
    let mut options = behind(&old, endpoints);
    options.force_resp2 = true;
    let (commands, log, _subscriptions) = at_work(&options).await;
    assert_eq!(old.cli(&["GET", "a"]).trim(), "1");

    // The old master lives, and one sentinel knows no better.
    other.lock().fail_over(&new);
    eventually("a write at the new master", async || {
        let _ = commands.call(command(&["SET", "b", "1"])).await;
        (new.cli(&["GET", "b"]).trim() == "1").then_some(())
    })
    .await;
    eventually("the subscriptions at the new master", async || {
        (*log.1.lock() == 1).then_some(())
    })
    .await;
    new.cli(&["PUBLISH", "news", "after"]);
    eventually("the message", async || (log.0.lock().len() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_master_that_hung_while_it_was_replaced_is_not_believed() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let says = Says::first(&old);
    let mut options = behind(&old, vec![fake_sentinel(says.clone()).await]);
    options.force_resp2 = true;
    // It answers in time, and too late.
    options.connect_timeout = Duration::from_secs(60);
    old.signal("STOP");
    let commands = Commands::open(&options);
    eventually("a question", async || (says.lock().asked > 0).then_some(())).await;
    says.lock().fail_over(&new);
    old.signal("CONT");
    eventually("a write", async || {
        commands.call(command(&["SET", "a", "1"])).await.ok()
    })
    .await;
    assert_eq!(new.cli(&["GET", "a"]).trim(), "1");
    assert_eq!(old.cli(&["EXISTS", "a"]).trim(), "0");
}

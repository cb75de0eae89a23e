//! Redis in all its forms.

use std::sync::Arc;
use std::time::Duration;

use tidegate::engine::redis::{HistoryIn, Partitioning, PresenceOptions, RedisBroker, RedisPresence, Shards};
use tidegate_redis_link::{Credentials, Options, Sentinels, Topology};

use crate::kit::{BrokerKit, PresenceKit};
use crate::servers::cluster::Cluster;
use crate::servers::sentinel::Sentinel;
use crate::servers::{Server, eventually};
use crate::{brokers, presence};

/// Servers, and how to reach them.
struct Setup {
    shards: Vec<Options>,
    prefix: &'static str,
    partitioning: Partitioning,
    servers: Box<dyn std::any::Any>,
}

impl Setup {
    async fn single() -> Self {
        let server = started().await;
        Self {
            shards: vec![patient(&server)],
            prefix: "suite",
            partitioning: Partitioning::default(),
            servers: Box::new(server),
        }
    }

    async fn two_shards() -> Self {
        let servers = [started().await, started().await];
        Self {
            shards: servers.iter().map(patient).collect(),
            prefix: "suite",
            partitioning: Partitioning::default(),
            servers: Box::new(servers),
        }
    }

    fn cluster(cluster: &Arc<Cluster>, prefix: &'static str, partitioning: Partitioning) -> Self {
        let seeds = cluster.servers.iter().map(Server::endpoint).collect();
        let options = Options {
            topology: Topology::Cluster { seeds },
            ..patient(&cluster.servers[0])
        };
        Self {
            shards: vec![options],
            prefix,
            partitioning,
            servers: Box::new(cluster.clone()),
        }
    }

    async fn sentinels() -> Self {
        let master = started().await;
        let sentinels = [(); 3].map(|()| Sentinel::start(master.port));
        let options = Options {
            topology: Topology::Sentinel(Sentinels {
                endpoints: sentinels.iter().map(Sentinel::endpoint).collect(),
                master: "main".to_owned(),
                credentials: Credentials::default(),
                client_name: String::new(),
                tls: None,
            }),
            ..patient(&master)
        };
        Self {
            shards: vec![options],
            prefix: "suite",
            partitioning: Partitioning::default(),
            servers: Box::new((master, sentinels)),
        }
    }

    async fn brokers(self, history: HistoryIn) {
        let Self {
            shards,
            prefix,
            partitioning,
            servers,
        } = self;
        brokers::suite(BrokerKit {
            broker: Box::new(move || {
                Arc::new(RedisBroker::new(
                    Shards::open(shards.clone(), prefix, partitioning),
                    history,
                ))
            }),
            is_shared: true,
            has_history: true,
            has_versions: history == HistoryIn::Streams,
            forgets_versions: false,
            reads_backwards: true,
            servers,
        })
        .await;
    }

    async fn presence(self, user_mapping: bool) {
        let Self {
            shards,
            prefix,
            partitioning,
            servers,
        } = self;
        let options = PresenceOptions {
            ttl: Duration::from_secs(2),
            user_mapping,
            hash_field_ttl: false,
        };
        presence::suite(PresenceKit {
            store: Box::new(move || {
                Arc::new(RedisPresence::new(
                    Shards::open(shards.clone(), prefix, partitioning),
                    options,
                ))
            }),
            is_shared: true,
            servers,
        })
        .await;
    }
}

/// A server that answers.
async fn started() -> Server {
    let server = Server::start(&[]);
    eventually("a server", async || {
        (server.cli(&["PING"]).trim() == "PONG").then_some(())
    })
    .await;
    server
}

/// Time-outs are not the subject, and dozens of servers share the machine.
fn patient(server: &Server) -> Options {
    Options {
        connect_timeout: Duration::from_secs(10),
        io_timeout: Duration::from_secs(10),
        ..server.options()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single() {
    Setup::single().await.brokers(HistoryIn::Streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists() {
    Setup::single().await.brokers(HistoryIn::Lists).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards() {
    Setup::two_shards().await.brokers(HistoryIn::Streams).await;
}

/// In one test, as it takes six servers.
#[tokio::test(flavor = "multi_thread")]
async fn cluster() {
    let cluster = Arc::new(Cluster::start().await);
    let plain = Partitioning::default();
    Setup::cluster(&cluster, "plain", plain)
        .brokers(HistoryIn::Streams)
        .await;
    Setup::cluster(&cluster, "plain", plain).presence(true).await;
    for (prefix, balanced) in [("decimal", false), ("balanced", true)] {
        let partitioning = Partitioning { count: 8, balanced };
        Setup::cluster(&cluster, prefix, partitioning)
            .brokers(HistoryIn::Streams)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels() {
    Setup::sentinels().await.brokers(HistoryIn::Streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_in_one() {
    Setup::single().await.presence(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_with_users() {
    Setup::single().await.presence(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_in_two_shards() {
    Setup::two_shards().await.presence(false).await;
}

//! Redis in all its forms.

use std::any::Any;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate::config::{self, Config, Sources};
use tidegate::engine::{ClientInfo, EngineError, PublishOptions, Suppressed};
use tidegate::server::Engines;

use crate::brokers::{kept, offsets, publish, query, read, text};
use crate::kit::{BrokerKit, PresenceKit, TestNode, brokers_of, eventually, stores_of};
use crate::presence::info;
use crate::servers::Server;
use crate::servers::cluster::Cluster;
use crate::servers::secured::Secured;
use crate::servers::sentinel::Watched;
use crate::{brokers, presence};

/// The configuration of a node whose engine is Redis.
pub fn configured(redis: &Value) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let mut options = json!({ "presence_ttl": "2s" });
    let all = options.as_object_mut().unwrap();
    all.extend(redis.as_object().unwrap().clone());
    let file = directory.path().join("config.json");
    let text = json!({ "engine": { "type": "redis", "redis": options } }).to_string();
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    config::load(&sources).unwrap().config
}

pub fn single(server: &Server) -> Value {
    json!({ "address": format!("redis://127.0.0.1:{}", server.port) })
}

/// Both suites. `lists`: history is kept in lists.
async fn suites(redis: Value, servers: impl Any) {
    let lists = redis["history_use_lists"] == json!(true);
    let config = Arc::new(configured(&redis));
    brokers::suite(BrokerKit {
        broker: brokers_of(config.clone()),
        is_shared: true,
        has_history: true,
        has_versions: !lists,
        forgets_versions: false,
        reads_backwards: true,
        servers: Box::new(()),
    })
    .await;
    presence::suite(PresenceKit {
        store: stores_of(config),
        is_shared: true,
        servers: Box::new(servers),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_server() {
    let server = Server::start(&[]);
    suites(single(&server), server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valkey() {
    let server = Server::start_valkey(&[]);
    suites(single(&server), server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resp2() {
    let server = Server::start(&[]);
    let mut redis = single(&server);
    redis["force_resp2"] = json!(true);
    suites(redis, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists() {
    let server = Server::start(&[]);
    let mut redis = single(&server);
    redis["history_use_lists"] = json!(true);
    suites(redis, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_mapping() {
    let server = Server::start(&[]);
    let mut redis = single(&server);
    redis["presence_user_mapping"] = json!(true);
    suites(redis, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock");
    let path = socket.to_str().unwrap().to_owned();
    let server = Server::start(&["--unixsocket", &path]);
    let redis = json!({ "address": format!("unix://{path}") });
    suites(redis, (server, directory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_shards() {
    let (one, two) = (Server::start(&[]), Server::start(&[]));
    let redis = json!({ "address": [format!("127.0.0.1:{}", one.port), format!("127.0.0.1:{}", two.port)] });
    suites(redis, (one, two)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel() {
    let watched = Watched::start().await;
    let redis = json!({ "sentinel_address": [watched.addresses()], "sentinel_master_name": "main" });
    suites(redis, watched).await;
}

/// Who is present is read from the replica until it is gone; who has not been renewed is forgotten by the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_from_replicas() {
    for mapping in [false, true] {
        let mut watched = Watched::start().await;
        let redis = json!({
            "sentinel_address": [watched.addresses()],
            "sentinel_master_name": "main",
            "presence_read_from_replica": true,
            "presence_user_mapping": mapping,
            "replica_client": { "enabled": true },
        });
        let store = Engines::open(&configured(&redis)).await.unwrap().presence;
        eventually("a store that is ready", async || store.ready().ok()).await;
        let channel = "replicated";
        store.add(channel, "c", info("u", "c")).await.unwrap();
        let reads = |server: &Server| {
            let stats = server.cli(&["INFO", "commandstats"]);
            let hashes = stats.lines().filter(|line| line.starts_with("cmdstat_hlen:"));
            hashes.count()
        };
        eventually("a read at the replica", async || {
            watched.master.cli(&["CONFIG", "RESETSTAT"]);
            let present = store.presence(channel).await.unwrap();
            let stats = store.stats(channel).await.unwrap();
            let is_there = present.contains_key("c") && (stats.clients, stats.users) == (1, 1);
            (is_there && reads(&watched.replica) > 0 && reads(&watched.master) == 0).then_some(())
        })
        .await;
        eventually("the end of the entry", async || {
            let present = store.presence(channel).await.unwrap();
            let stats = store.stats(channel).await.unwrap();
            (present.is_empty() && (stats.clients, stats.users) == (0, 0)).then_some(())
        })
        .await;
        let members = watched
            .master
            .cli(&["EXISTS", "centrifugo.presence.data.replicated"]);
        assert_eq!(members.trim(), "0", "forgotten by the master");
        watched.replica.kill();
        store.add(channel, "d", info("u", "d")).await.unwrap();
        assert!(store.presence(channel).await.unwrap().contains_key("d"));
    }
}

fn seeds(cluster: &Cluster) -> Value {
    json!({ "cluster_address": [cluster.seeds()] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster() {
    let cluster = Cluster::start().await;
    suites(seeds(&cluster), cluster).await;
}

/// Names and commands that a node needs (docs/engines.md).
const RIGHTS: &[&str] = &[
    "resetkeys",
    "~centrifugo.*",
    "resetchannels",
    "&centrifugo.*",
    "-@all",
    "+ping",
    "+publish",
    "+subscribe",
    "+unsubscribe",
    "+evalsha",
    "+eval",
    "+script|load",
    "+expire",
    "+unlink",
    "+hdel",
    "+hexists",
    "+hget",
    "+hgetall",
    "+hincrby",
    "+hlen",
    "+hmget",
    "+hscan",
    "+hset",
    "+lindex",
    "+llen",
    "+lpush",
    "+lrange",
    "+ltrim",
    "+xadd",
    "+xrange",
    "+xrevrange",
    "+zadd",
    "+zcard",
    "+zrangebyscore",
    "+zrem",
    "+zremrangebyscore",
    "+zscore",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_a_user_with_few_rights() {
    let mut args = vec!["--user", "app", "on", ">s3cret"];
    args.extend(RIGHTS);
    let secured = Secured::start(&args);
    let client = secured.ca.client("tidegate").unwrap();
    let redis = json!({
        "address": format!("rediss://app:s3cret@127.0.0.1:{}", secured.port),
        "tls": {
            "enabled": true,
            "server_ca_pem": secured.ca.certificate_pem(),
            "server_name": "redis.test",
            "cert_pem": client.cert_pem,
            "key_pem": client.key_pem,
        },
    });
    for (lists, mapping) in [(false, false), (true, true)] {
        let mut redis = redis.clone();
        redis["history_use_lists"] = json!(lists);
        redis["presence_user_mapping"] = json!(mapping);
        redis["force_resp2"] = json!(lists);
        secured.server.cli(&["FLUSHALL"]);
        suites(redis, ()).await;
    }
}

/// Entries that the server itself lets expire.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_expire() {
    let mut args = vec!["--user", "app", "on", ">s3cret"];
    args.extend(RIGHTS);
    args.push("+hexpire");
    let server = Server::start_valkey(&args);
    let redis = json!({
        "address": format!("redis://app:s3cret@127.0.0.1:{}", server.port),
        "presence_hash_field_ttl": true,
        "presence_user_mapping": true,
    });
    suites(redis, server).await;
}

/// The address looks like that of one server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_found() {
    let cluster = Cluster::start().await;
    let redis = single(&cluster.servers[1]);
    let engines = Engines::open(&configured(&redis)).await.unwrap();
    assert_eq!(engines.name, "redis, cluster");
    suites(redis, cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharded_cluster() {
    for balanced in [false, true] {
        let cluster = Cluster::start().await;
        let mut redis = seeds(&cluster);
        redis["sharded_pub_sub_partitions"] = json!(16);
        redis["sharded_pub_sub_balanced"] = json!(balanced);
        suites(redis, cluster).await;
    }
}

fn broker_kit(redis: &Value, servers: impl Any) -> BrokerKit {
    BrokerKit {
        broker: brokers_of(Arc::new(configured(redis))),
        is_shared: true,
        has_history: true,
        has_versions: true,
        forgets_versions: false,
        reads_backwards: true,
        servers: Box::new(servers),
    }
}

/// What cannot be remembered must not be delivered: its repetition would be delivered again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_after_a_refusal_is_delivered_once() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let node = TestNode::new(&broker_kit(&single(&server), ())).await;
    for (channel, options) in [("once:plain", PublishOptions::default()), ("once:kept", kept(10))] {
        node.subscribe(channel).await;
        let options = PublishOptions {
            idempotency_key: Some("k".to_owned()),
            ..options
        };
        server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        for _ in 0..2 {
            let refused = node.broker.publish(channel, text("x"), options.clone()).await;
            assert!(matches!(refused, Err(EngineError::Unavailable(_))), "{refused:?}");
        }
        server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        for suppressed in [None, Some(Suppressed::Idempotency)] {
            let published = publish(&node, channel, "x", options.clone()).await;
            assert_eq!(published.suppressed, suppressed, "{channel}");
        }
        publish(&node, channel, "end", PublishOptions::default()).await;
        assert_eq!(node.delivers(channel, 2).await.len(), 2, "{channel}");
    }
}

/// A cluster refuses calls whose keys are not all on one side of a move; so there is none that never exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_served_while_their_slot_moves() {
    let cluster = Cluster::start().await;
    let config = configured(&seeds(&cluster));
    let engines = Engines::open(&config).await.unwrap();
    let node = TestNode::new(&broker_kit(&seeds(&cluster), ())).await;
    eventually("presence", async || engines.presence.ready().ok()).await;
    let channel = "moving";
    let info = Arc::new(ClientInfo::default());
    publish(&node, channel, "1", kept(10)).await;
    engines.presence.add(channel, "c", info.clone()).await.unwrap();

    let slot = cluster.slot("{moving}");
    let from = cluster.master_of(slot, 0);
    let to = cluster.master_of(if slot < 8192 { 16_383 } else { 0 }, 0);
    let (slot, from_id, to_id) = (slot.to_string(), cluster.id(from), cluster.id(to));
    cluster.servers[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    cluster.servers[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    // Nothing has moved yet, for as long as it may take.
    let published = publish(&node, channel, "2", kept(10)).await;
    assert_eq!(published.position.map(|position| position.offset), Some(2));
    assert_eq!(
        offsets(&read(&node, channel, query(None, None, false)).await),
        [1, 2]
    );
    engines.presence.add(channel, "c", info).await.unwrap();
    assert_eq!(engines.presence.presence(channel).await.unwrap().len(), 1);
    engines.presence.remove(channel, "c", "").await.unwrap();
}

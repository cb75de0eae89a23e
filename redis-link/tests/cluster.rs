//! A Redis Cluster: calls find their nodes, and find them again when slots move and masters die.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tidegate_redis_link::redis::{self, Value};
use tidegate_redis_link::{
    Call, Commands, Kind, LinkError, Options, Script, Sink, Subscriptions, Topology, integer, items,
};

use support::cluster::Cluster;
use support::eventually;

static APPEND: Script = Script::new(
    "local out = {} for i = 1, #KEYS do out[i] = redis.pcall('rpush', KEYS[i], ARGV[i]) end return out",
    1,
    1,
    64,
);

fn append(key: &str, item: usize) -> Call {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let order = u64::from(crc(&key));
    Call::script(order, &APPEND, vec![key], vec![Bytes::from(item.to_string())])
}

/// Any hash will do.
fn crc(key: &[u8]) -> u32 {
    key.iter().fold(7, |hash: u32, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(*byte))
    })
}

fn read(key: &str) -> Call {
    let mut command = redis::cmd("LRANGE");
    command.arg(key).arg(0).arg(-1);
    Call::command(
        u64::from(crc(key.as_bytes())),
        Some(Bytes::copy_from_slice(key.as_bytes())),
        command,
    )
}

fn options(cluster: &Cluster) -> Options {
    let mut options = cluster.servers[0].options();
    options.topology = Topology::Cluster {
        seeds: vec![cluster.servers[0].endpoint(), cluster.servers[1].endpoint()],
    };
    options
}

async fn list(commands: &Commands, key: &str) -> Vec<i64> {
    let value = commands.call(read(key)).await.unwrap();
    items(value)
        .unwrap()
        .into_iter()
        .map(|item| integer(item).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_find_their_nodes_through_moves_and_failovers() {
    let mut cluster = Cluster::start().await;
    let commands = Commands::open(&options(&cluster));
    let keys: Vec<String> = (0..100).map(|index| format!("key-{index}")).collect();
    // Calls from the first moment on wait for the map.
    let replies: Vec<_> = (0..1000)
        .map(|item| commands.call(append(&keys[item % 100], item)))
        .collect();
    for reply in join_all(replies).await {
        reply.unwrap();
    }
    assert_eq!(commands.ready(), Ok(()));
    for (index, key) in keys.iter().enumerate() {
        let expected: Vec<_> = (0..10).map(|round| (round * 100 + index) as i64).collect();
        assert_eq!(list(&commands, key).await, expected);
    }

    // A slot moves while it is written to: nothing fails, nothing is lost or doubled.
    let key = "{moving}";
    let slot: u16 = cluster.servers[0]
        .cli(&["CLUSTER", "KEYSLOT", key])
        .trim()
        .parse()
        .unwrap();
    let from = cluster.master_of(slot, 0);
    let to = cluster.master_of(if slot < 8192 { 16_383 } else { 0 }, 0);
    assert_ne!(from, to);
    let (from_id, to_id) = (cluster.id(from), cluster.id(to));
    let slot_text = slot.to_string();
    commands.call(append(key, 0)).await.unwrap();
    let writer = {
        let commands = commands.clone();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            let mut item = 1;
            while !stopping.load(std::sync::atomic::Ordering::Relaxed) {
                commands.call(append(key, item)).await.unwrap();
                item += 1;
            }
            item
        });
        (task, stop)
    };
    let to_port = cluster.servers[to].port.to_string();
    cluster.servers[to].cli(&["CLUSTER", "SETSLOT", &slot_text, "IMPORTING", &from_id]);
    cluster.servers[from].cli(&["CLUSTER", "SETSLOT", &slot_text, "MIGRATING", &to_id]);
    let moved = cluster.servers[from].cli(&["MIGRATE", "127.0.0.1", &to_port, "", "0", "5000", "KEYS", key]);
    assert!(moved.contains("OK"), "{moved}");
    for server in [to, from, 0, 1] {
        cluster.servers[server].cli(&["CLUSTER", "SETSLOT", &slot_text, "NODE", &to_id]);
    }
    let before = list(&commands, key).await.len();
    eventually("more writes", async || {
        (list(&commands, key).await.len() > before + 20).then_some(())
    })
    .await;
    writer.1.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = writer.0.await.unwrap();
    let expected: Vec<_> = (0..written).map(|item| item as i64).collect();
    assert_eq!(list(&commands, key).await, expected);

    // A master dies: calls fail until its replica is promoted, then go on by themselves.
    let victim = cluster.master_of(100, 0);
    let asked = (0..6).find(|index| *index != victim).unwrap();
    cluster.servers[victim].kill();
    let key = keys.iter().find(|key| {
        let slot: u16 = cluster.servers[asked]
            .cli(&["CLUSTER", "KEYSLOT", key])
            .trim()
            .parse()
            .unwrap();
        slot < 5461
    });
    let key = key.unwrap().clone();
    eventually("the failure", async || commands.ready().err()).await;
    eventually("the promotion", async || {
        commands.call(append(&key, 5000)).await.ok()
    })
    .await;
    eventually("all is well", async || commands.ready().ok()).await;
    assert!(list(&commands, &key).await.contains(&5000));
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_hear_what_is_published_at_any_node() {
    let mut cluster = Cluster::start().await;
    let log = Arc::new(Log::default());
    let subscriptions = Subscriptions::open(
        &options(&cluster),
        Kind::Plain,
        Bytes::from_static(b"alive"),
        log.clone(),
    );
    eventually("a connection", async || subscriptions.ready().ok()).await;
    subscriptions
        .subscribe(Bytes::from_static(b"news"))
        .await
        .unwrap();
    for (index, server) in cluster.servers.iter().enumerate() {
        let text = index.to_string();
        server.cli(&["PUBLISH", "news", &text]);
        eventually("the message", async || {
            log.0.lock().contains(&Bytes::from(text.clone())).then_some(())
        })
        .await;
    }
    // Whichever node serves the subscriptions, it goes; one of the others takes over.
    let serving = cluster
        .servers
        .iter()
        .position(|server| server.cli(&["PUBSUB", "CHANNELS", "alive"]).contains("alive"))
        .unwrap();
    cluster.servers[serving].kill();
    eventually("the restoration", async || (*log.1.lock() == 1).then_some(())).await;
    let other = (serving + 1) % 6;
    cluster.servers[other].cli(&["PUBLISH", "news", "after"]);
    eventually("the message", async || {
        log.0.lock().contains(&Bytes::from_static(b"after")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_without_a_node_are_told_so() {
    let server = support::Server::start(&["--cluster-enabled", "yes", "--cluster-port", support::FREE_PORT]);
    let mut options = server.options();
    options.topology = Topology::Cluster {
        seeds: vec![server.endpoint()],
    };
    let commands = Commands::open(&options);
    let reply = commands.call(append("key", 1)).await;
    assert!(!matches!(reply, Ok(Value::Int(_))), "{reply:?}");
    assert!(commands.ready().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharded_subscriptions_follow_their_slot() {
    let mut cluster = Cluster::start().await;
    let log = Arc::new(Log::default());
    let alive = Bytes::from_static(b"alive.{5}");
    let subscriptions = Subscriptions::open(&options(&cluster), Kind::Sharded, alive, log.clone());
    eventually("a connection", async || subscriptions.ready().ok()).await;
    subscriptions
        .subscribe(Bytes::from_static(b"news.{5}"))
        .await
        .unwrap();
    let slot: u16 = cluster.servers[0]
        .cli(&["CLUSTER", "KEYSLOT", "{5}"])
        .trim()
        .parse()
        .unwrap();
    let master = cluster.master_of(slot, 0);
    cluster.servers[master].cli(&["SPUBLISH", "news.{5}", "before"]);
    eventually("the message", async || {
        log.0
            .lock()
            .contains(&Bytes::from_static(b"before"))
            .then_some(())
    })
    .await;
    cluster.servers[master].kill();
    eventually("the restoration", async || (*log.1.lock() == 1).then_some(())).await;
    let asked = (master + 1) % 6;
    let promoted = cluster.master_of(slot, asked);
    cluster.servers[promoted].cli(&["SPUBLISH", "news.{5}", "after"]);
    eventually("the message", async || {
        log.0.lock().contains(&Bytes::from_static(b"after")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharded_subscriptions_move_with_their_slot() {
    let cluster = Cluster::start().await;
    let log = Arc::new(Log::default());
    let alive = Bytes::from_static(b"alive.{5}");
    let subscriptions = Subscriptions::open(&options(&cluster), Kind::Sharded, alive, log.clone());
    eventually("a connection", async || subscriptions.ready().ok()).await;
    let news = Bytes::from_static(b"news.{5}");
    subscriptions.subscribe(news).await.unwrap();
    let slot_text = cluster.servers[0].cli(&["CLUSTER", "KEYSLOT", "{5}"]);
    let slot: u16 = slot_text.trim().parse().unwrap();
    let from = cluster.master_of(slot, 0);
    let to = cluster.master_of(if slot < 8192 { 16_383 } else { 0 }, 0);
    let to_id = cluster.id(to);
    for server in [to, from] {
        cluster.servers[server].cli(&["CLUSTER", "SETSLOT", slot_text.trim(), "NODE", &to_id]);
    }
    eventually("the restoration", async || (*log.1.lock() == 1).then_some(())).await;
    cluster.servers[to].cli(&["SPUBLISH", "news.{5}", "after"]);
    eventually("the message", async || {
        log.0.lock().contains(&Bytes::from_static(b"after")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_read_and_masters_where_there_is_none() {
    let mut cluster = Cluster::start().await;
    let mut options = options(&cluster);
    options.replicas = true;
    let replicas = Commands::open_replicas(&options).unwrap();
    let masters = Commands::open(&options);
    let get = |key: &'static str| {
        let mut command = redis::cmd("GET");
        command.arg(key);
        Call::command(0, Some(Bytes::from_static(key.as_bytes())), command)
    };
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for key in keys {
        let mut set = redis::cmd("SET");
        set.arg(key).arg("1");
        let set = Call::command(0, Some(Bytes::from_static(key.as_bytes())), set);
        masters.call(set).await.unwrap();
    }
    let reads = |cluster: &Cluster, index: usize| {
        let stats = cluster.servers[index].cli(&["INFO", "commandstats"]);
        stats.contains("cmdstat_get:")
    };
    let is_master =
        |cluster: &Cluster, index: usize| cluster.servers[index].cli(&["ROLE"]).starts_with("master");
    // Right after its start a cluster may not know all of its replicas.
    let readers = eventually("reads at the replicas", async || {
        for server in &cluster.servers {
            server.cli(&["CONFIG", "RESETSTAT"]);
        }
        for key in keys {
            let value = replicas.call(get(key)).await.ok()?;
            assert!(matches!(value, Value::BulkString(_) | Value::Nil));
        }
        let readers: Vec<_> = (0..6).filter(|index| reads(&cluster, *index)).collect();
        let are_replicas = readers.iter().all(|index| !is_master(&cluster, *index));
        are_replicas.then_some(readers)
    })
    .await;
    assert_eq!(readers.len(), 3, "{readers:?}");

    for reader in &readers {
        cluster.servers[*reader].kill();
    }
    for key in keys {
        eventually("a read at the master", async || {
            replicas.call(get(key)).await.ok()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_is_not_listened_to() {
    leaves_who_is_cut_off(false).await;
}

/// Without RESP3 the node is asked over another connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_is_not_listened_to_over_resp2() {
    leaves_who_is_cut_off(true).await;
}

async fn leaves_who_is_cut_off(force_resp2: bool) {
    let cluster = Cluster::start().await;
    let log = Arc::new(Log::default());
    let alive = Bytes::from_static(b"alive");
    let options = Options {
        force_resp2,
        ..options(&cluster)
    };
    let subscriptions = Subscriptions::open(&options, Kind::Plain, alive, log.clone());
    eventually("a connection", async || subscriptions.ready().ok()).await;
    let news = Bytes::from_static(b"news");
    subscriptions.subscribe(news).await.unwrap();
    let serving = cluster
        .servers
        .iter()
        .position(|server| server.cli(&["PUBSUB", "CHANNELS", "alive"]).contains("alive"))
        .unwrap();
    let others: Vec<_> = (0..6).filter(|index| *index != serving).collect();
    for other in &others {
        cluster.servers[*other].signal("STOP");
    }
    eventually("the doubt", async || subscriptions.ready().err()).await;
    for other in &others {
        cluster.servers[*other].signal("CONT");
    }
    eventually("the restoration", async || (*log.1.lock() == 1).then_some(())).await;
    cluster.is_well().await;
    cluster.servers[others[0]].cli(&["PUBLISH", "news", "after"]);
    eventually("the message", async || {
        log.0.lock().contains(&Bytes::from_static(b"after")).then_some(())
    })
    .await;
}

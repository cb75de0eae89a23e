//! Servers that are slow, silent, forgetful, or end what they have begun.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tidegate_redis_link::redis::Value;
use tidegate_redis_link::{
    Call, Commands, Credentials, Endpoint, Kind, LinkError, Options, Reply, Script, Sink, Subscriptions,
    Topology, integer, items,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use support::{Server, command, eventually};

static APPEND: Script = Script::new(
    "local out = {} for i = 1, #KEYS do out[i] = redis.pcall('rpush', KEYS[i], ARGV[i]) end return out",
    1,
    1,
    16,
);

fn append(key: &'static str, item: usize) -> Call {
    let key = Bytes::from_static(key.as_bytes());
    Call::script(7, &APPEND, vec![key], vec![Bytes::from(item.to_string())])
}

async fn connected(options: &Options) -> Commands {
    let commands = Commands::open(options);
    eventually("a connection", async || commands.ready().ok()).await;
    commands
}

/// One after the other: they are under way already.
async fn all(replies: Vec<Reply>) -> Vec<Result<Value, LinkError>> {
    let mut results = Vec::with_capacity(replies.len());
    for reply in replies {
        results.push(reply.await);
    }
    results
}

async fn list(commands: &Commands, key: &str) -> Vec<i64> {
    let value = commands.call(command(&["LRANGE", key, "0", "-1"])).await.unwrap();
    let items = items(value).unwrap().into_iter();
    items.map(|item| integer(item).unwrap()).collect()
}

/// A listener whose connections the test serves itself, with options that lead to it.
async fn fake() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        topology: Topology::Single(Endpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        }),
        credentials: Credentials::default(),
        db: 0,
        client_name: String::new(),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        io_timeout: Duration::from_millis(500),
        force_resp2: true,
        replicas: false,
    };
    (listener, options)
}

/// The next connection, introduced.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    read_until(&mut stream, &mut Vec::new(), "cluster\r\n").await;
    stream.write_all(b"-ERR no such thing\r\n").await.unwrap();
    read_until(&mut stream, &mut Vec::new(), "PING\r\n").await;
    stream.write_all(b"+PONG\r\n").await.unwrap();
    stream
}

/// Reads until `wanted` has come, and what came after it.
async fn read_until(stream: &mut TcpStream, seen: &mut Vec<u8>, wanted: &str) {
    while !String::from_utf8_lossy(seen).contains(wanted) {
        assert_ne!(
            stream.read_buf(seen).await.unwrap(),
            0,
            "{:?}",
            String::from_utf8_lossy(seen)
        );
    }
}

#[tokio::test]
async fn scripts_that_are_forgotten_again_and_again() {
    let server = Server::start(&[]);
    let (one, other) = (
        connected(&server.options()).await,
        connected(&server.options()).await,
    );
    let is_over = Arc::new(AtomicBool::new(false));
    let forgetting = {
        let (is_over, commands) = (is_over.clone(), connected(&server.options()).await);
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) || count < 20 {
                commands
                    .call(command(&["SCRIPT", "FLUSH", "ASYNC"]))
                    .await
                    .unwrap();
                count += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let mut replies = Vec::new();
    for item in 0..20_000 {
        replies.push(one.call(append("one", item)));
        replies.push(other.call(append("other", item)));
        if item % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for reply in all(replies).await {
        reply.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    forgetting.await.unwrap();
    // What one loads, the other finds: but nothing is done twice, and nothing is left out.
    for key in ["one", "other"] {
        let items = list(&one, key).await;
        let unique: BTreeSet<_> = items.iter().copied().collect();
        assert_eq!((items.len(), unique.len()), (20_000, 20_000));
    }
}

#[tokio::test]
async fn scripts_that_may_not_be_loaded_are_sent() {
    let server = Server::start(&[
        "--user",
        "app",
        "on",
        "nopass",
        "~*",
        "&*",
        "+@all",
        "-script|load",
    ]);
    let mut options = server.options();
    options.credentials.user = "app".to_owned();
    let commands = connected(&options).await;
    let replies: Vec<_> = (0..1000).map(|item| commands.call(append("a", item))).collect();
    for reply in all(replies).await {
        reply.unwrap();
    }
    assert_eq!(list(&commands, "a").await, (0..1000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn silence_is_found_without_calls() {
    let (listener, options) = fake().await;
    let commands = Commands::open(&options);
    let mut stream = accept(&listener).await;
    eventually("a connection", async || commands.ready().ok()).await;
    // The question whether we live is all that comes; it is not answered.
    read_until(&mut stream, &mut Vec::new(), "PING").await;
    eventually("the loss", async || {
        (commands.ready() == Err(LinkError::Timeout)).then_some(())
    })
    .await;
    assert_eq!(
        commands.call(command(&["GET", "a"])).await,
        Err(LinkError::Timeout),
        "at once"
    );
    let mut again = accept(&listener).await;
    eventually("a connection", async || commands.ready().ok()).await;
    let reply = commands.call(command(&["GET", "a"]));
    read_until(&mut again, &mut Vec::new(), "GET").await;
    again.write_all(b"$1\r\nx\r\n").await.unwrap();
    reply.await.unwrap();
}

#[tokio::test]
async fn slow_answers_end_in_time_for_everybody() {
    let (listener, options) = fake().await;
    let commands = Commands::open(&options);
    let mut stream = accept(&listener).await;
    eventually("a connection", async || commands.ready().ok()).await;
    // There is always something new, and never enough of it.
    let answering = tokio::spawn(async move {
        while stream.write_all(b"+OK\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let replies: Vec<_> = (0..50).map(|_| commands.call(command(&["PING"]))).collect();
    let replies = all(replies).await;
    assert!(count(&replies, &LinkError::Timeout) >= 30, "{replies:?}");
    answering.abort();
}

/// How many calls failed with this error.
fn count(results: &[Result<Value, LinkError>], error: &LinkError) -> usize {
    let is_it = |result: &&Result<Value, LinkError>| result.as_ref().err() == Some(error);
    results.iter().filter(is_it).count()
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let server = Server::start(&[]);
    for (calls, bytes) in [(120_000, 1), (200, 1 << 20)] {
        let commands = connected(&server.options()).await;
        server.signal("STOP");
        let text = "x".repeat(bytes);
        let replies: Vec<_> = (0..calls)
            .map(|_| commands.call(command(&["ECHO", &text])))
            .collect();
        let results = all(replies).await;
        server.signal("CONT");
        let overloaded = count(&results, &LinkError::Overloaded);
        assert!(overloaded > 0);
        assert_eq!(overloaded + count(&results, &LinkError::Timeout), results.len());
        eventually("the return", async || {
            commands.call(command(&["PING"])).await.ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_ends_every_connection_is_dialled_with_pauses() {
    let (listener, options) = fake().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let counting = accepted.clone();
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counting.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let commands = Commands::open(&options);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(accepted.load(Ordering::Relaxed) <= 10);
    eventually("the failure", async || {
        commands.call(command(&["PING"])).await.err()
    })
    .await;
    eventually("another attempt", async || {
        (accepted.load(Ordering::Relaxed) >= 2).then_some(())
    })
    .await;
    accepting.abort();
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left() {
    let server = Server::start(&[]);
    let master = Server::start(&[]);
    let commands = connected(&server.options()).await;
    commands.call(append("a", 1)).await.unwrap();
    let id = async || {
        let id = commands.call(command(&["CLIENT", "ID"])).await.ok()?;
        Some(integer(id).unwrap())
    };
    let first = id().await.unwrap();
    server.cli(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    // The error is inside of the answer for many.
    let refused = commands.call(append("a", 2)).await.unwrap_err();
    assert!(refused.is_code("READONLY"), "{refused}");
    eventually("another connection", async || {
        id().await.filter(|id| *id != first)
    })
    .await;
}

#[derive(Default)]
struct Log(Mutex<Vec<(Bytes, Bytes)>>);

impl Sink for Log {
    fn message(&self, channel: &[u8], payload: Bytes) {
        self.0.lock().push((Bytes::copy_from_slice(channel), payload));
    }

    fn lost(&self, _: &LinkError) {}

    fn restored(&self, _: Vec<Bytes>) {}
}

/// Subscriptions that the fake server has let in.
async fn subscribed(listener: &TcpListener, options: &Options, log: Arc<Log>) -> (Subscriptions, TcpStream) {
    let subscriptions = Subscriptions::open(options, Kind::Plain, Bytes::from_static(b"alive"), log);
    let mut stream = accept(listener).await;
    read_until(&mut stream, &mut Vec::new(), "alive\r\n").await;
    stream
        .write_all(b"*3\r\n$9\r\nsubscribe\r\n$5\r\nalive\r\n:1\r\n")
        .await
        .unwrap();
    eventually("a connection", async || subscriptions.ready().ok()).await;
    (subscriptions, stream)
}

#[tokio::test]
async fn a_confirmation_is_that_of_its_subscription() {
    let (listener, mut options) = fake().await;
    options.io_timeout = Duration::from_secs(20);
    let log = Arc::new(Log::default());
    let (subscriptions, mut stream) = subscribed(&listener, &options, log.clone()).await;
    let mut seen = Vec::new();
    let channel = Bytes::from_static(b"a");
    let first = subscriptions.subscribe(channel.clone());
    read_until(&mut stream, &mut seen, "SUBSCRIBE\r\n$1\r\na\r\n").await;
    seen.clear();
    subscriptions.unsubscribe(&channel);
    let mut second = subscriptions.subscribe(channel);
    assert!(first.await.is_err());
    read_until(&mut stream, &mut seen, "\r\nSUBSCRIBE\r\n$1\r\na\r\n").await;
    assert!(String::from_utf8_lossy(&seen).contains("UNSUBSCRIBE"));
    // The first is confirmed, and hears something before it ends.
    stream
        .write_all(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n")
        .await
        .unwrap();
    eventually("the message", async || log.0.lock().pop()).await;
    assert!((&mut second).now_or_never().is_none());
    stream
        .write_all(b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n")
        .await
        .unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn channels_that_come_and_go_end_as_they_were_left() {
    let mut server = Server::start(&[]);
    let subscriptions = Subscriptions::open(
        &server.options(),
        Kind::Plain,
        Bytes::from_static(b"alive"),
        Arc::new(Log::default()),
    );
    let names: Vec<Bytes> = (0..40).map(|index| Bytes::from(format!("c{index}"))).collect();
    let mut wanted = BTreeSet::new();
    let mut state = 1_u32;
    for round in 0..6 {
        eventually("a connection", async || subscriptions.ready().ok()).await;
        for step in 0..500 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let name = &names[(state >> 16) as usize % names.len()];
            if state >> 31 == 0 {
                drop(subscriptions.subscribe(name.clone()));
                wanted.insert(name.clone());
            } else {
                subscriptions.unsubscribe(name);
                wanted.remove(name);
            }
            if step % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for confirmed in join_all(wanted.iter().map(|name| subscriptions.subscribe(name.clone()))).await {
            confirmed.unwrap();
        }
        let is_served = |wanted: &BTreeSet<Bytes>| {
            let channels = server.cli(&["PUBSUB", "CHANNELS", "c*"]);
            let served: BTreeSet<_> = channels
                .lines()
                .filter(|line| !line.is_empty())
                .map(|line| Bytes::from(line.to_owned()))
                .collect();
            served == *wanted
        };
        eventually("the same channels", async || is_served(&wanted).then_some(())).await;
        if round % 2 == 0 {
            server.kill();
            eventually("the loss", async || subscriptions.ready().err()).await;
            // Ended while there is no connection.
            let gone = wanted.pop_first().unwrap();
            subscriptions.unsubscribe(&gone);
            server.start_again();
        }
    }
}

#[tokio::test]
async fn a_refused_subscription_fails_alone() {
    let server = Server::start(&[]);
    let cli = server.cli(&[
        "ACL",
        "SETUSER",
        "app",
        "on",
        "nopass",
        "+@all",
        "~*",
        "resetchannels",
        "&alive",
        "&open*",
    ]);
    assert_eq!(cli.trim(), "OK");
    let mut options = server.options();
    options.credentials.user = "app".to_owned();
    for force_resp2 in [false, true] {
        options.force_resp2 = force_resp2;
        let subscriptions = Subscriptions::open(
            &options,
            Kind::Plain,
            Bytes::from_static(b"alive"),
            Arc::new(Log::default()),
        );
        eventually("a connection", async || subscriptions.ready().ok()).await;
        let subscriber = async || server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        let before = subscriber().await;
        let names = (0..1000).map(|index| match index {
            300 | 301 | 999 => format!("shut{index}"),
            _ => format!("open{index}"),
        });
        // Asked for together: most are in one command with a refused one.
        let subscribing = names.map(|name| {
            let confirmed = subscriptions.subscribe(Bytes::from(name.clone()));
            async move { (name, confirmed.await) }
        });
        for (name, confirmed) in join_all(subscribing).await {
            match confirmed {
                Ok(()) => assert!(name.starts_with("open"), "{name}"),
                Err(error) => assert!(
                    error.is_code("NOPERM") && name.starts_with("shut"),
                    "{name}: {error}"
                ),
            }
        }
        assert_eq!(subscriptions.ready(), Ok(()));
        assert_eq!(subscriptions.len(), 997);
        // It is still the same connection.
        let id = |list: &str| list.split(' ').next().map(str::to_owned);
        assert_eq!(id(&subscriber().await), id(&before));
    }
}

#[tokio::test]
async fn a_busy_connection_with_subscriptions_is_asked_as_well() {
    let (listener, options) = fake().await;
    let (subscriptions, mut stream) = subscribed(&listener, &options, Arc::default()).await;
    let mut seen = Vec::new();
    let changing = async {
        for index in 0_u64.. {
            drop(subscriptions.subscribe(Bytes::from(index.to_string())));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = changing => {}
        () = read_until(&mut stream, &mut seen, "PING\r\n") => {}
    }
    assert!(String::from_utf8_lossy(&seen).matches("SUBSCRIBE").count() > 10);
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_not_ready() {
    let mut server = Server::start(&[
        "--enable-debug-command",
        "yes",
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    server.cli(&["DEBUG", "POPULATE", "2000", "key", "100"]);
    assert_eq!(server.cli(&["SAVE"]).trim(), "OK");
    server.kill();
    server.start_again();
    let commands = Commands::open(&server.options());
    let subscriptions = Subscriptions::open(
        &server.options(),
        Kind::Plain,
        Bytes::from_static(b"alive"),
        Arc::new(Log::default()),
    );
    let is_loading = |error: &LinkError| error.to_string().to_lowercase().contains("loading");
    eventually("the refusals", async || {
        let (one, other) = (commands.ready().err()?, subscriptions.ready().err()?);
        (is_loading(&one) && is_loading(&other)).then_some(())
    })
    .await;
    eventually("the connections", async || {
        commands.ready().and(subscriptions.ready()).ok()
    })
    .await;
    let size = commands.call(command(&["DBSIZE"])).await.unwrap();
    assert_eq!(integer(size).unwrap(), 2000);
}

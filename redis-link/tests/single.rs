//! One server: order, merged calls, subscriptions, and what happens when it goes away.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tidegate_redis_link::redis::Value;
use tidegate_redis_link::{Call, Commands, Kind, LinkError, Script, Sink, Subscriptions, integer, text};

use support::{Server, command, eventually};

static APPEND: Script = Script::new(
    "local out = {} for i = 1, #KEYS do out[i] = redis.pcall('rpush', KEYS[i], ARGV[i]) end return out",
    1,
    1,
    64,
);

fn append(key: &str, item: usize) -> Call {
    Call::script(
        key.bytes().map(u64::from).sum(),
        &APPEND,
        vec![Bytes::copy_from_slice(key.as_bytes())],
        vec![Bytes::from(item.to_string())],
    )
}

async fn connected(server: &Server) -> Commands {
    let commands = Commands::open(&server.options());
    eventually("a connection", async || {
        commands.call(command(&["PING"])).await.ok()
    })
    .await;
    commands
}

#[tokio::test]
async fn calls_of_one_key_keep_their_order_and_share_commands() {
    let server = Server::start(&[]);
    let commands = connected(&server).await;
    let replies: Vec<_> = (0..2000)
        .map(|item| commands.call(append(["a", "b"][item % 2], item)))
        .collect();
    for reply in join_all(replies).await {
        reply.unwrap();
    }
    for (key, first) in [("a", 0), ("b", 1)] {
        let Value::Array(items) = commands.call(command(&["LRANGE", key, "0", "-1"])).await.unwrap() else {
            panic!("no list");
        };
        let items: Vec<_> = items.into_iter().map(|item| integer(item).unwrap()).collect();
        let expected: Vec<i64> = (0..1000).map(|index| index * 2 + first).collect();
        assert_eq!(items, expected);
    }
    let stats = text(commands.call(command(&["INFO", "commandstats"])).await.unwrap()).unwrap();
    let evalsha = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"))
        .unwrap();
    let calls: usize = evalsha.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    assert!(calls <= 2000 / 16, "2000 calls cost {calls} commands");
}

#[tokio::test]
async fn an_error_is_that_of_its_call() {
    let server = Server::start(&[]);
    let commands = connected(&server).await;
    commands.call(command(&["SET", "text", "x"])).await.unwrap();
    let replies = ["list", "text", "other"].map(|key| commands.call(append(key, 1)));
    let [list, wrong, other] = join_all(replies).await.try_into().unwrap();
    assert_eq!((list, other), (Ok(Value::Int(1)), Ok(Value::Int(1))));
    assert!(wrong.unwrap_err().is_code("WRONGTYPE"));
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let server = Server::start(&[]);
    let commands = connected(&server).await;
    commands.call(append("a", 0)).await.unwrap();
    commands.call(command(&["SCRIPT", "FLUSH"])).await.unwrap();
    let replies: Vec<_> = (1..300).map(|item| commands.call(append("a", item))).collect();
    for (item, reply) in join_all(replies).await.into_iter().enumerate() {
        assert_eq!(reply, Ok(Value::Int(item as i64 + 2)));
    }
}

#[tokio::test]
async fn a_server_that_is_gone_fails_calls_and_is_found_again() {
    let mut server = Server::start(&[]);
    let commands = connected(&server).await;
    server.kill();
    eventually("the loss", async || commands.ready().err()).await;
    let error = commands.call(command(&["PING"])).await.unwrap_err();
    assert!(matches!(error, LinkError::Disconnected(_)), "{error}");
    server.start_again();
    eventually("the return", async || {
        commands.call(command(&["PING"])).await.ok()
    })
    .await;
    assert_eq!(commands.ready(), Ok(()));
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let server = Server::start(&[]);
    let commands = connected(&server).await;
    server.signal("STOP");
    assert_eq!(commands.call(command(&["PING"])).await, Err(LinkError::Timeout));
    assert!(commands.call(command(&["PING"])).await.is_err());
    server.signal("CONT");
    eventually("the return", async || {
        commands.call(command(&["PING"])).await.ok()
    })
    .await;
}

#[tokio::test]
async fn passwords_users_and_databases_are_told() {
    let server = Server::start(&[
        "--requirepass",
        "secret",
        "--user",
        "app",
        "on",
        ">word",
        "~*",
        "&*",
        "+@all",
    ]);
    for resp2 in [false, true] {
        for (user, password, expected) in [("", "secret", "default"), ("app", "word", "app")] {
            let mut options = server.options();
            options.force_resp2 = resp2;
            options.credentials.user = user.to_owned();
            options.credentials.password = password.to_owned();
            options.db = 3;
            options.client_name = "tests".to_owned();
            let commands = Commands::open(&options);
            let who = eventually("a connection", async || {
                commands.call(command(&["ACL", "WHOAMI"])).await.ok()
            })
            .await;
            assert_eq!(text(who).unwrap(), expected);
            let info = text(commands.call(command(&["CLIENT", "INFO"])).await.unwrap()).unwrap();
            assert!(info.contains("name=tests") && info.contains("db=3"), "{info}");
            assert!(info.contains(if resp2 { "resp=2" } else { "resp=3" }), "{info}");
        }
        let mut options = server.options();
        options.force_resp2 = resp2;
        options.credentials.password = "wrong".to_owned();
        let commands = Commands::open(&options);
        eventually("a refusal", async || match commands.ready() {
            Err(LinkError::Refused(text)) => text.starts_with("WRONGPASS").then_some(()),
            _ => None,
        })
        .await;
    }
}

#[derive(Default)]
struct Log {
    messages: Mutex<Vec<(String, String)>>,
    restored: Mutex<Vec<Vec<Bytes>>>,
}

impl Sink for Log {
    fn message(&self, channel: &[u8], payload: Bytes) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.messages.lock().push((text(channel), text(&payload)));
    }

    fn lost(&self, _: &LinkError) {}

    fn restored(&self, channels: Vec<Bytes>) {
        self.restored.lock().push(channels);
    }
}

#[tokio::test]
async fn subscriptions_outlive_the_server() {
    let mut server = Server::start(&[]);
    for resp2 in [false, true] {
        let mut options = server.options();
        options.force_resp2 = resp2;
        let log = Arc::new(Log::default());
        let subscriptions =
            Subscriptions::open(&options, Kind::Plain, Bytes::from_static(b"alive"), log.clone());
        eventually("a connection", async || subscriptions.ready().ok()).await;
        let names: Vec<Bytes> = (0..1500)
            .map(|index| Bytes::from(format!("channel-{index}")))
            .collect();
        for confirmed in join_all(names.iter().map(|name| subscriptions.subscribe(name.clone()))).await {
            confirmed.unwrap();
        }
        let commands = connected(&server).await;
        let publish = async |channel: &str, text: &str| {
            let count = commands.call(command(&["PUBLISH", channel, text])).await.unwrap();
            integer(count).unwrap()
        };
        assert_eq!(publish("channel-1499", "one").await, 1);
        subscriptions.unsubscribe(&names[1]);
        eventually("an end", async || {
            (publish("channel-1", "").await == 0).then_some(())
        })
        .await;
        server.kill();
        eventually("the loss", async || subscriptions.ready().err()).await;
        assert!(subscriptions.subscribe(Bytes::from_static(b"new")).await.is_err());
        assert_eq!(
            subscriptions.subscribe(names[2].clone()).await,
            Ok(()),
            "it is subscribed to as soon as may be"
        );
        server.start_again();
        eventually("the return", async || subscriptions.ready().ok()).await;
        eventually("the news", async || log.restored.lock().first().map(Vec::len)).await;
        assert_eq!(log.restored.lock()[0].len(), 1499);
        eventually("a connection", async || {
            commands.call(command(&["PING"])).await.ok()
        })
        .await;
        assert_eq!(publish("channel-0", "two").await, 1);
        assert_eq!(publish("channel-1", "lost").await, 0);
        let last = ("channel-0".to_owned(), "two".to_owned());
        eventually("the message", async || {
            log.messages.lock().contains(&last).then_some(())
        })
        .await;
        assert_eq!(log.messages.lock().first().unwrap().1, "one");
    }
}

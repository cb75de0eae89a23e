//! A Redis or Valkey of its own for each test, on a socket in a folder of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate_redis_link::redis::aio::MultiplexedConnection;
use tidegate_redis_link::redis::{self, Client, FromRedisValue, cmd};
use tidegate_redis_link::{Credentials, Endpoint, Options, Topology};

use super::{programs, until};

pub(super) struct Server {
    process: Child,
    folder: TempDir,
    connection: MultiplexedConnection,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(super) async fn start_valkey(arguments: &[&str]) -> Self {
        Self::start_program(&programs::valkey(), arguments).await
    }

    pub(super) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_program(&programs::redis(), arguments).await
    }

    async fn start_program(program: &OsStr, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let process = Command::new(program)
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--dir", folder.path().to_str().unwrap()])
            .args(["--unixsocket", socket.to_str().unwrap()])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (scripts/setup.sh)");
        let client = Client::open(format!("redis+unix://{}", socket.display())).unwrap();
        let mut connection = None;
        until("server to listen", async || {
            connection = client.get_multiplexed_async_connection().await.ok();
            connection.is_some()
        })
        .await;
        Self {
            process,
            folder,
            connection: connection.unwrap(),
        }
    }

    pub(super) fn client(&self) -> Client {
        let socket = self.folder.path().join("redis.sock");
        Client::open(format!("redis+unix://{}", socket.display())).unwrap()
    }

    pub(super) fn options(&self) -> Options {
        Options {
            topology: Topology::Single(Endpoint::Unix(self.folder.path().join("redis.sock"))),
            credentials: Credentials::default(),
            db: 0,
            client_name: String::new(),
            tls: None,
            connect_timeout: Duration::from_secs(10),
            io_timeout: Duration::from_secs(10),
            force_resp2: false,
            replicas: false,
        }
    }

    /// Runs a command beside the engine. Words are divided by spaces.
    pub(super) async fn run<T: FromRedisValue>(&self, words: &str) -> T {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.call(&words).await
    }

    pub(super) async fn call<T: FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    pub(super) async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.run("KEYS *").await;
        keys.sort();
        keys
    }

    pub(super) async fn hash(&self, key: &str) -> BTreeMap<String, String> {
        self.run(&format!("HGETALL {key}")).await
    }

    pub(super) async fn ttl(&self, key: &str) -> i64 {
        self.run(&format!("TTL {key}")).await
    }

    /// Entries of a stream: ids, and their only field with its value.
    pub(super) async fn stream(&self, key: &str) -> Vec<(String, (String, Vec<u8>))> {
        self.run(&format!("XRANGE {key} - +")).await
    }

    /// Calls so far by the name of the command; those that scripts make are counted like others.
    pub(super) async fn calls(&self) -> BTreeMap<String, u64> {
        let info: String = cmd("INFO")
            .arg("commandstats")
            .query_async(&mut self.connection.clone())
            .await
            .unwrap();
        let lines = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        lines.collect()
    }

    /// Listens to a channel as a foreign node does.
    pub(super) async fn listen(&self, channel: &str) -> Ear {
        let mut listening = self.client().get_async_pubsub().await.unwrap();
        listening.subscribe(channel).await.unwrap();
        Ear(listening)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) struct Ear(redis::aio::PubSub);

impl Ear {
    pub(super) async fn hear(&mut self) -> Vec<u8> {
        use futures_util::StreamExt;
        let mut messages = self.0.on_message();
        let heard = tokio::time::timeout(Duration::from_secs(20), messages.next());
        heard.await.unwrap().unwrap().get_payload().unwrap()
    }
}

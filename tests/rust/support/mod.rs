//! What the tests over the wire share: a server in this process, and a client per transport that speaks text.
//!
//! The clients are ours only as far as they must be: frames of WebSocket come from tungstenite, QUIC and WebTransport
//! from quinn and web-transport-quinn. They know nothing of the protocol above, which the tests spell out.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

pub mod http;
pub mod pattern;
pub mod peer;
pub mod process;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate::config::{self, Sources};
use tidegate::node::Node;
use tidegate::server::Server;
use tokio::net::TcpStream;

use http::{Answer, Request};
pub use peer::{Heard, Peer};

/// Secret of the tokens that the servers of the tests accept.
pub const SECRET: &str = "token-secret-of-the-tests";
/// Key of the server API.
pub const API_KEY: &str = "api-key-of-the-tests";
/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A server in this process, with every transport, on ports of its own.
pub struct TestServer {
    server: Server,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl TestServer {
    /// Starts a server whose configuration is the common one with `changes` laid over it.
    pub async fn start(changes: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let loaded = load_config(directory.path(), changes);
        let server = Server::start(&loaded, None).await.unwrap();
        let address = server.addresses()[0];
        Self {
            server,
            address,
            directory,
        }
    }

    /// Has the server take over what a reload may change, from the common configuration with `changes` laid over it.
    pub fn reload(&self, changes: Value) {
        let loaded = load_config(self.directory.path(), changes);
        self.server.reload(&loaded.config).unwrap();
    }

    /// A server that admits anybody to everything.
    pub async fn insecure() -> Self {
        Self::start(json!({ "client": { "insecure": true } })).await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn node(&self) -> &Node {
        self.server.node()
    }

    /// Stops the server, which must end in order and in time.
    pub async fn stop(self) {
        within("stopping the server", self.server.stop())
            .await
            .expect("the server did not stop in order");
    }

    /// A connection to the TCP listener.
    pub async fn dial(&self) -> TcpStream {
        within("dialling", TcpStream::connect(self.address))
            .await
            .unwrap()
    }

    /// Makes a request over a connection of its own and reads the whole answer.
    pub async fn request(&self, request: Request) -> Answer {
        within("an HTTP answer", request.exchange(self.dial().await)).await
    }

    /// Calls the server API; the answer's body.
    pub async fn api(&self, method: &str, body: Value) -> String {
        let request = Request::post(&format!("/api/{method}"), body.to_string()).header("X-API-Key", API_KEY);
        let answer = self.request(request).await;
        assert_eq!(answer.status, 200, "server API {method}: {answer:?}");
        answer.text()
    }

    /// Publishes by the server API.
    pub async fn publish(&self, channel: &str, data: Value) {
        let answer = self
            .api("publish", json!({ "channel": channel, "data": data }))
            .await;
        assert!(answer.starts_with(r#"{"result":{"#), "publish: {answer}");
    }

    /// A WebSocket that has said nothing yet.
    pub async fn websocket(&self) -> Peer {
        self.websocket_at("/connection/websocket").await
    }

    pub async fn websocket_at(&self, path: &str) -> Peer {
        Peer::websocket(self.dial().await, path, &[]).await
    }

    /// A WebSocket on which a connect command with this token was sent.
    pub async fn connecting(&self, claims: &Value) -> Peer {
        let peer = self.websocket().await;
        peer.send(&format!(
            r#"{{"id":1,"connect":{{"token":"{}"}}}}"#,
            token(claims)
        ));
        peer
    }

    /// A WebSocket on which the connect command with this token was accepted.
    pub async fn connected(&self, claims: Value) -> Peer {
        let mut peer = self.connecting(&claims).await;
        peer.expect(
            r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
        )
        .await;
        peer
    }

    /// A connected WebSocket of that user, whose token never expires.
    pub async fn user(&self, user: &str) -> Peer {
        self.connected(json!({ "sub": user })).await
    }

    /// Waits until a count of the node is what it should be.
    pub async fn until_counts(&self, what: &str, condition: impl Fn(&tidegate::node::Counts) -> bool) {
        until(what, || condition(&self.node().counts())).await;
    }
}

/// Lays `changes` over `base`: objects are merged, everything else is replaced.
pub fn merge(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes,
    }
}

/// Writes the configuration that all servers of the tests share, with what their kind has of its `own` and then the
/// `changes` of one test laid over it.
fn write_config(directory: &Path, own: Value, changes: Value) -> PathBuf {
    let mut config = json!({
        "http_server": {
            "address": "127.0.0.1",
            "development_certificate": { "enabled": true, "directory": directory.join("certificates") },
            "http3": { "enabled": true }
        },
        "client": { "token": { "hmac_secret_key": SECRET } },
        "http_api": { "key": API_KEY },
        "webtransport": { "enabled": true },
        "http_stream": { "enabled": true },
        "sse": { "enabled": true }
    });
    merge(&mut config, own);
    merge(&mut config, changes);
    let file = directory.join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// The configuration of a server in this process.
fn load_config(directory: &Path, changes: Value) -> config::Loaded {
    let own = json!({ "health": { "enabled": true }, "shutdown": { "timeout": "10s" } });
    let sources = Sources {
        file: Some(write_config(directory, own, changes)),
        // In a file 0 would stand for the default.
        flags: vec![("http_server.port".to_owned(), "0".to_owned())],
        ..Sources::default()
    };
    config::load(&sources).unwrap_or_else(|error| panic!("configuration: {error}"))
}

/// A token signed with the secret of the servers.
pub fn token(claims: &Value) -> String {
    token_signed_with(SECRET, claims)
}

/// A token signed with any secret.
pub fn token_signed_with(secret: &str, claims: &Value) -> String {
    use aws_lc_rs::hmac;
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let body = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, body.as_bytes()));
    format!("{body}.{signature}")
}

/// Unix time `seconds` from now.
pub fn in_seconds(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}

/// What hangs, fails, and says what hung.
pub async fn within<F: IntoFuture>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} in vain for: {what}"),
    }
}

/// Waits until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until something was published to a channel with history.
pub async fn until_published(server: &TestServer, channel: &str) {
    within("a publication", async {
        while server
            .api("history", json!({ "channel": channel }))
            .await
            .contains(r#""offset":0"#)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

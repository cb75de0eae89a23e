//! What a server must bear: garbage, liars, floods and those who never finish a sentence.
//!
//! After each the server must serve another client as if nothing had happened, forget what the bad one held, and
//! stop in order; and nothing in it may have panicked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]
#![allow(missing_docs, unreachable_pub, reason = "tests are their own documentation")]

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod frames;
mod http;
mod quic;

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::{Peer, TestServer};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics that do not come from the tests themselves.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let of_a_test = info
                .location()
                .is_some_and(|location| location.file().contains("tests/rust/"));
            if !of_a_test {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            print(info);
        }));
    });
}

/// A server, and a client that is on it before, while and after it is treated badly.
struct Victim {
    server: TestServer,
    bystander: Peer,
    said: u32,
}

impl Victim {
    async fn new(changes: Value) -> Self {
        watch_panics();
        let mut config = json!({
            "client": { "insecure": true, "stale_close_delay": "1s" },
            "channel": { "without_namespace": { "allow_subscribe_for_client": true } }
        });
        for (key, value) in changes.as_object().unwrap() {
            for (name, value) in value.as_object().unwrap() {
                config[key][name] = value.clone();
            }
        }
        let server = TestServer::start(config).await;
        let mut bystander = server.user("bystander").await;
        bystander
            .ask(
                r#"{"id":2,"subscribe":{"channel":"calm"}}"#,
                r#"{"id":2,"subscribe":{}}"#,
            )
            .await;
        Self {
            server,
            bystander,
            said: 0,
        }
    }

    /// The server serves those who were there, those who come now, and holds nothing of others.
    async fn check(&mut self) {
        self.said += 1;
        self.server.publish("calm", json!(self.said)).await;
        let expected = format!(
            r#"{{"push":{{"channel":"calm","pub":{{"data":{}}}}}}}"#,
            self.said
        );
        let mut heard = self.bystander.message(&expected).await;
        if heard == "{}" {
            self.bystander.send("{}");
            heard = self.bystander.message(&expected).await;
        }
        assert_eq!(heard, expected);
        let newcomer = self.server.user("newcomer").await;
        newcomer.close(1000);
        self.server
            .until_counts("all but the bystander to be forgotten", |counts| {
                (
                    counts.clients,
                    counts.users,
                    counts.channels,
                    counts.subscriptions,
                ) == (1, 1, 1, 1)
            })
            .await;
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
    }

    async fn end(mut self) {
        self.check().await;
        self.server.stop().await;
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked");
    }
}

/// Bytes that look random and are the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

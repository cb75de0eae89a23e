//! Transcripts of the session core in virtual time: send this, expect exactly that.

mod capabilities;
mod limits;
mod model;
mod order;
mod revocation;
mod server_side;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::json;
use tidegate_transports::{Drained, Encoding, Outbox, TransportKind};

use super::*;
use crate::auth::{FetchError, KeyFetch, KeySource, Purpose, TokenVerifier};
use crate::channels::ChannelRules;
use crate::config::{Config, Sources};
use crate::engine::memory::MemoryBroker;
use crate::engine::{Broker, ClientInfo, Epoch, Previous, Publication, PublishOptions, Receiver, Retention};
use crate::hub::{Hub, Mailbox};
use crate::limits::OperationLimits;
use crate::revocation::Revocations;
use crate::telemetry::Metrics;

struct NoKeys;

impl KeySource for NoKeys {
    fn fetch<'a>(&'a self, _: &'a str) -> KeyFetch<'a> {
        Box::pin(async { Err(FetchError::Url) })
    }
}

struct ToHub(Arc<Hub>);

impl Receiver for ToHub {
    fn handle_publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        previous: Previous<'_>,
    ) {
        self.0.publication_after(previous, channel, publication, epoch, 0);
    }
    fn handle_join(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.0.join_push(channel, info);
    }
    fn handle_leave(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.0.leave_push(channel, info);
    }
    fn has_subscribers(&self, channel: &str) -> bool {
        self.0.has_subscribers(channel)
    }
    fn handle_restored(&self, _: Vec<Arc<str>>) {}
}

/// A session, the smallest node that can serve it, and a clock that only tests move.
struct Client {
    session: Session,
    handle: Arc<Handle>,
    hub: Arc<Hub>,
    broker: MemoryBroker,
    now: Now,
}

const RETENTION: Retention = Retention {
    size: 10,
    ttl: Duration::from_secs(60),
    meta_ttl: Duration::from_secs(600),
};

impl Client {
    fn new(config: serde_json::Value) -> Self {
        let file = tempfile::Builder::new().suffix(".json").tempfile().expect("file");
        std::fs::write(file.path(), config.to_string()).expect("written");
        let sources = Sources {
            file: Some(file.path().into()),
            ..Sources::default()
        };
        Self::of(&crate::config::load(&sources).expect("valid").config)
    }

    fn of(config: &Config) -> Self {
        let insecure = config.client.insecure;
        let source: Arc<dyn KeySource> = Arc::new(NoKeys);
        let tokens =
            TokenVerifier::new(&config.client.token, Purpose::Connection, false, source).expect("keys");
        let rules = Rules {
            channels: ChannelRules::from_config(&config.channel, insecure).expect("rules"),
            tokens: tokens.clone(),
            subscription_tokens: tokens,
            insecure,
            allow_anonymous_connect: false,
            disallow_anonymous_tokens: false,
            personal: None,
        };
        let client = &config.client;
        let settings = Settings {
            node: "node".to_owned(),
            version: "test".to_owned(),
            ping_interval: client.ping_interval,
            pong_timeout: client.pong_timeout,
            stale_close_delay: client.stale_close_delay,
            expired_close_delay: client.expired_close_delay,
            expired_sub_close_delay: client.expired_sub_close_delay,
            presence_update_interval: client.presence_update_interval,
            position_check_delay: client.channel_position_check_delay,
            position_max_time_lag: None,
            channel_limit: client.channel_limit,
            concurrency: client.concurrency.max(1),
            reply_without_queue: client.reply_without_queue,
            history_max_publications: 300,
            recovery_max_publications: client.recovery_max_publication_limit.unwrap_or(usize::MAX),
            include_server_time: false,
            user_id_header: None,
            rpc_ping: config.rpc.ping.enabled.then(|| config.rpc.ping.method.clone()),
            rpc_namespace_boundary: config.rpc.namespace_boundary.clone(),
            rpc_namespaces: config
                .rpc
                .namespaces
                .iter()
                .map(|namespace| namespace.name.clone())
                .collect(),
        };
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_700_000_000_000,
        };
        let context = Arc::new(Context {
            settings,
            rules: ArcSwap::from_pointee(rules),
            guards: Guards {
                limits: OperationLimits::from_config(&client.rate_limit, now.instant),
                revocations: Revocations::default(),
            },
            metrics: Arc::new(Metrics::new("test")),
            delays: Arc::default(),
        });
        let handle = Arc::new(Handle {
            client: "C".to_owned(),
            encoding: Encoding::Json,
            transport: TransportKind::Websocket,
            outbox: Arc::new(Outbox::new(Some(1 << 20))),
            mailbox: Mailbox::default(),
            batched: AtomicUsize::default(),
        });
        let session = Session::new(context, handle.clone(), Opening::default(), 0.0, now);
        let hub = Arc::new(Hub::default());
        let broker = MemoryBroker::default();
        broker.attach(Arc::new(ToHub(hub.clone())));
        Self {
            session,
            handle,
            hub,
            broker,
            now,
        }
    }

    fn insecure() -> Self {
        Self::new(
            json!({"rpc": {"ping": {"enabled": true}}, "client": {"insecure": true}, "channel": {"without_namespace": {
            "history_size": 10, "history_ttl": "60s", "force_recovery": true}}}),
        )
    }

    /// Connected and subscribed to `ch`, with nothing left to read.
    fn subscribed() -> Self {
        let mut client = Self::insecure();
        client.send(r#"{"id":1,"connect":{}}"#);
        client.send(r#"{"id":2,"subscribe":{"channel":"ch"}}"#);
        client.received();
        client
    }

    fn send(&mut self, frame: &str) {
        self.session
            .handle_frame(Bytes::copy_from_slice(frame.as_bytes()), self.now);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some((id, call)) = self.session.poll_call() {
            let answer = self.answer(call);
            self.session.handle_answer(id, answer, self.now);
        }
        let mut cx = TaskContext::from_waker(Waker::noop());
        while let Some(event) = self.handle.mailbox.poll(&mut cx) {
            self.session.handle_event(event, self.now);
        }
    }

    fn answer(&self, call: Call) -> Answer {
        let read = |channel: &str, query| self.broker.history(channel, query).now_or_never().expect("ready");
        match call {
            Call::Register { .. } => Answer::Registered(true),
            Call::Attach(attach) => Answer::Attached(
                attach
                    .into_iter()
                    .map(|attach| {
                        self.hub.join(&attach.channel, &attach.subscriber);
                        attach.read.map(|query| read(&attach.channel, query)).transpose()
                    })
                    .collect(),
            ),
            Call::Detach(detach) => {
                self.hub.leave(&detach.channel, &detach.subscriber);
                Answer::Done
            }
            Call::History(channel, query) => Answer::History(read(&channel, query)),
            Call::Look(looks) => Answer::Looked(
                looks
                    .into_iter()
                    .map(|look| {
                        let query = crate::engine::HistoryQuery {
                            limit: Some(0),
                            since: None,
                            reverse: false,
                            meta_ttl: look.meta_ttl,
                        };
                        let seen = read(&look.channel, query)
                            .ok()
                            .map(|history| crate::hub::Sighting {
                                top: history.top,
                                seen_ms: self.now.unix_ms,
                            });
                        (look, seen)
                    })
                    .collect(),
            ),
            Call::Publish {
                channel,
                data,
                info,
                options,
            } => {
                let publication = Publication {
                    data,
                    info: Some(info),
                    ..Publication::default()
                };
                let published = self.broker.publish(&channel, publication, options).now_or_never();
                Answer::Published(published.expect("ready").map(|_| ()))
            }
            _ => Answer::Done,
        }
    }

    fn publish(&mut self, text: &'static str) {
        let publication = Publication {
            data: Bytes::from_static(text.as_bytes()),
            ..Publication::default()
        };
        let options = PublishOptions {
            retention: Some(RETENTION),
            ..PublishOptions::default()
        };
        self.broker
            .publish("ch", publication, options)
            .now_or_never()
            .expect("ready")
            .expect("published");
        self.perform();
    }

    /// Moves time forward, stopping at every deadline on the way.
    fn pass(&mut self, duration: Duration) {
        let end = self.now.instant + duration;
        while let Some(deadline) = self.session.next_deadline().filter(|deadline| *deadline <= end) {
            self.advance_to(deadline);
            self.session.handle_timeout(self.now);
            self.perform();
        }
        self.advance_to(end);
    }

    fn advance_to(&mut self, instant: Instant) {
        let passed = instant.saturating_duration_since(self.now.instant);
        self.now.instant += passed;
        self.now.unix_ms += i64::try_from(passed.as_millis()).expect("short");
    }

    fn received(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        let mut cx = TaskContext::from_waker(Waker::noop());
        while let Poll::Ready(Drained::Frames) = self.handle.outbox.poll_drain(&mut cx, 16, &mut frames) {}
        frames
            .iter()
            .map(|frame| String::from_utf8_lossy(frame.payload()).into_owned())
            .collect()
    }

    fn expect(&mut self, frames: &[&str]) {
        assert_eq!(self.received(), frames);
    }

    fn closed_with(&self) -> Option<u32> {
        self.session.disconnect().map(|disconnect| disconnect.code)
    }
}

#[test]
fn connect_and_publish() {
    let mut client = Client::insecure();
    client.send("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"rpc\":{\"method\":\"ping\"}}");
    client.expect(&[
        r#"{"id":1,"connect":{"client":"C","version":"test","ping":25,"pong":true}}"#,
        r#"{"id":2,"rpc":{}}"#,
    ]);
    client.send(r#"{"id":3,"publish":{"channel":"ch","data":{"a":1}}}"#);
    client.expect(&[r#"{"id":3,"publish":{}}"#]);
    client.send(r#"{"id":4,"publish":{"channel":"ch"}}"#);
    client.expect(&[r#"{"id":4,"error":{"code":107,"message":"bad request"}}"#]);
}

#[test]
fn admission_of_commands() {
    for (frames, code) in [
        (&[r#"{"id":1,"subscribe":{"channel":"ch"}}"#][..], 3501),
        (&["{}"], 3501),
        (&[r#"{"connect":{}}"#], 3501),
        (&[""], 3501),
        (&["nonsense"], 3501),
        (&[r#"{"id":1,"connect":{}}"#, r#"{"id":2,"connect":{}}"#], 3501),
        (&[r#"{"id":1,"connect":{}}"#, "{}"], 3501),
        (&[r#"{"id":1,"connect":{}}"#, r#"{"id":2}"#], 3501),
        (&[r#"{"id":1,"connect":{}}"#, r#"{"id":2,"ping":{}}"#], 3501),
        (&[r#"{"id":1,"connect":{}}"#, r#"{"send":{"data":{}}}"#], 3508),
        (&[r#"{"id":1,"connect":{}}"#, r#"{"id":2,"subscribe":{}}"#], 3501),
        (
            &[
                r#"{"id":1,"connect":{}}"#,
                r#"{"id":2,"subscribe":{"channel":"c","delta":"x"}}"#,
            ],
            3501,
        ),
    ] {
        let mut client = Client::insecure();
        for frame in frames {
            client.send(frame);
        }
        assert_eq!(client.closed_with(), Some(code), "{frames:?}");
    }
}

#[test]
fn without_credentials_the_connection_is_closed() {
    let mut client = Client::new(json!({}));
    client.send(r#"{"id":1,"connect":{}}"#);
    assert_eq!(client.closed_with(), Some(3501));
    let mut client = Client::new(json!({}));
    client.send(r#"{"id":1,"connect":{"token":"eyJ.x.y"}}"#);
    assert_eq!(client.closed_with(), Some(3500));
}

#[test]
fn a_stale_connection_is_closed() {
    let mut client = Client::insecure();
    client.pass(Duration::from_millis(9_999));
    assert_eq!(client.closed_with(), None);
    client.pass(Duration::from_millis(1));
    assert_eq!(client.closed_with(), Some(3502));
}

#[test]
fn pings_must_be_answered() {
    let mut client = Client::insecure();
    client.send(r#"{"id":1,"connect":{}}"#);
    client.received();
    client.pass(Duration::from_millis(12_500));
    client.expect(&["{}"]);
    client.send("{}");
    client.pass(Duration::from_secs(25));
    client.expect(&["{}"]);
    client.send(r#"{"id":2,"rpc":{"method":"ping"}}"#);
    client.pass(Duration::from_secs(8));
    assert_eq!(client.closed_with(), Some(3012), "other traffic is no pong");
}

#[test]
fn a_second_pong_breaks_the_protocol() {
    let mut client = Client::insecure();
    client.send(r#"{"id":1,"connect":{}}"#);
    client.pass(Duration::from_secs(13));
    client.send("{}");
    assert_eq!(client.closed_with(), None);
    client.send("{}");
    assert_eq!(client.closed_with(), Some(3501));
}

#[test]
fn the_reply_comes_before_publications() {
    let mut client = Client::insecure();
    client.send(r#"{"id":1,"connect":{}}"#);
    client.received();
    client.publish("1");
    let epoch = {
        client.send(r#"{"id":2,"history":{"channel":"ch"}}"#);
        let reply: serde_json::Value = serde_json::from_str(&client.received()[0]).expect("JSON");
        reply["history"]["epoch"].as_str().expect("epoch").to_owned()
    };
    client.send(&format!(
        r#"{{"id":3,"subscribe":{{"channel":"ch","recover":true,"offset":0,"epoch":"{epoch}"}}}}"#
    ));
    client.publish("2");
    client.expect(&[
        &format!(
            r#"{{"id":3,"subscribe":{{"recoverable":true,"epoch":"{epoch}","publications":[{{"data":1,"offset":1}}],"recovered":true,"positioned":true,"was_recovering":true}}}}"#
        ),
        r#"{"push":{"channel":"ch","pub":{"data":2,"offset":2}}}"#,
    ]);
    client.send(r#"{"id":4,"subscribe":{"channel":"ch"}}"#);
    client.expect(&[r#"{"id":4,"error":{"code":105,"message":"already subscribed"}}"#]);
}

#[test]
fn reject_unrecovered_answers_112_and_leaves() {
    let mut client = Client::insecure();
    client.send(r#"{"id":1,"connect":{}}"#);
    client.received();
    client.publish("1");
    client.send(r#"{"id":2,"subscribe":{"channel":"ch","recover":true,"offset":9,"epoch":"_","flag":2}}"#);
    client.expect(&[r#"{"id":2,"error":{"code":112,"message":"unrecoverable position"}}"#]);
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn a_lost_publication_is_found_by_the_position_check() {
    let mut client = Client::subscribed();
    // The node never hears of this one: the hub is told nothing.
    let lost = MemoryBroker::default();
    let _ = std::mem::replace(&mut client.broker, lost);
    client.pass(Duration::from_secs(13));
    client.send("{}");
    client.received();
    client.pass(Duration::from_secs(25));
    client.send("{}");
    client.pass(Duration::from_secs(17));
    let received = client.received();
    let push = r#"{"push":{"channel":"ch","unsubscribe":{"code":2500,"reason":"insufficient state"}}}"#;
    assert!(received.iter().any(|frame| frame == push), "{received:?}");
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn methods_of_unknown_namespaces_are_not_found() {
    let mut client =
        Client::new(json!({"client": {"insecure": true}, "rpc": {"namespaces": [{"name": "known"}]}}));
    client.send(r#"{"id":1,"connect":{}}"#);
    client.received();
    client.send(r#"{"id":2,"rpc":{"method":"known:a"}}"#);
    client.send(r#"{"id":3,"rpc":{"method":"other:a"}}"#);
    client.expect(&[
        r#"{"id":2,"error":{"code":108,"message":"not available"}}"#,
        r#"{"id":3,"error":{"code":104,"message":"method not found"}}"#,
    ]);
}

#[test]
fn limits_of_channels() {
    let mut client = Client::new(json!({"client": {"insecure": true, "channel_limit": 1}}));
    client.send(r#"{"id":1,"connect":{}}"#);
    client.send(r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    client.send(r#"{"id":3,"subscribe":{"channel":"b"}}"#);
    let long = "x".repeat(256);
    client.send(&format!(r#"{{"id":4,"subscribe":{{"channel":"{long}"}}}}"#));
    let received = client.received();
    assert_eq!(
        received[2],
        r#"{"id":3,"error":{"code":106,"message":"limit exceeded"}}"#
    );
    assert_eq!(
        received[3],
        r#"{"id":4,"error":{"code":107,"message":"bad request"}}"#
    );
}

#[test]
fn closing_leaves_everything() {
    let mut client = Client::subscribed();
    client.session.end(&EndCause::PeerClosed);
    client.perform();
    assert_eq!(client.hub.counts(), (0, 0));
    assert_eq!(client.closed_with(), Some(3000));
    assert_eq!(client.session.next_deadline(), None);
    client.send(r#"{"id":9,"subscribe":{"channel":"ch"}}"#);
    assert!(client.received().is_empty());
}

proptest::proptest! {
    /// Whatever a client sends, the session neither panics nor keeps a subscription after its end.
    #[test]
    fn any_commands_in_any_order(steps in proptest::collection::vec((0_usize..14, 0_u64..30_000), 0..40)) {
        const FRAMES: [&str; 14] = [
            r#"{"id":1,"connect":{}}"#,
            r#"{"id":2,"subscribe":{"channel":"ch"}}"#,
            r#"{"id":3,"unsubscribe":{"channel":"ch"}}"#,
            r#"{"id":4,"publish":{"channel":"ch","data":1}}"#,
            r#"{"id":5,"history":{"channel":"ch","limit":5}}"#,
            r#"{"id":6,"presence":{"channel":"ch"}}"#,
            r#"{"id":7,"refresh":{"token":"x"}}"#,
            r#"{"id":8,"sub_refresh":{"channel":"ch","token":"x"}}"#,
            r#"{"id":9,"subscribe":{"channel":"ch","recover":true,"offset":1}}"#,
            "{}",
            r#"{"send":{}}"#,
            "{\"id\":10,\"subscribe\":{\"channel\":\"x\"}}\n{\"id\":11,\"unsubscribe\":{\"channel\":\"x\"}}",
            "garbage",
            r#"{"id":12,"rpc":{"method":"ping"}}"#,
        ];
        let mut client = Client::insecure();
        client.send(FRAMES[0]);
        for (frame, wait) in steps {
            if client.session.is_ready() {
                client.send(FRAMES[frame]);
            }
            client.pass(Duration::from_millis(wait));
            client.received();
        }
        client.session.end(&EndCause::PeerClosed);
        client.perform();
        proptest::prop_assert_eq!(client.hub.counts(), (0, 0));
    }
}

//! Messages as nodes of the reference send and expect them, byte by byte.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tidegate::cluster::message::{Disconnect, Node, Subscribe, SurveyRequest, SurveyResponse};
use tidegate::cluster::{Control, decode, encode};
use tidegate_redis_link::redis::cmd;
use tidegate_redis_link::{Call, Commands, Kind, LinkError, Sink, Subscriptions};

use crate::nodes::{known, node};
use crate::servers::{Server, eventually};
use crate::support::TestServer;

/// A node of the reference, as far as others can tell.
struct Foreign {
    commands: Commands,
    _subscriptions: Subscriptions,
    heard: Arc<Heard>,
}

const UID: &str = "11111111-2222-4333-8444-555555555555";

#[derive(Default)]
struct Heard(Mutex<Vec<(String, Control)>>);

impl Sink for Heard {
    fn message(&self, _: &[u8], payload: Bytes) {
        if let Ok(message) = decode(payload)
            && message.0 != UID
        {
            self.0.lock().push(message);
        }
    }
    fn restored(&self, _: Vec<Bytes>) {}
    fn lost(&self, _: &LinkError) {}
}

impl Foreign {
    async fn join(redis: &Server) -> Self {
        let heard = Arc::new(Heard::default());
        let alive = Bytes::from_static(b"alive");
        let subscriptions = Subscriptions::open(&redis.options(), Kind::Plain, alive, heard.clone());
        eventually("a connection", async || subscriptions.ready().ok()).await;
        for channel in ["centrifugo.control".to_owned(), format!("centrifugo.node.{UID}")] {
            subscriptions.subscribe(channel.into()).await.unwrap();
        }
        Self {
            commands: Commands::open(&redis.options()),
            _subscriptions: subscriptions,
            heard,
        }
    }

    async fn send(&self, channel: &str, bytes: &[u8]) -> i64 {
        let mut publish = cmd("PUBLISH");
        publish.arg(channel).arg(bytes);
        let count = self.commands.call(Call::command(0, None, publish)).await.unwrap();
        tidegate_redis_link::integer(count).unwrap()
    }

    /// Waits until a node listens to its own channel, which it does last.
    async fn is_heard_by(&self, node: &TestServer) {
        let channel = format!("centrifugo.node.{}", node.node().id());
        eventually("a listening node", async || {
            (self.send(&channel, b"").await > 0).then_some(())
        })
        .await;
    }

    async fn tell(&self, control: Control) {
        self.send("centrifugo.control", &encode(UID, control)).await;
    }

    async fn hears<T>(&self, what: &str, pick: impl Fn(&Control) -> Option<T>) -> T {
        eventually(what, async || {
            self.heard.0.lock().iter().find_map(|(_, control)| pick(control))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_the_reference_is_one_of_them() {
    let redis = Server::start(&[]);
    let ours = node(&redis, json!({ "node": { "name": "ours" } })).await;
    let foreign = Foreign::join(&redis).await;
    foreign.is_heard_by(&ours).await;
    foreign
        .tell(Control::Node(Node {
            uid: UID.to_owned(),
            name: "theirs".to_owned(),
            version: "6.9.1 OSS".to_owned(),
            num_clients: 7,
            ..Node::default()
        }))
        .await;
    // It is told at once who is there, on its own channel or to all.
    let info = foreign.hears("our node", |control| match control {
        Control::Node(info) => Some(info.clone()),
        _ => None,
    });
    let info = info.await;
    assert_eq!((&*info.name, &*info.uid), ("ours", ours.node().id()));
    eventually("their node", async || {
        known(&ours)
            .await
            .iter()
            .any(|info| info["name"] == "theirs" && info["num_clients"] == 7)
            .then_some(())
    })
    .await;

    // Orders.
    let mut peer = ours.user("42").await;
    foreign
        .tell(Control::Subscribe(Subscribe {
            user: "42".to_owned(),
            channel: "hist:a".to_owned(),
            recover: true,
            position: true,
            source: 10,
            ..Subscribe::default()
        }))
        .await;
    peer.expect(
        r#"{"push":{"channel":"hist:a","subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true}}}"#,
    )
    .await;
    let order = json!({ "user": "42", "channel": "hist:a" });
    assert_eq!(ours.api("unsubscribe", order).await, r#"{"result":{}}"#);
    let unsubscribe = foreign
        .hears("the order", |control| match control {
            Control::Unsubscribe(order) => Some(order.clone()),
            _ => None,
        })
        .await;
    assert_eq!(
        (&*unsubscribe.channel, &*unsubscribe.user, unsubscribe.code),
        ("hist:a", "42", 2000)
    );
    peer.expect(r#"{"push":{"channel":"hist:a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#)
        .await;

    // Questions, in both directions.
    let mut asking = ours.user("43").await;
    asking
        .ask(
            r#"{"id":2,"subscribe":{"channel":"room"}}"#,
            r#"{"id":2,"subscribe":{}}"#,
        )
        .await;
    for (id, op, code) in [(5, "channels", 0), (6, "no such thing", 3)] {
        foreign
            .tell(Control::SurveyRequest(SurveyRequest {
                id,
                op: op.to_owned(),
                data: Bytes::new(),
            }))
            .await;
        let answer = foreign
            .hears("an answer", |control| match control {
                Control::SurveyResponse(answer) if answer.id == id => Some(answer.clone()),
                _ => None,
            })
            .await;
        assert_eq!(answer.code, code);
        assert_eq!(answer.data.is_empty(), code != 0);
    }
    let channels = ours.api("channels", json!({}));
    let answering = async {
        let id = foreign
            .hears("a question", |control| match control {
                Control::SurveyRequest(request) if request.op == "channels" => Some(request.id),
                _ => None,
            })
            .await;
        // {"room": 2, "there": 1} in Protobuf.
        let data = b"\x0a\x0a\x0a\x04room\x12\x02\x08\x02\x0a\x0b\x0a\x05there\x12\x02\x08\x01";
        let response = SurveyResponse {
            id,
            code: 0,
            data: Bytes::from_static(data),
        };
        let bytes = encode(UID, Control::SurveyResponse(response));
        let to = format!("centrifugo.node.{}", ours.node().id());
        // Twice: the second changes nothing.
        foreign.send(&to, &bytes).await;
        foreign.send(&to, &bytes).await;
    };
    let (channels, ()) = tokio::join!(channels, answering);
    assert_eq!(
        channels,
        r#"{"result":{"channels":{"room":{"num_clients":3},"there":{"num_clients":1}}}}"#
    );
    foreign.tell(Control::Shutdown).await;
    eventually("its absence", async || {
        (known(&ours).await.len() == 1).then_some(())
    })
    .await;
    let id = ours.node().id().to_owned();
    ours.stop().await;
    let left = |(sender, control): &(String, Control)| *sender == id && *control == Control::Shutdown;
    eventually("our goodbye", async || {
        foreign.heard.0.lock().iter().any(left).then_some(())
    })
    .await;
}

/// Nonsense costs nothing: who comes after it is served.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_ignored() {
    let redis = Server::start(&[]);
    let ours = node(&redis, json!({})).await;
    let mut peer = ours.user("42").await;
    let foreign = Foreign::join(&redis).await;
    foreign.is_heard_by(&ours).await;
    let to_us = format!("centrifugo.node.{}", ours.node().id());
    let unreadable = || ours.node().counts().from_nodes.unwrap().errors.message;
    eventually("what it was heard by", async || (unreadable() == 1).then_some(())).await;
    let nobody = Disconnect {
        user: "42".to_owned(),
        // Connections here have no labels.
        label_filter: Some(tidegate::cluster::message::FilterNode::default()),
        ..Disconnect::default()
    };
    for bytes in [
        &b""[..],
        b"\xff\xff\xff",
        b"\x0a\x01a",
        b"\x0a\x01a\xfa\x01\x00",
        &encode(UID, Control::Disconnect(nobody)),
        &encode(
            UID,
            Control::Subscribe(Subscribe {
                user: "42".to_owned(),
                channel: "unknown:a".to_owned(),
                ..Subscribe::default()
            }),
        ),
        // Our own, which come back from every broadcast.
        &encode(
            ours.node().id(),
            Control::Disconnect(Disconnect {
                user: "42".to_owned(),
                code: 3503,
                reason: "x".to_owned(),
                ..Disconnect::default()
            }),
        ),
    ] {
        for channel in ["centrifugo.control", &to_us] {
            assert!(foreign.send(channel, bytes).await > 0);
        }
    }
    // Messages of one channel are in order: when this is answered, all of that was read.
    foreign
        .tell(Control::SurveyRequest(SurveyRequest {
            id: 1,
            op: "channels".to_owned(),
            data: Bytes::new(),
        }))
        .await;
    foreign
        .hears("an answer", |control| {
            matches!(control, Control::SurveyResponse(_)).then_some(())
        })
        .await;
    // That, and the first four over two channels.
    assert_eq!(unreadable(), 9);
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"room"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    ours.stop().await;
}

//! Deltas (history-and-recovery.md 8): negotiation, live, recovered, without history, and with filters.

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};
use tidegate::delta::apply;
use tidegate::protocol::message::{
    Command, ConnectRequest, FilterNode, Publication, Reply, SubscribeRequest, SubscribeResult,
};

use crate::support::{Heard, Peer, TestServer, token};

async fn server() -> TestServer {
    TestServer::start(json!({
        "client": { "insecure": true },
        "channel": {
            "without_namespace": { "history_size": 10, "history_ttl": "60s" },
            "namespaces": [
                { "name": "dd", "allowed_delta_types": ["fossil"], "force_recovery": true,
                  "history_size": 10, "history_ttl": "60s" },
                { "name": "always", "allowed_delta_types": ["fossil"], "delta_publish": true,
                  "history_size": 10, "history_ttl": "60s", "allow_publish_for_client": true },
                { "name": "bare", "allowed_delta_types": ["fossil"], "delta_publish": true },
                { "name": "latest", "allowed_delta_types": ["fossil"], "delta_publish": true,
                  "keep_latest_publication": true },
                { "name": "cache", "allowed_delta_types": ["fossil"], "delta_publish": true,
                  "force_recovery": true, "force_recovery_mode": "cache", "history_size": 10, "history_ttl": "60s" },
                { "name": "tags", "allowed_delta_types": ["fossil"], "delta_publish": true, "allow_tags_filter": true,
                  "force_recovery": true, "history_size": 10, "history_ttl": "60s" }
            ]
        }
    }))
    .await
}

/// A match of football after so many goals.
fn score(goals: u32) -> Value {
    json!({ "team": "alpha", "opponent": "omega", "goals": goals })
}

/// Publishes so that a delta is wanted.
async fn publish(server: &TestServer, channel: &str, goals: u32) {
    publish_with(
        server,
        json!({ "channel": channel, "data": score(goals), "delta": true }),
    )
    .await;
}

async fn publish_with(server: &TestServer, request: Value) {
    let answer = server.api("publish", request).await;
    assert!(answer.starts_with(r#"{"result":{"#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_for_and_allowed() {
    let server = server().await;
    let mut peer = server.user("42").await;
    // Not allowed there: subscribed without.
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"a","delta":"fossil"}}"#,
        r#"{"id":2,"subscribe":{}}"#,
    )
    .await;
    // Allowed, not asked for.
    peer.ask(
        r#"{"id":3,"subscribe":{"channel":"bare:a"}}"#,
        r#"{"id":3,"subscribe":{}}"#,
    )
    .await;
    // Without history it is accepted as well.
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"bare:b","delta":"fossil"}}"#,
        r#"{"id":4,"subscribe":{"delta":true}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":5,"subscribe":{"channel":"dd:a","delta":"fossil"}}"#,
        r#"{"id":5,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true,"delta":true}}"#,
    )
    .await;
    peer.send(r#"{"id":6,"subscribe":{"channel":"bare:c","delta":"vcdiff"}}"#);
    peer.expect_close(3501, "bad request").await;

    let mut other = server.websocket().await;
    other.send(r#"{"id":1,"connect":{"token":"","subs":{"bare:a":{"delta":"vcdiff"}}}}"#);
    other.expect_close(3501, "bad request").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_whole_then_patches() {
    let server = server().await;
    publish(&server, "dd:a", 0).await;
    let mut peer = server.user("42").await;
    let mut plain = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"dd:a","delta":"fossil"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","offset":1,"positioned":true,"delta":true}}"#,
    )
    .await;
    plain
        .ask(
            r#"{"id":2,"subscribe":{"channel":"dd:a"}}"#,
            r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","offset":1,"positioned":true}}"#,
        )
        .await;
    publish(&server, "dd:a", 1).await;
    publish(&server, "dd:a", 2).await;
    // Whose publisher does not ask for a delta: whole, and still a string.
    server.publish("dd:a", score(3)).await;
    publish_with(
        &server,
        json!({ "channel": "dd:a", "data": score(4), "delta": true, "tags": { "t": "v" }, "version": 7 }),
    )
    .await;
    // What is longer as a patch.
    publish_with(&server, json!({ "channel": "dd:a", "data": 5, "delta": true })).await;
    // Without history: whole, and the base of nothing.
    publish_with(
        &server,
        json!({ "channel": "dd:a", "data": score(6), "delta": true, "skip_history": true }),
    )
    .await;
    publish(&server, "dd:a", 7).await;
    publish(&server, "dd:a", 8).await;
    for expected in [
        r#"{"data":"{\"goals\":1,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":2}"#,
        r#"{"data":"i\nA:{\"goals\":2Z@A,oJh6A;","offset":3,"delta":true}"#,
        r#"{"data":"{\"goals\":3,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":4}"#,
        r#"{"data":"i\nA:{\"goals\":4Z@A,oKC6A;","offset":5,"tags":{"t":"v"},"delta":true}"#,
        r#"{"data":"5","offset":6}"#,
        r#"{"data":"{\"goals\":6,\"opponent\":\"omega\",\"team\":\"alpha\"}"}"#,
        r#"{"data":"{\"goals\":7,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":7}"#,
        r#"{"data":"i\nA:{\"goals\":8Z@A,oLC6A;","offset":8,"delta":true}"#,
    ] {
        peer.expect(&format!(r#"{{"push":{{"channel":"dd:a","pub":{expected}}}}}"#))
            .await;
    }
    // Others are sent what they always were.
    for expected in [
        r#"{"data":{"goals":1,"opponent":"omega","team":"alpha"},"offset":2}"#,
        r#"{"data":{"goals":2,"opponent":"omega","team":"alpha"},"offset":3}"#,
        r#"{"data":{"goals":3,"opponent":"omega","team":"alpha"},"offset":4}"#,
        r#"{"data":{"goals":4,"opponent":"omega","team":"alpha"},"offset":5,"tags":{"t":"v"},"version":7}"#,
        r#"{"data":5,"offset":6}"#,
        r#"{"data":{"goals":6,"opponent":"omega","team":"alpha"}}"#,
    ] {
        plain
            .expect(&format!(r#"{{"push":{{"channel":"dd:a","pub":{expected}}}}}"#))
            .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publications_of_clients_where_all_are_deltas() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"always:a","delta":"fossil"}}"#,
        r#"{"id":2,"subscribe":{"delta":true}}"#,
    )
    .await;
    for (id, goals) in [(3, 1), (4, 2)] {
        peer.send(&format!(
            r#"{{"id":{id},"publish":{{"channel":"always:a","data":{{"team": "alpha", "goals":{goals}}}}}}}"#
        ));
    }
    peer.expect_all(&[
        r#"{"push":{"channel":"always:a","pub":{"data":"{\"team\": \"alpha\", \"goals\":1}","info":{"user":"42","client":"<client>"},"offset":1}}}"#,
        r#"{"id":3,"publish":{}}"#,
        r#"{"push":{"channel":"always:a","pub":{"data":"S\nQ@0,2:2}fqXf4;","info":{"user":"42","client":"<client>"},"offset":2,"delta":true}}}"#,
        r#"{"id":4,"publish":{}}"#,
    ])
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_with_deltas() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"dd:a","delta":"fossil"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","positioned":true,"delta":true}}"#,
    )
    .await;
    for goals in 1..=2 {
        let request = json!({ "channels": ["dd:a", "dd:b"], "data": score(goals), "delta": true });
        server.api("broadcast", request).await;
    }
    for expected in [
        r#"{"data":"{\"goals\":1,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":1}"#,
        r#"{"data":"i\nA:{\"goals\":2Z@A,oJh6A;","offset":2,"delta":true}"#,
    ] {
        peer.expect(&format!(r#"{{"push":{{"channel":"dd:a","pub":{expected}}}}}"#))
            .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_a_chain_that_goes_on() {
    let server = server().await;
    for goals in 1..=4 {
        server.publish("dd:a", score(goals)).await;
    }
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"dd:a","delta":"fossil","recover":true,"offset":1,"epoch":""}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":"{\"goals\":2,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":2},{"data":"i\nA:{\"goals\":3Z@A,oJx6A;","offset":3,"delta":true},{"data":"i\nA:{\"goals\":4Z@A,oKC6A;","offset":4,"delta":true}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true,"delta":true}}"#,
    )
    .await;
    publish(&server, "dd:a", 5).await;
    peer.expect(
        r#"{"push":{"channel":"dd:a","pub":{"data":"i\nA:{\"goals\":5Z@A,oKS6A;","offset":5,"delta":true}}}"#,
    )
    .await;

    // Nothing was missed. Whether the client has the base is not known: it may never have been sent it.
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"dd:a","delta":"fossil","recover":true,"offset":5,"epoch":""}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","recovered":true,"offset":5,"positioned":true,"was_recovering":true,"delta":true}}"#,
    )
    .await;
    publish(&server, "dd:a", 6).await;
    publish(&server, "dd:a", 7).await;
    peer.expect_all(&[
        r#"{"push":{"channel":"dd:a","pub":{"data":"{\"goals\":6,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":6}}}"#,
        r#"{"push":{"channel":"dd:a","pub":{"data":"i\nA:{\"goals\":7Z@A,oKx6A;","offset":7,"delta":true}}}"#,
    ])
    .await;

    // Not recovered: from the beginning.
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"dd:a","delta":"fossil","recover":true,"offset":5,"epoch":"another"}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","offset":7,"positioned":true,"was_recovering":true,"delta":true}}"#,
    )
    .await;
    publish(&server, "dd:a", 8).await;
    peer.expect(r#"{"push":{"channel":"dd:a","pub":{"data":"{\"goals\":8,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":8}}}"#)
        .await;
    // A subscription that begins anew has no base either.
    peer.ask(
        r#"{"id":3,"unsubscribe":{"channel":"dd:a"}}"#,
        r#"{"id":3,"unsubscribe":{}}"#,
    )
    .await;
    peer.ask(
        r#"{"id":4,"subscribe":{"channel":"dd:a","delta":"fossil"}}"#,
        r#"{"id":4,"subscribe":{"recoverable":true,"epoch":"<epoch>","offset":8,"positioned":true,"delta":true}}"#,
    )
    .await;
    publish(&server, "dd:a", 9).await;
    peer.expect(r#"{"push":{"channel":"dd:a","pub":{"data":"{\"goals\":9,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":9}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_value_and_what_follows() {
    let server = server().await;
    for goals in 1..=2 {
        publish(&server, "cache:a", goals).await;
    }
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"cache:a","delta":"fossil","recover":true}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":"{\"goals\":2,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":2}],"recovered":true,"positioned":true,"was_recovering":true,"delta":true}}"#,
    )
    .await;
    publish(&server, "cache:a", 3).await;
    peer.expect(r#"{"push":{"channel":"cache:a","pub":{"data":"i\nA:{\"goals\":3Z@A,oJx6A;","offset":3,"delta":true}}}"#)
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_the_server() {
    let server = server().await;
    publish(&server, "dd:a", 1).await;
    let mut peer = server.websocket().await;
    peer.bind("token", &token(&json!({ "sub": "42", "subs": { "dd:a": {} } })));
    peer.ask(
        r#"{"id":1,"connect":{"token":"<token>","subs":{"dd:a":{"delta":"fossil","recover":true,"offset":0}}}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","subs":{"dd:a":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":"{\"goals\":1,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":1}],"recovered":true,"positioned":true,"was_recovering":true,"delta":true}},"ping":25,"pong":true}}"#,
    )
    .await;
    publish(&server, "dd:a", 2).await;
    peer.expect(
        r#"{"push":{"channel":"dd:a","pub":{"data":"i\nA:{\"goals\":2Z@A,oJh6A;","offset":2,"delta":true}}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_history_only_where_the_latest_is_kept() {
    let server = server().await;
    let mut peer = server.user("42").await;
    for (id, channel) in [(2, "bare:a"), (3, "latest:a")] {
        peer.ask(
            &format!(r#"{{"id":{id},"subscribe":{{"channel":"{channel}","delta":"fossil"}}}}"#),
            &format!(r#"{{"id":{id},"subscribe":{{"delta":true}}}}"#),
        )
        .await;
    }
    for goals in 1..=3 {
        publish(&server, "bare:a", goals).await;
        publish(&server, "latest:a", goals).await;
    }
    peer.expect_all(&[
        r#"{"push":{"channel":"bare:a","pub":{"data":"{\"goals\":1,\"opponent\":\"omega\",\"team\":\"alpha\"}"}}}"#,
        r#"{"push":{"channel":"latest:a","pub":{"data":"{\"goals\":1,\"opponent\":\"omega\",\"team\":\"alpha\"}"}}}"#,
        r#"{"push":{"channel":"bare:a","pub":{"data":"{\"goals\":2,\"opponent\":\"omega\",\"team\":\"alpha\"}"}}}"#,
        r#"{"push":{"channel":"latest:a","pub":{"data":"i\nA:{\"goals\":2Z@A,oJh6A;","delta":true}}}"#,
        r#"{"push":{"channel":"bare:a","pub":{"data":"{\"goals\":3,\"opponent\":\"omega\",\"team\":\"alpha\"}"}}}"#,
        r#"{"push":{"channel":"latest:a","pub":{"data":"i\nA:{\"goals\":3Z@A,oJx6A;","delta":true}}}"#,
    ])
    .await;
    // Who comes later has missed what the others' patches are from.
    let mut later = server.user("43").await;
    later
        .ask(
            r#"{"id":2,"subscribe":{"channel":"latest:a","delta":"fossil"}}"#,
            r#"{"id":2,"subscribe":{"delta":true}}"#,
        )
        .await;
    publish(&server, "latest:a", 4).await;
    later
        .expect(r#"{"push":{"channel":"latest:a","pub":{"data":"{\"goals\":4,\"opponent\":\"omega\",\"team\":\"alpha\"}"}}}"#)
        .await;
    peer.expect(
        r#"{"push":{"channel":"latest:a","pub":{"data":"i\nA:{\"goals\":4Z@A,oKC6A;","delta":true}}}"#,
    )
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_one_that_a_filter_skipped_the_next_is_whole() {
    let server = server().await;
    let tagged = |goals: u32, kind: &str| json!({ "channel": "tags:a", "data": score(goals), "tags": { "kind": kind } });
    publish_with(&server, tagged(1, "home")).await;
    publish_with(&server, tagged(2, "away")).await;
    publish_with(&server, tagged(3, "home")).await;
    let mut peer = server.user("42").await;
    // Of what was missed the first is whole and the rest a chain of what is sent.
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"tags:a","delta":"fossil","recover":true,"tf":{"key":"kind","cmp":"eq","val":"home"}}}"#,
        r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"<epoch>","publications":[{"data":"{\"goals\":1,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":1,"tags":{"kind":"home"}},{"data":"i\nA:{\"goals\":3Z@A,oJx6A;","offset":3,"tags":{"kind":"home"},"delta":true}],"recovered":true,"positioned":true,"was_recovering":true,"delta":true}}"#,
    )
    .await;
    for (goals, kind) in [(4, "home"), (5, "away"), (6, "home"), (7, "home")] {
        publish_with(&server, tagged(goals, kind)).await;
    }
    for expected in [
        r#"{"data":"i\nA:{\"goals\":4Z@A,oKC6A;","offset":4,"tags":{"kind":"home"},"delta":true}"#,
        r#"{"data":"{\"goals\":6,\"opponent\":\"omega\",\"team\":\"alpha\"}","offset":6,"tags":{"kind":"home"}}"#,
        r#"{"data":"i\nA:{\"goals\":7Z@A,oKx6A;","offset":7,"tags":{"kind":"home"},"delta":true}"#,
    ] {
        peer.expect(&format!(r#"{{"push":{{"channel":"tags:a","pub":{expected}}}}}"#))
            .await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_are_never_divided() {
    let server = server().await;
    let mut peer = server.user("42").await;
    peer.ask(
        r#"{"id":2,"subscribe":{"channel":"latest:a","delta":"fossil"}}"#,
        r#"{"id":2,"subscribe":{"delta":true}}"#,
    )
    .await;
    let texts = [
        "0123456789abcdefgh é 0123456789",
        "0123456789abcdefgh è 0123456789",
        "0123456789abcdefgh è 😀 0123456789",
        "0123456789abcdefgh è 😁 0123456789",
    ];
    let mut base = Vec::new();
    for text in texts {
        publish_with(&server, json!({ "channel": "latest:a", "data": text })).await;
        let push: Value = serde_json::from_str(&peer.message("a publication").await).unwrap();
        let publication = &push["push"]["pub"];
        let data = publication["data"].as_str().unwrap();
        base = if base.is_empty() {
            assert_eq!(publication["delta"], Value::Null);
            data.into()
        } else {
            assert_eq!(publication["delta"], true, "{push}");
            apply(&base, data.as_bytes(), 1000).unwrap()
        };
        assert_eq!(serde_json::from_slice::<String>(&base).unwrap(), text);
    }
    server.stop().await;
}

/// A client with deltas that speaks Protobuf.
struct Binary {
    peer: Peer,
    base: Vec<u8>,
}

impl Binary {
    async fn subscribed(server: &TestServer, request: SubscribeRequest) -> (Self, SubscribeResult) {
        let path = "/connection/websocket?format=protobuf";
        let peer = Peer::websocket(server.dial().await, path, &[]).await;
        let connect = Command {
            id: 1,
            connect: Some(ConnectRequest::default()),
            ..Command::default()
        };
        let subscribe = Command {
            id: 2,
            subscribe: Some(request),
            ..Command::default()
        };
        let mut bytes = connect.encode_length_delimited_to_vec();
        subscribe.encode_length_delimited(&mut bytes).unwrap();
        peer.send_bytes(bytes);
        let mut binary = Self {
            peer,
            base: Vec::new(),
        };
        let mut replies = Vec::new();
        while replies.len() < 2 {
            replies.extend(binary.replies().await);
        }
        (binary, replies.remove(1).subscribe.unwrap())
    }

    async fn replies(&mut self) -> Vec<Reply> {
        let Heard::Frame(frame) = self.peer.hear("a Protobuf frame").await else {
            panic!("closed");
        };
        let mut frame = Bytes::from(frame);
        let mut replies = Vec::new();
        while !frame.is_empty() {
            replies.push(Reply::decode_length_delimited(&mut frame).unwrap());
        }
        replies
    }

    /// What a publication says, and whether it came as a patch.
    fn read(&mut self, publication: &Publication) -> (u64, bool, Vec<u8>) {
        self.base = if publication.delta {
            apply(&self.base, &publication.data, 1000).unwrap()
        } else {
            publication.data.to_vec()
        };
        (publication.offset, publication.delta, self.base.clone())
    }

    async fn publications(&mut self, count: usize) -> Vec<(u64, bool, Vec<u8>)> {
        let mut publications = Vec::new();
        while publications.len() < count {
            for reply in self.replies().await {
                let publication = reply.push.unwrap().r#pub.unwrap();
                publications.push(self.read(&publication));
            }
        }
        publications
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_protobuf_patches_are_bytes() {
    let server = server().await;
    let text = |goals: u32| serde_json::to_vec(&score(goals)).unwrap();
    for goals in 1..=3 {
        publish(&server, "dd:a", goals).await;
    }
    let request = SubscribeRequest {
        channel: "dd:a".into(),
        delta: "fossil".into(),
        recover: true,
        offset: 1,
        ..SubscribeRequest::default()
    };
    let (mut peer, result) = Binary::subscribed(&server, request).await;
    assert!(result.delta && result.recovered);
    let recovered: Vec<_> = result
        .publications
        .iter()
        .map(|publication| peer.read(publication))
        .collect();
    assert_eq!(recovered, [(2, false, text(2)), (3, true, text(3))]);
    publish(&server, "dd:a", 4).await;
    server.publish("dd:a", score(5)).await;
    // What is no text is a base and a target like any other: FF, zeros, and a last byte that changes.
    for data in [
        "/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=",
        "/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=",
    ] {
        publish_with(
            &server,
            json!({ "channel": "dd:a", "b64data": data, "delta": true }),
        )
        .await;
    }
    let live = peer.publications(4).await;
    let noise = |last: u8| [&[0xff][..], &[0; 45], &[last]].concat();
    assert_eq!(
        live,
        [
            (4, true, text(4)),
            (5, false, text(5)),
            (6, false, noise(1)),
            (7, true, noise(2)),
        ]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_protobuf_with_a_filter() {
    let server = server().await;
    let request = SubscribeRequest {
        channel: "tags:a".into(),
        delta: "fossil".into(),
        tf: Some(FilterNode {
            key: "kind".into(),
            cmp: "neq".into(),
            val: "away".into(),
            ..FilterNode::default()
        }),
        ..SubscribeRequest::default()
    };
    let (mut peer, result) = Binary::subscribed(&server, request).await;
    assert!(result.delta);
    for (goals, kind) in [(1, "home"), (2, "home"), (3, "away"), (4, "home"), (5, "home")] {
        let tags = json!({ "kind": kind });
        publish_with(
            &server,
            json!({ "channel": "tags:a", "data": score(goals), "tags": tags }),
        )
        .await;
    }
    let live = peer.publications(4).await;
    let shown: Vec<_> = live.iter().map(|(offset, delta, _)| (*offset, *delta)).collect();
    assert_eq!(shown, [(1, false), (2, true), (4, false), (5, true)]);
    for (offset, _, data) in live {
        assert_eq!(
            serde_json::from_slice::<Value>(&data).unwrap(),
            score(u32::try_from(offset).unwrap())
        );
    }
    server.stop().await;
}

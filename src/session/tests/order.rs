//! Commands of one client on their way at once: what waits for what (protocol.md 3.1), with an engine that takes its
//! time.

use super::*;
use crate::protocol::Unsubscribe;

impl Client {
    /// Connected, with room for several commands at once.
    fn concurrent() -> Self {
        let mut client = Self::new(json!({
            "client": { "insecure": true, "concurrency": 4 },
            "channel": { "without_namespace": { "history_size": 10, "history_ttl": "60s" } }
        }));
        client.send(r#"{"id":1,"connect":{}}"#);
        client.received();
        client
    }

    /// Says something, and has nothing answered that follows from it.
    fn say(&mut self, frame: &str) {
        let frame = Bytes::copy_from_slice(frame.as_bytes());
        self.session.handle_frame(frame, self.now);
    }

    fn calls(&mut self) -> Vec<(CallId, Call)> {
        std::iter::from_fn(|| self.session.poll_call()).collect()
    }

    fn answer_to(&mut self, (id, call): (CallId, Call)) {
        let answer = self.answer(call);
        self.session.handle_answer(id, answer, self.now);
    }
}

fn unsubscribe(channel: &str) -> Event {
    Event::Unsubscribe {
        channel: channel.into(),
        unsubscribe: Unsubscribe::SERVER,
        done: tokio::sync::oneshot::channel().0,
    }
}

#[test]
fn an_unsubscribe_waits_for_the_subscribe_before_it() {
    let mut client = Client::concurrent();
    client.say(
        "{\"id\":2,\"subscribe\":{\"channel\":\"ch\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"ch\"}}",
    );
    let mut calls = client.calls();
    assert_eq!(calls.len(), 1);
    client.pass(Duration::from_millis(4_999));
    client.expect(&[]);
    client.answer_to(calls.remove(0));
    client.perform();
    client.expect(&[r#"{"id":2,"subscribe":{}}"#, r#"{"id":3,"unsubscribe":{}}"#]);
    assert_eq!(client.hub.counts(), (0, 0));
    client.pass(Duration::from_secs(5));
    assert_eq!(client.closed_with(), None, "nobody waits any more");
}

#[test]
fn an_unsubscribe_does_not_wait_for_ever() {
    let mut client = Client::concurrent();
    client.say(r#"{"id":2,"subscribe":{"channel":"ch"}}"#);
    let mut calls = client.calls();
    client.pass(Duration::from_secs(3));
    client.say(r#"{"id":3,"unsubscribe":{"channel":"ch"}}"#);
    client.pass(Duration::from_millis(4_999));
    assert_eq!(client.closed_with(), None);
    client.pass(Duration::from_millis(1));
    assert_eq!(client.closed_with(), Some(3004));
    // What the engine did meanwhile is undone.
    client.answer_to(calls.remove(0));
    client.perform();
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn calls_of_the_server_api_wait_as_well() {
    let mut client = Client::concurrent();
    client.say(r#"{"id":2,"subscribe":{"channel":"ch"}}"#);
    let mut calls = client.calls();
    client.session.handle_event(unsubscribe("ch"), client.now);
    client.session.handle_event(unsubscribe("other"), client.now);
    let other = r#"{"push":{"channel":"other","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#;
    client.expect(&[other]);
    client.answer_to(calls.remove(0));
    client.perform();
    client.expect(&[
        r#"{"id":2,"subscribe":{}}"#,
        r#"{"push":{"channel":"ch","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
    ]);
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn commands_on_a_channel_keep_their_order_and_others_pass_them() {
    let mut client = Client::concurrent();
    client.say(
        "{\"id\":2,\"publish\":{\"channel\":\"a\",\"data\":1}}\n{\"id\":3,\"history\":{\"channel\":\"b\"}}\n\
        {\"id\":4,\"presence\":{\"channel\":\"c\"}}\n{\"id\":5,\"publish\":{\"channel\":\"a\",\"data\":2}}\n\
        {\"id\":6,\"history\":{\"channel\":\"b\"}}",
    );
    let mut calls = client.calls();
    // The second publication waits for the first, and what came after it waits with it.
    assert_eq!(calls.len(), 2);
    assert!(!client.session.is_ready());
    client.answer_to(calls.remove(1));
    let first: Vec<String> = client.received();
    assert!(
        first[0].starts_with(r#"{"id":4,"error""#) && first[1].starts_with(r#"{"id":3,"history""#),
        "{first:?}"
    );
    assert!(client.calls().is_empty());
    client.answer_to(calls.remove(0));
    client.expect(&[r#"{"id":2,"publish":{}}"#]);
    let mut calls = client.calls();
    assert_eq!(calls.len(), 2, "both go on at once");
    client.answer_to(calls.remove(1));
    client.answer_to(calls.remove(0));
    let last = client.received();
    assert!(
        last[0].starts_with(r#"{"id":6,"history""#) && last[1] == r#"{"id":5,"publish":{}}"#,
        "{last:?}"
    );
    assert!(client.session.is_ready());
}

#[test]
fn a_finding_about_a_subscription_that_is_gone_does_not_end_the_next() {
    let mut client = Client::subscribed();
    client.handle.mailbox.post(Event::InsufficientState("ch".into()));
    client.send(
        "{\"id\":3,\"unsubscribe\":{\"channel\":\"ch\"}}\n{\"id\":4,\"subscribe\":{\"channel\":\"ch\"}}",
    );
    let received = client.received();
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!(client.hub.counts(), (1, 1));
}

#[test]
fn types_that_belong_to_other_kinds_of_channels() {
    let mut client = Client::subscribed();
    for (command, code, message) in [
        (
            r#""sub_refresh":{"channel":"ch","type":1,"track":[{"signature":"x"}]}"#,
            103,
            "permission denied",
        ),
        (
            r#""sub_refresh":{"channel":"ch","type":2,"untrack":["x"]}"#,
            103,
            "permission denied",
        ),
        (
            r#""sub_refresh":{"channel":"ch","type":3,"token":"x"}"#,
            107,
            "bad request",
        ),
        // An insecure server permits it, and then finds no map.
        (
            r#""publish":{"channel":"ch","type":1,"data":1}"#,
            107,
            "bad request",
        ),
        (
            r#""publish":{"channel":"ü","type":1,"key":"k","data":1}"#,
            107,
            "bad request",
        ),
        (
            r#""publish":{"channel":"no:a","type":1,"key":"k","data":1}"#,
            102,
            "unknown channel",
        ),
        (
            r#""publish":{"channel":"ch","type":2,"data":1}"#,
            107,
            "bad request",
        ),
    ] {
        client.send(&format!(r#"{{"id":7,{command}}}"#));
        client.expect(&[&format!(
            r#"{{"id":7,"error":{{"code":{code},"message":"{message}"}}}}"#
        )]);
    }
    client.send(r#"{"id":8,"publish":{"channel":"ch","type":1,"key":"k","data":1}}"#);
    client.expect(&[r#"{"id":8,"error":{"code":100,"message":"internal server error","temporary":true}}"#]);
}

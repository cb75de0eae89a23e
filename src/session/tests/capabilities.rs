//! Capabilities that change while commands are under way (channels-and-auth.md 7.1).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "secret";

fn token(claims: &Value) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"HS256"}"#),
        encode(claims.to_string().as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!(
        "{signed}.{}",
        encode(hmac::sign(&key, signed.as_bytes()).as_ref())
    )
}

/// Claims of a user who may subscribe to channels of these names.
fn may_subscribe(channels: &[&str]) -> Value {
    json!({ "sub": "42", "caps": [{ "channels": channels, "allow": ["sub"] }] })
}

/// A client whose commands run at once, connected with these claims.
fn connected(claims: &Value) -> Client {
    let mut client =
        Client::new(json!({ "client": { "concurrency": 4, "token": { "hmac_secret_key": SECRET } } }));
    client.send(&format!(
        r#"{{"id":1,"connect":{{"token":"{}"}}}}"#,
        token(claims)
    ));
    client.received();
    client
}

fn refresh(claims: &Value) -> String {
    format!(r#"{{"id":3,"refresh":{{"token":"{}"}}}}"#, token(claims))
}

#[test]
fn a_refresh_ends_what_it_does_not_cover_any_more() {
    let mut client = connected(&may_subscribe(&["a", "b"]));
    client.send(r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    client.send(r#"{"id":2,"subscribe":{"channel":"b"}}"#);
    client.expect(&[r#"{"id":2,"subscribe":{}}"#, r#"{"id":2,"subscribe":{}}"#]);
    client.send(&refresh(&may_subscribe(&["b", "c"])));
    client.expect(&[
        r#"{"id":3,"refresh":{}}"#,
        r#"{"push":{"channel":"a","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
    ]);
    client.send(r#"{"id":4,"subscribe":{"channel":"a"}}"#);
    client.send(r#"{"id":5,"subscribe":{"channel":"c"}}"#);
    client.expect(&[
        r#"{"id":4,"error":{"code":103,"message":"permission denied"}}"#,
        r#"{"id":5,"subscribe":{}}"#,
    ]);
    client.send(&refresh(&json!({ "sub": "42" })));
    client.expect(&[
        r#"{"id":3,"refresh":{}}"#,
        r#"{"push":{"channel":"b","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
        r#"{"push":{"channel":"c","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
    ]);
    assert_eq!(client.closed_with(), None);
}

/// A refresh that fails changes nothing.
#[test]
fn a_refused_refresh_leaves_capabilities_alone() {
    let mut client = connected(&may_subscribe(&["a"]));
    client.send(r#"{"id":2,"subscribe":{"channel":"a"}}"#);
    let past = client.now.unix() - 5;
    client.send(&refresh(&json!({ "sub": "42", "expire_at": past })));
    client.expect(&[
        r#"{"id":2,"subscribe":{}}"#,
        r#"{"id":3,"error":{"code":110,"message":"expired"}}"#,
    ]);
    client.send(r#"{"id":4,"unsubscribe":{"channel":"a"}}"#);
    client.send(r#"{"id":5,"subscribe":{"channel":"a"}}"#);
    client.expect(&[r#"{"id":4,"unsubscribe":{}}"#, r#"{"id":5,"subscribe":{}}"#]);
}

/// A subscription that is being made when its capability goes is not made.
#[test]
fn a_refresh_overtakes_a_subscription() {
    for (covers, reply) in [
        (
            &["b"][..],
            r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#,
        ),
        (&["a", "b"], r#"{"id":2,"subscribe":{}}"#),
    ] {
        let mut client = connected(&may_subscribe(&["a"]));
        let command = Bytes::from_static(br#"{"id":2,"subscribe":{"channel":"a"}}"#);
        client.session.handle_frame(command, client.now);
        let (id, attach) = client.session.poll_call().expect("a call");
        client.send(&refresh(&may_subscribe(covers)));
        client.expect(&[r#"{"id":3,"refresh":{}}"#]);
        let answer = client.answer(attach);
        client.session.handle_answer(id, answer, client.now);
        client.perform();
        client.expect(&[reply]);
        assert_eq!(client.hub.channels().len() == 1, covers.contains(&"a"));
    }
}

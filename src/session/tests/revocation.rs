//! Blocked users and revoked tokens, also in the moments between (channels-and-auth.md 7.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::hub::Event;
use crate::revocation::{Refusal, Revocations, Until};

const SECRET: &str = "secret";
const EXPIRED: &str = r#""error":{"code":109,"message":"token expired"}}"#;
/// Unix time at which sessions begin.
const BEGIN: i64 = 1_700_000_000;

fn token(claims: &serde_json::Value) -> String {
    use aws_lc_rs::hmac;
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let body = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, body.as_bytes()));
    format!("{body}.{signature}")
}

fn fresh() -> Client {
    Client::new(json!({ "client": { "token": { "hmac_secret_key": SECRET } } }))
}

fn connect(claims: &serde_json::Value) -> String {
    format!(r#"{{"id":1,"connect":{{"token":"{}"}}}}"#, token(claims))
}

fn refresh(claims: &serde_json::Value) -> String {
    format!(r#"{{"id":2,"refresh":{{"token":"{}"}}}}"#, token(claims))
}

fn subscribe(claims: &serde_json::Value) -> String {
    let channel = claims["channel"].as_str().expect("a channel");
    format!(
        r#"{{"id":3,"subscribe":{{"channel":"{channel}","token":"{}"}}}}"#,
        token(claims)
    )
}

fn sub_refresh(claims: &serde_json::Value) -> String {
    let channel = claims["channel"].as_str().expect("a channel");
    format!(
        r#"{{"id":4,"sub_refresh":{{"channel":"{channel}","token":"{}"}}}}"#,
        token(claims)
    )
}

fn connected(claims: &serde_json::Value) -> Client {
    let mut client = fresh();
    client.send(&connect(claims));
    assert_eq!(client.closed_with(), None);
    client.received();
    client
}

fn revocations(client: &Client) -> &Revocations {
    &client.session.context.guards.revocations
}

/// What the node does for `invalidate_user_tokens`.
fn invalidate(client: &mut Client, channel: Option<&str>, issued_before: i64) {
    enter(client, channel, issued_before);
    client.handle.mailbox.post(Event::TokensRevoked);
    hear(client);
}

fn enter(client: &Client, channel: Option<&str>, issued_before: i64) {
    let refusal = Refusal::Tokens {
        user: "42".to_owned(),
        channel: channel.map(str::to_owned),
        until: Until::Forever,
        issued_before,
    };
    revocations(client)
        .take(&refusal, client.now.unix())
        .expect("room");
}

fn revoke(client: &mut Client, id: &str) {
    let refusal = Refusal::Token {
        id: id.to_owned(),
        until: Until::Forever,
    };
    revocations(client)
        .take(&refusal, client.now.unix())
        .expect("room");
    hear(client);
}

/// Has the session act on events, and then the node on its calls.
fn hear(client: &mut Client) {
    client.perform();
    client.perform();
}

fn block(client: &Client, user: &str) {
    let refusal = revocations(client).block(user, Until::Time(BEGIN + 100), BEGIN * 1000);
    revocations(client).take(&refusal, BEGIN).expect("room");
}

#[test]
fn a_blocked_user_does_not_connect() {
    let mut client = fresh();
    block(&client, "42");
    client.send(&connect(&json!({ "sub": "42" })));
    assert_eq!(client.closed_with(), Some(3507));
    let mut client = fresh();
    block(&client, "42");
    client.now.unix_ms += 100_000;
    client.send(&connect(&json!({ "sub": "42" })));
    assert_eq!(client.closed_with(), None, "the block is over");
    let mut client = fresh();
    block(&client, "42");
    client.send(&connect(&json!({ "sub": "43" })));
    assert_eq!(client.closed_with(), None);
}

#[test]
fn a_block_between_token_and_registration_counts() {
    let mut client = fresh();
    let frame = connect(&json!({ "sub": "42" }));
    client.session.handle_frame(Bytes::from(frame), client.now);
    let (id, call) = client.session.poll_call().expect("a call");
    assert!(matches!(call, Call::Register { .. }));
    // The node does not find this connection yet.
    block(&client, "42");
    client
        .session
        .handle_answer(id, Answer::Registered(true), client.now);
    assert_eq!(client.closed_with(), Some(3507));
}

#[test]
fn a_revoked_token_does_not_connect() {
    for (claims, id, before) in [
        (json!({ "sub": "42", "jti": "a" }), "a", 0),
        (json!({ "sub": "42", "iat": BEGIN - 9 }), "", BEGIN - 8),
    ] {
        let mut client = fresh();
        revoke(&mut client, id);
        invalidate(&mut client, None, before);
        client.send(&connect(&claims));
        client.expect(&[&format!(r#"{{"id":1,{EXPIRED}"#)]);
        assert_eq!(client.closed_with(), None, "the SDK fetches another token first");
    }
}

#[test]
fn a_revocation_between_token_and_registration_counts() {
    let mut client = fresh();
    let frame = connect(&json!({ "sub": "42", "iat": BEGIN - 9 }));
    client.session.handle_frame(Bytes::from(frame), client.now);
    let (id, _) = client.session.poll_call().expect("a call");
    enter(&client, None, BEGIN);
    client
        .session
        .handle_answer(id, Answer::Registered(true), client.now);
    client.expect(&[&format!(r#"{{"id":1,{EXPIRED}"#)]);
}

#[test]
fn a_live_connection_ends_with_its_token() {
    let mut client = connected(&json!({ "sub": "42", "jti": "a", "iat": BEGIN - 9 }));
    revoke(&mut client, "b");
    invalidate(&mut client, None, BEGIN - 9);
    invalidate(&mut client, Some("$news"), BEGIN);
    assert_eq!(client.closed_with(), None);
    revoke(&mut client, "a");
    assert_eq!(client.closed_with(), Some(3014));

    let mut client = connected(&json!({ "sub": "42", "iat": BEGIN - 9 }));
    invalidate(&mut client, None, BEGIN);
    assert_eq!(client.closed_with(), Some(3014));

    // No known time is not too early.
    let mut client = connected(&json!({ "sub": "42" }));
    invalidate(&mut client, None, BEGIN);
    assert_eq!(client.closed_with(), None);
}

#[test]
fn a_refresh_takes_the_place_of_the_token() {
    let mut client = connected(&json!({ "sub": "42", "jti": "a" }));
    client.send(&refresh(&json!({ "sub": "42", "jti": "b" })));
    client.expect(&[r#"{"id":2,"refresh":{}}"#]);
    revoke(&mut client, "a");
    assert_eq!(client.closed_with(), None);
    revoke(&mut client, "b");
    assert_eq!(client.closed_with(), Some(3014));

    let mut client = connected(&json!({ "sub": "42", "jti": "a" }));
    client.send(&refresh(&json!({ "sub": "42" })));
    revoke(&mut client, "a");
    assert_eq!(client.closed_with(), None, "the new token has no id");

    let mut client = connected(&json!({ "sub": "42" }));
    revoke(&mut client, "a");
    client.send(&refresh(&json!({ "sub": "42", "jti": "a" })));
    assert_eq!(client.closed_with(), Some(3014));
}

#[test]
fn a_revoked_token_does_not_subscribe() {
    for (claims, id, before) in [
        (json!({ "sub": "42", "channel": "$news", "jti": "a" }), "a", 0),
        (
            json!({ "sub": "42", "channel": "$news", "iat": BEGIN - 9 }),
            "",
            BEGIN - 8,
        ),
    ] {
        let mut client = connected(&json!({ "sub": "42" }));
        revoke(&mut client, id);
        invalidate(&mut client, Some("$news"), before);
        client.send(&subscribe(&claims));
        client.expect(&[&format!(r#"{{"id":3,{EXPIRED}"#)]);
        client.send(&subscribe(&json!({ "sub": "42", "channel": "$news" })));
        client.expect(&[r#"{"id":3,"subscribe":{}}"#]);
        client.send(&sub_refresh(&claims));
        client.expect(&[r#"{"id":4,"error":{"code":109,"message":"token expired","temporary":true}}"#]);
    }
}

#[test]
fn a_live_subscription_ends_with_its_token() {
    let push = r#"{"push":{"channel":"$news","unsubscribe":{"code":2502,"reason":"state invalidated"}}}"#;
    let mut client = connected(&json!({ "sub": "42" }));
    for channel in ["$news", "$other"] {
        let claims = json!({ "sub": "42", "channel": channel, "jti": channel, "iat": BEGIN - 9 });
        client.send(&subscribe(&claims));
        client.received();
    }
    invalidate(&mut client, None, BEGIN);
    client.expect(&[]);
    revoke(&mut client, "$news");
    client.expect(&[push]);
    assert_eq!(client.hub.counts(), (1, 1));

    client.send(&subscribe(
        &json!({ "sub": "42", "channel": "$news", "jti": "b", "iat": BEGIN - 9 }),
    ));
    client.received();
    client.send(&sub_refresh(
        &json!({ "sub": "42", "channel": "$news", "iat": BEGIN - 1 }),
    ));
    client.received();
    revoke(&mut client, "b");
    invalidate(&mut client, Some("$news"), BEGIN - 1);
    client.expect(&[]);
    invalidate(&mut client, Some("$news"), BEGIN);
    client.expect(&[push]);
    assert_eq!(client.hub.counts(), (1, 1));

    // What was left is not remembered.
    client.send(r#"{"id":5,"unsubscribe":{"channel":"$other"}}"#);
    client.received();
    revoke(&mut client, "$other");
    client.expect(&[]);
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn a_revocation_while_subscribing_counts() {
    let mut client = connected(&json!({ "sub": "42" }));
    let frame = subscribe(&json!({ "sub": "42", "channel": "$news", "jti": "a" }));
    client.session.handle_frame(Bytes::from(frame), client.now);
    let (id, call) = client.session.poll_call().expect("a call");
    let answer = client.answer(call);
    revoke(&mut client, "a");
    client.session.handle_answer(id, answer, client.now);
    client.perform();
    client.expect(&[&format!(r#"{{"id":3,{EXPIRED}"#)]);
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn tokens_without_id_and_time_leave_no_trace() {
    let mut client = connected(&json!({ "sub": "42" }));
    client.send(&subscribe(&json!({ "sub": "42", "channel": "$news" })));
    assert!(client.session.traces.is_none());
}

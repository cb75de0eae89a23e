//! Operation rate limits in virtual time (channels-and-auth.md 7.5).

use super::*;

const TOO_MANY: &str = r#""error":{"code":111,"message":"too many requests","temporary":true}}"#;

fn limited(rate_limit: serde_json::Value) -> Client {
    let mut client = Client::new(json!({
        "client": { "insecure": true, "rate_limit": rate_limit },
        "rpc": { "ping": { "enabled": true } },
        "channel": { "namespaces": [{ "name": "chat" }] }
    }));
    client.send(r#"{"id":1,"connect":{}}"#);
    client.received();
    client
}

fn per_second(rate: usize) -> serde_json::Value {
    json!({ "enabled": true, "buckets": [{ "interval": "1s", "rate": rate }] })
}

fn counted(client: &Client, layer: &str, command: &str) -> bool {
    let page = client
        .session
        .context
        .metrics
        .render(&crate::node::Counts::default());
    page.contains(&format!(
        "centrifugo_rate_limit_hits_over_limit{{command=\"{command}\",layer=\"{layer}\"}}"
    ))
}

#[test]
fn a_command_above_its_limit_may_be_tried_again() {
    let mut client = limited(json!({ "client_command": { "enabled": true, "publish": per_second(2) } }));
    client.send(concat!(
        r#"{"id":2,"publish":{"channel":"a","data":1}}"#,
        "\n",
        r#"{"id":3,"publish":{"channel":"a","data":2}}"#,
        "\n",
        r#"{"id":4,"publish":{"channel":"a","data":3}}"#
    ));
    client.expect(&[
        r#"{"id":2,"publish":{}}"#,
        r#"{"id":3,"publish":{}}"#,
        &format!(r#"{{"id":4,{TOO_MANY}"#),
    ]);
    assert!(counted(&client, "client_command", "publish"));
    client.pass(Duration::from_millis(500));
    client.send(r#"{"id":5,"publish":{"channel":"a","data":3}}"#);
    client.expect(&[r#"{"id":5,"publish":{}}"#]);
}

#[test]
fn the_limit_comes_before_what_the_command_asks() {
    let mut client = limited(json!({ "client_command": { "enabled": true, "subscribe": per_second(1) } }));
    client.send(r#"{"id":2,"subscribe":{"channel":"nope:a"}}"#);
    client.send(r#"{"id":3,"subscribe":{"channel":"nope:a"}}"#);
    client.expect(&[
        r#"{"id":2,"error":{"code":102,"message":"unknown channel"}}"#,
        &format!(r#"{{"id":3,{TOO_MANY}"#),
    ]);
}

#[test]
fn namespaces_and_methods_have_their_own() {
    let override_of = |key: &str, name: &str, rate| {
        let mut limit = per_second(rate);
        limit[key] = json!(name);
        limit
    };
    let mut publish = per_second(1);
    publish["namespace_overrides"] = json!([override_of("namespace_name", "chat", 2)]);
    let mut rpc = per_second(1);
    rpc["method_overrides"] = json!([override_of("method", "ping", 2)]);
    let mut client =
        limited(json!({ "client_command": { "enabled": true, "publish": publish, "rpc": rpc } }));
    for id in 2..5 {
        client.send(&format!(
            r#"{{"id":{id},"publish":{{"channel":"chat:a","data":1}}}}"#
        ));
        client.send(&format!(r#"{{"id":{id},"rpc":{{"method":"ping"}}}}"#));
    }
    client.expect(&[
        r#"{"id":2,"publish":{}}"#,
        r#"{"id":2,"rpc":{}}"#,
        r#"{"id":3,"publish":{}}"#,
        r#"{"id":3,"rpc":{}}"#,
        &format!(r#"{{"id":4,{TOO_MANY}"#),
        &format!(r#"{{"id":4,{TOO_MANY}"#),
    ]);
    client.send(r#"{"id":5,"publish":{"channel":"a","data":1}}"#);
    client.send(r#"{"id":6,"publish":{"channel":"a","data":1}}"#);
    client.expect(&[r#"{"id":5,"publish":{}}"#, &format!(r#"{{"id":6,{TOO_MANY}"#)]);
}

#[test]
fn unsubscribe_is_counted_and_never_refused() {
    let mut client = limited(json!({ "client_command": { "enabled": true,
        "total": per_second(3), "unsubscribe": per_second(1) } }));
    for id in 2..5 {
        client.send(&format!(r#"{{"id":{id},"unsubscribe":{{"channel":"a"}}}}"#));
    }
    client.send(r#"{"id":5,"rpc":{"method":"ping"}}"#);
    client.expect(&[
        r#"{"id":2,"unsubscribe":{}}"#,
        r#"{"id":3,"unsubscribe":{}}"#,
        r#"{"id":4,"unsubscribe":{}}"#,
        &format!(r#"{{"id":5,{TOO_MANY}"#),
    ]);
    assert!(counted(&client, "client_command", "unsubscribe"));
}

#[test]
fn too_many_errors_end_the_connection() {
    let total = json!({ "enabled": true, "buckets": [{ "interval": "5s", "rate": 2 }] });
    let mut client = limited(json!({ "client_error": { "enabled": true, "total": total } }));
    let wrong = r#"{"id":2,"publish":{"channel":"nope:a","data":1}}"#;
    let error = r#"{"id":2,"error":{"code":102,"message":"unknown channel"}}"#;
    client.send(wrong);
    client.send(wrong);
    client.expect(&[error, error]);
    client.pass(Duration::from_millis(2500));
    client.send(wrong);
    client.expect(&[error]);
    client.send(wrong);
    client.expect(&[]);
    assert_eq!(client.closed_with(), Some(3509));
    assert!(counted(&client, "client_error", "publish"));
}

#[test]
fn a_client_that_is_refused_on_and_on_is_thrown_out() {
    let total = json!({ "enabled": true, "buckets": [{ "interval": "5s", "rate": 2 }] });
    let mut client = limited(
        json!({ "client_command": { "enabled": true, "publish": per_second(1) },
        "client_error": { "enabled": true, "total": total } }),
    );
    for id in 2..6 {
        client.send(&format!(r#"{{"id":{id},"publish":{{"channel":"a","data":1}}}}"#));
    }
    client.expect(&[
        r#"{"id":2,"publish":{}}"#,
        &format!(r#"{{"id":3,{TOO_MANY}"#),
        &format!(r#"{{"id":4,{TOO_MANY}"#),
    ]);
    assert_eq!(client.closed_with(), Some(3509));
}

#[test]
fn limits_of_users_do_not_concern_nobody() {
    let mut client = limited(json!({ "user_command": { "enabled": true, "default": per_second(1) } }));
    for id in 2..5 {
        client.send(&format!(r#"{{"id":{id},"rpc":{{"method":"ping"}}}}"#));
    }
    client.expect(&[
        r#"{"id":2,"rpc":{}}"#,
        r#"{"id":3,"rpc":{}}"#,
        r#"{"id":4,"rpc":{}}"#,
    ]);
}

//! Batches (server-api.md 4.12).

use std::sync::atomic::Ordering;

use super::super::message::{BatchRequest, Command, PublishRequest, RpcRequest};
use super::super::{Api, Protocol};
use super::Server;

#[tokio::test]
async fn replies_stand_in_the_order_of_commands() {
    let server = Server::new();
    let body = concat!(
        r#"{"commands":[{"publish":{"channel":"test","data":{}}},{"publish":{"channel":"no:x","data":{}}},{},null,"#,
        r#"{"presence":{"channel":"empty"}},{"info":null},{"info":{}, "publish":null},{"connections":{"user":"a"}},"#,
        r#"{"device_list":{}},{"map_stats":{"channel":"a"}},{"disconnect":{}}]}"#
    );
    let replies = concat!(
        r#"{"replies":[{"publish":{"offset":1,"epoch":"jAkhOcHV"}},"#,
        r#"{"error":{"code":102,"message":"unknown channel"}},"#,
        r#"{"error":{"code":104,"message":"not found"}},{"error":{"code":107,"message":"bad request"}},"#,
        r#"{"presence":{"presence":{}}},{"error":{"code":104,"message":"not found"}},{"info":{"nodes":"#
    );
    for parallel in [false, true] {
        let body = if parallel {
            body.replacen('{', r#"{"parallel":true,"#, 1)
        } else {
            body.to_owned()
        };
        server.fake.publications.lock().clear();
        let answer = server.call("batch", &body).await;
        assert!(answer.starts_with(replies), "{answer}");
        let rest = concat!(
            r#"{"error":{"code":104,"message":"not found"}},{"error":{"code":104,"message":"not found"}},"#,
            r#"{"error":{"code":104,"message":"not found"}},{"disconnect":{}}]}"#
        );
        assert!(answer.ends_with(rest), "{answer}");
    }
}

#[tokio::test]
async fn refusals_in_a_batch() {
    let server = Server::new();
    let body = concat!(
        r#"{"commands":[{"block_user":{"user":"42"}},{"unblock_user":{"user":"42"}},{"revoke_token":{"uid":"a"}},"#,
        r#"{"invalidate_user_tokens":{"user":"42"}},{"block_user":{}}]}"#
    );
    let replies = concat!(
        r#"{"replies":[{"block_user":{}},{"unblock_user":{}},{"revoke_token":{}},{"invalidate_user_tokens":{}},"#,
        r#"{"error":{"code":107,"message":"bad request"}}]}"#
    );
    assert_eq!(server.call("batch", body).await, replies);
}

#[tokio::test]
async fn no_commands_no_replies() {
    let server = Server::new();
    for body in [
        "{}",
        "null",
        r#"{"commands":[]}"#,
        r#"{"commands":null,"parallel":true}"#,
    ] {
        assert_eq!(server.call("batch", body).await, "{}", "{body}");
    }
}

#[tokio::test]
async fn the_first_of_several_requests_is_taken() {
    let server = Server::new();
    let order = [
        "publish",
        "broadcast",
        "subscribe",
        "unsubscribe",
        "disconnect",
        "history",
        "history_remove",
        "presence",
        "presence_stats",
        "info",
        "rpc",
        "refresh",
        "channels",
    ];
    for first in 0..order.len() {
        let command: Vec<String> = order[first..]
            .iter()
            .rev()
            .map(|method| format!(r#""{method}":{{}}"#))
            .collect();
        server.observed.take();
        server
            .call("batch", &format!(r#"{{"commands":[{{{}}}]}}"#, command.join(",")))
            .await;
        assert_eq!(server.observed.take()[0], format!("http {}", order[first]));
    }
}

#[tokio::test]
async fn nothing_is_done_when_a_command_cannot_be_read() {
    let server = Server::new();
    let publish = r#"{"publish":{"channel":"test","data":1}}"#;
    for bad in [
        "[]",
        "1",
        r#"{"publish":[]}"#,
        r#"{"history":{"limit":"1"}}"#,
        r#"{"publish":{"channel":1}}"#,
    ] {
        let answer = server
            .call("batch", &format!(r#"{{"commands":[{publish},{bad}]}}"#))
            .await;
        assert!(answer.starts_with("400\n"), "{bad}: {answer}");
    }
    assert!(server.fake.publications.lock().is_empty());
}

#[tokio::test]
async fn commands_run_one_by_one_or_many_at_once() {
    let commands = vec![r#"{"publish":{"channel":"slow:a","data":1}}"#; 3000].join(",");
    for (parallel, most) in [(false, 1), (true, 1024)] {
        let server = Server::new();
        let answer = server
            .call(
                "batch",
                &format!(r#"{{"parallel":{parallel},"commands":[{commands}]}}"#),
            )
            .await;
        assert_eq!(answer.matches(r#"{"publish":{}}"#).count(), 3000);
        assert_eq!(server.fake.most_running.load(Ordering::Relaxed), most);
    }
}

#[tokio::test]
async fn without_json_a_batch_is_the_same() {
    let server = Server::new();
    let api = Api::new(server.fake.clone(), server.observed.clone(), Protocol::Grpc);
    let publish = PublishRequest {
        channel: "test".into(),
        data: "x".into(),
        ..PublishRequest::default()
    };
    let commands = vec![
        Command {
            publish: Some(publish),
            ..Command::default()
        },
        Command::default(),
        Command {
            rpc: Some(RpcRequest::default()),
            ..Command::default()
        },
    ];
    let response = api
        .batch(BatchRequest {
            commands,
            parallel: true,
        })
        .await;
    let codes: Vec<u32> = response
        .replies
        .iter()
        .map(|reply| reply.error.as_ref().map_or(0, |e| e.code))
        .collect();
    assert_eq!(codes, [0, 104, 107]);
    assert_eq!(
        response.replies[0].publish.as_ref().map(|result| result.offset),
        Some(1)
    );
    assert_eq!(
        server.observed.take().last().map(String::as_str),
        Some("grpc batch")
    );
}

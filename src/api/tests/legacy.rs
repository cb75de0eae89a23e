//! The legacy envelope (server-api.md 6).

use super::Server;

const BAD_REQUEST: &str = r#"{"error":{"code":107,"message":"bad request"}}"#;
const NOT_FOUND: &str = r#"{"error":{"code":104,"message":"not found"}}"#;
const STATS: &str = r#"{"result":{"num_clients":0,"num_users":0}}"#;

impl Server {
    async fn legacy(&self, body: &str) -> String {
        let answer = self
            .exchange(&format!("POST /api\nAuthorization: apikey secret\n\n{body}"))
            .await;
        match answer.strip_prefix("200\ncontent-type: application/json\n\n") {
            Some(body) => body.to_owned(),
            None => answer.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

#[tokio::test]
async fn commands_are_answered_line_by_line() {
    let server = Server::new();
    let body = concat!(
        "{\"method\":\"presence_stats\",\"params\":{\"channel\":\"empty\"}}\n",
        "{\"method\":\"history\",\"params\":{\"channel\":\"empty\"}}"
    );
    let history = r#"{"result":{"publications":[],"epoch":"jAkhOcHV","offset":0}}"#;
    assert_eq!(server.legacy(body).await, format!("{STATS}\n{history}"));
    // White space between commands is optional, also around them.
    let body = concat!(
        " {\"id\":1,\"params\":{\"channel\":\"test\",\"data\":1}}{\"id\":4294967295,\"method\":7,\"params\":{}}\r\n",
        "{\"id\":0,\"METHOD\":\"Presence_STATS\",\"Params\":{\"channel\":\"empty\"}} \n"
    );
    let expected = concat!(
        r#"{"id":1,"result":{"offset":1,"epoch":"jAkhOcHV"}}"#,
        "\n",
        r#"{"id":4294967295,"error":{"code":107,"message":"bad request"}}"#,
        "\n",
        r#"{"result":{"num_clients":0,"num_users":0}}"#
    );
    assert_eq!(server.legacy(body).await, expected);
}

#[tokio::test]
async fn methods_have_numbers() {
    let server = Server::new();
    let names = [
        "publish",
        "broadcast",
        "unsubscribe",
        "disconnect",
        "presence",
        "presence_stats",
        "history",
        "history_remove",
        "channels",
        "info",
        "rpc",
        "subscribe",
        "refresh",
    ];
    for (number, name) in names.iter().enumerate() {
        server.observed.take();
        server
            .legacy(&format!(r#"{{"method":{number},"params":{{}}}}"#))
            .await;
        server
            .legacy(&format!(
                r#"{{"method":"{}","params":{{}}}}"#,
                name.to_uppercase()
            ))
            .await;
        let called: Vec<String> = server
            .observed
            .take()
            .into_iter()
            .filter(|line| !line.contains("error"))
            .collect();
        assert_eq!(called, [format!("http {name}"), format!("http {name}")]);
    }
}

#[tokio::test]
async fn refusals_have_numbers() {
    let server = Server::new();
    for (number, name) in [
        (18, "block_user"),
        (19, "unblock_user"),
        (20, "revoke_token"),
        (21, "invalidate_user_tokens"),
    ] {
        let params = r#"{"user":"42","uid":"a"}"#;
        for method in [number.to_string(), format!("\"{name}\"")] {
            server.observed.take();
            let body = format!(r#"{{"method":{method},"params":{params}}}"#);
            assert_eq!(server.legacy(&body).await, r#"{"result":{}}"#);
            assert_eq!(server.observed.take(), [format!("http {name}")]);
        }
    }
}

#[tokio::test]
async fn every_kind_of_mistake() {
    let server = Server::new();
    for (body, expected) in [
        ("", "400"),
        (" \n", ""),
        ("[]", "400"),
        ("[{}]", "400"),
        ("1", "400"),
        ("{", "400"),
        ("null", BAD_REQUEST),
        ("{}", BAD_REQUEST),
        (r#"{"method":"what","params":{}}"#, "400"),
        (r#"{"method":"","params":{}}"#, "400"),
        (r#"{"method":"0","params":{}}"#, "400"),
        (r#"{"method":"batch","params":{}}"#, "400"),
        (r#"{"method":1.5}"#, "400"),
        (r#"{"method":[]}"#, "400"),
        (r#"{"id":-1}"#, "400"),
        (r#"{"method":13}"#, NOT_FOUND),
        (r#"{"method":99,"params":{}}"#, NOT_FOUND),
        (r#"{"method":-1,"params":{}}"#, NOT_FOUND),
        (r#"{"method":14,"params":{}}"#, NOT_FOUND),
        (r#"{"method":"connections","params":{}}"#, NOT_FOUND),
        (r#"{"method":"shared_poll_publish","params":{}}"#, NOT_FOUND),
        (r#"{"method":"presence"}"#, BAD_REQUEST),
        (r#"{"method":"presence","params":[]}"#, BAD_REQUEST),
        (r#"{"method":"presence","params":{"channel":1}}"#, BAD_REQUEST),
        (r#"{"method":"channels"}"#, BAD_REQUEST),
        (r#"{"method":"disconnect","params":null}"#, r#"{"result":{}}"#),
    ] {
        assert_eq!(server.legacy(body).await, expected, "{body}");
    }
    assert!(
        server
            .legacy(r#"{"method":"info","params":[1]}"#)
            .await
            .starts_with(r#"{"result":{"nodes""#)
    );
    assert!(
        server
            .legacy(r#"{"method":"info"}"#)
            .await
            .starts_with(r#"{"result":{"nodes""#)
    );
}

#[tokio::test]
async fn commands_before_an_unreadable_one_have_been_carried_out() {
    let server = Server::new();
    let body =
        r#"{"params":{"channel":"test","data":1}}{"method":"what"}{"params":{"channel":"test","data":2}}"#;
    assert_eq!(server.legacy(body).await, "400");
    assert_eq!(server.fake.publications.lock().len(), 1);
}

//! Each method: what reaches the node, and what its result looks like (server-api.md 4).

use super::super::PublishOrigin;
use super::Server;

const BAD_REQUEST: &str = r#"{"error":{"code":107,"message":"bad request"}}"#;
const UNKNOWN_CHANNEL: &str = r#"{"error":{"code":102,"message":"unknown channel"}}"#;
const NOT_FOUND: &str = r#"{"error":{"code":104,"message":"not found"}}"#;
const EMPTY: &str = r#"{"result":{}}"#;

async fn transcript(method: &str, rows: &[(&str, &str)]) -> Server {
    let server = Server::new();
    for (body, expected) in rows {
        assert_eq!(server.call(method, body).await, *expected, "{method} {body}");
    }
    server
}

#[tokio::test]
async fn publish() {
    let server = transcript(
        "publish",
        &[
            (r#"{"channel":"test","data":{"a":1}}"#, r#"{"result":{"offset":1,"epoch":"jAkhOcHV"}}"#),
            (r#"{"channel":"plain:x","data":{}}"#, EMPTY),
            (r#"{"channel":"test","data":{},"skip_history":true}"#, EMPTY),
            (r#"{"channel":"nope:x","data":{}}"#, UNKNOWN_CHANNEL),
            (r#"{"channel":"test"}"#, BAD_REQUEST),
            (r#"{"data":{}}"#, BAD_REQUEST),
            ("{}", BAD_REQUEST),
            (r#"{"channel":"test","b64data":"aGk"}"#, BAD_REQUEST),
            (r#"{"channel":"","b64data":"aGk="}"#, BAD_REQUEST),
            (r#"{"channel":"map:x","data":{}}"#, BAD_REQUEST),
            (r#"{"channel":"test","data":null}"#, r#"{"result":{"offset":4,"epoch":"jAkhOcHV"}}"#),
            (r#"{"channel":"test","data":1,"b64data":"aGk="}"#, r#"{"result":{"offset":5,"epoch":"jAkhOcHV"}}"#),
            (
                concat!(
                    r#"{"channel":"test","data":"x","tags":{"b":"2","a":null},"idempotency_key":"k","delta":true,"#,
                    r#""version":18446744073709551615,"version_epoch":"e"}"#
                ),
                r#"{"result":{"offset":6,"epoch":"jAkhOcHV"}}"#,
            ),
        ],
    )
    .await;
    let publications = server.fake.publications.lock();
    let data: Vec<&[u8]> = publications
        .iter()
        .map(|(request, _)| &request.data[..])
        .collect();
    assert_eq!(data, [&b"{\"a\":1}"[..], b"{}", b"{}", b"null", b"hi", b"\"x\""]);
    let (last, origin) = publications.last().expect("six");
    assert_eq!(
        last.tags
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect::<Vec<_>>(),
        [("a", ""), ("b", "2")]
    );
    assert_eq!(
        (last.idempotency_key.as_str(), last.version_epoch.as_str()),
        ("k", "e")
    );
    assert_eq!(
        (last.version, last.delta, *origin),
        (u64::MAX, true, PublishOrigin::Publish)
    );
    assert!(publications.iter().all(|(request, _)| request.b64data.is_empty()));
}

#[tokio::test]
async fn broadcast() {
    let server = transcript(
        "broadcast",
        &[
            (
                r#"{"channels":["test","nope:x",""],"data":[1]}"#,
                concat!(
                    r#"{"result":{"responses":[{"result":{"offset":1,"epoch":"jAkhOcHV"}},"#,
                    r#"{"error":{"code":102,"message":"unknown channel"}},"#,
                    r#"{"error":{"code":107,"message":"bad request"}}]}}"#
                ),
            ),
            ("{}", BAD_REQUEST),
            (r#"{"channels":[],"data":[1]}"#, BAD_REQUEST),
            (r#"{"channels":["test"],"b64data":"!"}"#, BAD_REQUEST),
            (
                r#"{"channels":["test",null]}"#,
                concat!(
                    r#"{"result":{"responses":[{"error":{"code":107,"message":"bad request"}},"#,
                    r#"{"error":{"code":107,"message":"bad request"}}]}}"#
                ),
            ),
            (
                r#"{"channels":["map:a","b","b"],"b64data":"aGk=","tags":{"t":"1"},"idempotency_key":"k","version":7}"#,
                concat!(
                    r#"{"result":{"responses":[{"result":{}},{"result":{"offset":3,"epoch":"jAkhOcHV"}},"#,
                    r#"{"result":{"offset":4,"epoch":"jAkhOcHV"}}]}}"#
                ),
            ),
        ],
    )
    .await;
    let publications = server.fake.publications.lock();
    assert_eq!(publications.len(), 4);
    for (request, origin) in publications.iter().skip(1) {
        assert_eq!(
            (&request.data[..], request.tags.len(), request.version),
            (&b"hi"[..], 1, 7)
        );
        assert_eq!(
            (request.idempotency_key.as_str(), *origin),
            ("k", PublishOrigin::Broadcast)
        );
    }
}

#[tokio::test]
async fn a_broadcast_is_concurrent_up_to_a_limit() {
    let server = Server::new();
    let channels: Vec<String> = (0..3000).map(|number| format!("slow:{number}")).collect();
    let body = serde_json::json!({ "channels": channels, "data": 1 }).to_string();
    let answer = server.call("broadcast", &body).await;
    assert_eq!(answer.matches(r#"{"result":{}}"#).count(), 3000);
    assert_eq!(
        server
            .fake
            .most_running
            .load(std::sync::atomic::Ordering::Relaxed),
        1024
    );
}

#[tokio::test]
async fn subscribe() {
    let server = transcript(
        "subscribe",
        &[
            ("{}", BAD_REQUEST),
            (r#"{"channel":"nope:x","user":"42"}"#, UNKNOWN_CHANNEL),
            (r#"{"channel":"test","b64info":"aGk"}"#, BAD_REQUEST),
            (r#"{"channel":"test","b64data":"aGk"}"#, BAD_REQUEST),
            (r#"{"channel":"test"}"#, EMPTY),
            (
                concat!(
                    r#"{"channel":"test","user":"42","expire_at":1795368548,"info":{"i":1},"b64data":"aGk=","#,
                    r#""recover_since":{"offset":5,"epoch":"e"},"override":{"presence":{"value":true}},"#,
                    r#""session":"s","label_filter":{"op":"and","nodes":[{"key":"k"}]},"all_users":true}"#
                ),
                EMPTY,
            ),
        ],
    )
    .await;
    let last = server.fake.last();
    for part in [
        r#"user: "42""#,
        "expire_at: 1795368548",
        r#"info: b"{\"i\":1}""#,
        r#"data: b"hi""#,
        r#"b64data: """#,
        r#"recover_since: Some(StreamPosition { offset: 5, epoch: "e" })"#,
        "presence: Some(BoolValue { value: true }), join_leave: None",
    ] {
        assert!(last.contains(part), "{part} in {last}");
    }
}

#[tokio::test]
async fn methods_for_connections() {
    let rows = [
        (r#"{"channel":"","user":"42"}"#, EMPTY),
        (r#"{"channel":"nope:x"}"#, UNKNOWN_CHANNEL),
        ("{}", EMPTY),
    ];
    transcript("unsubscribe", &rows).await;

    let rows = [
        ("{}", EMPTY),
        (r#"{"disconnect":{}}"#, EMPTY),
        (
            r#"{"user":"42","disconnect":{"code":4000,"reason":"r"},"whitelist":["a"]}"#,
            EMPTY,
        ),
    ];
    let server = transcript("disconnect", &rows).await;
    assert!(server.fake.requests.lock()[0].contains("disconnect: None"));
    assert!(
        server.fake.requests.lock()[1].contains("disconnect: Some(Disconnect { code: 0, reason: \"\" })")
    );
    assert!(server.fake.last().contains("whitelist: [\"a\"]"));

    let server = transcript(
        "refresh",
        &[(r#"{"user":"42","expire_at":-1,"expired":true}"#, EMPTY)],
    )
    .await;
    assert!(server.fake.last().contains("expired: true, expire_at: -1"));
}

#[tokio::test]
async fn presence() {
    let rows = [
        ("{}", BAD_REQUEST),
        (
            r#"{"channel":"off:x"}"#,
            r#"{"error":{"code":108,"message":"not available"}}"#,
        ),
        (r#"{"channel":"empty"}"#, r#"{"result":{"presence":{}}}"#),
        (
            r#"{"channel":"test"}"#,
            concat!(
                r#"{"result":{"presence":{"a":{"user":"42","client":"a","chan_info":{"i":"\u003c1\u003e"}},"#,
                r#""b":{"user":"","client":"b"}}}}"#
            ),
        ),
    ];
    transcript("presence", &rows).await;
    let rows = [
        ("{}", BAD_REQUEST),
        (
            r#"{"channel":"empty"}"#,
            r#"{"result":{"num_clients":0,"num_users":0}}"#,
        ),
        (
            r#"{"channel":"test"}"#,
            r#"{"result":{"num_clients":2,"num_users":2}}"#,
        ),
    ];
    transcript("presence_stats", &rows).await;
}

#[tokio::test]
async fn history() {
    let rows = [
        ("{}", BAD_REQUEST),
        (
            r#"{"channel":"epoch:x"}"#,
            r#"{"error":{"code":112,"message":"unrecoverable position"}}"#,
        ),
        (
            r#"{"channel":"empty"}"#,
            r#"{"result":{"publications":[],"epoch":"jAkhOcHV","offset":0}}"#,
        ),
        (
            r#"{"channel":"test","limit":-1,"since":{"offset":1,"epoch":""},"reverse":true}"#,
            concat!(
                r#"{"result":{"publications":[{"data":{"a":"\u003c\u0026\u003e\u2028"},"offset":1},"#,
                r#"{"data":[1],"info":{"user":"42","client":""},"offset":2,"tags":{"a":"","t":"\u003c"}}],"#,
                r#""epoch":"jAkhOcHV","offset":2}}"#
            ),
        ),
    ];
    let server = transcript("history", &rows).await;
    let expected = r#"limit: -1, since: Some(StreamPosition { offset: 1, epoch: "" }), reverse: true"#;
    assert!(server.fake.last().contains(expected), "{}", server.fake.last());
    transcript(
        "history_remove",
        &[("{}", BAD_REQUEST), (r#"{"channel":"test"}"#, EMPTY)],
    )
    .await;
}

#[tokio::test]
async fn the_cluster() {
    let rows = [
        (
            "{}",
            r#"{"result":{"channels":{"test":{"num_clients":1},"z\u003c":{}}}}"#,
        ),
        (r#"{"pattern":"none"}"#, r#"{"result":{"channels":{}}}"#),
        (
            r#"{"pattern":"["}"#,
            r#"{"error":{"code":100,"message":"internal server error"}}"#,
        ),
    ];
    transcript("channels", &rows).await;
    let nodes = concat!(
        r#"{"result":{"nodes":[{"uid":"u","name":"host_8000","version":"0.1.0 Tidegate","num_clients":1,"#,
        r#""num_users":0,"num_channels":0,"uptime":12,"#,
        r#""metrics":{"interval":60,"items":{"b":0.5,"centrifugo.node.num_clients":1}},"num_subs":3},"#,
        r#"{"uid":"","name":"","version":"","num_clients":0,"num_users":0,"num_channels":0,"num_subs":0}]}}"#
    );
    transcript("info", &[("{}", nodes)]).await;
}

#[tokio::test]
async fn refusals() {
    for (method, name) in [("block_user", "user"), ("revoke_token", "uid")] {
        let rows = [
            ("{}", BAD_REQUEST),
            (r#"{"expire_at":1795368548}"#, BAD_REQUEST),
            (&format!(r#"{{"{name}":""}}"#), BAD_REQUEST),
            (&format!(r#"{{"{name}":"a","expire_at":-1}}"#), BAD_REQUEST),
            (&format!(r#"{{"{name}":"a"}}"#), EMPTY),
            (&format!(r#"{{"{name}":"a","expire_at":1795368548}}"#), EMPTY),
        ];
        let server = transcript(method, &rows).await;
        assert_eq!(server.fake.requests.lock().len(), 2);
        assert!(server.fake.last().contains("expire_at: 1795368548"));
    }
    let rows = [("{}", BAD_REQUEST), (r#"{"user":"42"}"#, EMPTY)];
    transcript("unblock_user", &rows).await;
    let server = transcript(
        "invalidate_user_tokens",
        &[
            ("{}", BAD_REQUEST),
            (r#"{"channel":"test"}"#, BAD_REQUEST),
            (r#"{"user":"42","expire_at":-1}"#, BAD_REQUEST),
            (r#"{"user":"42","issued_before":-1}"#, BAD_REQUEST),
            (r#"{"user":"42"}"#, EMPTY),
            (
                r#"{"user":"42","issued_before":1635845022,"expire_at":1635845122,"channel":"nope:x"}"#,
                EMPTY,
            ),
        ],
    )
    .await;
    let expected = r#"expire_at: 1635845122, user: "42", issued_before: 1635845022, channel: "nope:x""#;
    assert!(server.fake.last().contains(expected), "{}", server.fake.last());
}

#[tokio::test]
async fn rpc() {
    transcript(
        "rpc",
        &[
            ("{}", BAD_REQUEST),
            (r#"{"method":"ping","params":{}}"#, NOT_FOUND),
        ],
    )
    .await;
}

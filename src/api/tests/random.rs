//! Whatever is sent, there is an answer, and it is of one of the documented forms.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Server;

const METHODS: [&str; 15] = [
    "",
    "/publish",
    "/broadcast",
    "/batch",
    "/subscribe",
    "/unsubscribe",
    "/disconnect",
    "/refresh",
    "/presence",
    "/presence_stats",
    "/history",
    "/history_remove",
    "/channels",
    "/info",
    "/rpc",
];

/// JSON made of the names that requests have and of values that often suit them.
fn likely_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "channel",
        "channels",
        "data",
        "b64data",
        "tags",
        "version",
        "user",
        "override",
        "since",
        "offset",
        "epoch",
        "limit",
        "commands",
        "parallel",
        "publish",
        "history",
        "presence",
        "info",
        "method",
        "params",
        "id",
        "label_filter",
        "nodes",
        "disconnect",
        "Code",
        "whitelist",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(vec!["", "test", "off:a", "binary", "aGk=", "publish"]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|map| map
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        "[{}\\[\\]\":,a-z0-9 ]{0,64}".prop_map(String::into_bytes),
        likely_json().prop_map(|value| value.to_string().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn every_request_has_an_answer(method in prop::sample::select(&METHODS[..]), body in body(), transport: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let server = Server::with(|options| options.transport_errors = transport);
        let uri = format!("/api{method}?api_key=secret");
        let request = http::Request::post(uri).body(Full::new(Bytes::from(body))).expect("a request");
        let (head, body) = runtime.block_on(async {
            let (head, body) = server.api.answer(request).await.into_parts();
            (head, body.collect().await.expect("a body in memory").to_bytes())
        });
        let is_json = head.headers.get("content-type").is_some_and(|value| value == "application/json");
        if is_json {
            for reply in serde_json::Deserializer::from_slice(&body).into_iter::<Value>() {
                prop_assert!(reply.expect("JSON").is_object());
            }
        } else {
            prop_assert!([400, 500].contains(&head.status.as_u16()), "{}", head.status);
        }
    }
}

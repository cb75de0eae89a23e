//! Frames that break WebSocket, and commands that break the protocol inside good frames.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Heard, Peer, within};
use crate::{Victim, noise};

const HEAD: &str = "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Sends bytes after the upgrade; what the server says until it closes, the upgrade included.
async fn after_upgrade(victim: &Victim, bytes: &[u8]) -> Vec<u8> {
    let mut stream = victim.server.dial().await;
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within("the server to close", stream.read_to_end(&mut answer)).await;
    answer
}

fn close_of(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    match answer.get(end..)? {
        [0x88, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn violations_of_websocket() {
    let victim = Victim::new(json!({})).await;
    for (what, bytes, code) in [
        ("not masked", &b"\x81\x02{}"[..], 1002),
        ("a reserved bit", b"\xc1\x80\0\0\0\0", 1002),
        ("an unknown opcode", b"\x83\x80\0\0\0\0", 1002),
        ("an unknown control opcode", b"\x8b\x80\0\0\0\0", 1002),
        ("a control frame in fragments", b"\x09\x80\0\0\0\0", 1002),
        ("a control frame too long", b"\x89\xfe\x00\x7e\0\0\0\0", 1002),
        ("a continuation of nothing", b"\x80\x80\0\0\0\0", 1002),
        (
            "a message within a message",
            b"\x01\x81\0\0\0\0{\x81\x80\0\0\0\0",
            1002,
        ),
        ("a close code that is none", b"\x88\x82\0\0\0\0\x03\xed", 1002),
        ("a close of one byte", b"\x88\x81\0\0\0\0\x03", 1002),
        (
            "far too long",
            b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
            1009,
        ),
        (
            "a negative length",
            b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
            1002,
        ),
    ] {
        let answer = after_upgrade(&victim, bytes).await;
        let close = close_of(&answer);
        assert!(
            close == Some(code) || (what == "a negative length" && close == Some(1009)),
            "{what}: {close:?} in {:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_after_the_upgrade() {
    let victim = Victim::new(json!({})).await;
    for seed in 0..30 {
        after_upgrade(&victim, &noise(seed, 300)).await;
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_endless_fragments() {
    let victim = Victim::new(json!({})).await;
    let mut stream = victim.server.dial().await;
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    stream.write_all(b"\x01\x80\0\0\0\0").await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let writing = tokio::spawn(async move {
        let fragment = [&b"\x00\xfe\x03\xe8\0\0\0\0"[..], &[b' '; 1000]].concat();
        for _ in 0..1000 {
            if writing.write_all(&fragment).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let _ = within("the close", reading.read_to_end(&mut answer)).await;
    assert_eq!(close_of(&answer), Some(1009));
    writing.abort();
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_wrong_types() {
    let victim = Victim::new(json!({})).await;
    for command in [
        "[]",
        "1",
        "\"connect\"",
        "true",
        r#"{"id":"2"}"#,
        r#"{"id":2.5,"subscribe":{"channel":"a"}}"#,
        r#"{"id":-2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":4294967296,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"subscribe":"a"}"#,
        r#"{"id":2,"subscribe":["a"]}"#,
        r#"{"id":2,"subscribe":{"channel":1}}"#,
        r#"{"id":2,"subscribe":{"channel":["a"]}}"#,
        r#"{"id":2,"subscribe":{"channel":"a","recover":1}}"#,
        r#"{"id":2,"subscribe":{"channel":"a","offset":"1"}}"#,
        r#"{"id":2,"subscribe":{"channel":"a","offset":-1}}"#,
        r#"{"id":2,"subscribe":{"channel":"a","offset":18446744073709551616}}"#,
        r#"{"id":2,"subscribe":{"channel":"a","tf":[]}}"#,
        r#"{"id":2,"history":{"channel":"a","limit":2147483648}}"#,
        r#"{"id":2,"publish":{"channel":"a","data":}}"#,
        r#"{"id":2,"publish":{"channel":"a","data":{"a":}}}"#,
        r#"{"id":2,"publish":{"channel":"a","data":[1,]}}"#,
        r#"{"id":2,"publish":{"channel":"a","data":"\ud800""#,
        r#"{"id":2,"connect":{"headers":{"a":1}}}"#,
        r#"{"id":2,"connect":{"subs":[]}}"#,
        "\u{feff}{}",
        "{'id':2}",
        "{id:2}",
    ] {
        let mut peer = victim.server.user("bad").await;
        peer.send_raw(command);
        peer.expect_close(3501, "bad request").await;
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_goes_deep() {
    let victim = Victim::new(json!({})).await;
    let deep = 30_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = deep / open.len();
        let text = open.repeat(depth) + "1" + &close.repeat(depth);
        let mut peer = victim.server.user("bad").await;
        // Whether such data is welcome does not matter: the server must not fall over it.
        peer.send_raw(&format!(
            r#"{{"id":2,"publish":{{"channel":"a","data":{text}}}}}"#
        ));
        let heard = peer.hear("an answer to deep data").await;
        assert_ne!(heard, Heard::End);
        let mut peer = victim.server.user("bad").await;
        peer.send_raw(&format!(
            r#"{{"id":2,"unknown":{text},"subscribe":{{"channel":"a"}}}}"#
        ));
        assert_ne!(peer.hear("an answer to deep unknown fields").await, Heard::End);
        let mut peer = victim.server.user("bad").await;
        peer.send_raw(&text);
        assert_ne!(peer.hear("an answer to a deep command").await, Heard::End);
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8() {
    let victim = Victim::new(json!({})).await;
    for bytes in [
        &b"\xff\xfe"[..],
        b"{\"id\":2,\"subscribe\":{\"channel\":\"\xff\"}}",
        b"\0",
        b"\x80",
    ] {
        let mut peer = victim.server.user("bad").await;
        peer.send_bytes(bytes.to_vec());
        let heard = peer.hear("an answer").await;
        let expected = Heard::Close(3501, "bad request".to_owned());
        let refused = br#"{"id":2,"error":{"code":107,"message":"bad request"}}"#.to_vec();
        assert!(
            heard == expected || heard == Heard::Frame(refused),
            "{bytes:?}: {heard:?}"
        );
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_may_come_in_a_frame() {
    let victim = Victim::new(json!({})).await;
    let mut runner = TestRunner::new(Config {
        cases: 60,
        ..Config::default()
    });
    let strategy = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        r#"\{"id":[0-9]{1,2},"(connect|subscribe|publish|history|rpc|send|refresh)":\{("channel":"[a-z]{0,3}")?(,"data":[\[\]{}0-9"]{0,5})?\}\}"#
            .prop_map(String::into_bytes),
    ];
    for case in 0..60 {
        let bytes = strategy.new_tree(&mut runner).unwrap().current();
        let path = if case % 2 == 0 { "" } else { "?format=protobuf" };
        let path = format!("/connection/websocket{path}");
        let peer = Peer::websocket(victim.server.dial().await, &path, &[]).await;
        if case % 3 == 0 {
            peer.send_raw(r#"{"id":1,"connect":{}}"#);
        }
        peer.send_bytes(bytes);
        peer.close(1000);
    }
    victim.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_on_each_transport() {
    let victim = Victim::new(json!({})).await;
    let large = format!(
        r#"{{"id":2,"publish":{{"channel":"a","data":"{}"}}}}"#,
        "x".repeat(70_000)
    );
    let mut peer = victim.server.user("bad").await;
    peer.send_raw(&large);
    assert_eq!(peer.hear("the close").await, Heard::Close(1009, String::new()));
    let mut peer = Peer::webtransport(&victim.server, "").await;
    peer.ask(
        r#"{"id":1,"connect":{}}"#,
        r#"{"id":1,"connect":{"client":"<client>","version":"<version>","ping":25,"pong":true}}"#,
    )
    .await;
    peer.send_raw(&large);
    peer.expect_close(3501, "bad request").await;
    victim.end().await;
}

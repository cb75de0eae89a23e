use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn publication(data: &'static str) -> Publication {
    Publication {
        data: Bytes::from_static(data.as_bytes()),
        ..Publication::default()
    }
}

fn read(bytes: &[u8]) -> Result<Message, Malformed> {
    parse(&Bytes::copy_from_slice(bytes))
}

fn read_publication(bytes: &[u8]) -> Arrived {
    match read(bytes) {
        Ok(Message::Publication(arrived)) => arrived,
        other => panic!("{other:?}"),
    }
}

#[test]
fn publications_are_written_as_observed() {
    // engines.md 5.
    let one = Publication {
        tags: BTreeMap::from([("n".to_owned(), "1".to_owned())]),
        time_ms: 1,
        ..publication(r#"{"n":3}"#)
    };
    assert_eq!(
        encode_bare(one.clone(), true),
        [
            b"\x22\x07{\"n\":3}".as_slice(),
            b"\x3a\x06\x0a\x01n\x12\x011\x40\x01\x48\x01"
        ]
        .concat()
    );
    assert_eq!(
        encode_bare(one, false),
        [
            b"\x22\x07{\"n\":3}".as_slice(),
            b"\x3a\x06\x0a\x01n\x12\x011\x48\x01"
        ]
        .concat()
    );
    let versioned = Publication {
        version: 5,
        time_ms: 1,
        // Never stored: readers take it from the envelope.
        offset: 9,
        ..publication(r#"{"n": 4}"#)
    };
    assert_eq!(
        encode_publication(versioned),
        b"\x22\x08{\"n\": 4}\x48\x01\x80\x01\x05".as_slice()
    );
    let client = "5f3c1e6e-0000-4000-8000-000000000000";
    let from_client = Publication {
        info: Some(Arc::new(ClientInfo {
            user: "u1".to_owned(),
            client: client.to_owned(),
            conn_info: Bytes::from_static(br#"{"i":1}"#),
            chan_info: Bytes::new(),
        })),
        time_ms: 1,
        ..publication(r#"{"c": 1}"#)
    };
    let mut expected = b"\x22\x08{\"c\": 1}\x2a\x33\x0a\x02u1\x12\x24".to_vec();
    expected.extend_from_slice(client.as_bytes());
    expected.extend_from_slice(b"\x1a\x07{\"i\":1}\x48\x01");
    assert_eq!(encode_publication(from_client), expected);
}

#[test]
fn joins_and_leaves_are_written_as_observed() {
    let client = "5f3c1e6e-0000-4000-8000-000000000000";
    let info = ClientInfo {
        client: client.to_owned(),
        ..ClientInfo::default()
    };
    let join = encode_join(&info);
    assert_eq!(join, [b"__j__\x12\x24", client.as_bytes()].concat());
    assert_eq!(parse(&join), Ok(Message::Join(Arc::new(info.clone()))));
    let leave = encode_leave(&info);
    assert_eq!(leave, [b"__l__\x12\x24", client.as_bytes()].concat());
    assert_eq!(parse(&leave), Ok(Message::Leave(Arc::new(info))));
}

#[test]
fn what_a_script_of_the_operator_publishes_is_read() {
    let arrived = read_publication(b"\x22\x07{\"z\":1}");
    assert_eq!(arrived.publication.data, r#"{"z":1}"#);
    assert_eq!(arrived.publication.offset, 0);
    assert_eq!(arrived.epoch, None);
    assert_eq!(arrived.prior, Prior::Unwanted);
    assert_eq!(read_publication(b"\x22\x01z\x40\x01").prior, Prior::Unknown);
    // Fields of later versions are skipped.
    assert_eq!(read_publication(b"\x22\x01z\xba\x3e\x01x").publication.data, "z");
}

#[test]
fn positions_are_read_from_envelopes() {
    let arrived = read_publication(b"__p1:5:abCD__\x22\x01z");
    assert_eq!(arrived.publication.data, "z");
    assert_eq!(arrived.publication.offset, 5);
    assert_eq!(arrived.epoch, Some(Epoch::new("abCD")));
    assert_eq!(arrived.prior, Prior::Unwanted);
    let arrived = read_publication(b"__d1:6:abCD:3:\x22\x01y:3:\x22\x01z");
    assert_eq!(arrived.publication.offset, 6);
    assert_eq!(arrived.epoch, Some(Epoch::new("abCD")));
    // What a difference is from is known by its offset.
    let before = Publication {
        offset: 5,
        ..publication("y")
    };
    assert_eq!(arrived.prior, Prior::Known(Arc::new(before)));
    let arrived = read_publication(b"__d1:1:abCD:0::3:\x22\x01z");
    assert_eq!(arrived.publication.data, "z");
    assert_eq!(arrived.prior, Prior::Unknown);
    // Lengths decide, whatever the bytes look like.
    let arrived = read_publication(b"__d1:1:e:5:\x22\x03:3::6:\x22\x04__:1");
    assert_eq!(arrived.publication.data, "__:1");
    // History in lists sends what the list keeps.
    let arrived = read_publication(b"__d1:6:e:13:__p1:5:e__\x22\x01y:3:\x22\x01z");
    let before = Publication {
        offset: 5,
        ..publication("y")
    };
    assert_eq!(arrived.prior, Prior::Known(Arc::new(before)));
}

#[test]
fn a_position_inside_wins_over_the_envelope() {
    // offset 7, epoch "in", delta, prev_data.
    let arrived = read_publication(b"__p1:5:out__\x22\x01z\x30\x07\x72\x02in\x7a\x01p\x40\x01");
    assert_eq!(arrived.publication.offset, 7);
    assert_eq!(arrived.epoch, Some(Epoch::new("in")));
    assert_eq!(arrived.prior, Prior::Unwanted);
    let arrived = read_publication(b"\x22\x01z\x30\x07\x72\x02in");
    assert_eq!(arrived.publication.offset, 7);
    assert_eq!(arrived.epoch, Some(Epoch::new("in")));
    assert_eq!(read_publication(b"\x22\x01z\x72\x02in").epoch, None);
}

#[test]
fn what_is_no_message_is_told_from_what_is() {
    for bytes in [b"__".as_slice(), b"__x__", b"__1"] {
        assert_eq!(read(bytes), Err(Malformed::Kind), "{bytes:?}");
    }
    for bytes in [
        b"__p".as_slice(),
        b"__p2:1:e__",
        b"__p1:",
        b"__p1:1",
        b"__p1:1:e",
        b"__p1:x:e__",
        b"__p1:+1:e__",
        b"__p1::e__",
        b"__p1:99999999999999999999:e__",
        b"__p1:1:\xff__",
        b"__d1:1:e:0::4:\x22\x01z",
        b"__d1:1:e:0::3:\x22\x01z!",
        b"__d1:1:e:0:!:3:\x22\x01z",
        b"__d1:1:e:9:\x22\x01y:3:\x22\x01z",
        b"__d1:1:e:18446744073709551615::3:",
        b"__j_",
        b"__jx",
        b"__l",
    ] {
        assert_eq!(read(bytes), Err(Malformed::Envelope), "{bytes:?}");
    }
    for bytes in [
        b"{\"n\":1}".as_slice(),
        b"__j__\x12",
        b"__p1:1:e__\x22\x09z",
        b"_",
    ] {
        assert!(matches!(read(bytes), Err(Malformed::Protobuf(_))), "{bytes:?}");
    }
}

#[test]
fn entries_are_read() {
    assert_eq!(entry_offset(b"17-0"), Ok(17));
    assert_eq!(entry_offset(b"x-0"), Err(Malformed::Envelope));
    let entry = stream_entry(17, Bytes::from_static(b"\x22\x01z")).unwrap();
    assert_eq!(entry.offset, 17);
    assert_eq!(entry.data, "z");
    let (entry, epoch) = list_entry(&Bytes::from_static(b"__p1:3:e__\x22\x01z")).unwrap();
    assert_eq!(entry.offset, 3);
    assert_eq!(epoch, Some(Epoch::new("e")));
    assert!(list_entry(&Bytes::from_static(b"\x22\x01z")).is_err());
}

fn any_publication() -> impl Strategy<Value = Publication> {
    let info = proptest::option::of((
        any::<String>(),
        any::<String>(),
        any::<Vec<u8>>(),
        any::<Vec<u8>>(),
    ));
    (
        any::<Vec<u8>>(),
        info,
        any::<BTreeMap<String, String>>(),
        any::<i64>(),
        any::<u64>(),
    )
        .prop_map(|(data, info, tags, time_ms, version)| Publication {
            origin: None,
            data: data.into(),
            info: info.map(|(user, client, conn_info, chan_info)| {
                Arc::new(ClientInfo {
                    user,
                    client,
                    conn_info: conn_info.into(),
                    chan_info: chan_info.into(),
                })
            }),
            offset: 0,
            tags,
            time_ms,
            version,
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        publication in any_publication(),
        before in any_publication(),
        offset in 1_u64..,
        epoch in "[a-zA-Z]{8}",
        delta: bool,
    ) {
        let bare = parse(&encode_bare(publication.clone(), delta));
        let prior = if delta { Prior::Unknown } else { Prior::Unwanted };
        let expected = Arrived { publication: Arc::new(publication.clone()), epoch: None, prior };
        prop_assert_eq!(bare, Ok(Message::Publication(expected)));

        let stored = encode_publication(publication.clone());
        let earlier = encode_publication(before.clone());
        let expected = Publication { offset, ..publication };
        let read = stream_entry(offset, stored.clone());
        prop_assert_eq!(read.as_deref(), Ok(&expected));

        let mut message = format!("__p1:{offset}:{epoch}__").into_bytes();
        message.extend_from_slice(&stored);
        let position = Arrived {
            publication: Arc::new(expected),
            epoch: Some(Epoch::new(&epoch)),
            prior: Prior::Unwanted,
        };
        prop_assert_eq!(parse(&message.into()), Ok(Message::Publication(position.clone())));

        let mut message = format!("__d1:{offset}:{epoch}:{}:", earlier.len()).into_bytes();
        message.extend_from_slice(&earlier);
        message.extend_from_slice(format!(":{}:", stored.len()).as_bytes());
        message.extend_from_slice(&stored);
        let prior = if earlier.is_empty() { Prior::Unknown } else { Prior::Known(Arc::new(Publication { offset: offset - 1, ..before })) };
        let expected = Arrived { prior, ..position };
        prop_assert_eq!(parse(&message.into()), Ok(Message::Publication(expected)));
    }

    #[test]
    fn nothing_that_arrives_is_a_panic(kind in "(__[pdjl](1:)?)?", bytes: Vec<u8>) {
        let _ = parse(&[kind.as_bytes(), &bytes].concat().into());
    }
}

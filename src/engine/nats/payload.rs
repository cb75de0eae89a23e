//! What is sent to the subjects of channels: a `Push` of the client protocol, in Protobuf (engines.md 11).
//!
//! Any process may publish to a subject, so nothing is taken for granted on the way in: what cannot be read is
//! dropped by its reader.

use std::sync::Arc;

use bytes::Bytes;
use prost::{DecodeError, Message as _};

use crate::engine::messages::{info_of, message_of, publication_of};
use crate::engine::{ClientInfo, Publication};
use crate::protocol::{client_info_message, message};

/// A message as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A publication.
    Publication(Arrived),
    /// A client joined the channel.
    Join(String, Arc<ClientInfo>),
    /// A client left the channel.
    Leave(String, Arc<ClientInfo>),
    /// None of these: a mark of JetStream ([`super::record`]), or what later versions send.
    Other,
}

/// A publication and what its message said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The publication, without an offset.
    pub publication: Publication,
    /// Its publisher asked for differences.
    pub delta: bool,
}

/// Reads a message.
///
/// # Errors
/// [`DecodeError`] for what is none.
pub fn parse(bytes: Bytes) -> Result<Message, DecodeError> {
    let push = message::Push::decode(bytes)?;
    let info = |info: Option<message::ClientInfo>| Arc::new(info_of(info.unwrap_or_default()));
    Ok(match (push.r#pub, push.join, push.leave) {
        (Some(message), _, _) => Message::Publication(Arrived {
            delta: message.delta,
            publication: publication_of(message, 0),
        }),
        (None, Some(join), _) => Message::Join(push.channel, info(join.info)),
        (None, None, Some(leave)) => Message::Leave(push.channel, info(leave.info)),
        (None, None, None) => Message::Other,
    })
}

/// A publication; `delta` if its publisher asked for differences.
#[must_use]
pub fn encode_publication(channel: &str, publication: Publication, delta: bool) -> Bytes {
    encode(channel, |push| push.r#pub = Some(message_of(publication, delta)))
}

/// The message that a client joined.
#[must_use]
pub fn encode_join(channel: &str, info: &ClientInfo) -> Bytes {
    let info = Some(client_info_message(info));
    encode(channel, |push| push.join = Some(message::Join { info }))
}

/// The message that a client left.
#[must_use]
pub fn encode_leave(channel: &str, info: &ClientInfo) -> Bytes {
    let info = Some(client_info_message(info));
    encode(channel, |push| push.leave = Some(message::Leave { info }))
}

/// A message that is [`Message::Other`] to its readers.
#[must_use]
pub fn encode_mark(channel: &str) -> Bytes {
    encode(channel, |_| ())
}

fn encode(channel: &str, body: impl FnOnce(&mut message::Push)) -> Bytes {
    let mut push = message::Push {
        channel: channel.to_owned(),
        ..message::Push::default()
    };
    body(&mut push);
    push.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_those_that_were_observed() {
        // engines.md 11; the time is 1.
        let publication = Publication {
            data: Bytes::from_static(b"{\"n\":1}"),
            tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            time_ms: 1,
            ..Publication::default()
        };
        let delta = b"\x12\x06news.a\x22\x15\x22\x07{\"n\":1}\x3a\x06\x0a\x01a\x12\x01b\x40\x01\x48\x01";
        assert_eq!(
            encode_publication("news.a", publication.clone(), true),
            &delta[..]
        );
        let plain = b"\x12\x06news.a\x22\x13\x22\x07{\"n\":1}\x3a\x06\x0a\x01a\x12\x01b\x48\x01";
        assert_eq!(encode_publication("news.a", publication, false), &plain[..]);
        let info = ClientInfo {
            client: "0123456789abcdef0123456789abcdef0123".to_owned(),
            ..ClientInfo::default()
        };
        let join = b"\x12\x06news.a\x2a\x28\x0a\x26\x12\x240123456789abcdef0123456789abcdef0123";
        assert_eq!(encode_join("news.a", &info), &join[..]);
        let mut leave = join.to_vec();
        leave[8] = 0x32;
        assert_eq!(encode_leave("news.a", &info), leave);
        assert_eq!(parse(encode_mark("news.a")), Ok(Message::Other));
        assert!(parse(Bytes::from_static(b"\x22\x09{}")).is_err());
    }

    proptest! {
        #[test]
        fn messages_survive(
            channel: String,
            data: Vec<u8>,
            client in proptest::option::of(any::<String>()),
            tags: BTreeMap<String, String>,
            time_ms: i64,
            version: u64,
            delta: bool,
        ) {
            let info = client.map(|client| Arc::new(ClientInfo { client, ..ClientInfo::default() }));
            let publication = Publication {
                data: data.into(), info: info.clone(), tags, time_ms, version, ..Publication::default()
            };
            let encoded = encode_publication(&channel, publication.clone(), delta);
            prop_assert_eq!(parse(encoded), Ok(Message::Publication(Arrived { publication, delta })));
            let info = info.unwrap_or_default();
            prop_assert_eq!(parse(encode_join(&channel, &info)), Ok(Message::Join(channel.clone(), info.clone())));
            prop_assert_eq!(parse(encode_leave(&channel, &info)), Ok(Message::Leave(channel, info)));
        }
    }
}

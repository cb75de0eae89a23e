//! Publications as clients get them: from what an engine delivers to the bytes of a push, with nothing between.
//!
//! Every message to a client could be built as a [`Reply`](super::message::Reply) and encoded by
//! [`encode_reply`](super::encode_reply), and all but this one are. A publication is what most of the bytes of a
//! server are; building the messages around it copied its channel, its tags and what is told of the publisher, to
//! drop them a moment later. The bytes are the same, which a test holds against the messages.

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tidegate_transports::{Encoding, Frame};

use super::EncodeError;
use super::encode::Encoder;
use crate::engine::{ClientInfo, Publication};

/// How a push names its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// By its name.
    Name(&'a str),
    /// By the number that the reply to the subscribe command told (channel compaction). Never 0.
    Number(u32),
}

impl<'a> Address<'a> {
    /// By number, or by name where that is 0.
    #[must_use]
    pub fn of(name: &'a str, number: u32) -> Self {
        match number {
            0 => Self::Name(name),
            number => Self::Number(number),
        }
    }

    /// `Push.channel`.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Name(name) => name,
            Self::Number(_) => "",
        }
    }

    /// `Push.id`.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Name(_) => 0,
            Self::Number(number) => number.into(),
        }
    }
}

/// Encodes the push of a publication, without its time, and with an epoch only where one is given.
///
/// # Errors
/// [`EncodeError`] if the encoding is JSON and some payload is not.
pub fn encode_publication(
    address: Address<'_>,
    publication: &Publication,
    epoch: Option<&str>,
    encoding: Encoding,
) -> Result<Frame, EncodeError> {
    let payload = match encoding {
        Encoding::Json => Encoder::encode(json_size(address.name(), publication), |e| {
            e.publication_push(address, publication, epoch.unwrap_or_default());
        })?,
        Encoding::Protobuf => protobuf(address, publication, epoch.unwrap_or_default()),
    };
    Ok(Frame::new(Bytes::from(payload)))
}

/// Room for the push, unless much of it must be escaped.
fn json_size(channel: &str, publication: &Publication) -> usize {
    let info = publication.info.as_ref().map_or(0, |info| {
        64 + info.user.len() + info.client.len() + info.conn_info.len() + info.chan_info.len()
    });
    let tags: usize = publication
        .tags
        .iter()
        .map(|(key, value)| 6 + key.len() + value.len())
        .sum();
    96 + channel.len() + publication.data.len() + info + tags
}

/// Numbers of the fields (`proto/client.proto`).
mod tag {
    pub(super) const REPLY_PUSH: u32 = 4;
    pub(super) const PUSH_ID: u32 = 1;
    pub(super) const PUSH_CHANNEL: u32 = 2;
    pub(super) const PUSH_PUB: u32 = 4;
    pub(super) const PUB_DATA: u32 = 4;
    pub(super) const PUB_INFO: u32 = 5;
    pub(super) const PUB_OFFSET: u32 = 6;
    pub(super) const PUB_TAGS: u32 = 7;
    pub(super) const PUB_CHANNEL: u32 = 10;
    pub(super) const PUB_EPOCH: u32 = 14;
    pub(super) const PUB_VERSION: u32 = 16;
    pub(super) const INFO_USER: u32 = 1;
    pub(super) const INFO_CLIENT: u32 = 2;
    pub(super) const INFO_CONN_INFO: u32 = 3;
    pub(super) const INFO_CHAN_INFO: u32 = 4;
    pub(super) const MAP_KEY: u32 = 1;
    pub(super) const MAP_VALUE: u32 = 2;
}

fn protobuf(address: Address<'_>, publication: &Publication, epoch: &str) -> Vec<u8> {
    let Publication {
        data,
        info,
        offset,
        tags,
        time_ms: _,
        version,
        origin: _,
    } = publication;
    let origin = publication.origin().as_bytes();
    let info = info.as_deref().map(|info| (info, info_length(info)));
    let pub_length = bytes_length(tag::PUB_DATA, data)
        + info.map_or(0, |(_, length)| message_length(tag::PUB_INFO, length))
        + number_length(tag::PUB_OFFSET, *offset)
        + tags
            .iter()
            .map(|(key, value)| message_length(tag::PUB_TAGS, entry_length(key, value)))
            .sum::<usize>()
        + bytes_length(tag::PUB_CHANNEL, origin)
        + bytes_length(tag::PUB_EPOCH, epoch.as_bytes())
        + number_length(tag::PUB_VERSION, *version);
    let push_length = number_length(tag::PUSH_ID, address.number())
        + bytes_length(tag::PUSH_CHANNEL, address.name().as_bytes())
        + message_length(tag::PUSH_PUB, pub_length);

    let mut out = Vec::with_capacity(message_length(tag::REPLY_PUSH, push_length));
    open(&mut out, tag::REPLY_PUSH, push_length);
    put_number(&mut out, tag::PUSH_ID, address.number());
    put_bytes(&mut out, tag::PUSH_CHANNEL, address.name().as_bytes());
    open(&mut out, tag::PUSH_PUB, pub_length);
    put_bytes(&mut out, tag::PUB_DATA, data);
    if let Some((info, length)) = info {
        open(&mut out, tag::PUB_INFO, length);
        put_bytes(&mut out, tag::INFO_USER, info.user.as_bytes());
        put_bytes(&mut out, tag::INFO_CLIENT, info.client.as_bytes());
        put_bytes(&mut out, tag::INFO_CONN_INFO, &info.conn_info);
        put_bytes(&mut out, tag::INFO_CHAN_INFO, &info.chan_info);
    }
    put_number(&mut out, tag::PUB_OFFSET, *offset);
    for (key, value) in tags {
        open(&mut out, tag::PUB_TAGS, entry_length(key, value));
        put_bytes(&mut out, tag::MAP_KEY, key.as_bytes());
        put_bytes(&mut out, tag::MAP_VALUE, value.as_bytes());
    }
    put_bytes(&mut out, tag::PUB_CHANNEL, origin);
    put_bytes(&mut out, tag::PUB_EPOCH, epoch.as_bytes());
    put_number(&mut out, tag::PUB_VERSION, *version);
    out
}

fn info_length(info: &ClientInfo) -> usize {
    bytes_length(tag::INFO_USER, info.user.as_bytes())
        + bytes_length(tag::INFO_CLIENT, info.client.as_bytes())
        + bytes_length(tag::INFO_CONN_INFO, &info.conn_info)
        + bytes_length(tag::INFO_CHAN_INFO, &info.chan_info)
}

fn entry_length(key: &str, value: &str) -> usize {
    bytes_length(tag::MAP_KEY, key.as_bytes()) + bytes_length(tag::MAP_VALUE, value.as_bytes())
}

/// A message as a field: written also when it is empty.
fn message_length(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

/// A string or bytes: left out when empty.
fn bytes_length(tag: u32, value: &[u8]) -> usize {
    if value.is_empty() {
        0
    } else {
        message_length(tag, value.len())
    }
}

/// A number: left out when 0.
fn number_length(tag: u32, value: u64) -> usize {
    if value == 0 {
        0
    } else {
        key_len(tag) + encoded_len_varint(value)
    }
}

/// Begins a field of that many bytes.
fn open(out: &mut Vec<u8>, tag: u32, length: usize) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

fn put_bytes(out: &mut Vec<u8>, tag: u32, value: &[u8]) {
    if !value.is_empty() {
        open(out, tag, value.len());
        out.extend_from_slice(value);
    }
}

fn put_number(out: &mut Vec<u8>, tag: u32, value: u64) {
    if value != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(value, out);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::Origin;
    use crate::protocol::{encode_reply, message, publication_message};

    /// The same push by way of the messages.
    fn by_messages(
        address: Address<'_>,
        publication: &Publication,
        epoch: Option<&str>,
        encoding: Encoding,
    ) -> Result<Frame, EncodeError> {
        let body = message::Publication {
            epoch: epoch.unwrap_or_default().to_owned(),
            ..publication_message(publication)
        };
        let push = message::Push {
            id: address.number().cast_signed(),
            channel: address.name().to_owned(),
            r#pub: Some(body),
            ..message::Push::default()
        };
        let reply = message::Reply {
            push: Some(push),
            ..message::Reply::default()
        };
        encode_reply(&reply, encoding)
    }

    /// Mostly JSON, sometimes nothing, sometimes noise.
    fn payload() -> impl Strategy<Value = Bytes> {
        prop_oneof![
            Just(Bytes::new()),
            ".*".prop_map(|text| Bytes::from(serde_json::to_vec_pretty(&[text]).expect("JSON"))),
            any::<i64>().prop_map(|number| Bytes::from(number.to_string())),
            any::<Vec<u8>>().prop_map(Bytes::from),
        ]
    }

    fn info() -> impl Strategy<Value = ClientInfo> {
        (any::<String>(), any::<String>(), payload(), payload()).prop_map(
            |(user, client, conn_info, chan_info)| ClientInfo {
                user,
                client,
                conn_info,
                chan_info,
            },
        )
    }

    prop_compose! {
        fn publication()(
            data in payload(),
            info in proptest::option::of(info()),
            offset in prop_oneof![Just(0), any::<u64>()],
            tags: BTreeMap<String, String>,
            time_ms: i64,
            version in prop_oneof![Just(0), any::<u64>()],
            origin in proptest::option::of(any::<String>()),
        ) -> Publication {
            let origin = origin.map(|channel| Box::new(Origin { channel }));
            Publication { data, info: info.map(Arc::new), offset, tags, time_ms, version, origin }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_the_messages(
            channel: String,
            number in 1..=u32::MAX,
            publication in publication(),
            epoch in proptest::option::of(any::<String>()),
        ) {
            for encoding in [Encoding::Json, Encoding::Protobuf] {
                for address in [Address::Name(&channel), Address::Number(number)] {
                    prop_assert_eq!(
                        encode_publication(address, &publication, epoch.as_deref(), encoding),
                        by_messages(address, &publication, epoch.as_deref(), encoding)
                    );
                }
            }
        }
    }
}

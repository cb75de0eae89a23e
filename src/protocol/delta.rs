//! Publications as subscribers with deltas get them (history-and-recovery.md 8).
//!
//! In Protobuf the payload is the text of the publication or of the patch. In JSON it is a *string* that holds the
//! one or the other, for every publication of such a subscription: the client's base is the text, of which parsed
//! JSON says nothing.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tidegate_transports::{Encoding, Frame};

use super::json::JsonWriter;
use super::{Address, EncodeError, encode_reply, message, publication_message};
use crate::delta;
use crate::engine::Publication;

/// A difference that is shorter than the publication itself.
#[derive(Debug)]
pub struct Patch {
    bytes: Bytes,
    is_text: bool,
}

impl Patch {
    /// From one publication to another, if that saves anything.
    #[must_use]
    pub fn between(base: &Publication, publication: &Publication) -> Option<Self> {
        let bytes = delta::diff(&base.data, &publication.data)?;
        // What is not UTF-8 does not survive a JSON string, be it the patch or the base that the client has.
        let is_text = std::str::from_utf8(&bytes).is_ok() && std::str::from_utf8(&base.data).is_ok();
        Some(Self {
            bytes: bytes.into(),
            is_text,
        })
    }

    /// Whether the patch can be sent in an encoding. If not, the publication is sent whole.
    #[must_use]
    pub fn suits(&self, encoding: Encoding) -> bool {
        self.is_text || encoding == Encoding::Protobuf
    }
}

/// Encodes the push of a publication for a subscriber with deltas. A patch must suit the encoding.
///
/// # Errors
/// [`EncodeError`] if the encoding is JSON and some payload is not.
pub fn encode_delta(
    address: Address<'_>,
    publication: &Publication,
    patch: Option<&Patch>,
    encoding: Encoding,
) -> Result<Frame, EncodeError> {
    let push = message::Push {
        id: address.number().cast_signed(),
        channel: address.name().to_owned(),
        r#pub: Some(delta_message(publication, patch, encoding)),
        ..message::Push::default()
    };
    let reply = message::Reply {
        push: Some(push),
        ..message::Reply::default()
    };
    encode_reply(&reply, encoding)
}

/// Recovered publications for a subscriber with deltas: the first whole, the others as the differences from those
/// before them.
#[must_use]
pub fn delta_messages(publications: &[Arc<Publication>], encoding: Encoding) -> Vec<message::Publication> {
    let bases = std::iter::once(None).chain(publications.iter().map(Some));
    publications
        .iter()
        .zip(bases)
        .map(|(publication, base)| {
            let patch = base
                .and_then(|base| Patch::between(base, publication))
                .filter(|patch| patch.suits(encoding));
            delta_message(publication, patch.as_ref(), encoding)
        })
        .collect()
}

fn delta_message(
    publication: &Publication,
    patch: Option<&Patch>,
    encoding: Encoding,
) -> message::Publication {
    let mut message = publication_message(publication);
    if patch.is_some() || encoding == Encoding::Json {
        message.version = 0;
    }
    let is_encodable = encoding == Encoding::Protobuf
        || publication.data.is_empty()
        || serde_json::from_slice::<IgnoredAny>(&publication.data).is_ok();
    if !is_encodable {
        // Left as it is, so that it is refused as it is for subscribers without deltas.
        return message;
    }
    if let Some(patch) = patch {
        message.data = patch.bytes.clone();
        message.delta = true;
    }
    if encoding == Encoding::Json {
        message.data = string(&message.data);
    }
    message
}

fn string(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 2);
    JsonWriter::new(&mut out).str(&String::from_utf8_lossy(text));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(data: &[u8]) -> Arc<Publication> {
        Arc::new(Publication {
            data: Bytes::copy_from_slice(data),
            offset: 1,
            version: 5,
            ..Publication::default()
        })
    }

    fn json(base: Option<&[u8]>, data: &[u8]) -> Result<String, EncodeError> {
        let publication = publication(data);
        let patch = base.and_then(|base| Patch::between(&self::publication(base), &publication));
        let patch = patch.filter(|patch| patch.suits(Encoding::Json));
        let frame = encode_delta(Address::Name("d"), &publication, patch.as_ref(), Encoding::Json)?;
        Ok(String::from_utf8_lossy(frame.payload()).into_owned())
    }

    #[test]
    fn in_json_everything_is_a_string() {
        for (base, data, expected) in [
            (None, &b"{\"n\":1}"[..], r#""{\"n\":1}","offset":1"#),
            (Some(&b"{\"n\":1}"[..]), b"{\"n\":2}", r#""{\"n\":2}","offset":1"#),
            (
                None,
                b"{\n\"n\": \"<\xc3\xa9\"}",
                "\"{\\n\\\"n\\\": \\\"\\u003cé\\\"}\",\"offset\":1",
            ),
            (None, b"", r#""","offset":1"#),
            (
                Some(b"{\"text\":\"the same for both\",\"n\":1}"),
                b"{\"text\":\"the same for both\",\"n\":2}",
                r#""Y\nW@0,2:2}3N4brq;","offset":1,"delta":true"#,
            ),
            // A base that is no text: the client does not have it as it was.
            (
                Some(b"{\"text\":\"the same for both\",\"n\":1,\"\xff\":0}"),
                b"{\"text\":\"the same for both\",\"n\":2}",
                r#""{\"text\":\"the same for both\",\"n\":2}","offset":1"#,
            ),
        ] {
            let expected = format!(r#"{{"push":{{"channel":"d","pub":{{"data":{expected}}}}}}}"#);
            assert_eq!(json(base, data), Ok(expected));
        }
        assert_eq!(json(None, b"no json"), Err(EncodeError));
        assert_eq!(
            json(
                Some(b"no json at all, which is long"),
                b"no json at all, which is lung"
            ),
            Err(EncodeError)
        );
    }

    #[test]
    fn recovered_lists_are_chains() {
        let versions = [
            &b"{\"text\":\"the same for all\",\"n\":1}"[..],
            b"{\"text\":\"the same for all\",\"n\":2}",
            b"3",
        ];
        let publications = versions.map(publication);
        let messages = delta_messages(&publications, Encoding::Protobuf);
        assert_eq!(
            (&messages[0].data[..], messages[0].delta, messages[0].version),
            (versions[0], false, 5)
        );
        assert_eq!((messages[1].delta, messages[1].version), (true, 0));
        assert_eq!(
            delta::apply(versions[0], &messages[1].data, 100).as_deref(),
            Ok(versions[1])
        );
        assert_eq!(
            (&messages[2].data[..], messages[2].delta),
            (versions[2], false),
            "shorter"
        );
    }
}

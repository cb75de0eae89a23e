//! Emulation requests (protocol.md 5.4): commands of clients whose transport only carries replies, with the name
//! of the session they belong to.

use bytes::Bytes;
use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_transports::Encoding;

use super::message::EmulationRequest;

/// Reads the body of an emulation request; `None` if it is none, which is answered with 400. Its `data` is as it was
/// posted: nodes pass it on like that, see [`emulated_commands`].
#[must_use]
pub fn decode_emulation(encoding: Encoding, body: Bytes) -> Option<EmulationRequest> {
    match encoding {
        Encoding::Protobuf => EmulationRequest::decode(body).ok(),
        Encoding::Json => {
            let request: JsonRequest<'_> = serde_json::from_slice(&body).ok()?;
            let data = request
                .data
                .map_or_else(Bytes::new, |data| body.slice_ref(data.get().as_bytes()));
            Some(EmulationRequest {
                node: request.node.unwrap_or_default(),
                session: request.session.unwrap_or_default(),
                data,
            })
        }
    }
}

/// The commands in the `data` of an emulation request.
///
/// In JSON `data` is a string of newline-delimited commands. Anything else in its place holds no commands, which
/// the session finds out: an empty batch is malformed.
#[must_use]
pub fn emulated_commands(encoding: Encoding, posted: Bytes) -> Bytes {
    match encoding {
        Encoding::Protobuf => posted,
        Encoding::Json => serde_json::from_slice::<String>(&posted)
            .unwrap_or_default()
            .into(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonRequest<'a> {
    session: Option<String>,
    node: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &'static str) -> Option<(String, String, Bytes)> {
        decode_emulation(Encoding::Json, Bytes::from_static(body.as_bytes())).map(|request| {
            let commands = emulated_commands(Encoding::Json, request.data);
            (request.session, request.node, commands)
        })
    }

    #[test]
    fn commands_come_as_a_string() {
        let read = |session: &str, node: &str, data: &'static str| {
            Some((
                session.to_owned(),
                node.to_owned(),
                Bytes::from_static(data.as_bytes()),
            ))
        };
        assert_eq!(
            json(r#"{"session":"s","node":"n","data":"{\"id\":2}\n{}","more":1}"#),
            read("s", "n", "{\"id\":2}\n{}")
        );
        // An object could be mistaken for a command.
        for data in [r#"{"id":2,"rpc":{}}"#, "5", "null", "[]"] {
            let body = format!(r#"{{"session":"s","data":{data}}}"#);
            assert_eq!(json(body.leak()), read("s", "", ""));
        }
        assert_eq!(json("{}"), read("", "", ""));
        for bad in ["", "[", "5", r#"{"session":5}"#, r#"{"data":"}"#] {
            assert_eq!(json(bad), None, "{bad}");
        }
    }

    #[test]
    fn protobuf_is_a_message() {
        let request = EmulationRequest {
            node: "n".to_owned(),
            session: "s".to_owned(),
            data: Bytes::from_static(b"\x00\x02\x08\x01"),
        };
        let body = Bytes::from(request.encode_to_vec());
        assert_eq!(decode_emulation(Encoding::Protobuf, body), Some(request));
        assert_eq!(
            decode_emulation(Encoding::Protobuf, Bytes::from_static(b"\x0a\x05")),
            None
        );
    }
}

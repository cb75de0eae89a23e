//! Control messages as bytes.

use bytes::Bytes;
use prost::Message;

use super::message::{
    Command, Disconnect, Node, Notification, Refresh, Shutdown, Subscribe, SurveyRequest, SurveyResponse,
    Unsubscribe,
};

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// Who the sender is and what it holds.
    Node(Node),
    /// End subscriptions.
    Unsubscribe(Unsubscribe),
    /// Close connections.
    Disconnect(Disconnect),
    /// The sender leaves.
    Shutdown,
    /// A question to one or all.
    SurveyRequest(SurveyRequest),
    /// An answer to a question of ours.
    SurveyResponse(SurveyResponse),
    /// Subscribe connections.
    Subscribe(Subscribe),
    /// Something that nobody answers.
    Notification(Notification),
    /// Move the expiry of connections.
    Refresh(Refresh),
}

/// The bytes are no control message that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They are no message at all, or have no sender.
    #[error("malformed control message")]
    Bytes,
    /// A message of a kind that is not known: from a newer node, perhaps.
    #[error("control message of an unknown kind")]
    Kind,
}

/// The bytes of a message.
#[must_use]
pub fn encode(sender: &str, control: Control) -> Bytes {
    let mut command = Command {
        uid: sender.to_owned(),
        ..Command::default()
    };
    match control {
        Control::Node(body) => command.node = Some(body),
        Control::Unsubscribe(body) => command.unsubscribe = Some(body),
        Control::Disconnect(body) => command.disconnect = Some(body),
        Control::Shutdown => command.shutdown = Some(Shutdown {}),
        Control::SurveyRequest(body) => command.survey_request = Some(body),
        Control::SurveyResponse(body) => command.survey_response = Some(body),
        Control::Subscribe(body) => command.subscribe = Some(body),
        Control::Notification(body) => command.notification = Some(body),
        Control::Refresh(body) => command.refresh = Some(body),
    }
    command.encode_to_vec().into()
}

/// Sender and content of a message.
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn decode(bytes: Bytes) -> Result<(String, Control), Malformed> {
    let command = Command::decode(bytes).map_err(|_| Malformed::Bytes)?;
    if command.uid.is_empty() {
        return Err(Malformed::Bytes);
    }
    let control = command
        .node
        .map(Control::Node)
        .or(command.unsubscribe.map(Control::Unsubscribe))
        .or(command.disconnect.map(Control::Disconnect))
        .or(command.shutdown.map(|_| Control::Shutdown))
        .or(command.survey_request.map(Control::SurveyRequest))
        .or(command.survey_response.map(Control::SurveyResponse))
        .or(command.subscribe.map(Control::Subscribe))
        .or(command.notification.map(Control::Notification))
        .or(command.refresh.map(Control::Refresh))
        .ok_or(Malformed::Kind)?;
    Ok((command.uid, control))
}

#[cfg(test)]
mod tests {
    use super::super::message::StreamPosition;
    use super::*;

    const UID: &str = "6ed1cd1b-5ba6-4dfa-8ac8-6e0e5d6bd6ab";

    /// The bytes after the sender.
    fn body(control: Control) -> Vec<u8> {
        let bytes = encode(UID, control.clone());
        assert_eq!(decode(bytes.clone()), Ok((UID.to_owned(), control)));
        assert_eq!(bytes[..2], [0x0a, 0x24]);
        assert_eq!(&bytes[2..38], UID.as_bytes());
        bytes[38..].to_vec()
    }

    /// Strings in between bytes, as the specification prints what it has observed.
    fn observed(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn messages_are_those_that_were_observed() {
        let disconnect = Disconnect {
            user: "u1".to_owned(),
            whitelist: vec!["a".to_owned()],
            code: 3503,
            reason: "force disconnect".to_owned(),
            ..Disconnect::default()
        };
        assert_eq!(
            body(Control::Disconnect(disconnect)),
            observed(&[b"\x32\x1c\x0a\x02u1\x12\x01a\x18\xaf\x1b\x22\x10force disconnect"])
        );
        let unsubscribe = Unsubscribe {
            channel: "hist:a".to_owned(),
            user: "u1".to_owned(),
            code: 2000,
            reason: "server unsubscribe".to_owned(),
            ..Unsubscribe::default()
        };
        assert_eq!(
            body(Control::Unsubscribe(unsubscribe)),
            observed(&[b"\x2a\x23\x0a\x06hist:a\x12\x02u1\x28\xd0\x0f\x32\x12server unsubscribe"])
        );
        let subscribe = Subscribe {
            user: "u1".to_owned(),
            channel: "hist:a".to_owned(),
            emit_presence: true,
            emit_join_leave: true,
            recover: true,
            recover_since: Some(StreamPosition {
                offset: 3,
                epoch: "x".to_owned(),
            }),
            push_join_leave: true,
            source: 10,
            ..Subscribe::default()
        };
        assert_eq!(
            body(Control::Subscribe(subscribe)),
            observed(&[
                b"\x52\x1d\x0a\x02u1\x12\x06hist:a\x18\x01\x20\x01\x38\x01\x5a\x05\x08\x03\x12\x01x\x68\x01\x70\x0a"
            ])
        );
        let survey = SurveyRequest {
            id: 1,
            op: "channels".to_owned(),
            ..SurveyRequest::default()
        };
        assert_eq!(
            body(Control::SurveyRequest(survey)),
            observed(&[b"\x42\x0c\x08\x01\x12\x08channels"])
        );
        let answer = SurveyResponse {
            id: 1,
            ..SurveyResponse::default()
        };
        assert_eq!(body(Control::SurveyResponse(answer)), b"\x4a\x02\x08\x01");
        assert_eq!(body(Control::Shutdown), b"\x3a\x00");
    }

    #[test]
    fn what_is_not_known_is_told_apart_from_what_is_broken() {
        let of = |bytes: &'static [u8]| decode(Bytes::from_static(bytes));
        assert_eq!(of(b""), Err(Malformed::Bytes));
        assert_eq!(of(b"\x3a\x00"), Err(Malformed::Bytes), "no sender");
        assert_eq!(of(b"\x0a\x01a"), Err(Malformed::Kind));
        assert_eq!(
            of(b"\x0a\x01a\xfa\x01\x00"),
            Err(Malformed::Kind),
            "a kind of the future"
        );
        assert_eq!(of(b"\x0a\x01a\x3a\x05"), Err(Malformed::Bytes));
        assert_eq!(
            of(b"\x0a\x01a\x3a\x02\x08\x01\xfa\x01\x00"),
            Ok(("a".to_owned(), Control::Shutdown)),
            "fields of the future are skipped"
        );
    }
}

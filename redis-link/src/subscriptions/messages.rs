//! What a connection with subscriptions is sent.

use bytes::Bytes;
use redis::{PushKind, Value};

use crate::error::LinkError;
use crate::values::{bytes, text};

/// What comes in.
#[derive(Debug)]
pub(super) enum Received {
    /// Of a channel.
    Message(Bytes, Bytes),
    Subscribed(Bytes),
    Unsubscribed(Bytes),
    /// The answer to a question of our own.
    Text(String),
    /// The answer to a ping.
    Pong,
    /// An error in the place of an answer.
    Refused(LinkError),
    Other,
}

impl Received {
    /// # Errors
    /// [`LinkError::Unexpected`], which leaves nothing to be read on.
    pub(super) fn of(value: Value) -> Result<Self, LinkError> {
        match value {
            Value::ServerError(error) => Ok(Self::Refused(LinkError::server(&error))),
            Value::Push { kind, data } => {
                let mut data = data.into_iter();
                match kind {
                    PushKind::Message | PushKind::SMessage => message(&mut data),
                    PushKind::Subscribe | PushKind::SSubscribe => Ok(Self::Subscribed(part(&mut data)?)),
                    PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                        Ok(Self::Unsubscribed(part(&mut data)?))
                    }
                    _ => Ok(Self::Other),
                }
            }
            // RESP2 has no type of its own for messages.
            Value::Array(parts) => {
                let mut parts = parts.into_iter();
                match &part(&mut parts)?[..] {
                    b"message" | b"smessage" => message(&mut parts),
                    b"subscribe" | b"ssubscribe" => Ok(Self::Subscribed(part(&mut parts)?)),
                    b"unsubscribe" | b"sunsubscribe" => Ok(Self::Unsubscribed(part(&mut parts)?)),
                    b"pong" => Ok(Self::Pong),
                    _ => Ok(Self::Other),
                }
            }
            Value::SimpleString(_) => Ok(Self::Pong),
            value @ (Value::BulkString(_) | Value::VerbatimString { .. }) => Ok(Self::Text(text(value)?)),
            _ => Ok(Self::Other),
        }
    }
}

fn message(parts: &mut impl Iterator<Item = Value>) -> Result<Received, LinkError> {
    Ok(Received::Message(part(parts)?, part(parts)?))
}

fn part(parts: &mut impl Iterator<Item = Value>) -> Result<Bytes, LinkError> {
    let missing = || LinkError::Unexpected("a message without its parts".to_owned());
    bytes(parts.next().ok_or_else(missing)?)
}

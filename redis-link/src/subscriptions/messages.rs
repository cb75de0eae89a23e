//! What a connection with subscriptions sends and is sent.

use bytes::Bytes;
use redis::{PushKind, Value};

use super::Kind;
use crate::error::LinkError;
use crate::values::{bytes, checked, text};

/// Channels in one command.
pub(super) const BATCH: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Change {
    Subscribe(Bytes),
    Unsubscribe(Bytes),
}

/// Appends commands for changes. Neighbouring ones of one kind become one command.
pub(super) fn pack(changes: &[Change], kind: Kind, out: &mut Vec<u8>) {
    let is_subscribe = |change: &Change| matches!(change, Change::Subscribe(_));
    for alike in changes.chunk_by(|one, next| is_subscribe(one) == is_subscribe(next)) {
        for batch in alike.chunks(BATCH) {
            let name = match batch.first() {
                Some(Change::Subscribe(_)) => kind.subscribe(),
                _ => kind.unsubscribe(),
            };
            let mut command = redis::cmd(name);
            for Change::Subscribe(channel) | Change::Unsubscribe(channel) in batch {
                command.arg(&channel[..]);
            }
            command.write_packed_command(out);
        }
    }
}

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
    Other,
}

impl Received {
    /// # Errors
    /// An error that the server sent, or [`LinkError::Unexpected`]; both leave nothing to be read on.
    pub(super) fn of(value: Value) -> Result<Self, LinkError> {
        match checked(value)? {
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
                    _ => Ok(Self::Other),
                }
            }
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

//! What is stored in Redis and sent over its channels (engines.md 5).
//!
//! Bytes are those of Centrifugo in both directions. Any process may publish to a channel, so nothing is taken for
//! granted on the way in: what cannot be read is a [`Malformed`] message, and its reader drops it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use crate::engine::messages::{info_of, message_of, publication_of};
use crate::engine::{ClientInfo, Epoch, Previous, Publication};
use crate::protocol::{client_info_message, message};

/// A message as it arrived on the channel of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A publication.
    Publication(Arrived),
    /// A client joined.
    Join(Arc<ClientInfo>),
    /// A client left.
    Leave(Arc<ClientInfo>),
}

/// A publication and what its message said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The publication with its offset, 0 without history.
    pub publication: Arc<Publication>,
    /// Epoch of the offset.
    pub epoch: Option<Epoch>,
    /// What it may be sent as the difference from.
    pub prior: Prior,
}

/// [`Previous`], owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Prior {
    /// Its publisher did not ask for a difference.
    #[default]
    Unwanted,
    /// Its publisher asked, and nothing came before.
    Unknown,
    /// The publication before it.
    Known(Arc<Publication>),
}

impl Prior {
    /// The same, borrowed.
    #[must_use]
    pub fn as_previous(&self) -> Previous<'_> {
        match self {
            Self::Unwanted => Previous::Unwanted,
            Self::Unknown => Previous::Unknown,
            Self::Known(publication) => Previous::Known(publication),
        }
    }
}

/// Bytes that are no message. Whoever published them is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An envelope that nobody knows.
    #[error("unknown kind of message")]
    Kind,
    /// An envelope that ends early, or whose numbers are none.
    #[error("malformed envelope")]
    Envelope,
    /// Not a message of the schema.
    #[error("malformed protobuf: {0}")]
    Protobuf(#[from] prost::DecodeError),
}

/// Reads a message from the channel of clients.
///
/// # Errors
/// [`Malformed`] for what is none.
pub fn parse(bytes: &Bytes) -> Result<Message, Malformed> {
    let Some(kind) = bytes.strip_prefix(b"__").map(|rest| rest.first()) else {
        return bare(bytes.clone()).map(Message::Publication);
    };
    match kind {
        Some(b'p') => with_position(bytes).map(Message::Publication),
        Some(b'd') => with_previous(bytes).map(Message::Publication),
        Some(b'j') => client_info(envelope(bytes, JOIN)?).map(Message::Join),
        Some(b'l') => client_info(envelope(bytes, LEAVE)?).map(Message::Leave),
        Some(_) | None => Err(Malformed::Kind),
    }
}

/// The offset in the id of a stream's entry, `<offset>-0`.
///
/// # Errors
/// [`Malformed`] for what is none.
pub fn entry_offset(id: &[u8]) -> Result<u64, Malformed> {
    let offset = id.split(|byte| *byte == b'-').next().and_then(number);
    offset.ok_or(Malformed::Envelope)
}

/// Reads an entry of a stream.
///
/// # Errors
/// [`Malformed`] for what is none.
pub fn stream_entry(offset: u64, bytes: Bytes) -> Result<Arc<Publication>, Malformed> {
    Ok(Arc::new(publication_of(
        message::Publication::decode(bytes)?,
        offset,
    )))
}

/// Reads an entry of a list, with the epoch in which it was written.
///
/// # Errors
/// [`Malformed`] for what is none.
pub fn list_entry(bytes: &Bytes) -> Result<(Arc<Publication>, Option<Epoch>), Malformed> {
    with_position(bytes).map(|arrived| (arrived.publication, arrived.epoch))
}

/// Reads a member's information.
///
/// # Errors
/// [`Malformed`] for what is none.
pub fn client_info(bytes: Bytes) -> Result<Arc<ClientInfo>, Malformed> {
    Ok(Arc::new(info_of(message::ClientInfo::decode(bytes)?)))
}

/// A publication as it is stored: with its time and without its offset.
#[must_use]
pub fn encode_publication(publication: Publication) -> Bytes {
    written(publication, false)
}

/// A publication that is sent without being stored; `delta` if its publisher asked for differences.
#[must_use]
pub fn encode_bare(publication: Publication, delta: bool) -> Bytes {
    written(publication, delta)
}

/// A member's information.
#[must_use]
pub fn encode_client_info(info: &ClientInfo) -> Bytes {
    client_info_message(info).encode_to_vec().into()
}

/// The message that a client joined.
#[must_use]
pub fn encode_join(info: &ClientInfo) -> Bytes {
    enveloped(JOIN, info)
}

/// The message that a client left.
#[must_use]
pub fn encode_leave(info: &ClientInfo) -> Bytes {
    enveloped(LEAVE, info)
}

const JOIN: &[u8] = b"__j__";
const LEAVE: &[u8] = b"__l__";
const POSITION: &[u8] = b"__p1:";
const DELTA: &[u8] = b"__d1:";

fn written(publication: Publication, delta: bool) -> Bytes {
    message_of(publication, delta).encode_to_vec().into()
}

fn enveloped(envelope: &[u8], info: &ClientInfo) -> Bytes {
    let message = client_info_message(info);
    let mut bytes = BytesMut::with_capacity(envelope.len() + message.encoded_len());
    bytes.extend_from_slice(envelope);
    // The buffer grows if it has to.
    let _ = message.encode(&mut bytes);
    bytes.freeze()
}

/// A publication without an envelope.
fn bare(bytes: Bytes) -> Result<Arrived, Malformed> {
    let message = message::Publication::decode(bytes)?;
    let prior = if message.delta {
        Prior::Unknown
    } else {
        Prior::Unwanted
    };
    Ok(arrived(message, 0, "", prior))
}

/// `__p1:<offset>:<epoch>__<publication>`
fn with_position(bytes: &Bytes) -> Result<Arrived, Malformed> {
    let mut rest = envelope(bytes, POSITION)?;
    let offset = number(&until(&mut rest, b":")?).ok_or(Malformed::Envelope)?;
    let epoch = until(&mut rest, b"__")?;
    let message = message::Publication::decode(rest)?;
    Ok(arrived(message, offset, text(&epoch)?, Prior::Unwanted))
}

/// `__d1:<offset>:<epoch>:<length>:<previous publication>:<length>:<publication>`
fn with_previous(bytes: &Bytes) -> Result<Arrived, Malformed> {
    let mut rest = envelope(bytes, DELTA)?;
    let offset = number(&until(&mut rest, b":")?).ok_or(Malformed::Envelope)?;
    let epoch = until(&mut rest, b":")?;
    let previous = counted(&mut rest)?;
    if !until(&mut rest, b":")?.is_empty() {
        return Err(Malformed::Envelope);
    }
    let current = counted(&mut rest)?;
    if !rest.is_empty() {
        return Err(Malformed::Envelope);
    }
    let prior = if previous.is_empty() {
        Prior::Unknown
    } else {
        Prior::Known(previous_publication(previous, offset.saturating_sub(1))?)
    };
    let message = message::Publication::decode(current)?;
    Ok(arrived(message, offset, text(&epoch)?, prior))
}

/// The publication at `offset`, of which the message has what the stream keeps. Centrifugo with history in lists
/// sends the list's entry, envelope and all.
fn previous_publication(bytes: Bytes, offset: u64) -> Result<Arc<Publication>, Malformed> {
    if bytes.starts_with(POSITION) {
        return with_position(&bytes).map(|arrived| arrived.publication);
    }
    Ok(Arc::new(publication_of(
        message::Publication::decode(bytes)?,
        offset,
    )))
}

/// A position inside of the publication wins over that of the envelope.
fn arrived(mut message: message::Publication, offset: u64, epoch: &str, prior: Prior) -> Arrived {
    let offset = if message.offset == 0 {
        offset
    } else {
        message.offset
    };
    let inner = std::mem::take(&mut message.epoch);
    let epoch = if inner.is_empty() { epoch } else { &inner };
    Arrived {
        epoch: (offset > 0).then(|| Epoch::new(epoch)),
        publication: Arc::new(publication_of(message, offset)),
        prior,
    }
}

fn envelope(bytes: &Bytes, expected: &[u8]) -> Result<Bytes, Malformed> {
    match bytes.strip_prefix(expected) {
        Some(rest) => Ok(bytes.slice_ref(rest)),
        None => Err(Malformed::Envelope),
    }
}

/// Takes what comes before `end`, and `end` itself.
fn until(rest: &mut Bytes, end: &[u8]) -> Result<Bytes, Malformed> {
    let found = rest.windows(end.len()).position(|window| window == end);
    let taken = rest.split_to(found.ok_or(Malformed::Envelope)?);
    *rest = rest.split_off(end.len());
    Ok(taken)
}

/// `<length>:<bytes>`
fn counted(rest: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = number(&until(rest, b":")?).and_then(|length| usize::try_from(length).ok());
    match length {
        Some(length) if length <= rest.len() => Ok(rest.split_to(length)),
        Some(_) | None => Err(Malformed::Envelope),
    }
}

fn number(digits: &(impl AsRef<[u8]> + ?Sized)) -> Option<u64> {
    let digits = digits.as_ref();
    // `parse` would take a sign.
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn text(bytes: &Bytes) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Envelope)
}

#[cfg(test)]
mod tests;

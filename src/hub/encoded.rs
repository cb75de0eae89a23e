//! Encode once per encoding and address, share with all subscribers.

use std::sync::Arc;

use tidegate_transports::{Encoding, Frame};

use crate::engine::{ClientInfo, Epoch, Publication};
use crate::protocol::{self, Address, EncodeError, message};

/// A publication on its way to many subscribers; each encoding is made when it is first asked for.
pub(super) struct EncodedPublication<'a> {
    pub(super) channel: &'a Arc<str>,
    publication: &'a Publication,
    epoch: Option<&'a Epoch>,
    named: Encodings,
    numbered: Encodings,
}

impl<'a> EncodedPublication<'a> {
    pub(super) fn new(channel: &'a Arc<str>, publication: &'a Publication, epoch: Option<&'a Epoch>) -> Self {
        Self {
            channel,
            publication,
            epoch,
            named: Encodings::default(),
            numbered: Encodings::default(),
        }
    }

    /// The push in one encoding, with the channel's number if that is not 0. An error means that the payload is not
    /// JSON and the encoding is.
    pub(super) fn get(&mut self, encoding: Encoding, number: u32) -> Result<&Frame, EncodeError> {
        let Self {
            channel,
            publication,
            epoch,
            named,
            numbered,
        } = self;
        let encodings = if number == 0 { named } else { numbered };
        encodings.get(encoding, || {
            // A subscriber that saw an empty epoch learns it with the first publication (protocol.md 2.3).
            let epoch = epoch.filter(|_| publication.offset == 1).map(Epoch::as_str);
            protocol::encode_publication(Address::of(channel, number), publication, epoch, encoding)
        })
    }
}

/// Puts a client's information into a join or leave.
pub(super) type Build = fn(&mut message::Push, message::ClientInfo);

pub(super) fn join(push: &mut message::Push, info: message::ClientInfo) {
    push.join = Some(message::Join { info: Some(info) });
}

pub(super) fn leave(push: &mut message::Push, info: message::ClientInfo) {
    push.leave = Some(message::Leave { info: Some(info) });
}

/// A join or leave on its way to many subscribers.
pub(super) struct EncodedPush<'a> {
    channel: &'a str,
    info: &'a ClientInfo,
    build: Build,
    named: Encodings,
    numbered: Encodings,
}

impl<'a> EncodedPush<'a> {
    pub(super) fn new(channel: &'a str, info: &'a ClientInfo, build: Build) -> Self {
        Self {
            channel,
            info,
            build,
            named: Encodings::default(),
            numbered: Encodings::default(),
        }
    }

    /// See [`EncodedPublication::get`].
    pub(super) fn get(&mut self, encoding: Encoding, number: u32) -> Result<&Frame, EncodeError> {
        let Self {
            channel,
            info,
            build,
            named,
            numbered,
        } = self;
        let encodings = if number == 0 { named } else { numbered };
        encodings.get(encoding, || {
            let push = push(Address::of(channel, number), |push| {
                build(push, protocol::client_info_message(info))
            });
            protocol::encode_reply(&push, encoding)
        })
    }
}

#[derive(Default)]
struct Encodings {
    json: Option<Result<Frame, EncodeError>>,
    protobuf: Option<Result<Frame, EncodeError>>,
}

impl Encodings {
    fn get(
        &mut self,
        encoding: Encoding,
        encode: impl FnOnce() -> Result<Frame, EncodeError>,
    ) -> Result<&Frame, EncodeError> {
        let slot = match encoding {
            Encoding::Json => &mut self.json,
            Encoding::Protobuf => &mut self.protobuf,
        };
        slot.get_or_insert_with(encode).as_ref().map_err(Clone::clone)
    }
}

fn push(address: Address<'_>, fill: impl FnOnce(&mut message::Push)) -> message::Reply {
    let mut push = message::Push {
        id: address.number().cast_signed(),
        channel: address.name().to_owned(),
        ..message::Push::default()
    };
    fill(&mut push);
    message::Reply {
        push: Some(push),
        ..message::Reply::default()
    }
}

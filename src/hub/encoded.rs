//! Encode once per encoding, form and address, share with all subscribers.

use std::sync::Arc;

use tidegate_transports::{Encoding, Frame};

use super::tailored::{Base, Form};
use crate::engine::{ClientInfo, Epoch, Publication};
use crate::protocol::{self, Address, EncodeError, Patch, message};

/// A publication on its way to many subscribers; each encoding is made when it is first asked for.
pub(super) struct EncodedPublication<'a> {
    pub(super) channel: &'a Arc<str>,
    publication: &'a Publication,
    epoch: Option<&'a Epoch>,
    plain: Frames,
    /// What a patch is the difference from.
    pub(super) base: Option<Base>,
    /// For subscribers with deltas, once there is one.
    deltas: Option<Box<Deltas>>,
}

/// What only subscribers with deltas are sent.
struct Deltas {
    patch: Option<Patch>,
    whole: Frames,
    patched: Frames,
}

impl<'a> EncodedPublication<'a> {
    pub(super) fn new(channel: &'a Arc<str>, publication: &'a Publication, epoch: Option<&'a Epoch>) -> Self {
        Self {
            channel,
            publication,
            epoch,
            plain: Frames::default(),
            base: None,
            deltas: None,
        }
    }

    /// The push in one encoding and form, with the channel's number in place of its name if that is not 0. An error
    /// means that the payload is not JSON and the encoding is.
    #[inline]
    pub(super) fn get(&mut self, encoding: Encoding, form: Form, number: u32) -> Result<&Frame, EncodeError> {
        match (form, encoding) {
            // Whole and in Protobuf, it is what everybody gets.
            (Form::Plain, _) | (Form::Whole, Encoding::Protobuf) => self.plain(encoding, number),
            _ => self.for_deltas(encoding, form, number),
        }
    }

    #[cold]
    fn for_deltas(&mut self, encoding: Encoding, form: Form, number: u32) -> Result<&Frame, EncodeError> {
        let patch = self.deltas().patch.as_ref();
        let is_patched = form == Form::Patch && patch.is_some_and(|patch| patch.suits(encoding));
        if !is_patched && encoding == Encoding::Protobuf {
            return self.plain(encoding, number);
        }
        let (channel, publication) = (self.channel, self.publication);
        let Deltas {
            patch,
            whole,
            patched,
        } = self.deltas();
        let (frames, patch) = if is_patched {
            (patched, patch.as_ref())
        } else {
            (whole, None)
        };
        frames.get(encoding, Address::of(channel, number), |address| {
            protocol::encode_delta(address, publication, patch, encoding)
        })
    }

    fn deltas(&mut self) -> &mut Deltas {
        let Self {
            publication, base, ..
        } = self;
        self.deltas.get_or_insert_with(|| {
            let base = base.as_ref().map(|base| &base.publication);
            Box::new(Deltas {
                patch: base.and_then(|base| Patch::between(base, publication)),
                whole: Frames::default(),
                patched: Frames::default(),
            })
        })
    }

    #[inline]
    fn plain(&mut self, encoding: Encoding, number: u32) -> Result<&Frame, EncodeError> {
        let Self {
            channel,
            publication,
            epoch,
            plain,
            ..
        } = self;
        plain.get(encoding, Address::of(channel, number), |address| {
            // A subscriber that saw an empty epoch learns it with the first publication (protocol.md 2.3).
            let epoch = epoch.filter(|_| publication.offset == 1).map(Epoch::as_str);
            protocol::encode_publication(address, publication, epoch, encoding)
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
    frames: Frames,
}

impl<'a> EncodedPush<'a> {
    pub(super) fn new(channel: &'a str, info: &'a ClientInfo, build: Build) -> Self {
        Self {
            channel,
            info,
            build,
            frames: Frames::default(),
        }
    }

    /// See [`EncodedPublication::get`].
    pub(super) fn get(&mut self, encoding: Encoding, number: u32) -> Result<&Frame, EncodeError> {
        let Self {
            channel,
            info,
            build,
            frames,
        } = self;
        frames.get(encoding, Address::of(channel, number), |address| {
            let push = push(address, |push| build(push, protocol::client_info_message(info)));
            protocol::encode_reply(&push, encoding)
        })
    }
}

/// One push, as whoever asked for it needs it.
#[derive(Default)]
struct Frames {
    named: Encodings,
    numbered: Encodings,
}

impl Frames {
    fn get(
        &mut self,
        encoding: Encoding,
        address: Address<'_>,
        encode: impl FnOnce(Address<'_>) -> Result<Frame, EncodeError>,
    ) -> Result<&Frame, EncodeError> {
        let encodings = match address {
            Address::Name(_) => &mut self.named,
            Address::Number(_) => &mut self.numbered,
        };
        encodings.get(encoding, || encode(address))
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

//! The client protocol: messages, codes, and their two encodings. Nothing here keeps state.

pub mod codes;
mod decode;
mod delta;
mod emulation;
mod encode;
pub mod json;
mod push;

use crate::engine::{ClientInfo, Publication};
pub use codes::{Disconnect, ErrorCode, Unsubscribe};
pub use decode::{Commands, DecodeError};
pub use delta::{Patch, delta_messages, encode_delta};
pub use emulation::{decode_emulation, emulated_commands};
pub use encode::{EncodeError, encode_reply};
pub use push::{Address, encode_publication};

/// Messages of the client protocol, compiled from `proto/client.proto`.
#[allow(
    missing_docs,
    clippy::large_enum_variant,
    reason = "generated; the schema is the documentation"
)]
pub mod message {
    include!(concat!(env!("OUT_DIR"), "/centrifugal.centrifuge.protocol.rs"));
}

/// A publication as clients see it: without its time, and with an epoch only where a push adds one.
#[must_use]
pub fn publication_message(publication: &Publication) -> message::Publication {
    message::Publication {
        data: publication.data.clone(),
        info: publication.info.as_deref().map(client_info_message),
        offset: publication.offset,
        tags: publication.tags.clone(),
        version: publication.version,
        channel: publication.origin().to_owned(),
        ..message::Publication::default()
    }
}

/// What others see of a client.
#[must_use]
pub fn client_info_message(info: &ClientInfo) -> message::ClientInfo {
    message::ClientInfo {
        user: info.user.clone(),
        client: info.client.clone(),
        conn_info: info.conn_info.clone(),
        chan_info: info.chan_info.clone(),
    }
}

//! Publications and clients as messages of the protocol, which is how engines store and send them (engines.md 5, 11).

use std::sync::Arc;

use super::{ClientInfo, Publication};
use crate::protocol::{client_info_message, message};

/// A publication with its time, without its offset; `delta` if its publisher asked for differences.
pub(super) fn message_of(publication: Publication, delta: bool) -> message::Publication {
    message::Publication {
        data: publication.data,
        info: publication.info.as_deref().map(client_info_message),
        tags: publication.tags,
        delta,
        time: publication.time_ms,
        version: publication.version,
        ..message::Publication::default()
    }
}

/// The publication of a message, at an offset that was told beside it.
pub(super) fn publication_of(message: message::Publication, offset: u64) -> Publication {
    Publication {
        data: message.data,
        info: message.info.map(|message| Arc::new(info_of(message))),
        offset,
        tags: message.tags,
        time_ms: message.time,
        version: message.version,
        origin: None,
    }
}

/// The client of a message.
pub(super) fn info_of(message: message::ClientInfo) -> ClientInfo {
    ClientInfo {
        user: message.user,
        client: message.client,
        conn_info: message.conn_info,
        chan_info: message.chan_info,
    }
}

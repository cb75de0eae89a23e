//! What moves through engines and hub.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Identity of a stream's offsets. Opaque; compared by value, cheaply when shared.
#[derive(Clone, Eq)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Takes an epoch from storage or from a peer.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// A fresh epoch of eight ASCII letters.
    #[must_use]
    pub fn random() -> Self {
        use rand::Rng;
        let mut rng = rand::rng();
        let letters: String = (0..8)
            .map(|_| {
                let index: u8 = rng.random_range(0..52);
                char::from(if index < 26 {
                    b'a' + index
                } else {
                    b'A' + index - 26
                })
            })
            .collect();
        Self(letters.into())
    }

    /// The text on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Epoch {
    fn eq(&self, other: &Self) -> bool {
        // Publications of one stream share the allocation: most comparisons end here.
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}

/// A place in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Offset of the newest publication, 0 before the first.
    pub offset: u64,
    /// Epoch of that offset.
    pub epoch: Epoch,
}

/// One accepted publication, shared by everybody who delivers or stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// Payload as the publisher sent it.
    pub data: Bytes,
    /// The publishing client; `None` for publications of the server API.
    pub info: Option<Arc<ClientInfo>>,
    /// Offset in the stream; 0 without history.
    pub offset: u64,
    /// Tags of the publisher.
    pub tags: BTreeMap<String, String>,
    /// When it was accepted, Unix milliseconds; never sent to clients.
    pub time_ms: i64,
    /// Version given by the server API; 0 = none.
    pub version: u64,
    /// The channel that it was published to, where subscribers are told (NATS with wildcards or in raw mode).
    pub origin: Option<Box<Origin>>,
}

/// The channel of a publication that is delivered under another name, that of a pattern. Boxed where it is used, so
/// that all the publications without one carry no more than a pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Name of the channel.
    pub channel: String,
}

impl Publication {
    /// Name of the channel that it was published to, if subscribers are told; otherwise empty.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.as_deref().map_or("", |origin| &origin.channel)
    }
}

/// What others may know of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// User id; empty for anonymous.
    pub user: String,
    /// Client id (UUIDv4).
    pub client: String,
    /// Information from the connection's credentials.
    pub conn_info: Bytes,
    /// Information from the subscription's credentials.
    pub chan_info: Bytes,
}

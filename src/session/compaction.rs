//! Which clients are sent a channel's number in place of its name (history-and-recovery.md 12).
//!
//! Who offers to understand numbers in a subscribe command is believed, with one exception: the published SDK for
//! JavaScript (5.8) offers it over Protobuf too, where it decodes numbers as objects, compares these by identity, and
//! so drops every push that carries one. It cannot be told from other clients but by name, which applications may
//! change. So in Protobuf numbers go to those that are known to read them: SDKs by their names, and clients that
//! have none, which are nobody's SDK.

use tidegate_transports::Encoding;

/// `SubscribeRequest.flag`: pushes may carry the channel's number.
pub(super) const OFFER: i64 = 1;

/// Whether a client that named itself so in its connect command can be sent numbers.
pub(super) fn is_understood(encoding: Encoding, client: &str) -> bool {
    match encoding {
        Encoding::Json => true,
        Encoding::Protobuf => READERS.contains(&client),
    }
}

const READERS: [&str; 4] = ["", "python", "dart", "csharp"];

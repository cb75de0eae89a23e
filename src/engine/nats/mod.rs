//! NATS: publish/subscribe between nodes (engines.md 11), and history in JetStream, which is our own addition.
//!
//! Names and bytes are those of the reference, so that nodes of both kinds can share servers.
//!
//! | Module | Subject |
//! |---|---|
//! | [`subjects`] | Channels to subjects and back. Pure |
//! | [`payload`] | Bytes to publications and back. Pure |
//! | `address` | Options to servers |
//! | [`link`], `outgoing` | The connection, what is known of it, and what leaves |
//! | `listener` | The channels that this node hears |
//! | `broker` | Publish/subscribe |
//! | `jetstream` | History |
//! | `controller` | Messages between nodes |

mod address;
mod broker;
mod controller;
mod jetstream;
pub mod link;
mod listener;
mod outgoing;
pub mod payload;
pub mod subjects;

pub use address::{AddressError, Connecting};
pub use broker::NatsBroker;
pub use controller::NatsController;
pub use jetstream::{JetStream, Lacking, record};

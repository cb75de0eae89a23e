//! The Redis engine: many nodes on one Redis, on a set with Sentinel, on a cluster, or on several of these.
//!
//! Keys, payloads and the effects of scripts are those of Centrifugo v6 (engines.md 3 to 8), so that both can work on
//! one Redis while a cluster is moved over. How they come about differs: scripts take many calls at once, so that
//! what thousands of clients do together costs few commands, and nothing holds Redis up for long.
//!
//! | Part | What it does |
//! |---|---|
//! | [`keys`], [`sharding`], `slots` | Names, and where they live. Pure |
//! | [`payload`] | Bytes to publications and back. Pure |
//! | `address` | Options and addresses to shards |
//! | `scripts` | What happens atomically |
//! | `shard`, `probe` | The servers: connections for commands, names, and what they must be able to do |
//! | `broker`, `listener`, `dispatch`, `tally`, `history` | History and publish/subscribe |
//! | `presence`, `users`, `controller` | The other roles |
//!
//! Connections, batches and reconnects are the subject of `tidegate_redis_link`.

mod address;
mod answer;
mod broker;
mod controller;
mod dispatch;
mod history;
pub mod keys;
mod listener;
pub mod payload;
mod presence;
mod probe;
mod scripts;
mod shard;
pub mod sharding;
mod slots;
mod tally;
mod users;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use address::{AddressError, mode, shards};
pub use broker::{HistoryIn, RedisBroker};
pub use controller::RedisController;
pub use presence::{PresenceOptions, RedisPresence};
pub use probe::{Missing, Needs};
pub use shard::{Partitioning, Shards};
pub use users::RedisUserConnections;

/// Times in Redis are whole seconds, truncated (engines.md 6).
fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

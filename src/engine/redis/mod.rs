//! The Redis engine: many nodes on one Redis, on a set with Sentinel, on a cluster, or on several of these.
//!
//! Keys, payloads and the effects of scripts are those of Centrifugo v6 (engines.md 3 to 8), so that both can work on
//! one Redis while a cluster is moved over. How they come about differs: scripts take many calls at once, so that
//! what thousands of clients do together costs few commands, and nothing holds Redis up for long.
//!
//! | Part | What it does |
//! |---|---|
//! | [`keys`], [`shards`], [`slots`] | Names, and where they live. Pure |
//! | [`payload`] | Bytes to publications and back. Pure |
//! | [`interest`] | Which channels are subscribed. Pure |
//! | `scripts` | What happens atomically |
//! | `shard` | The servers: connections for commands, and names |
//! | `broker`, `listener`, `dispatch`, `history` | History and publish/subscribe |
//! | `presence`, `users`, `controller` | The other roles |
//! | `probe` | What the servers must be able to do |
//!
//! Connections, batches and reconnects are the subject of `tidegate_redis_link`.

mod address;
pub mod interest;
pub mod keys;
pub mod payload;
pub mod sharding;
pub mod slots;

pub use address::{AddressError, mode, shards};

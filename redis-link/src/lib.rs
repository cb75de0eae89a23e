//! Connections to Redis, for an engine that has many small things to ask at once.
//!
//! The protocol, its values and its parser are the `redis` crate's. The connections are our own, for what the
//! server promises and that crate's connections leave open:
//!
//! - **Order.** Calls with one order key are executed in the order in which they were made ([`Commands::call`]).
//! - **Batches.** Everything that waits leaves in one write, and neighbouring calls of one script become one command
//!   ([`Script`]). A thousand clients that subscribe at once cost a few dozen commands.
//! - **Bounds.** Queues are limited in calls and bytes; received messages are handed over before the next is read,
//!   so that a slow node shows in Redis's output buffer, which has a limit of its own, and not in our memory.
//! - **Ends.** A call is answered within the time-out of its connection, and never repeated behind the caller's
//!   back unless the server said that it did nothing.
//!
//! A connection is looked after by one task: it dials, serves until something fails, and dials again for ever, with
//! growing and jittered pauses ([`lane`], [`subscriptions`]).

mod backoff;
mod call;
mod cluster;
mod commands;
mod dial;
mod discovery;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod lane;
mod nodes;
mod options;
mod queue;
mod reply;
mod resp;
mod script;
mod sentinel;
mod slot;
mod slots;
mod subscriptions;
mod values;

pub use call::{Call, Operation};
pub use commands::Commands;
pub use error::LinkError;
pub use options::{Credentials, Endpoint, Options, Sentinels, Tls, Topology};
pub use redis;
pub use reply::Reply;
pub use script::Script;
pub use slot::{SLOTS, slot};
pub use subscriptions::{Confirmed, Kind, Sink, Subscriptions};
pub use values::{bytes, integer, items, text};

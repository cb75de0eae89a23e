//! Faults of Redis and of nodes, with real processes, and a ledger of every publication.
//!
//! Publications are numbered and published until they are accepted. Subscribers on every node do what SDKs do:
//! they reconnect, subscribe again from their position, and resubscribe when they are told that it was lost. In the
//! end each of them has got every accepted publication once and in order, or was told of the gap it is missing in.
//!
//! Each test prints how long the return took (`--nocapture` shows it): the table of docs/failures.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod failover;
mod ledger;
mod listening;
mod nats;
#[path = "../support/nats.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod nats_server;
mod node;
mod nodes;
mod proxy;
mod publisher;
mod reader;
mod redis;
mod scene;
#[path = "../../../redis-link/tests/support/mod.rs"]
mod servers;
mod sharded;
#[path = "../support/mod.rs"]
mod support;

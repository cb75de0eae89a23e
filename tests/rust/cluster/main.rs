//! Several nodes on one Redis: what they do for each other, and what passes between them and nodes of the reference
//! (engines.md 8).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod control;
mod emulation;
mod nats;
#[path = "../support/nats.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod nats_server;
mod nodes;
mod orders;
mod outage;
mod refusals;
#[path = "../../../redis-link/tests/support/mod.rs"]
mod servers;
#[path = "../support/mod.rs"]
mod support;
mod users;

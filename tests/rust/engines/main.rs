//! What every engine must do, whatever is behind it: one suite for brokers and one for presence stores, run on real
//! servers. Where engines differ by their nature, the difference is a field of their kit, with its reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod brokers;
mod crowd;
mod kit;
mod memory;
mod nats;
#[path = "../support/nats.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod nats_server;
mod positions;
mod presence;
mod races;
mod redis;
#[path = "../../../redis-link/tests/support/mod.rs"]
mod servers;

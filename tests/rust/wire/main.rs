//! The client protocol over the wire: send this, expect exactly that.
//!
//! Each test starts a server of its own in this process and speaks to it through sockets. Expected texts are
//! complete: a field too many fails a test as well as one that is missing. `<name>` stands for what cannot be known
//! (`support/pattern.rs`). Section numbers are those of the specification's protocol.md unless another document is
//! named.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]
#![allow(missing_docs, unreachable_pub, reason = "tests are their own documentation")]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod api_calls;
mod api_pushes;
mod authentication;
mod batching;
mod binary;
mod capabilities;
mod channels;
mod codec;
mod commands;
mod compaction;
mod connect;
mod delta;
mod emulation;
mod filters;
mod framing;
mod http;
mod limits;
mod liveness;
mod order;
mod patterns;
mod positions;
mod protobuf;
mod rate_limits;
mod readiness;
mod recovery;
mod revocation;
mod server_side;
mod slow;
mod streams;
mod subscribe;
mod tls;
mod tokens;
mod transports;
mod write_delay;

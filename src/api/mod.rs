//! The server API: how a backend publishes and commands (server-api.md).
//!
//! ```text
//!  http, legacy ──> json ─┐   calls, batch: one method    ┌─ operations: what needs the node
//!  grpc ──────────────────┼─> per request; prepared, ─────┤
//!  consumers, admin ──────┘   counted                     └─ composed here: batch, broadcast, rpc
//! ```
//!
//! Each method exists once, in [`Api`], whichever way a request comes. What a request means on its own (is a
//! channel named, is base64 base64) is decided there; what depends on the state of the node is asked of
//! [`Operations`]. Requests and results are the messages of `proto/api.proto`.

mod batch;
mod calls;
mod encode;
mod error;
pub mod http;
mod json;
mod key;
mod legacy;
pub mod message;
mod method;
mod observer;
mod operations;
mod prepare;
#[cfg(test)]
mod tests;

pub use calls::Api;
pub use error::ApiError;
pub use json::JsonCallError;
pub use method::{Method, Protocol};
pub use observer::{ApiObserver, Fault};
pub use operations::{Operations, PublishOrigin};

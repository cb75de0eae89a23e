//! Tidegate: a real-time messaging server, WebTransport first, wire-compatible with Centrifugo v6.
//!
//! The binary is thin: [`cli`] reads the command line, [`server`] puts everything together. ARCHITECTURE.md maps
//! the modules and says what each deliberately does not know.

pub mod api;
pub mod auth;
pub mod channels;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod delta;
pub mod engine;
pub mod hub;
pub mod limits;
pub mod node;
pub mod protocol;
pub mod revocation;
pub mod server;
pub mod session;
pub mod tags;
pub mod telemetry;

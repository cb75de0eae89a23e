//! How Tidegate's certificates come to be: loaded from PEM, generated for development, issued for tests.
//!
//! The crate answers one question, "with what does a listener prove who it is, and whom does it let in",
//! and knows nothing about sockets, HTTP or the configuration tree. A caller holds PEM values and gets
//! finished [`rustls::ServerConfig`]s.
//!
//! - [`PemData`] resolves a configured value: PEM text, base64 of it, or the path of a file.
//! - [`Identity`] is a certificate chain with the key that fits it. It cannot be built from a pair that does
//!   not fit, so a wrong pair ends the start and not the first handshake.
//! - [`CertificateStore`] hands the current identity to each handshake and lets it be replaced while the
//!   server runs. TCP and QUIC listeners share one store, hence always show the same certificate.
//! - [`tcp_config`] and [`quic_config`] state the protocol rules of the two kinds of listener.
//! - [`client_config`] does the same where we are the client.
//! - [`DevelopmentCertificate`] makes WebTransport usable on a developer's machine without a CA.
//! - [`test_ca`] issues certificates of every key kind to tests, so that no key is ever committed.
//!
//! All cryptography comes from aws-lc-rs, named explicitly. The process-wide default provider of rustls is
//! neither read nor set: it would let a library that happens to be linked decide about our handshakes.
//!
//! Time is an argument wherever it decides something, so that expiry and renewal are testable.

#![forbid(unsafe_code)]

mod client;
mod development;
mod error;
mod keypair;
mod pem;
mod server;
pub mod test_ca;

pub use client::{ClientTls, client_config};
pub use development::{DevelopmentCertificate, Origin};
pub use error::TlsError;
pub use keypair::Identity;
pub use pem::{PemData, root_store};
pub use server::{CertificateStore, MinVersion, quic_config, tcp_config};

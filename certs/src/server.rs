//! TLS settings of listeners, and the certificate they share.
//!
//! A configuration is built once per listener; the certificate inside it may change. [`CertificateStore`]
//! separates the two lifetimes: each full handshake asks it for the current [`Identity`], so a renewed
//! certificate takes effect without touching listeners or established connections. A client that resumes
//! an earlier session keeps the trust it established then, as TLS intends.
//!
//! Sessions resume by ticket, encrypted under keys that rotate in memory, and not from a server-side cache:
//! after a mass reconnect the handshakes are the dominant cost, and tickets need no memory per client.
//! Early data stays off everywhere, because it can be replayed and a connect command must not be.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::{Identity, TlsError, root_store};

/// The identity that listeners present, replaceable at any time.
///
/// Reading it in a handshake takes no lock. All methods may be called from any thread.
pub struct CertificateStore {
    current: ArcSwap<Identity>,
}

impl CertificateStore {
    /// A store that presents `identity` until it is replaced.
    pub fn new(identity: Identity) -> Self {
        Self {
            current: ArcSwap::from_pointee(identity),
        }
    }

    /// The identity the next handshake will present.
    pub fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }

    /// Presents `identity` from the next full handshake on. Established connections are not affected.
    pub fn replace(&self, identity: Identity) {
        self.current.store(Arc::new(identity));
    }
}

impl ResolvesServerCert for CertificateStore {
    /// The one identity, whatever name the client asks for: there are no virtual hosts.
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.current.load().certified()))
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateStore")
            .field(&self.current.load())
            .finish()
    }
}

/// The oldest TLS version a TCP listener accepts. QUIC always needs 1.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3; what Centrifugo does.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &BOTH[..1],
        }
    }
}

/// Settings of a TCP listener: ALPN `h2` and `http/1.1` (configuration spec, section 4.4).
///
/// With a non-empty `client_ca_pem`, a PEM value as in [`crate::PemData::resolve`], clients have to present
/// a certificate issued by one of these CAs.
///
/// # Errors
///
/// Those of [`root_store`] for `client_ca_pem`; [`TlsError::ClientVerifier`] and [`TlsError::Protocol`]
/// should the provider not support what is asked for.
pub fn tcp_config(
    store: Arc<CertificateStore>,
    client_ca_pem: &str,
    min: MinVersion,
) -> Result<ServerConfig, TlsError> {
    server_config(store, client_ca_pem, min.versions(), &["h2", "http/1.1"])
}

/// Settings of a QUIC listener: TLS 1.3, ALPN `h3`, no early data. `client_ca_pem` and errors are as for
/// [`tcp_config`].
///
/// # Errors
///
/// Those of [`tcp_config`].
pub fn quic_config(store: Arc<CertificateStore>, client_ca_pem: &str) -> Result<ServerConfig, TlsError> {
    server_config(store, client_ca_pem, &[&TLS13], &["h3"])
}

fn server_config(
    store: Arc<CertificateStore>,
    client_ca_pem: &str,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Protocol)?;
    let builder = if client_ca_pem.is_empty() {
        builder.with_no_client_auth()
    } else {
        builder.with_client_cert_verifier(client_verifier(client_ca_pem, provider)?)
    };
    let mut config = builder.with_cert_resolver(store);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Protocol)?;
    config.max_early_data_size = 0;
    Ok(config)
}

fn client_verifier(
    client_ca_pem: &str,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let roots = Arc::new(root_store(client_ca_pem)?);
    Ok(WebPkiClientVerifier::builder_with_provider(roots, provider).build()?)
}

#[cfg(test)]
mod tests;

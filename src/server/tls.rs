//! Which certificate each listener shows (configuration.md 4.5, 4.6).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use tidegate_certs::{
    CertificateStore, DevelopmentCertificate, Identity, MinVersion, Origin, TlsError, quic_config, tcp_config,
};
use tidegate_transports::quic;
use tokio::task::JoinSet;

use super::StartError;
use super::listeners;
use crate::config::{Config, TlsOptions, TlsVersion};

/// TLS of the listeners; `None` where a listener is plain.
pub(super) struct Tls {
    pub(super) external: Option<Arc<rustls::ServerConfig>>,
    /// Of a separate internal listener.
    pub(super) internal: Option<Arc<rustls::ServerConfig>>,
    pub(super) quic: Option<quic::ServerConfig>,
    /// Hash of the development certificate, if one is in use.
    pub(super) development: Option<DevelopmentHash>,
    pub(super) certificates: Certificates,
}

/// Certificates from the configuration, by the listener that shows them; a reload reads them again.
#[derive(Default)]
pub(super) struct Certificates {
    shared: Option<Arc<CertificateStore>>,
    internal: Option<Arc<CertificateStore>>,
}

impl Certificates {
    /// Reads certificates and keys again; new connections get the new ones. All or nothing.
    pub(super) fn reload(&self, config: &Config) -> Result<(), StartError> {
        let http = &config.http_server;
        let read = |store: &Option<Arc<CertificateStore>>, options: &TlsOptions, option| match store {
            Some(store) if has_pems(options) => Ok(Some((store.clone(), identity_of(options, option)?))),
            _ => Ok(None),
        };
        let shared = read(&self.shared, &http.tls, "http_server.tls")?;
        let internal = read(&self.internal, &http.internal_tls, "http_server.internal_tls")?;
        for (store, identity) in [shared, internal].into_iter().flatten() {
            store.replace(identity);
        }
        Ok(())
    }
}

fn has_pems(options: &TlsOptions) -> bool {
    options.enabled && !options.cert_pem.is_empty() && !options.key_pem.is_empty()
}

/// SHA-256 of the development certificate, as it is now: it changes when the certificate is renewed.
#[derive(Clone, Debug)]
pub(super) struct DevelopmentHash(Arc<RwLock<String>>);

impl DevelopmentHash {
    pub(super) fn base64(&self) -> String {
        self.0.read().clone()
    }
}

const RETRY_RENEWAL: Duration = Duration::from_secs(60);

impl Tls {
    /// Reads certificates and keys. Without any configured, a development certificate takes their place if it is
    /// enabled; it is renewed by a background task.
    pub(super) fn build(config: &Config, background: &mut JoinSet<()>) -> Result<Self, StartError> {
        let http = &config.http_server;
        let mut certificates = Certificates::default();
        let (store, development) = if has_pems(&http.tls) {
            let store = Arc::new(CertificateStore::new(identity_of(&http.tls, "http_server.tls")?));
            certificates.shared = Some(store.clone());
            (Some(store), None)
        } else if http.development_certificate.enabled && (http.tls.enabled || http.http3.enabled) {
            let (store, hash) = develop(&http.development_certificate.directory, background)?;
            (Some(store), Some(hash))
        } else if http.tls.enabled {
            let error = "enabled without cert_pem and key_pem".to_owned();
            return Err(StartError::Tls {
                option: "http_server.tls",
                error,
            });
        } else {
            (None, None)
        };
        let shared = match &store {
            Some(store) if http.tls.enabled => Some(tcp(store, &http.tls, "http_server.tls")?),
            _ => None,
        };
        let internal = if http.internal_tls.enabled {
            let identity = identity_of(&http.internal_tls, "http_server.internal_tls")?;
            let store = Arc::new(CertificateStore::new(identity));
            certificates.internal = Some(store.clone());
            Some(tcp(&store, &http.internal_tls, "http_server.internal_tls")?)
        } else if http.tls_external {
            None
        } else {
            shared.clone()
        };
        let quic = match &store {
            Some(store) if http.http3.enabled => {
                let tls = quic_config(store.clone(), &http.tls.client_ca_pem)
                    .map_err(|error| invalid("http_server.tls", &error))?;
                Some(listeners::quic_config(&tls)?)
            }
            _ => None,
        };
        Ok(Self {
            external: shared,
            internal,
            quic,
            development,
            certificates,
        })
    }
}

fn tcp(
    store: &Arc<CertificateStore>,
    options: &TlsOptions,
    option: &'static str,
) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let min = match options.min_version {
        TlsVersion::Tls12 => MinVersion::Tls12,
        TlsVersion::Tls13 => MinVersion::Tls13,
    };
    tcp_config(store.clone(), &options.client_ca_pem, min)
        .map(Arc::new)
        .map_err(|error| invalid(option, &error))
}

fn identity_of(options: &TlsOptions, option: &'static str) -> Result<Identity, StartError> {
    let identity =
        Identity::from_pem(&options.cert_pem, &options.key_pem).map_err(|error| invalid(option, &error))?;
    if identity.is_expired(SystemTime::now()) {
        tracing::warn!(option, "certificate has expired");
    }
    Ok(identity)
}

fn develop(
    directory: &str,
    background: &mut JoinSet<()>,
) -> Result<(Arc<CertificateStore>, DevelopmentHash), StartError> {
    let certificate = DevelopmentCertificate::load_or_create(Path::new(directory), SystemTime::now())
        .map_err(|error| invalid("http_server.development_certificate", &error))?;
    if let Origin::Repaired(reason) = certificate.origin() {
        tracing::warn!(reason, "development certificate was unusable and is replaced");
    }
    let store = Arc::new(CertificateStore::new(certificate.identity().clone()));
    let hash = DevelopmentHash(Arc::new(RwLock::new(certificate.sha256_base64())));
    tracing::info!(sha256 = hash.base64(), "development certificate in use");
    background.spawn(renew(
        directory.to_owned(),
        certificate.renew_at(),
        store.clone(),
        hash.clone(),
    ));
    Ok((store, hash))
}

/// Replaces the certificate before it ends. A directory that cannot be written is tried again.
async fn renew(directory: String, mut at: SystemTime, store: Arc<CertificateStore>, hash: DevelopmentHash) {
    loop {
        let left = at.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::time::sleep(left).await;
        match DevelopmentCertificate::load_or_create(Path::new(&directory), SystemTime::now()) {
            Ok(certificate) => {
                store.replace(certificate.identity().clone());
                *hash.0.write() = certificate.sha256_base64();
                at = certificate.renew_at();
                tracing::info!(sha256 = hash.base64(), "development certificate renewed");
            }
            Err(error) => {
                tracing::error!(%error, "error renewing development certificate");
                at = SystemTime::now() + RETRY_RENEWAL;
            }
        }
    }
}

fn invalid(option: &'static str, error: &TlsError) -> StartError {
    StartError::Tls {
        option,
        error: error.to_string(),
    }
}

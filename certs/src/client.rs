//! TLS where we are the client: of Redis, NATS and whatever else a server leans on.

mod named;

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use self::named::Named;
use crate::{PemData, TlsError, root_store};

/// What a client trusts and shows; PEM values in any notation of [`PemData::resolve`], empty for none.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientTls<'a> {
    /// Authorities that certify servers; empty for those of the system.
    pub server_ca_pem: &'a str,
    /// Chain that is shown to servers that ask for one.
    pub cert_pem: &'a str,
    /// Its key.
    pub key_pem: &'a str,
    /// Do not verify servers.
    pub insecure_skip_verify: bool,
    /// Name by which servers are verified in place of the one that is dialled; empty for that one.
    pub server_name: &'a str,
}

/// Settings of a client: TLS 1.2 and 1.3.
///
/// # Errors
///
/// Those of [`root_store`] and [`PemData::private_key`]; [`TlsError::KeyMismatch`] if chain and key do not belong
/// together; [`TlsError::Protocol`] should the provider not support what is asked for.
pub fn client_config(tls: ClientTls<'_>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Protocol)?;
    let builder = if tls.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else if tls.server_name.is_empty() {
        builder.with_root_certificates(roots(tls.server_ca_pem)?)
    } else {
        let named = Named::new(tls.server_name, roots(tls.server_ca_pem)?, provider)?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(named))
    };
    if tls.cert_pem.is_empty() && tls.key_pem.is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let chain = PemData::resolve(tls.cert_pem)?.certificates();
    let key = PemData::resolve(tls.key_pem)?.private_key()?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|_| TlsError::KeyMismatch)
}

fn roots(server_ca_pem: &str) -> Result<RootCertStore, TlsError> {
    if !server_ca_pem.is_empty() {
        return root_store(server_ca_pem);
    }
    let mut roots = RootCertStore::empty();
    // A system may carry certificates that cannot be read; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Ok(roots)
}

/// Believes every server that it is who it says. Only where an operator has asked for that.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

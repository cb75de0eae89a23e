//! A certificate authority for tests; nothing here is meant for production.
//!
//! It is an ordinary module and not behind `cfg(test)` because the tests of other crates, the load
//! generator and the browser tests need the same certificates. Keys exist in memory only, unless a test
//! writes them to its own temporary directory.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RsaKeySize,
};
use time::OffsetDateTime;

use crate::TlsError;

/// Validity of what is issued, counted from one hour ago.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Kind of a generated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519. Browsers do not accept it, other clients do.
    Ed25519,
    /// RSA with 2,048 bits; takes noticeably longer to generate.
    Rsa2048,
}

impl KeyKind {
    fn generate(self) -> Result<KeyPair, rcgen::Error> {
        match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        }
    }
}

/// A certificate and its key, both as PEM text.
#[derive(Clone)]
pub struct Issued {
    /// The leaf, then the CA.
    pub cert_pem: String,
    /// The key in PKCS#8.
    pub key_pem: String,
}

/// A root CA with a fresh P-256 key.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl TestCa {
    /// Generates key and root certificate.
    ///
    /// # Errors
    ///
    /// [`TlsError::Generate`].
    pub fn new() -> Result<Self, TlsError> {
        let key = KeyKind::P256.generate()?;
        let mut params = params(&[], SystemTime::now() + VALIDITY)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Tidegate test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_pem,
        })
    }

    /// The root certificate as PEM text: what peers are to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A server certificate for `names`: host names and IP addresses.
    ///
    /// # Errors
    ///
    /// [`TlsError::Generate`], also for a name that is neither.
    pub fn server(&self, kind: KeyKind, names: &[&str]) -> Result<Issued, TlsError> {
        self.server_until(kind, names, SystemTime::now() + VALIDITY)
    }

    /// Like [`TestCa::server`], valid until `end` (and from long before), which may have passed.
    ///
    /// # Errors
    ///
    /// Those of [`TestCa::server`].
    pub fn server_until(&self, kind: KeyKind, names: &[&str], end: SystemTime) -> Result<Issued, TlsError> {
        let mut params = params(names, end)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Tidegate test server");
        self.issue(params, kind, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate (P-256) with `name` as its common name.
    ///
    /// # Errors
    ///
    /// [`TlsError::Generate`].
    pub fn client(&self, name: &str) -> Result<Issued, TlsError> {
        let mut params = params(&[], SystemTime::now() + VALIDITY)?;
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue(params, KeyKind::P256, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        kind: KeyKind,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Issued, TlsError> {
        let key = kind.generate()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            cert_pem: leaf.pem() + &self.certificate_pem,
            key_pem: key.serialize_pem(),
        })
    }
}

/// Parameters without a subject. The start of validity precedes the end by more than [`VALIDITY`], so that
/// clocks that disagree a little do no harm.
fn params(names: &[&str], end: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = OffsetDateTime::from(end - VALIDITY - Duration::from_secs(3600));
    params.not_after = OffsetDateTime::from(end);
    Ok(params)
}

//! A certificate chain with its private key, checked once when it is loaded.
//!
//! Expired certificates are accepted, as Centrifugo accepts them: whether to serve one is the operator's
//! decision, and refusing would turn a missed renewal into an outage at the next restart. The validity is
//! kept, so that the caller can say so in the log.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    Error, InconsistentKeys,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::{CertifiedKey, SigningKey},
};
use x509_parser::{prelude::FromDer as _, time::ASN1Time, x509::SubjectPublicKeyInfo};

use crate::{PemData, TlsError};

/// What a listener proves itself with: chain, matching key, and the leaf's validity. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Identity {
    /// Loads `cert_pem` and `key_pem`, each in any notation of [`PemData::resolve`]. Both may name the same
    /// file. The chain is every certificate in order, leaf first; the key is the first one found.
    ///
    /// # Errors
    ///
    /// Any variant of [`TlsError`] about PEM, certificates and keys; [`TlsError::KeyTypeMismatch`] or
    /// [`TlsError::KeyMismatch`] if both are well-formed but belong to different pairs. Expiry is no error,
    /// see [`Identity::is_expired`].
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        Self::from_data(&PemData::resolve(cert_pem)?, &PemData::resolve(key_pem)?)
    }

    /// Like [`Identity::from_pem`], from values already resolved.
    ///
    /// # Errors
    ///
    /// Those of [`Identity::from_pem`] but for resolution.
    pub fn from_data(chain: &PemData, key: &PemData) -> Result<Self, TlsError> {
        Self::from_der(chain.certificates(), &key.private_key()?)
    }

    /// Like [`Identity::from_pem`], from DER. `chain` starts with the leaf.
    ///
    /// # Errors
    ///
    /// Those of [`Identity::from_pem`] but for resolution.
    pub fn from_der(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, TlsError> {
        let leaf = chain.first().ok_or(TlsError::NoCertificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
            .map_err(|error| TlsError::InvalidCertificate(error.to_string()))?;
        let not_before = system_time(parsed.validity().not_before)?;
        let not_after = system_time(parsed.validity().not_after)?;
        let key = any_supported_type(key).map_err(TlsError::InvalidKey)?;
        if !is_of_kind(key.as_ref(), parsed.public_key()) {
            return Err(TlsError::KeyTypeMismatch);
        }
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self {
                certified: Arc::new(certified),
                not_before,
                not_after,
            }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(TlsError::KeyMismatch),
            Err(error) => Err(TlsError::InvalidCertificate(error.to_string())),
        }
    }

    /// Chain and key in the form rustls signs with.
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// The leaf certificate in DER; what certificate hashes are computed over.
    pub fn leaf(&self) -> &[u8] {
        // `from_der` refuses an empty chain, so the default is never taken.
        self.certified.cert.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// Start of the leaf's validity.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// End of the leaf's validity; the last moment at which clients accept it.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether clients that verify will refuse the leaf as expired at `now`. Worth a warning at start.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now > self.not_after
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("chain_length", &self.certified.cert.len())
            .field("key", &self.certified.key.algorithm())
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish()
    }
}

/// Whether both keys are for the same algorithm. A key that does not tell is left to the comparison of pairs.
fn is_of_kind(private: &dyn SigningKey, public: &SubjectPublicKeyInfo<'_>) -> bool {
    let Some(own) = private.public_key() else {
        return true;
    };
    SubjectPublicKeyInfo::from_der(&own)
        .is_ok_and(|(_, own)| own.algorithm.algorithm == public.algorithm.algorithm)
}

/// Certificates may be dated before 1970, which an offset from the epoch must not wrap.
fn system_time(time: ASN1Time) -> Result<SystemTime, TlsError> {
    let seconds = time.timestamp();
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(offset)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(offset)
    };
    moment.ok_or_else(|| TlsError::InvalidCertificate("validity out of range".to_owned()))
}

#[cfg(test)]
mod tests {
    use rustls::SignatureAlgorithm;
    use x509_parser::der_parser::ber::BerObjectContent;

    use super::*;
    use crate::test_ca::{Issued, KeyKind, TestCa};

    fn issue(kind: KeyKind) -> Issued {
        TestCa::new().unwrap().server(kind, &["localhost"]).unwrap()
    }

    fn refusal(cert: &str, key: &str) -> TlsError {
        Identity::from_pem(cert, key).unwrap_err()
    }

    /// The format PKCS#8 wraps (PKCS#1 or SEC1), which sits in its third element.
    fn traditional(pkcs8_pem: &str, tag: &str) -> String {
        let pkcs8 = pem::parse(pkcs8_pem).unwrap();
        let (_, object) = x509_parser::der_parser::parse_der(pkcs8.contents()).unwrap();
        let BerObjectContent::OctetString(inner) = object.as_sequence().unwrap()[2].content else {
            panic!("PKCS#8 without a key");
        };
        pem::encode(&pem::Pem::new(tag, inner))
    }

    #[test]
    fn pkcs8_keys_of_every_kind_load() {
        for (kind, algorithm) in [
            (KeyKind::P256, SignatureAlgorithm::ECDSA),
            (KeyKind::P384, SignatureAlgorithm::ECDSA),
            (KeyKind::Ed25519, SignatureAlgorithm::ED25519),
            (KeyKind::Rsa2048, SignatureAlgorithm::RSA),
        ] {
            let issued = issue(kind);
            let identity = Identity::from_pem(&issued.cert_pem, &issued.key_pem).unwrap();
            assert_eq!(identity.certified().key.algorithm(), algorithm);
            assert_eq!(identity.certified().cert.len(), 2, "leaf and CA");
        }
    }

    #[test]
    fn traditional_keys_load() {
        let issued = issue(KeyKind::Rsa2048);
        let pkcs1 = traditional(&issued.key_pem, "RSA PRIVATE KEY");
        Identity::from_pem(&issued.cert_pem, &pkcs1).unwrap();

        let issued = issue(KeyKind::P256);
        let parameters = pem::encode(&pem::Pem::new(
            "EC PARAMETERS",
            [6, 8, 42, 134, 72, 206, 61, 3, 1, 7],
        ));
        let sec1 = parameters + &traditional(&issued.key_pem, "EC PRIVATE KEY");
        Identity::from_pem(&issued.cert_pem, &sec1).unwrap();
    }

    #[test]
    fn one_file_may_hold_both() {
        let issued = issue(KeyKind::P256);
        for both in [
            issued.cert_pem.clone() + &issued.key_pem,
            issued.key_pem.clone() + &issued.cert_pem,
        ] {
            Identity::from_pem(&both, &both).unwrap();
        }
    }

    #[test]
    fn pairs_that_do_not_fit_are_refused() {
        let (one, other, rsa) = (
            issue(KeyKind::P256),
            issue(KeyKind::P256),
            issue(KeyKind::Rsa2048),
        );
        assert_eq!(
            refusal(&one.cert_pem, &other.key_pem).to_string(),
            "private key does not match public key of the certificate"
        );
        assert_eq!(
            refusal(&one.cert_pem, &rsa.key_pem).to_string(),
            "private key type does not match public key type of the certificate"
        );
        assert!(matches!(
            refusal(&one.cert_pem, &one.cert_pem),
            TlsError::CertificateInsteadOfKey
        ));
        assert!(matches!(
            refusal(&one.key_pem, &one.key_pem),
            TlsError::NoCertificate
        ));
    }

    #[test]
    fn broken_contents_are_blamed_on_their_part() {
        let issued = issue(KeyKind::P256);
        let broken = |tag: &str| pem::encode(&pem::Pem::new(tag, [1, 2, 3]));
        assert!(matches!(
            refusal(&issued.cert_pem, &broken("PRIVATE KEY")),
            TlsError::InvalidKey(_)
        ));
        let error = refusal(&broken("CERTIFICATE"), &issued.key_pem);
        assert!(matches!(error, TlsError::InvalidCertificate(_)), "{error}");
    }

    #[test]
    fn expired_certificates_load_and_tell() {
        let now = SystemTime::now();
        let ca = TestCa::new().unwrap();
        let end = now - Duration::from_secs(86_400);
        let issued = ca.server_until(KeyKind::P256, &["localhost"], end).unwrap();
        let identity = Identity::from_pem(&issued.cert_pem, &issued.key_pem).unwrap();
        assert!(identity.is_expired(now));
        assert!(!identity.is_expired(identity.not_after()));
        assert!(end.duration_since(identity.not_after()).unwrap() < Duration::from_secs(1));
    }
}

//! Algorithms and the keys that the configuration holds (channels-and-auth.md 4.1).

use std::fmt;

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as X509Key;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::token::InvalidReason;

/// Signature algorithms of tokens (RFC 7518 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSA PKCS #1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm that can be enabled.
    pub const ALL: [Self; 10] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];
    const HMAC: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// The value of `alg` in a token's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name, exact in case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The keys of `client.token`. Kinds that are not configured refuse their algorithms.
#[derive(Default)]
pub(super) struct StaticKeys {
    pub(super) hmac: Option<Secret>,
    pub(super) previous_hmac: Option<PreviousSecret>,
    pub(super) rsa: Option<PublicKey>,
    pub(super) ecdsa: Option<PublicKey>,
}

/// The HMAC secret before the last rotation.
pub(super) struct PreviousSecret {
    pub(super) secret: Secret,
    /// Last Unix second in which it counts; 0 is for ever.
    pub(super) valid_until: i64,
}

impl StaticKeys {
    /// Checks a signature.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
        now_unix: i64,
    ) -> Result<(), InvalidReason> {
        match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                let secret = self.hmac.as_ref().ok_or(InvalidReason::DisabledAlgorithm)?;
                secret
                    .verify(algorithm, signed, signature)
                    .or_else(|error| match &self.previous_hmac {
                        Some(previous) if previous.valid_until == 0 || now_unix <= previous.valid_until => {
                            previous.secret.verify(algorithm, signed, signature)
                        }
                        _ => Err(error),
                    })
            }
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => self
                .rsa
                .as_ref()
                .ok_or(InvalidReason::DisabledAlgorithm)?
                .verify(algorithm, signed, signature),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => self
                .ecdsa
                .as_ref()
                .ok_or(InvalidReason::DisabledAlgorithm)?
                .verify(algorithm, signed, signature),
            Algorithm::EdDsa => Err(InvalidReason::UnsupportedAlgorithm),
        }
    }

    /// What tokens may be signed with.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let hmac = self.hmac.iter().flat_map(|_| Algorithm::HMAC);
        let public = self.rsa.iter().chain(&self.ecdsa).flat_map(PublicKey::algorithms);
        hmac.chain(public).collect()
    }
}

/// A shared secret, ready for each of the three hash functions.
pub(super) struct Secret([hmac::Key; 3]);

impl Secret {
    /// A secret of any length but none.
    pub(super) fn new(secret: &str) -> Option<Self> {
        let key = |algorithm| hmac::Key::new(algorithm, secret.as_bytes());
        (!secret.is_empty()).then(|| {
            Self([
                key(hmac::HMAC_SHA256),
                key(hmac::HMAC_SHA384),
                key(hmac::HMAC_SHA512),
            ])
        })
    }

    /// In constant time.
    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Result<(), InvalidReason> {
        let [sha256, sha384, sha512] = &self.0;
        let key = match algorithm {
            Algorithm::Hs256 => sha256,
            Algorithm::Hs384 => sha384,
            Algorithm::Hs512 => sha512,
            _ => return Err(InvalidReason::KeyAlgorithm),
        };
        hmac::verify(key, signed, signature).map_err(|_| InvalidReason::Signature)
    }
}

/// A public key, parsed once for every algorithm that it can check.
pub(super) struct PublicKey(Vec<(Algorithm, ParsedPublicKey)>);

/// Why a public key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM.
    #[error("key must be PEM encoded")]
    NotPem,
    /// PEM of something that is neither a public key nor a certificate.
    #[error("key must be a public key or a certificate")]
    NotPublic,
    /// A certificate without a readable public key.
    #[error("malformed certificate")]
    Certificate,
    /// A public key of another kind.
    #[error("key is not a valid RSA public key")]
    NotRsa,
    /// Shorter than RFC 7518 3.3 allows.
    #[error("RSA key has {0} bits, at least 2048 are required")]
    ShortRsa(usize),
    /// A public key of another kind, or on another curve.
    #[error("key is not a valid ECDSA public key on P-256, P-384 or P-521")]
    NotEcdsa,
    /// Not a point on the curve.
    #[error("key is not a valid Ed25519 public key")]
    NotEd25519,
}

const RSA: [(Algorithm, &RsaParameters); 3] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
];

impl PublicKey {
    /// Reads `client.token.rsa_public_key`.
    pub(super) fn rsa_from_pem(pem: &str) -> Result<Self, KeyError> {
        let info = public_key_info(pem)?;
        let (_, parsed) = SubjectPublicKeyInfo::from_der(&info).map_err(|_| KeyError::NotRsa)?;
        match parsed.parsed() {
            Ok(X509Key::RSA(rsa)) if rsa.key_size() < 2048 => return Err(KeyError::ShortRsa(rsa.key_size())),
            Ok(X509Key::RSA(_)) => {}
            _ => return Err(KeyError::NotRsa),
        }
        Self::rsa_by(|parameters| ParsedPublicKey::new(parameters, &info))
    }

    /// Reads `client.token.ecdsa_public_key`; its curve decides on the algorithm.
    pub(super) fn ecdsa_from_pem(pem: &str) -> Result<Self, KeyError> {
        let info = public_key_info(pem)?;
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512]
            .into_iter()
            .find_map(|algorithm| Self::ecdsa(algorithm, &info).ok())
            .ok_or(KeyError::NotEcdsa)
    }

    /// A key from modulus and exponent, big-endian.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if bits < 2048 {
            return Err(KeyError::ShortRsa(bits));
        }
        let components = RsaPublicKeyComponents { n, e };
        Self::rsa_by(|parameters| components.to_parsed_public_key(parameters))
    }

    /// One key for each of the three hash functions.
    fn rsa_by(
        parse: impl Fn(&'static RsaParameters) -> Result<ParsedPublicKey, KeyRejected>,
    ) -> Result<Self, KeyError> {
        let keys = RSA
            .into_iter()
            .map(|(algorithm, parameters)| Ok((algorithm, parse(parameters)?)));
        keys.collect::<Result<_, _>>()
            .map(Self)
            .map_err(|_: KeyRejected| KeyError::NotRsa)
    }

    /// A key from an encoded point or a public key info, on the curve of `algorithm`.
    pub(super) fn ecdsa(algorithm: Algorithm, key: &[u8]) -> Result<Self, KeyError> {
        let parameters: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
            _ => return Err(KeyError::NotEcdsa),
        };
        let key = ParsedPublicKey::new(parameters, key).map_err(|_| KeyError::NotEcdsa)?;
        Ok(Self(vec![(algorithm, key)]))
    }

    /// An Ed25519 key of 32 bytes.
    pub(super) fn ed25519(key: &[u8]) -> Result<Self, KeyError> {
        let key = ParsedPublicKey::new(&ED25519, key).map_err(|_| KeyError::NotEd25519)?;
        Ok(Self(vec![(Algorithm::EdDsa, key)]))
    }

    /// Leaves only `algorithm`; `None` if the key is not for it.
    pub(super) fn restricted_to(self, algorithm: Algorithm) -> Option<Self> {
        self.0
            .into_iter()
            .find(|(of, _)| *of == algorithm)
            .map(|key| Self(vec![key]))
    }

    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Checks a signature.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidReason> {
        let (_, key) = self
            .0
            .iter()
            .find(|(of, _)| *of == algorithm)
            .ok_or(InvalidReason::KeyAlgorithm)?;
        key.verify_sig(signed, signature)
            .map_err(|_| InvalidReason::Signature)
    }
}

/// The DER of the public key in a PEM block, which may be a certificate's.
fn public_key_info(pem: &str) -> Result<Vec<u8>, KeyError> {
    let block = <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NotPem)?;
    match block {
        (SectionKind::PublicKey, der) => Ok(der),
        (SectionKind::Certificate, der) => {
            let (_, certificate) =
                x509_parser::parse_x509_certificate(&der).map_err(|_| KeyError::Certificate)?;
            Ok(certificate.public_key().raw.to_vec())
        }
        _ => Err(KeyError::NotPublic),
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

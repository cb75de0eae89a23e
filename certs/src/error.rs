//! What can be wrong with certificates and keys.

use std::{io, path::PathBuf};

use rustls::server::VerifierBuilderError;

/// Why TLS could not be set up. All variants but the last four blame the operator's PEM values.
///
/// The text names the cause only; the caller knows which option held the value and prefixes it. No text
/// contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The value is neither PEM, nor base64 of PEM, nor the path of an existing file.
    #[error("invalid PEM data: not a valid file path, base64-encoded PEM content, or raw PEM content")]
    NotPem,
    /// The value names a file without a well-formed PEM block.
    #[error("file \"{}\" contains invalid PEM data", path.display())]
    InvalidFile {
        /// The file, as configured.
        path: PathBuf,
    },
    /// The value names a file that exists but cannot be read.
    #[error("file \"{}\" cannot be read: {source}", path.display())]
    UnreadableFile {
        /// The file, as configured.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// PEM without a `CERTIFICATE` block where one is needed.
    #[error("no certificate found in PEM data")]
    NoCertificate,
    /// PEM without a private key block where one is needed.
    #[error("no private key found in PEM data")]
    NoPrivateKey,
    /// Certificates only, where the private key is needed: the two options are probably swapped.
    #[error("found a certificate rather than a key in the PEM for the private key")]
    CertificateInsteadOfKey,
    /// The key is protected by a passphrase, which a server has nobody to ask for.
    #[error("failed to parse private key: it is encrypted, supply it decrypted")]
    EncryptedKey,
    /// The key block has a label other than PKCS#8, PKCS#1 and SEC1 use.
    #[error("failed to parse private key: PEM block \"{0}\" is not a supported key format")]
    UnsupportedKey(String),
    /// The key's encoding is broken, or its algorithm or size is not supported.
    #[error("failed to parse private key: {0}")]
    InvalidKey(#[source] rustls::Error),
    /// The leaf certificate is not a well-formed X.509 certificate.
    #[error("failed to parse certificate: {0}")]
    InvalidCertificate(String),
    /// Key and leaf certificate are of different kinds, say RSA and ECDSA.
    #[error("private key type does not match public key type of the certificate")]
    KeyTypeMismatch,
    /// Key and leaf certificate are of one kind, but belong to different pairs.
    #[error("private key does not match public key of the certificate")]
    KeyMismatch,
    /// A CA certificate cannot serve as a trust anchor.
    #[error("unusable CA certificate: {0}")]
    InvalidCa(#[source] rustls::Error),
    /// The verifier of client certificates cannot be built.
    #[error("client certificate verification: {0}")]
    ClientVerifier(#[from] VerifierBuilderError),
    /// The verifier of servers cannot be built.
    #[error("server certificate verification: {0}")]
    ServerVerifier(#[source] VerifierBuilderError),
    /// Servers cannot have this name.
    #[error("invalid server name: {0}")]
    ServerName(String),
    /// The cryptographic provider cannot do what the listener needs; a fault of the build.
    #[error("TLS protocol setup: {0}")]
    Protocol(#[source] rustls::Error),
    /// The directory of the development certificate cannot be read or written.
    #[error("development certificate: \"{}\": {source}", path.display())]
    Storage {
        /// File or directory concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate or key could not be generated.
    #[error("generate certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

//! Resolution of PEM values (configuration spec, section 1.2).
//!
//! One option accepts three notations, because certificates arrive in three ways: mounted files, environment
//! variables that keep line breaks, and ones that do not. The order, text before base64 before path, makes
//! the choice unambiguous: text has dashes base64 does not know, and base64 that decodes to PEM is no
//! plausible file name.
//!
//! Whatever the notation, the result is a list of blocks. Which of them matter is decided on use, so
//! certificate and key may share one file, and blocks of other kinds (`EC PARAMETERS`) do no harm.

use std::{fmt, fs, io, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer},
};

use crate::TlsError;

/// The blocks of a PEM value; at least one. `Debug` shows the labels, never the contents.
pub struct PemData {
    blocks: Vec<pem::Pem>,
}

impl PemData {
    /// Resolves a configured value: PEM text, standard base64 of PEM, or the path of a PEM file, in this
    /// order. Reads the file system in the last case only.
    ///
    /// # Errors
    ///
    /// [`TlsError::NotPem`], [`TlsError::InvalidFile`] or [`TlsError::UnreadableFile`].
    pub fn resolve(value: &str) -> Result<Self, TlsError> {
        if let Some(data) = Self::parse(value.as_bytes()) {
            return Ok(data);
        }
        if let Some(data) = decode_base64(value).and_then(|bytes| Self::parse(&bytes)) {
            return Ok(data);
        }
        let path = || PathBuf::from(value);
        match fs::read(value) {
            Ok(bytes) => Self::parse(&bytes).ok_or_else(|| TlsError::InvalidFile { path: path() }),
            Err(error) if names_no_file(&error) => Err(TlsError::NotPem),
            Err(source) => Err(TlsError::UnreadableFile { path: path(), source }),
        }
    }

    /// Parses PEM text; text around the blocks is ignored. `None` if there is no block or a broken one.
    pub fn parse(text: &[u8]) -> Option<Self> {
        pem::parse_many(text)
            .ok()
            .filter(|blocks| !blocks.is_empty())
            .map(|blocks| Self { blocks })
    }

    /// The certificates in order of appearance; possibly none.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let certificates = self.blocks.iter().filter(|block| block.tag() == "CERTIFICATE");
        certificates
            .map(|block| CertificateDer::from(block.contents().to_vec()))
            .collect()
    }

    /// The first private key: PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    ///
    /// [`TlsError::EncryptedKey`] or [`TlsError::UnsupportedKey`] if the first key is of that kind, else
    /// [`TlsError::CertificateInsteadOfKey`] or [`TlsError::NoPrivateKey`]. The key's contents are not
    /// looked at here.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let Some(block) = self
            .blocks
            .iter()
            .find(|block| block.tag().ends_with("PRIVATE KEY"))
        else {
            let certificates = self.blocks.iter().any(|block| block.tag() == "CERTIFICATE");
            return Err(if certificates {
                TlsError::CertificateInsteadOfKey
            } else {
                TlsError::NoPrivateKey
            });
        };
        // PKCS#8 marks encryption in the label, the older formats in an encapsulated header (RFC 1421).
        let header = block.headers().get("Proc-Type");
        if header.is_some_and(|value| value.contains("ENCRYPTED")) {
            return Err(TlsError::EncryptedKey);
        }
        let der = block.contents().to_vec();
        match block.tag() {
            "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(der).into()),
            "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(der).into()),
            "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(der).into()),
            "ENCRYPTED PRIVATE KEY" => Err(TlsError::EncryptedKey),
            other => Err(TlsError::UnsupportedKey(other.to_owned())),
        }
    }
}

impl fmt::Debug for PemData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.blocks.iter().map(pem::Pem::tag))
            .finish()
    }
}

/// Trust anchors from a PEM value (`client_ca_pem`, `server_ca_pem`). Blocks that are no certificates are
/// skipped.
///
/// # Errors
///
/// Those of [`PemData::resolve`], [`TlsError::NoCertificate`], or [`TlsError::InvalidCa`].
pub fn root_store(value: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in PemData::resolve(value)?.certificates() {
        roots.add(certificate).map_err(TlsError::InvalidCa)?;
    }
    if roots.is_empty() {
        Err(TlsError::NoCertificate)
    } else {
        Ok(roots)
    }
}

/// Standard alphabet with padding. Line breaks are dropped first: tools that print base64 wrap it.
fn decode_base64(value: &str) -> Option<Vec<u8>> {
    let unwrapped: String = value.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(unwrapped).ok()
}

/// Whether reading failed because the value is no path of a file at all, as opposed to one that exists.
fn names_no_file(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(
        error.kind(),
        NotFound | InvalidFilename | InvalidInput | NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well-formed PEM around three meaningless bytes.
    fn block(tag: &str) -> String {
        format!("-----BEGIN {tag}-----\nAQID\n-----END {tag}-----\n")
    }

    fn labels(value: &str) -> String {
        format!("{:?}", PemData::resolve(value).unwrap())
    }

    fn key_error(text: &str) -> String {
        PemData::resolve(text)
            .unwrap()
            .private_key()
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn all_three_notations_resolve() {
        let text = block("CERTIFICATE");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cert.pem");
        fs::write(&path, &text).unwrap();
        let mut wrapped = STANDARD.encode(&text);
        wrapped.insert(20, '\n');
        wrapped.push('\n');
        for value in [&text, &wrapped, path.to_str().unwrap()] {
            assert_eq!(labels(value), r#"["CERTIFICATE"]"#);
        }
    }

    #[test]
    fn text_around_and_line_endings_do_not_matter() {
        let text = format!(
            "subject=CN\r\n{}trailer",
            block("CERTIFICATE").replace('\n', "\r\n")
        );
        assert_eq!(labels(&text), r#"["CERTIFICATE"]"#);
    }

    #[test]
    fn what_is_no_pem_has_the_specified_text() {
        let expected =
            "invalid PEM data: not a valid file path, base64-encoded PEM content, or raw PEM content";
        let long = "a".repeat(100_000);
        let truncated = block("CERTIFICATE").replace("-----END", "");
        for value in ["", "no such file", "nul\0byte", "QUJD", &long, &truncated] {
            assert_eq!(PemData::resolve(value).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn files_with_garbage_and_directories_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("garbage.pem");
        fs::write(&path, b"\xff\xfe no PEM").unwrap();
        let path = path.to_str().unwrap();
        let error = PemData::resolve(path).unwrap_err().to_string();
        assert_eq!(error, format!("file \"{path}\" contains invalid PEM data"));

        let error = PemData::resolve(directory.path().to_str().unwrap()).unwrap_err();
        assert!(matches!(error, TlsError::UnreadableFile { .. }), "{error}");
    }

    #[test]
    fn key_formats_are_told_apart() {
        let key = |text: &str| PemData::resolve(text).unwrap().private_key().unwrap();
        assert!(matches!(key(&block("PRIVATE KEY")), PrivateKeyDer::Pkcs8(_)));
        assert!(matches!(key(&block("RSA PRIVATE KEY")), PrivateKeyDer::Pkcs1(_)));
        let sec1 = format!(
            "{}{}{}",
            block("CERTIFICATE"),
            block("EC PARAMETERS"),
            block("EC PRIVATE KEY")
        );
        assert!(matches!(key(&sec1), PrivateKeyDer::Sec1(_)));
    }

    #[test]
    fn unusable_keys_are_refused_by_name() {
        assert!(key_error(&block("ENCRYPTED PRIVATE KEY")).contains("encrypted"));
        let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAQID\n\
                      -----END RSA PRIVATE KEY-----\n";
        assert!(key_error(legacy).contains("encrypted"));
        assert!(key_error(&block("OPENSSH PRIVATE KEY")).contains("OPENSSH"));
        assert!(key_error(&block("CERTIFICATE")).contains("certificate rather than a key"));
        assert!(key_error(&block("PUBLIC KEY")).contains("no private key"));
    }

    #[test]
    fn a_root_store_needs_certificates_that_parse() {
        assert!(matches!(
            root_store(&block("PRIVATE KEY")),
            Err(TlsError::NoCertificate)
        ));
        assert!(matches!(
            root_store(&block("CERTIFICATE")),
            Err(TlsError::InvalidCa(_))
        ));
    }
}

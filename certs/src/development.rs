//! The development certificate: WebTransport on a developer's machine without a CA.
//!
//! A page may open a WebTransport session to a server with a self-signed certificate if it passes the
//! certificate's SHA-256 hash (`serverCertificateHashes`). Browsers tie this to two conditions that shape
//! everything here: the key is ECDSA on P-256, and the certificate is valid for at most 14 days. Ours is
//! valid for 13, counted from an hour ago, so that clocks may disagree on both ends.
//!
//! The pair is kept in a directory, so that a restart does not invalidate the hash a page was given. It is
//! replaced once two days or less remain, at start or at [`DevelopmentCertificate::renew_at`] by the
//! caller's timer. Each file is written under another name and renamed. A crash, or a second server, between
//! the two renames leaves a pair that does not fit; this and any other damage is repaired by generating
//! anew, as nothing of value is lost. Only what cannot be read for reasons of the operating system is an
//! error, because overwriting it may not be what the operator wants.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::{
    SignatureAlgorithm,
    pki_types::{CertificateDer, ServerName},
};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use time::OffsetDateTime;

use crate::{Identity, PemData, TlsError};

const CERT_FILE: &str = "development-cert.pem";
const KEY_FILE: &str = "development-key.pem";
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const VALIDITY: Duration = Duration::from_secs(13 * DAY.as_secs());
const RENEW_BEFORE: Duration = Duration::from_secs(2 * DAY.as_secs());
/// The browsers' limit for certificates accepted by hash.
const BROWSER_LIMIT: Duration = Duration::from_secs(14 * DAY.as_secs());

/// A self-signed certificate for `localhost`, `127.0.0.1` and `::1` that browsers accept by its hash.
#[derive(Debug, Clone)]
pub struct DevelopmentCertificate {
    identity: Identity,
    origin: Origin,
}

/// Where a development certificate comes from. Pages that were given the hash of an earlier one have to load the
/// new one, unless it was [kept](Origin::Kept).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was there and is good for more than two days.
    Kept,
    /// There was none.
    Created,
    /// It took the place of one that ended, or was about to, or does not name the host.
    Renewed,
    /// It took the place of files that were of no use, for the reason given. Worth a warning: somebody or something
    /// wrote to them.
    Repaired(String),
}

impl DevelopmentCertificate {
    /// Takes the pair kept in `dir` if more than two days of it remain at `now`, else generates one and
    /// keeps it there as `development-cert.pem` and `development-key.pem` (readable by the owner only).
    /// Creates `dir` if need be. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`TlsError::Storage`] if `dir` or a file in it cannot be read or written; [`TlsError::Generate`].
    /// Damaged files are no error, they are replaced; [`DevelopmentCertificate::origin`] tells of it.
    pub fn load_or_create(dir: &Path, now: SystemTime) -> Result<Self, TlsError> {
        Self::load_or_create_for(dir, &[], now)
    }

    /// Like [`DevelopmentCertificate::load_or_create`], for `hosts` (names or IP addresses) beside the local ones:
    /// browsers on other machines. A kept certificate that lacks one of them is renewed.
    ///
    /// # Errors
    ///
    /// Those of [`DevelopmentCertificate::load_or_create`]; [`TlsError::Generate`] also for a host name that is not
    /// ASCII.
    pub fn load_or_create_for(dir: &Path, hosts: &[&str], now: SystemTime) -> Result<Self, TlsError> {
        let (cert_path, key_path) = (dir.join(CERT_FILE), dir.join(KEY_FILE));
        let origin = match (read(&cert_path)?, read(&key_path)?) {
            (None, None) => Origin::Created,
            (None, Some(_)) => Origin::Repaired(format!("{CERT_FILE} is missing")),
            (Some(_), None) => Origin::Repaired(format!("{KEY_FILE} is missing")),
            (Some(cert), Some(key)) => match kept(&cert, &key, hosts, now) {
                Ok(identity) => {
                    let origin = Origin::Kept;
                    return Ok(Self { identity, origin });
                }
                Err(origin) => origin,
            },
        };
        let (identity, cert_pem, key_pem) = generate(hosts, now)?;
        fs::create_dir_all(dir).map_err(|source| storage(dir, source))?;
        // The key first: a reader that sees the new certificate will find its key.
        write(dir, &key_path, &key_pem)?;
        write(dir, &cert_path, &cert_pem)?;
        Ok(Self { identity, origin })
    }

    /// A pair that lives in memory only, for file systems that are not writable. Its hash changes with
    /// every start.
    ///
    /// # Errors
    ///
    /// [`TlsError::Generate`].
    pub fn ephemeral(now: SystemTime) -> Result<Self, TlsError> {
        let (identity, _, _) = generate(&[], now)?;
        let origin = Origin::Created;
        Ok(Self { identity, origin })
    }

    /// Certificate and key, to be put into a [`crate::CertificateStore`].
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it comes from, for the log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// SHA-256 of the certificate's DER: the `value` of a page's `serverCertificateHashes` entry.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.identity.leaf()).into()
    }

    /// [`DevelopmentCertificate::sha256`] in standard base64 with padding, as pages decode it with `atob`.
    pub fn sha256_base64(&self) -> String {
        STANDARD.encode(self.sha256())
    }

    /// When to call [`DevelopmentCertificate::load_or_create`] again: two days before the end of validity.
    pub fn renew_at(&self) -> SystemTime {
        renew_at(&self.identity)
    }
}

fn renew_at(identity: &Identity) -> SystemTime {
    identity.not_after() - RENEW_BEFORE
}

/// The kept pair, or what has to take its place: it may be damaged, due for renewal, or one that no browser would
/// accept by hash.
fn kept(cert: &[u8], key: &[u8], hosts: &[&str], now: SystemTime) -> Result<Identity, Origin> {
    let parse = |file: &str, pem: &[u8]| {
        PemData::parse(pem).ok_or_else(|| Origin::Repaired(format!("{file} contains invalid PEM data")))
    };
    let (cert, key) = (parse(CERT_FILE, cert)?, parse(KEY_FILE, key)?);
    let identity = Identity::from_data(&cert, &key).map_err(|error| Origin::Repaired(error.to_string()))?;
    let validity = identity.not_after().duration_since(identity.not_before());
    if validity.is_ok_and(|validity| validity > BROWSER_LIMIT)
        || identity.certified().key.algorithm() != SignatureAlgorithm::ECDSA
    {
        let reason = "browsers accept only ECDSA certificates of at most 14 days by hash";
        return Err(Origin::Repaired(reason.to_owned()));
    }
    let is_good = identity.not_before() <= now && now < renew_at(&identity);
    if is_good && hosts.iter().all(|host| names(&identity, host)) {
        Ok(identity)
    } else {
        Err(Origin::Renewed)
    }
}

/// Whether a certificate is for that host.
fn names(identity: &Identity, host: &str) -> bool {
    let leaf = CertificateDer::from(identity.leaf());
    let Ok(certificate) = rustls::server::ParsedCertificate::try_from(&leaf) else {
        return false;
    };
    ServerName::try_from(host)
        .is_ok_and(|name| rustls::client::verify_server_name(&certificate, &name).is_ok())
}

/// A new identity, with certificate and key as PEM text.
fn generate(hosts: &[&str], now: SystemTime) -> Result<(Identity, String, String), TlsError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let start = OffsetDateTime::from(now) - HOUR;
    let others = hosts.iter().filter(|host| !NAMES.contains(host));
    let names: Vec<String> = NAMES.iter().chain(others).copied().map(str::to_owned).collect();
    let mut params = CertificateParams::new(names)?;
    params.not_before = start;
    params.not_after = start + VALIDITY;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Tidegate development certificate");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
    let identity = Identity::from_der(vec![certificate.der().clone()], &key.into())?;
    Ok((identity, cert_pem, key_pem))
}

/// The file's contents, `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, TlsError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(storage(path, source)),
    }
}

/// Replaces the file atomically. Temporary files are created with mode 0600, which the rename preserves.
fn write(dir: &Path, path: &Path, contents: &str) -> Result<(), TlsError> {
    let write = || -> io::Result<()> {
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(contents.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| storage(path, source))
}

fn storage(path: &Path, source: io::Error) -> TlsError {
    TlsError::Storage {
        path: PathBuf::from(path),
        source,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{
        client::WebPkiServerVerifier, client::danger::ServerCertVerifier as _, crypto::aws_lc_rs,
        pki_types::UnixTime,
    };

    use super::*;

    fn load(dir: &Path, now: SystemTime) -> DevelopmentCertificate {
        DevelopmentCertificate::load_or_create(dir, now).unwrap()
    }

    #[test]
    fn the_certificate_is_what_browsers_accept_by_hash() {
        let now = SystemTime::now();
        let made = DevelopmentCertificate::ephemeral(now).unwrap();
        let identity = made.identity();
        assert_eq!(
            identity
                .not_after()
                .duration_since(identity.not_before())
                .unwrap(),
            VALIDITY
        );
        assert!(identity.not_before() < now);
        assert_eq!(
            identity.not_after().duration_since(made.renew_at()).unwrap(),
            RENEW_BEFORE
        );
        let key = &identity.certified().key;
        assert!(
            key.choose_scheme(&[rustls::SignatureScheme::ECDSA_NISTP256_SHA256])
                .is_some()
        );
        assert_eq!(STANDARD.decode(made.sha256_base64()).unwrap(), made.sha256());
    }

    #[test]
    fn all_local_names_verify() {
        let made = DevelopmentCertificate::ephemeral(SystemTime::now()).unwrap();
        let leaf = CertificateDer::from(made.identity().leaf());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(leaf.clone()).unwrap();
        let provider = std::sync::Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
        let verify = |name: &'static str| {
            let name = ServerName::try_from(name).unwrap();
            verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now())
        };
        for name in NAMES {
            verify(name).unwrap();
        }
        verify("example.org").unwrap_err();
    }

    #[test]
    fn other_hosts_are_named_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let load = |hosts: &[&str]| DevelopmentCertificate::load_or_create_for(dir.path(), hosts, now);
        let local = load(&[]).unwrap();
        let wide = load(&["laptop.local", "192.0.2.7", "localhost"]).unwrap();
        assert_eq!(*wide.origin(), Origin::Renewed);
        assert_ne!(wide.sha256(), local.sha256());
        for host in ["laptop.local", "192.0.2.7", "localhost", "::1"] {
            assert!(names(wide.identity(), host), "{host}");
        }
        // A certificate for more than is asked for does as well.
        assert_eq!(*load(&["192.0.2.7"]).unwrap().origin(), Origin::Kept);
        assert_eq!(*load(&[]).unwrap().origin(), Origin::Kept);
        assert!(matches!(load(&["größe"]), Err(TlsError::Generate(_))));
    }

    #[test]
    fn it_is_kept_across_starts_in_a_directory_it_creates() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state/certs");
        let now = SystemTime::now();
        let first = load(&dir, now);
        assert_eq!(*first.origin(), Origin::Created);
        let second = load(&dir, now + 5 * DAY);
        assert_eq!(second.sha256(), first.sha256());
        assert_eq!(*second.origin(), Origin::Kept);
        let mut names: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [CERT_FILE, KEY_FILE], "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        load(dir.path(), SystemTime::now());
        let mode = fs::metadata(dir.path().join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn it_is_replaced_when_two_days_remain() {
        let dir = tempfile::tempdir().unwrap();
        let first = load(dir.path(), SystemTime::now());
        let due = first.renew_at();
        assert_eq!(
            load(dir.path(), due - Duration::from_secs(1)).sha256(),
            first.sha256()
        );
        let second = load(dir.path(), due);
        assert_ne!(second.sha256(), first.sha256());
        assert_eq!(*second.origin(), Origin::Renewed);
        assert!(second.renew_at() > due + 10 * DAY);
        assert_eq!(load(dir.path(), due).sha256(), second.sha256());
    }

    #[test]
    fn a_clock_set_back_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let first = load(dir.path(), now);
        assert_ne!(load(dir.path(), now - DAY).sha256(), first.sha256());
    }

    #[test]
    fn damage_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let stranger = generate(&[], now).unwrap();
        let missing: Option<&[u8]> = None;
        for (file, contents) in [
            (CERT_FILE, missing),
            (KEY_FILE, missing),
            (CERT_FILE, Some(b"")),
            (KEY_FILE, Some(b"\xffgarbage")),
            (KEY_FILE, Some(stranger.2.as_bytes())),
        ] {
            let before = load(dir.path(), now);
            let path = dir.path().join(file);
            match contents {
                Some(contents) => fs::write(&path, contents).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let repaired = load(dir.path(), now);
            assert_ne!(repaired.sha256(), before.sha256(), "{file}");
            assert!(matches!(repaired.origin(), Origin::Repaired(_)), "{file}");
            assert_eq!(load(dir.path(), now).sha256(), repaired.sha256(), "{file}");
        }
    }

    #[test]
    fn a_pair_browsers_would_refuse_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let ca = crate::test_ca::TestCa::new().unwrap();
        let long = ca.server(crate::test_ca::KeyKind::P256, &["localhost"]).unwrap();
        fs::write(dir.path().join(CERT_FILE), &long.cert_pem).unwrap();
        fs::write(dir.path().join(KEY_FILE), &long.key_pem).unwrap();
        let made = load(dir.path(), now);
        assert!(made.identity().not_after() < now + 14 * DAY);
        assert!(matches!(made.origin(), Origin::Repaired(reason) if reason.contains("14 days")));
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("file");
        fs::write(&dir, b"").unwrap();
        let error = DevelopmentCertificate::load_or_create(&dir, SystemTime::now()).unwrap_err();
        assert!(matches!(&error, TlsError::Storage { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    }
}

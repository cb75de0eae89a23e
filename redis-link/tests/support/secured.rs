//! A server that speaks TLS.

use tidegate_certs::test_ca::{KeyKind, TestCa};

use super::{Server, free_port};

/// A server that demands certificates, whose own names only `redis.test`.
pub struct Secured {
    pub ca: TestCa,
    pub server: Server,
    /// Where it speaks TLS.
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl Secured {
    /// Starts one, with more arguments.
    pub fn start(args: &[&str]) -> Self {
        let ca = TestCa::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let issued = ca.server(KeyKind::P256, &["redis.test"]).unwrap();
        let write = |name: &str, pem: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (cert, key) = (
            write("cert.pem", &issued.cert_pem),
            write("key.pem", &issued.key_pem),
        );
        let ca_file = write("ca.pem", ca.certificate_pem());
        let port = free_port();
        let tls = [
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca_file,
            "--tls-auth-clients",
            "yes",
        ];
        Self {
            server: Server::start(&[&tls, args].concat()),
            ca,
            port,
            _directory: directory,
        }
    }
}

//! TLS on the external listener: ALPN, a WebSocket over it, minimum version, wrong key, renewed certificate.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::json;
use tidegate::config::{self, Loaded, Sources};
use tidegate::server::Server;
use tidegate_certs::test_ca::{Issued, KeyKind, TestCa};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::within;

/// A server with a certificate from files, as an operator runs it.
struct Tls {
    directory: tempfile::TempDir,
    ca: TestCa,
}

impl Tls {
    fn new() -> Self {
        let this = Self {
            directory: tempfile::tempdir().unwrap(),
            ca: TestCa::new().unwrap(),
        };
        this.install(&this.ca.server(KeyKind::P256, &["localhost"]).unwrap());
        this
    }

    fn install(&self, issued: &Issued) {
        fs::write(self.path("cert.pem"), &issued.cert_pem).unwrap();
        fs::write(self.path("key.pem"), &issued.key_pem).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self, min_version: &str) -> Loaded {
        let text = json!({
            "http_server": {
                "address": "127.0.0.1",
                "tls": {
                    "enabled": true,
                    "cert_pem": self.path("cert.pem"),
                    "key_pem": self.path("key.pem"),
                    "min_version": min_version
                },
                "http3": { "enabled": true }
            },
            "client": { "insecure": true },
            "health": { "enabled": true }
        });
        let file = self.path("config.json");
        fs::write(&file, text.to_string()).unwrap();
        load(&file)
    }

    async fn dial(
        &self,
        server: &Server,
        alpn: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca.certificate_pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = rustls::client::Resumption::disabled();
        let stream = TcpStream::connect(server.addresses()[0]).await?;
        let name = ServerName::try_from("localhost").unwrap();
        within(
            "a TLS handshake",
            TlsConnector::from(Arc::new(config)).connect(name, stream),
        )
        .await
    }
}

fn load(file: &Path) -> Loaded {
    // In a file a port of 0 stands for the default.
    let flags = vec![("http_server.port".to_owned(), "0".to_owned())];
    config::load(&Sources {
        file: Some(file.into()),
        flags,
        ..Sources::default()
    })
    .unwrap()
}

const BOTH: &[&rustls::SupportedProtocolVersion] = rustls::ALL_VERSIONS;
const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

#[tokio::test]
async fn http2_by_alpn_points_to_http3() {
    let tls = Tls::new();
    let server = Server::start(&tls.load("1.2"), None).await.unwrap();
    let stream = tls.dial(&server, &["h2", "http/1.1"], BOTH).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/health")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = within("an answer", sender.send_request(request)).await.unwrap();
    let port = server.addresses()[0].port();
    assert_eq!(
        response.headers()["alt-svc"],
        format!("h3=\":{port}\"; ma=2592000").as_str()
    );
    assert_eq!(
        &response.into_body().collect().await.unwrap().to_bytes()[..],
        b"{}"
    );
    server.stop().await.unwrap();
    // GOAWAY ended the connection in order.
    within("the connection to end", connection)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_websocket_over_tls() {
    let tls = Tls::new();
    let server = Server::start(&tls.load("1.2"), None).await.unwrap();
    let stream = tls.dial(&server, &["http/1.1"], BOTH).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("wss://localhost/connection/websocket", stream)
        .await
        .unwrap();
    socket
        .send(Message::text(r#"{"id":1,"connect":{}}"#))
        .await
        .unwrap();
    let reply = within("the reply", socket.next()).await.unwrap().unwrap();
    assert!(
        reply
            .to_text()
            .unwrap()
            .starts_with(r#"{"id":1,"connect":{"client":""#)
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_minimum_version_holds() {
    let tls = Tls::new();
    let server = Server::start(&tls.load("1.3"), None).await.unwrap();
    assert!(tls.dial(&server, &[], TLS12).await.is_err());
    assert!(tls.dial(&server, &[], BOTH).await.is_ok());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_certificate_is_named() {
    let tls = Tls::new();
    let other = tls.ca.server(KeyKind::P256, &["localhost"]).unwrap();
    fs::write(tls.path("key.pem"), &other.key_pem).unwrap();
    let Err(error) = Server::start(&tls.load("1.2"), None).await else {
        panic!("started")
    };
    let error = error.to_string();
    assert!(
        error.contains("http_server.tls") && error.contains("private key does not match"),
        "{error}"
    );
}

#[tokio::test]
async fn a_reload_shows_the_renewed_certificate() {
    let tls = Tls::new();
    let loaded = tls.load("1.2");
    let server = Server::start(&loaded, None).await.unwrap();
    let leaf = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let before = leaf(&tls.dial(&server, &[], BOTH).await.unwrap());
    tls.install(&tls.ca.server(KeyKind::P384, &["localhost"]).unwrap());
    server.reload(&loaded.config).unwrap();
    assert_ne!(leaf(&tls.dial(&server, &[], BOTH).await.unwrap()), before);
    server.stop().await.unwrap();
}

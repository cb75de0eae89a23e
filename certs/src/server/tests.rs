//! Handshakes in memory: two rustls state machines pass each other bytes, no socket is involved.

use rustls::{
    ClientConfig, ClientConnection, Error, ProtocolVersion, ServerConnection, pki_types::ServerName,
};

use super::*;
use crate::test_ca::{Issued, KeyKind, TestCa};

const KINDS: [KeyKind; 4] = [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::Rsa2048];

fn store(ca: &TestCa, kind: KeyKind) -> Arc<CertificateStore> {
    Arc::new(CertificateStore::new(identity(ca, kind)))
}

fn identity(ca: &TestCa, kind: KeyKind) -> Identity {
    let issued = ca.server(kind, &["localhost"]).unwrap();
    Identity::from_pem(&issued.cert_pem, &issued.key_pem).unwrap()
}

/// A client that trusts `ca`, speaks only `version`, and shows `certificate` if asked.
fn client(
    ca: &TestCa,
    version: &'static SupportedProtocolVersion,
    certificate: Option<&Issued>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(root_store(ca.certificate_pem()).unwrap());
    match certificate {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let data = |text: &str| crate::PemData::parse(text.as_bytes()).unwrap();
            let chain = data(&issued.cert_pem).certificates();
            builder
                .with_client_auth_cert(chain, data(&issued.key_pem).private_key().unwrap())
                .unwrap()
        }
    }
}

fn offering(mut config: ClientConfig, alpn: &[&str]) -> Arc<ClientConfig> {
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Runs a handshake to its end; the first error of either side ends it.
fn handshake(
    client: Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), Error> {
    let mut client = ClientConnection::new(client, ServerName::try_from("localhost").unwrap())?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        read_all(&mut server, &wire)?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        read_all(&mut client, &wire)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

fn read_all<D>(connection: &mut rustls::ConnectionCommon<D>, mut wire: &[u8]) -> Result<(), Error> {
    while !wire.is_empty() {
        connection.read_tls(&mut wire).unwrap();
        connection.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn every_key_kind_handshakes_over_tcp_and_quic_settings() {
    let ca = TestCa::new().unwrap();
    for kind in KINDS {
        let store = store(&ca, kind);
        let tcp = Arc::new(tcp_config(Arc::clone(&store), "", MinVersion::Tls12).unwrap());
        for (version, expected) in [
            (&TLS12, ProtocolVersion::TLSv1_2),
            (&TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let client = offering(client(&ca, version, None), &["h2", "http/1.1"]);
            let (client, _) = handshake(client, &tcp).unwrap();
            assert_eq!(client.protocol_version(), Some(expected), "{kind:?}");
            assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
        }
        let quic = Arc::new(quic_config(store, "").unwrap());
        let (client, _) = handshake(offering(client(&ca, &TLS13, None), &["h3"]), &quic).unwrap();
        assert_eq!(client.alpn_protocol(), Some(&b"h3"[..]), "{kind:?}");
    }
}

#[test]
fn clients_of_http_1_and_without_alpn_are_served() {
    let ca = TestCa::new().unwrap();
    let server = Arc::new(tcp_config(store(&ca, KeyKind::P256), "", MinVersion::Tls12).unwrap());
    let (one, _) = handshake(offering(client(&ca, &TLS13, None), &["http/1.1"]), &server).unwrap();
    assert_eq!(one.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (none, _) = handshake(offering(client(&ca, &TLS13, None), &[]), &server).unwrap();
    assert_eq!(none.alpn_protocol(), None);
}

#[test]
fn the_minimum_version_is_enforced() {
    let ca = TestCa::new().unwrap();
    let store = store(&ca, KeyKind::P256);
    let strict = tcp_config(Arc::clone(&store), "", MinVersion::Tls13).unwrap();
    for server in [strict, quic_config(store, "").unwrap()] {
        let refused = handshake(offering(client(&ca, &TLS12, None), &[]), &Arc::new(server));
        assert!(matches!(refused, Err(Error::PeerIncompatible(_))), "{refused:?}");
    }
}

#[test]
fn a_client_ca_demands_a_certificate_it_issued() {
    let (ca, stranger) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    let store = store(&ca, KeyKind::P256);
    let tcp = tcp_config(Arc::clone(&store), ca.certificate_pem(), MinVersion::Tls12).unwrap();
    let quic = quic_config(store, ca.certificate_pem()).unwrap();
    for (server, alpn) in [(Arc::new(tcp), "h2"), (Arc::new(quic), "h3")] {
        let connect =
            |issued: Option<&Issued>| handshake(offering(client(&ca, &TLS13, issued), &[alpn]), &server);
        let refused = connect(None);
        assert!(
            matches!(refused, Err(Error::NoCertificatesPresented)),
            "{refused:?}"
        );
        let refused = connect(Some(&stranger.client("stranger").unwrap()));
        assert!(
            matches!(refused, Err(Error::InvalidCertificate(_))),
            "{refused:?}"
        );
        let (_, server) = connect(Some(&ca.client("friend").unwrap())).unwrap();
        assert!(server.peer_certificates().is_some());
    }
}

#[test]
fn an_unusable_client_ca_is_refused() {
    let ca = TestCa::new().unwrap();
    let store = store(&ca, KeyKind::P256);
    let error = tcp_config(Arc::clone(&store), "missing.pem", MinVersion::Tls12).unwrap_err();
    assert!(matches!(error, TlsError::NotPem));
    let key_only = ca.client("friend").unwrap().key_pem;
    assert!(matches!(
        quic_config(store, &key_only),
        Err(TlsError::NoCertificate)
    ));
}

#[test]
fn the_next_handshake_sees_a_replaced_certificate() {
    let ca = TestCa::new().unwrap();
    let store = store(&ca, KeyKind::P256);
    let server = Arc::new(tcp_config(Arc::clone(&store), "", MinVersion::Tls12).unwrap());
    let presented = || {
        let (client, _) = handshake(offering(client(&ca, &TLS13, None), &[]), &server).unwrap();
        client.peer_certificates().unwrap()[0].to_vec()
    };
    let first = store.current();
    assert_eq!(presented(), first.leaf());
    store.replace(identity(&ca, KeyKind::Ed25519));
    assert_eq!(presented(), store.current().leaf());
    assert_ne!(first.leaf(), store.current().leaf());
}

#[test]
fn sessions_resume_by_ticket() {
    let ca = TestCa::new().unwrap();
    let server = Arc::new(tcp_config(store(&ca, KeyKind::P256), "", MinVersion::Tls12).unwrap());
    for version in [&TLS12, &TLS13] {
        let client = offering(client(&ca, version, None), &[]);
        let (first, _) = handshake(Arc::clone(&client), &server).unwrap();
        let (second, _) = handshake(client, &server).unwrap();
        assert_eq!(first.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(second.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    }
}

//! `http_server`: listeners and their TLS.

use super::super::definition::section;
use super::super::types::TlsVersion;
use super::others::TlsAutocert;

section! {
    /// Listeners, their TLS and HTTP versions.
    ///
    /// There are two: the external one for clients, the internal one for the server API, metrics and health. As
    /// long as their addresses are the same, one listener serves everything. A listener without endpoints is not
    /// opened.
    pub struct HttpServer {
        /// Host to which the external listener is bound. Empty for all interfaces.
        address: String;
        /// Port of the external listener; also the UDP port of HTTP/3.
        port: u16 = 8000;
        /// Host to which the internal listener is bound. Empty for that of `address`.
        internal_address: String;
        /// Port of the internal listener. Empty for that of `port`.
        internal_port: String;
        /// TLS of the listeners.
        tls: TlsOptions;
        /// Whether `tls` is meant for the external listener only.
        tls_external: bool;
        /// TLS of the internal listener. Ignored as long as there is only one listener.
        internal_tls: TlsOptions;
        /// HTTP/3.
        http3: Http3;
        /// HTTP/2 without TLS on the external listener, for clients that know of it beforehand. HTTP/1.1 stays.
        /// Needs an `internal_port` that differs from `port`, and no TLS.
        h2c_external: bool;
        /// A certificate that the server makes for itself.
        development_certificate: DevelopmentCertificate;
    }
    unsupported {
        /// Certificates by ACME.
        tls_autocert: TlsAutocert;
    }
}

section! {
    /// TLS of a listener.
    ///
    /// A PEM value may be the text itself, its base64, or the path of a file; these are tried in this order.
    /// They are read at start and again on SIGHUP; connections that are open keep what they have.
    pub struct TlsOptions {
        /// Use TLS.
        enabled: bool;
        /// Certificate chain, leaf first. PEM.
        cert_pem: String;
        /// Private key of the leaf: PKCS#8, PKCS#1 or SEC1, not encrypted. PEM.
        key_pem: String;
        /// Certificates of the authorities by which clients must be certified (mutual TLS). Empty for none: then
        /// clients are not asked for a certificate. PEM.
        client_ca_pem: String;
        /// Oldest TLS version that is spoken. HTTP/3 always speaks 1.3. Beyond v6.
        min_version: TlsVersion = "1.2";
    }
    without_effect {
        /// Authorities that certify servers; counts where this server is a client. PEM.
        server_ca_pem: String;
        /// Do not verify servers; counts where this server is a client.
        insecure_skip_verify: bool;
        /// Name of the server to verify; counts where this server is a client.
        server_name: String;
    }
}

section! {
    /// HTTP/3.
    pub struct Http3 {
        /// Serve the external endpoints, but for WebSocket, over HTTP/3 too, on the UDP port of the same number.
        /// Responses over TCP then point to it by `Alt-Svc`. Needs a certificate.
        enabled: bool;
    }
}

section! {
    /// A certificate that the server makes for itself, so that WebTransport can be tried without an authority.
    ///
    /// It is self-signed, ECDSA P-256, and lives for less than 14 days, as browsers demand of certificates they
    /// accept by hash (`serverCertificateHashes`). It is used where a certificate is needed and none is
    /// configured: for HTTP/3, and for TLS over TCP if that is enabled.
    pub struct DevelopmentCertificate {
        /// Make a certificate for development where none is configured. Beyond v6.
        enabled: bool;
        /// Directory in which certificate and key are kept; created if it is not there. A certificate that ends
        /// soon is replaced. Beyond v6.
        directory: String = ".tidegate";
    }
}

impl HttpServer {
    /// Host and port of the internal listener, as texts; what is not set is taken over from the external one.
    #[must_use]
    pub fn internal(&self) -> (String, String) {
        let or = |own: &String, other: String| if own.is_empty() { other } else { own.clone() };
        let port = or(&self.internal_port, self.port.to_string());
        (or(&self.internal_address, self.address.clone()), port)
    }

    /// Whether the internal listener differs from the external one.
    #[must_use]
    pub fn has_internal(&self) -> bool {
        self.internal() != (self.address.clone(), self.port.to_string())
    }
}

impl TlsOptions {
    /// Whether there is a certificate with its key.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        !self.cert_pem.is_empty() && !self.key_pem.is_empty()
    }
}

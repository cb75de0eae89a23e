//! The test page: the web client's files, built into the binary, and what they need to know of the server.

use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Method, Request, Response};
use tidegate_transports::http::Body;

use super::routes::full;

include!(concat!(env!("OUT_DIR"), "/web_client.rs"));

/// Serves the page below a prefix.
pub(super) struct TestPage {
    /// Ends with a slash.
    pub(super) prefix: String,
    /// Contents of `tidegate.json`.
    pub(super) facts: PageFacts,
}

/// What the page asks its server.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct PageFacts {
    pub(super) name: &'static str,
    pub(super) version: String,
    /// Whether TCP is TLS.
    pub(super) secure: bool,
    pub(super) quic_port: Option<u16>,
    /// Base64 of the development certificate's SHA-256, for `serverCertificateHashes`.
    #[serde(serialize_with = "current_hash")]
    pub(super) certificate_sha256: Option<super::tls::DevelopmentHash>,
    pub(super) transports: PageTransports,
}

#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct PageTransports {
    pub(super) webtransport: Option<String>,
    pub(super) websocket: Option<String>,
    pub(super) http_stream: Option<String>,
    pub(super) sse: Option<String>,
    pub(super) emulation: Option<String>,
}

/// Whether the web client was built before this binary.
pub(super) fn is_built() -> bool {
    !FILES.is_empty()
}

impl TestPage {
    /// Answers a request for the page or one of its files; `None` if there is no such file.
    pub(super) fn answer(&self, request: &Request<Body>) -> Option<Response<Body>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let name = request.uri().path().strip_prefix(self.prefix.as_str())?;
        let name = if name.is_empty() { "index.html" } else { name };
        if name == "tidegate.json" {
            let body = serde_json::to_vec(&self.facts).ok()?;
            let mut response = full(body, "application/json");
            response
                .headers_mut()
                .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return Some(response);
        }
        let (_, contents) = FILES.iter().find(|(file, _)| *file == name)?;
        Some(full(*contents, content_type(name)))
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

fn current_hash<S: serde::Serializer>(
    hash: &Option<super::tls::DevelopmentHash>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(
        &hash.as_ref().map(super::tls::DevelopmentHash::base64),
        serializer,
    )
}

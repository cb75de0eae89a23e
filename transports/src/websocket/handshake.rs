//! The opening handshake: checks in the order of protocol.md 5.1, negotiation of encoding and compression.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use sha1::{Digest, Sha1};

use crate::http::{Body, ConnectionFacts};
use crate::{Encoding, Handshake, TransportKind};

/// RFC 6455, 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const JSON_PROTOCOL: &str = "centrifuge-json";
const PROTOBUF_PROTOCOL: &str = "centrifuge-protobuf";

/// What was agreed with the client.
pub(super) struct Negotiated {
    accept: String,
    subprotocol: Option<&'static str>,
    encoding: Encoding,
    transport_pings: bool,
    pub(super) compression: bool,
}

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotUpgradable,
    Method,
    Version,
    Key,
    Origin,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<Body> {
        let status = match self {
            Self::NotUpgradable | Self::Version | Self::Key => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Origin => StatusCode::FORBIDDEN,
        };
        let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
        let mut response = Response::new(
            Full::new(Bytes::from(text))
                .map_err(|never| match never {})
                .boxed_unsync(),
        );
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        response
    }
}

pub(super) fn negotiate(request: &Request<Body>, offer_compression: bool) -> Result<Negotiated, Refusal> {
    let headers = request.headers();
    if request.version() != http::Version::HTTP_11
        || !has_token(headers, &CONNECTION, "upgrade")
        || !has_token(headers, &UPGRADE, "websocket")
    {
        return Err(Refusal::NotUpgradable);
    }
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    if !has_token(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return Err(Refusal::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(Refusal::Key)?;
    if STANDARD.decode(key.as_bytes()).map_or(0, |key| key.len()) != 16 {
        return Err(Refusal::Key);
    }
    let mut digest = Sha1::new();
    digest.update(key.as_bytes());
    digest.update(ACCEPT_SUFFIX);
    let query = request.uri().query().unwrap_or_default();
    let subprotocol = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(|offered| {
        [JSON_PROTOCOL, PROTOBUF_PROTOCOL]
            .into_iter()
            .find(|known| *known == offered)
    });
    let protobuf = subprotocol == Some(PROTOBUF_PROTOCOL)
        || has_parameter(query, "format", "protobuf")
        || has_parameter(query, "cf_protocol", "protobuf");
    Ok(Negotiated {
        accept: STANDARD.encode(digest.finalize()),
        subprotocol,
        encoding: if protobuf {
            Encoding::Protobuf
        } else {
            Encoding::Json
        },
        transport_pings: has_parameter(query, "cf_ws_frame_ping_pong", "true"),
        compression: offer_compression
            && tokens(headers, &SEC_WEBSOCKET_EXTENSIONS).any(|offer| {
                offer
                    .split(';')
                    .next()
                    .is_some_and(|name| name.trim() == "permessage-deflate")
            }),
    })
}

impl Negotiated {
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(subprotocol) = self.subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        }
        if self.compression {
            headers.insert(
                SEC_WEBSOCKET_EXTENSIONS,
                HeaderValue::from_static(
                    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                ),
            );
        }
        response
    }

    pub(super) fn handshake(&self, request: &Request<Body>, facts: ConnectionFacts) -> Handshake {
        Handshake {
            transport: TransportKind::Websocket,
            encoding: self.encoding,
            peer: facts.peer,
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            version: request.version(),
            tls: facts.tls,
            session: None,
            transport_pings: self.transport_pings,
        }
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|value| value.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Whether a query has `name=value`, percent-decoded.
fn has_parameter(query: &str, name: &str, value: &str) -> bool {
    crate::query::parameter(query, name).is_some_and(|found| found == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], target: &str) -> Request<Body> {
        let mut builder = Request::builder().uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder
            .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
            .expect("request")
    }

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_accept_key_of_rfc_6455() {
        let negotiated = negotiate(&request(&GOOD, "/"), false).expect("handshake");
        assert_eq!(negotiated.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(
            (negotiated.encoding, negotiated.subprotocol),
            (Encoding::Json, None)
        );
    }

    #[test]
    fn refusals_in_their_order() {
        for (without, refusal) in [
            ("connection", Refusal::NotUpgradable),
            ("upgrade", Refusal::NotUpgradable),
            ("sec-websocket-version", Refusal::Version),
            ("sec-websocket-key", Refusal::Key),
        ] {
            let headers: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != without).collect();
            assert_eq!(
                negotiate(&request(&headers, "/"), false).err(),
                Some(refusal),
                "{without}"
            );
        }
        let mut post = request(&GOOD, "/");
        *post.method_mut() = Method::POST;
        assert_eq!(negotiate(&post, false).err(), Some(Refusal::Method));
    }

    #[test]
    fn the_query_wins_over_the_subprotocol() {
        let mut headers = GOOD.to_vec();
        headers.push((
            "sec-websocket-protocol",
            "unknown, centrifuge-json, centrifuge-protobuf",
        ));
        let negotiated = negotiate(&request(&headers, "/?format=protobuf"), false).expect("handshake");
        assert_eq!(
            (negotiated.encoding, negotiated.subprotocol),
            (Encoding::Protobuf, Some(JSON_PROTOCOL))
        );
    }
}

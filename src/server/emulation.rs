//! The emulation endpoint (protocol.md 5.4): commands of clients whose transport only carries replies.

use http::{Method, Request, Response, StatusCode};
use prost::Message;
use serde::Deserialize;
use tidegate_transports::Encoding;
use tidegate_transports::http::Body;
use tidegate_transports::streaming::{self, EmulationRegistry};

use crate::protocol::message::EmulationRequest;

/// Finds the session of an emulation request on this node.
pub(super) struct Emulation {
    pub(super) node: String,
    pub(super) max_request_body_size: usize,
}

/// The JSON form: `data` is a string of newline-delimited commands.
#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonRequest {
    session: Option<String>,
    node: Option<String>,
    data: Option<serde_json::Value>,
}

impl Emulation {
    pub(super) async fn answer(
        &self,
        request: Request<Body>,
        registry: &EmulationRegistry,
    ) -> Response<Body> {
        match *request.method() {
            Method::POST => {}
            Method::OPTIONS => return streaming::preflight(),
            _ => return streaming::status(StatusCode::METHOD_NOT_ALLOWED),
        }
        let encoding = streaming::encoding_of(request.headers());
        let body = match streaming::read_body(request, self.max_request_body_size, "emulation").await {
            Ok((_, body)) => body,
            Err(refusal) => return streaming::status(refusal),
        };
        let Some(request) = decode(encoding, &body) else {
            tracing::info!("can't unmarshal emulation request");
            return streaming::status(StatusCode::BAD_REQUEST);
        };
        if request.node != self.node {
            return streaming::status(StatusCode::NOT_FOUND);
        }
        // An unknown session is no error for the client: its stream tells it (protocol.md 6).
        let _ = registry.deliver(&request.session, request.data).await;
        streaming::status(StatusCode::NO_CONTENT)
    }
}

fn decode(encoding: Encoding, body: &[u8]) -> Option<EmulationRequest> {
    match encoding {
        Encoding::Protobuf => EmulationRequest::decode(body).ok(),
        Encoding::Json => {
            let request: JsonRequest = serde_json::from_slice(body).ok()?;
            let data = match request.data {
                Some(serde_json::Value::String(data)) => data,
                // Not a string: what is there cannot be commands, which the session finds out.
                Some(other) => other.to_string(),
                None => String::new(),
            };
            Some(EmulationRequest {
                node: request.node.unwrap_or_default(),
                session: request.session.unwrap_or_default(),
                data: data.into(),
            })
        }
    }
}

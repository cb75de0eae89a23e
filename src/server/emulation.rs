//! The emulation endpoint (protocol.md 5.4): commands of clients whose transport only carries replies.

use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use tidegate_transports::http::Body;
use tidegate_transports::streaming::{self, Delivered, EmulationRegistry};

use crate::protocol;

/// How long a batch may wait for its session.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds the session of an emulation request on this node.
pub(super) struct Emulation {
    pub(super) node: String,
    pub(super) max_request_body_size: usize,
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
        let Some(request) = protocol::decode_emulation(encoding, body) else {
            tracing::info!("can't unmarshal emulation request");
            return streaming::status(StatusCode::BAD_REQUEST);
        };
        if request.node != self.node {
            return streaming::status(StatusCode::NOT_FOUND);
        }
        let delivering = registry.deliver(&request.session, request.data);
        match tokio::time::timeout(PATIENCE, delivering).await {
            // An unknown session is no error for the client: its stream tells it (protocol.md 6).
            Ok(Delivered::Handled | Delivered::UnknownSession) => streaming::status(StatusCode::NO_CONTENT),
            Err(_) => {
                tracing::error!("emulation request was not handled in time");
                streaming::status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

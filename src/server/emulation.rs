//! The emulation endpoint (protocol.md 5.4): commands of clients whose transport only carries replies.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use tidegate_transports::http::Body;
use tidegate_transports::streaming::{self, Delivered, EmulationRegistry};

use crate::node::{EmulationTarget, Forwarded, Node};
use crate::protocol;

/// How long a batch may wait for its session.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds the session of an emulation request, here or on another node.
pub(super) struct Emulation {
    pub(super) node: Arc<Node>,
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
        if request.node != self.node.id() {
            return streaming::status(match self.node.forward_emulation(request).await {
                Forwarded::Sent => StatusCode::NO_CONTENT,
                Forwarded::UnknownNode => StatusCode::NOT_FOUND,
                Forwarded::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            });
        }
        let commands = protocol::emulated_commands(encoding, request.data);
        let delivering = registry.deliver(&request.session, commands);
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

/// The streaming sessions of this node, for commands that other nodes pass on.
pub(super) struct Sessions(pub(super) Arc<EmulationRegistry>);

impl EmulationTarget for Sessions {
    fn deliver(&self, session: &str, posted: Bytes) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let Some(encoding) = self.0.encoding(session) else {
            return Box::pin(ready(false));
        };
        let (registry, session) = (self.0.clone(), session.to_owned());
        let commands = protocol::emulated_commands(encoding, posted);
        Box::pin(async move {
            let delivering = registry.deliver(&session, commands);
            let delivered = tokio::time::timeout(PATIENCE, delivering).await;
            matches!(delivered, Ok(Delivered::Handled))
        })
    }
}

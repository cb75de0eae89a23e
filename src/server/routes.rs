//! Which path of a listener leads where (configuration.md 4.2).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use http::header::{ALT_SVC, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tidegate_transports::Acceptor;
use tidegate_transports::http::{AnswerToWhole, Body, ConcreteBody, HttpService, WholeRequest};
use tidegate_transports::streaming::{self, EmulationRegistry, StreamOptions};
use tidegate_transports::websocket::{self, WebsocketOptions};

use super::cors;
use super::emulation::Emulation;
use super::instrument::{self, Counted};
use super::test_page::TestPage;
use crate::api::http::HttpApi;
use crate::node::{Node, NodeAcceptor, Readiness};
use crate::telemetry::Metrics;

/// What answers a path.
pub(super) enum Endpoint {
    Websocket(Arc<WebsocketOptions>),
    /// Sessions begin by an extended CONNECT, which the HTTP/3 layer takes; anything else is a mistake.
    Webtransport,
    HttpStream(StreamOptions),
    Sse(StreamOptions),
    Emulation(Emulation),
    Init,
    Health,
    Ready(Arc<Node>),
    Metrics(Arc<Metrics>, Arc<Node>),
}

impl Endpoint {
    /// Whether the connection limits of the node apply.
    fn is_limited(&self) -> bool {
        matches!(
            self,
            Self::Websocket(_) | Self::HttpStream(_) | Self::Sse(_) | Self::Init
        )
    }

    /// Whether pages of other origins may call it.
    fn has_cors(&self) -> bool {
        !matches!(self, Self::Health | Self::Ready(_) | Self::Metrics(..))
    }
}

/// The endpoints of one listener.
pub(super) struct Routes {
    pub(super) acceptor: Arc<NodeAcceptor>,
    pub(super) emulation: Arc<EmulationRegistry>,
    pub(super) endpoints: HashMap<String, Endpoint>,
    /// The server API below its prefix.
    pub(super) api: Option<(String, HttpApi<Node>)>,
    pub(super) page: Option<TestPage>,
    /// Value of `Alt-Svc` on answers over TCP.
    pub(super) alt_svc: Option<HeaderValue>,
    /// Log every finished request.
    pub(super) logs_requests: bool,
    /// Count every finished request.
    pub(super) counts_requests: Option<Arc<Metrics>>,
}

/// [`Routes`] as a service.
pub(super) struct Service(pub(super) Arc<Routes>);

impl HttpService for Service {
    fn call(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        let routes = self.0.clone();
        Box::pin(async move { routes.answer(request).await })
    }

    fn call_whole<'a>(&'a self, request: WholeRequest<'a>) -> Option<AnswerToWhole<'a>> {
        self.0.answer_whole(request)
    }
}

impl Routes {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let version = request.version();
        let log = self.logs_requests.then(|| RequestLog::new(&request));
        let counted = self.counts_requests.as_ref().map(|metrics| Counted {
            metrics: metrics.clone(),
            path: self.label(request.uri().path()),
            method: request.method().clone(),
            status: StatusCode::OK,
        });
        let mut response = self.route(request).await;
        if let Some(mut counted) = counted {
            counted.status = response.status();
            response = instrument::count(response, counted);
        }
        if let Some(alt_svc) = self.alt_svc.as_ref().filter(|_| version < Version::HTTP_3) {
            response.headers_mut().insert(ALT_SVC, alt_svc.clone());
        }
        if let Some(log) = log {
            log.finish(response.status());
        }
        response
    }

    /// Answers calls of the server API over TCP. Where requests are logged or counted, they take the longer way.
    fn answer_whole<'a>(&'a self, request: WholeRequest<'a>) -> Option<AnswerToWhole<'a>> {
        let api = self.api_of(request.path)?;
        if self.logs_requests || self.counts_requests.is_some() || self.endpoints.contains_key(request.path) {
            return None;
        }
        let answer = api.answer_whole(request)?;
        Some(Box::pin(async move {
            let mut response = answer.await;
            response.alt_svc.clone_from(&self.alt_svc);
            response
        }))
    }

    /// The route of a path, for metrics.
    fn label(&self, path: &str) -> String {
        let is_api = self
            .api
            .as_ref()
            .is_some_and(|(prefix, _)| path.starts_with(prefix.as_str()));
        let is_known = self.endpoints.contains_key(path)
            || (is_api
                && path
                    .rsplit('/')
                    .next()
                    .is_some_and(|method| crate::api::Method::from_name(method).is_some()));
        if is_known {
            path.to_owned()
        } else {
            "other".to_owned()
        }
    }

    async fn route(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(endpoint) = self.endpoints.get(path) {
            return self.endpoint(endpoint, request).await;
        }
        if let Some(api) = self.api_of(path) {
            let answer = api.answer(request.map(ConcreteBody)).await;
            return answer.map(|body| body.map_err(|never| match never {}).boxed_unsync());
        }
        if let Some(response) = self.page.as_ref().and_then(|page| page.answer(&request)) {
            return response;
        }
        not_found()
    }

    /// The server API, if a path is its prefix or below it.
    fn api_of(&self, path: &str) -> Option<&HttpApi<Node>> {
        let (prefix, api) = self.api.as_ref()?;
        let below = path.strip_prefix(prefix.as_str())?;
        (below.is_empty() || below.starts_with('/')).then_some(api)
    }

    async fn endpoint(&self, endpoint: &Endpoint, request: Request<Body>) -> Response<Body> {
        if endpoint.is_limited() && !self.acceptor.has_room() {
            return streaming::status(StatusCode::SERVICE_UNAVAILABLE);
        }
        let cors = endpoint
            .has_cors()
            .then(|| cors::Headers::of(&request, &*self.acceptor))
            .flatten();
        let mut response = match endpoint {
            Endpoint::Websocket(options) => websocket::upgrade(request, &self.acceptor, options),
            Endpoint::Webtransport => streaming::status(StatusCode::BAD_REQUEST),
            Endpoint::HttpStream(options) => {
                streaming::http_stream(request, &self.acceptor, &self.emulation, options).await
            }
            Endpoint::Sse(options) => streaming::sse(request, &self.acceptor, &self.emulation, options).await,
            Endpoint::Emulation(emulation) => emulation.answer(request, &self.emulation).await,
            Endpoint::Init => match *request.method() {
                Method::GET => json("{}", "application/json; charset=utf-8"),
                // The 405 of init carries no CORS headers.
                _ => return streaming::status(StatusCode::METHOD_NOT_ALLOWED),
            },
            Endpoint::Health => json("{}", "application/json"),
            Endpoint::Ready(node) => ready(&node.readiness()),
            Endpoint::Metrics(metrics, node) => super::metrics_page(metrics, node),
        };
        if let Some(cors) = cors.filter(|_| response.status() != StatusCode::SWITCHING_PROTOCOLS) {
            cors.apply(response.headers_mut());
        }
        response
    }
}

/// An answer with a body of known type.
pub(super) fn full(body: impl Into<Bytes>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(
        Full::new(body.into())
            .map_err(|never| match never {})
            .boxed_unsync(),
    );
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn json(body: &'static str, content_type: &'static str) -> Response<Body> {
    full(Bytes::from_static(body.as_bytes()), content_type)
}

/// 503 takes a node out of a balancer; what stands in the body is for people.
fn ready(readiness: &Readiness) -> Response<Body> {
    let mut response = full(
        serde_json::to_vec(readiness).unwrap_or_default(),
        "application/json",
    );
    if !readiness.ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn not_found() -> Response<Body> {
    let mut response = full(
        Bytes::from_static(b"404 page not found\n"),
        "text/plain; charset=utf-8",
    );
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// The debug line of a request.
struct RequestLog {
    method: Method,
    path: String,
    address: String,
    started: std::time::Instant,
}

impl RequestLog {
    fn new(request: &Request<Body>) -> Self {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let peer = || {
            let facts = request
                .extensions()
                .get::<tidegate_transports::http::ConnectionFacts>();
            facts.map(|facts| facts.peer.to_string()).unwrap_or_default()
        };
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            address: header("x-real-ip")
                .or_else(|| header("x-forwarded-for"))
                .map_or_else(peer, str::to_owned),
            started: std::time::Instant::now(),
        }
    }

    fn finish(self, status: StatusCode) {
        tracing::debug!(
            method = %self.method,
            status = status.as_u16(),
            path = %self.path,
            addr = %self.address,
            duration = ?self.started.elapsed(),
            "http request"
        );
    }
}

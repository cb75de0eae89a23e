//! The server API over HTTP (server-api.md 1): a route per method, the legacy route, and what stands between a
//! request and its method.
//!
//! What is wrong with a request is told in a fixed order: no such route 404, wrong verb 405, wrong key 401, not
//! the JSON of a request 400. A method's own error is a matter of the error mode: by default the status is 200
//! and the error stands in the body, because most client libraries take any other status for a broken transport.
//!
//! Time limits are those of the listener. The size of a body is limited here, far above what the reference was
//! seen to take: [`MAX_BODY_SIZE`].

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method as Verb, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tidegate_transports::http::{WholeRequest, WholeResponse};

use super::key::{Access, Fields};
use super::observer::{ApiObserver, Fault};
use super::{Api, ApiError, JsonCallError, Method, Operations, Protocol};
use crate::protocol::json::JsonWriter;

/// Largest body of a request in bytes; a larger one is answered with 413. It bounds what one call can hold in
/// memory, which is a small multiple of it.
pub const MAX_BODY_SIZE: usize = 64 << 20;

/// Options of the API over HTTP (`http_api` in the configuration).
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Path below which the methods are, and which is the legacy endpoint itself. Slashes at its end are dropped.
    /// If nothing remains, every path that is not a method is the legacy endpoint.
    pub handler_prefix: String,
    /// Key that requests must show; empty refuses all of them.
    pub key: String,
    /// Ask nobody for a key.
    pub insecure: bool,
    /// Answer errors of methods with a status of HTTP, also when the request does not ask for it.
    pub transport_errors: bool,
}

/// The server API over HTTP.
pub struct HttpApi<O> {
    api: Api<O>,
    prefix: String,
    access: Access,
    transport_errors: bool,
}

impl<O: Operations> HttpApi<O> {
    /// The API over a node.
    #[must_use]
    pub fn new(operations: Arc<O>, options: HttpOptions, observer: Arc<dyn ApiObserver>) -> Self {
        let HttpOptions {
            handler_prefix,
            key,
            insecure,
            transport_errors,
        } = options;
        Self {
            api: Api::new(operations, observer, Protocol::Http),
            prefix: handler_prefix.trim_end_matches('/').to_owned(),
            access: if insecure {
                Access::Anybody
            } else {
                Access::Key(key)
            },
            transport_errors,
        }
    }

    /// Answers a request.
    ///
    /// # Cancel safety
    /// Dropping the future (the caller went away) leaves open whether the method took effect.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let Some(route) = self.route(path) else {
            return response(plain(StatusCode::NOT_FOUND, "404 page not found\n"));
        };
        if head.method != Verb::POST {
            return response(status(StatusCode::METHOD_NOT_ALLOWED));
        }
        if let Some(refusal) = self.refuse(&route, &head.headers, head.uri.query()) {
            return response(refusal);
        }
        response(match Limited::new(body, MAX_BODY_SIZE).collect().await {
            Ok(body) => self.carry_out(route, path, &head.headers, &body.to_bytes()).await,
            Err(error) => self.unread(&route, path, error.as_ref()),
        })
    }

    /// Answers a request that is there as a whole, just as [`answer`](Self::answer) does. `None` if its path is
    /// none of the API's.
    pub fn answer_whole<'a>(
        &'a self,
        request: WholeRequest<'a>,
    ) -> Option<impl Future<Output = WholeResponse> + 'a> {
        let route = self.route(request.path)?;
        Some(async move {
            match self.refuse(&route, &request, request.query) {
                Some(refusal) => refusal,
                None => self.carry_out(route, request.path, &request, request.body).await,
            }
        })
    }

    /// What is wrong with a POST before its body is looked at.
    fn refuse(&self, route: &Route, headers: &impl Fields, query: Option<&str>) -> Option<WholeResponse> {
        if !self.access.admits(headers, query) {
            return Some(status(StatusCode::UNAUTHORIZED));
        }
        if matches!(route, Route::Legacy) && self.api.is_stopping() {
            return Some(plain(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n"));
        }
        None
    }

    async fn carry_out(&self, route: Route, path: &str, headers: &impl Fields, body: &[u8]) -> WholeResponse {
        match route {
            Route::Method(method) => self.answer_method(method, path, headers, body).await,
            // Boxed, as is every method but the most frequent one: what waits is as large as the largest.
            Route::Legacy => match Box::pin(self.api.call_legacy(body)).await {
                Ok(replies) => json(StatusCode::OK, replies),
                Err(error) => failure(&error, path),
            },
        }
    }

    async fn answer_method(
        &self,
        method: Method,
        path: &str,
        headers: &impl Fields,
        body: &[u8],
    ) -> WholeResponse {
        let mut out = Vec::with_capacity(128);
        let mut writer = JsonWriter::new(&mut out);
        writer.begin_object();
        match self.api.call_json(method, body, &mut writer).await {
            Ok(()) => {
                writer.end_object();
                json(StatusCode::OK, out)
            }
            Err(JsonCallError::Answered(error)) if self.transport_errors || asks_for_status(headers) => json(
                error.http_status(),
                write(|writer| writer.object(|w| error_fields(w, error))),
            ),
            Err(JsonCallError::Answered(error)) => {
                let body = write(|writer| {
                    writer.object(|w| w.object_field("error", |w| error_fields(w, error)));
                });
                json(StatusCode::OK, body)
            }
            Err(error) => failure(&error, path),
        }
    }

    fn route(&self, path: &str) -> Option<Route> {
        let below = path.strip_prefix(&self.prefix)?;
        match below.strip_prefix('/').and_then(Method::from_name) {
            Some(method) => Some(Route::Method(method)),
            None if below.is_empty() || self.prefix.is_empty() => Some(Route::Legacy),
            None => None,
        }
    }

    /// A body that did not arrive as a whole, or is larger than it may be.
    fn unread(&self, route: &Route, path: &str, error: &(dyn std::error::Error + 'static)) -> WholeResponse {
        let method = match route {
            Route::Method(method) => Some(*method),
            Route::Legacy => None,
        };
        self.api.fault(method, Fault::ReadBody);
        tracing::error!(path, error, "error reading API request body");
        if error.is::<LengthLimitError>() {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large\n");
        }
        plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
    }
}

enum Route {
    Method(Method),
    Legacy,
}

/// Whether this request is to have errors as a status. The value is compared to the letter.
fn asks_for_status(headers: &impl Fields) -> bool {
    const ERROR_MODE: HeaderName = HeaderName::from_static("x-centrifugo-error-mode");
    headers.field(&ERROR_MODE) == Some(b"transport")
}

/// The answer to what no method answered, the same in both error modes.
fn failure(error: &JsonCallError, path: &str) -> WholeResponse {
    match error {
        JsonCallError::Malformed(error) => {
            tracing::error!(path, %error, "error decoding API request body");
            plain(StatusCode::BAD_REQUEST, "Bad Request\n")
        }
        JsonCallError::Answered(_) | JsonCallError::Unencodable(_) => {
            tracing::error!(path, %error, "error encoding API response");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
        }
    }
}

fn error_fields(json: &mut JsonWriter<'_>, error: ApiError) {
    json.u64_field("code", error.code().into());
    json.str_field("message", &error.to_string());
}

fn write(value: impl FnOnce(&mut JsonWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    value(&mut JsonWriter::new(&mut out));
    out
}

fn json(status: StatusCode, body: Vec<u8>) -> WholeResponse {
    answer(status, &[("content-type", "application/json")], Bytes::from(body))
}

fn plain(status: StatusCode, text: &'static str) -> WholeResponse {
    const FIELDS: &[(&str, &str)] = &[
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    ];
    answer(status, FIELDS, Bytes::from_static(text.as_bytes()))
}

/// Nothing but a status.
fn status(status: StatusCode) -> WholeResponse {
    answer(status, &[], Bytes::new())
}

fn answer(status: StatusCode, fields: &'static [(&'static str, &'static str)], body: Bytes) -> WholeResponse {
    WholeResponse {
        status,
        fields,
        alt_svc: None,
        body,
    }
}

/// The answer in the types of `http`.
fn response(answer: WholeResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    for &(name, value) in answer.fields {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

//! Counts finished requests, where `prometheus.instrument_http_handlers` asks for it (operations.md 2).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use tidegate_transports::http::{Body, ConcreteBody};

use crate::telemetry::Metrics;

/// One request; counted when it is dropped, which for a stream is when the client left.
pub(super) struct Counted {
    pub(super) metrics: Arc<Metrics>,
    /// The route's path, or `other`: a peer must not invent series.
    pub(super) path: String,
    pub(super) method: Method,
    pub(super) status: StatusCode,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let method = match self.method {
            Method::GET => "get",
            Method::POST => "post",
            Method::OPTIONS => "options",
            Method::HEAD => "head",
            Method::CONNECT => "connect",
            _ => "other",
        };
        self.metrics
            .http_request(&self.path, method, self.status.as_u16());
    }
}

/// Lets a response carry its count to its end.
pub(super) fn count(response: Response<Body>, counted: Counted) -> Response<Body> {
    // An upgraded connection has no body to wait for.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    response.map(|body| {
        CountedBody {
            body: ConcreteBody(body),
            _counted: counted,
        }
        .map_err(Into::into)
        .boxed_unsync()
    })
}

struct CountedBody {
    body: ConcreteBody,
    _counted: Counted,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

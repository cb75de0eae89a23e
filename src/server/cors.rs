//! CORS of client endpoints (configuration.md 4.3): only headers, nothing is refused here.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Request};
use tidegate_transports::Acceptor;

/// What an allowed origin is told.
pub(super) struct Headers {
    origin: HeaderValue,
    requested: Option<HeaderValue>,
}

impl Headers {
    /// `None` if the request's origin is not allowed.
    pub(super) fn of<B>(request: &Request<B>, acceptor: &impl Acceptor) -> Option<Self> {
        let headers = request.headers();
        acceptor.origin_allowed(headers).then(|| Self {
            origin: headers
                .get(ORIGIN)
                .cloned()
                .unwrap_or_else(|| HeaderValue::from_static("")),
            requested: headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
        })
    }

    pub(super) fn apply(self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if let Some(requested) = self.requested {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested);
        }
    }
}

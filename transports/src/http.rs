//! The HTTP service that every HTTP version serves: one request type, one response type.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use crate::TlsFacts;

/// Errors of request and response bodies.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request or response body, whatever HTTP version carries it.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// What the listener knows of the connection under a request; found in the request's extensions.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// Address of the peer's socket.
    pub peer: SocketAddr,
    /// TLS facts; `None` on a plain connection.
    pub tls: Option<TlsFacts>,
}

/// Answers requests of HTTP/1.1, HTTP/2 and HTTP/3 alike.
pub trait HttpService: Send + Sync + 'static {
    /// Answers one request. Dropping the future means that the client went away.
    fn call(
        &self,
        request: ::http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = ::http::Response<Body>> + Send>>;
}

impl<F, R> HttpService for F
where
    F: Fn(::http::Request<Body>) -> R + Send + Sync + 'static,
    R: Future<Output = ::http::Response<Body>> + Send + 'static,
{
    fn call(
        &self,
        request: ::http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = ::http::Response<Body>> + Send>> {
        Box::pin(self(request))
    }
}

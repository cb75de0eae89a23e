//! The HTTP service that every HTTP version serves: one request type, one response type.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use crate::TlsFacts;

/// Errors of request and response bodies.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request or response body, whatever HTTP version carries it.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body whose errors have a concrete type. Generic code over boxed errors keeps the futures around it from
/// being `Send`: the compiler loses track of the box's lifetime.
#[derive(Debug)]
pub struct ConcreteBody(pub Body);

impl http_body::Body for ConcreteBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

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

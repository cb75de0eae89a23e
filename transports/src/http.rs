//! The HTTP service that every HTTP version serves: one request type, one response type.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::{HeaderName, HeaderValue, Request, Response, StatusCode};
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
    fn call(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

    /// Answers a request that is there as a whole, or declines, and is then given the same request by
    /// [`call`](Self::call). May be declined for any reason; `None` is always right.
    fn call_whole<'a>(&'a self, _request: WholeRequest<'a>) -> Option<AnswerToWhole<'a>> {
        None
    }
}

/// An answer to a [`WholeRequest`], under way.
pub type AnswerToWhole<'a> = Pin<Box<dyn Future<Output = WholeResponse> + Send + 'a>>;

/// An answer whose body is there as a whole, and whose header says nothing that depends on the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeResponse {
    /// Status.
    pub status: StatusCode,
    /// Names, in lower case, and values of header fields.
    pub fields: &'static [(&'static str, &'static str)],
    /// Value of `Alt-Svc`.
    pub alt_svc: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

/// A POST that is there as a whole: nothing of it is copied, and header fields are looked up where they were read.
/// Backends send little else.
#[derive(Clone, Copy, Debug)]
pub struct WholeRequest<'a> {
    /// Path of the target.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    pub(crate) fields: &'a [httparse::Header<'a>],
}

impl<'a> WholeRequest<'a> {
    /// Value of the first field of that name.
    #[must_use]
    pub fn field(&self, name: &HeaderName) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name.as_str()))
            .map(|field| field.value)
    }
}

impl<F, R> HttpService for F
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    fn call(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(self(request))
    }
}

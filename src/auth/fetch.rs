//! Getting a key set from its URL: the only input or output of this module.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest key set that is read.
const MAX_BODY: usize = 1024 * 1024;

/// A running fetch. Dropping it gives the fetch up.
pub type KeyFetch<'a> = Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + 'a>>;

/// Where key sets come from.
pub trait KeySource: Send + Sync + 'static {
    /// Makes one attempt to get the document at `url`. The caller limits the time and repeats.
    fn fetch<'a>(&'a self, url: &'a str) -> KeyFetch<'a>;
}

/// Why a key set could not be had. Nobody's token is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that we can ask.
    #[error("not an HTTP URL")]
    Url,
    /// The server could not be reached, or broke off.
    #[error("{0}")]
    Transport(String),
    /// The server answered something else than 200.
    #[error("unexpected response status code: {0}")]
    Status(StatusCode),
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer is not a key set.
    #[error("malformed key set: {0}")]
    Malformed(String),
}

/// Key sets over HTTP and HTTPS. Certificates are checked against the public roots of Mozilla's program;
/// redirects are not followed.
#[derive(Clone)]
pub struct HttpKeySource {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl HttpKeySource {
    /// A source with its own connections.
    ///
    /// # Errors
    ///
    /// The cryptographic provider supports no TLS version that we allow.
    pub fn new() -> Result<Self, rustls::Error> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())?
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }
}

impl KeySource for HttpKeySource {
    fn fetch<'a>(&'a self, url: &'a str) -> KeyFetch<'a> {
        Box::pin(async move {
            let uri: Uri = url.parse().map_err(|_| FetchError::Url)?;
            let response = self
                .client
                .get(uri)
                .await
                .map_err(|error| FetchError::Transport(causes(&error)))?;
            if response.status() != StatusCode::OK {
                return Err(FetchError::Status(response.status()));
            }
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            Ok(body
                .map_err(|error| FetchError::Transport(error.to_string()))?
                .to_bytes())
        })
    }
}

/// The client's own message is only "client error": what helps stands behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

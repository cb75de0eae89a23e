//! A server on port 0 with a scripted service and acceptor, and foreign clients for it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate and uses its own part"
)]

pub mod acceptor;
pub mod raw;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tidegate_transports::http::{Body, HttpService};
use tidegate_transports::http3::{self, Http3Options};
use tidegate_transports::quic;
use tidegate_transports::webtransport::WebTransportOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use acceptor::FakeAcceptor;
use tls::Identity;

/// Nothing in these tests takes longer unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const WT_PATH: &str = "/connection/webtransport";

pub struct TestServer {
    pub address: SocketAddr,
    pub acceptor: Arc<FakeAcceptor>,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
    pub endpoint: quic::Endpoint,
    identity: Identity,
}

impl TestServer {
    pub fn start(service: impl HttpService, options: Http3Options) -> Self {
        Self::with(service, FakeAcceptor::default(), options)
    }

    pub fn with(service: impl HttpService, acceptor: FakeAcceptor, options: Http3Options) -> Self {
        let identity = Identity::generate();
        let socket = quic::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint =
            quic::Endpoint::new(socket, quic::server_config(&identity.server, 100).unwrap()).unwrap();
        let address = endpoint.local_addr().unwrap();
        let acceptor = Arc::new(acceptor);
        let stop = CancellationToken::new();
        let serving = http3::serve(
            endpoint.clone(),
            Arc::new(service),
            acceptor.clone(),
            options,
            stop.clone(),
        );
        Self {
            address,
            acceptor,
            stop,
            task: tokio::spawn(serving),
            endpoint,
            identity,
        }
    }

    pub async fn connect(&self) -> quinn::Connection {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint
            .connect_with(self.client_config(), self.address, "localhost")
            .unwrap();
        within(connecting).await.unwrap()
    }

    pub fn client_config(&self) -> quinn::ClientConfig {
        self.identity.client_config()
    }

    pub fn url(&self, path: &str) -> url::Url {
        format!("https://localhost:{}{path}", self.address.port())
            .parse()
            .unwrap()
    }

    pub async fn session(&self, path: &str) -> web_transport_quinn::Session {
        let connection = self.connect().await;
        within(web_transport_quinn::Session::connect(connection, self.url(path)))
            .await
            .unwrap()
    }
}

/// Options with WebTransport and the defaults of the server.
pub fn options() -> Http3Options {
    Http3Options {
        webtransport: Some(WebTransportOptions::default()),
        ..Http3Options::default()
    }
}

/// Options whose WebTransport part is changed.
pub fn options_with(change: impl FnOnce(&mut WebTransportOptions)) -> Http3Options {
    let mut options = options();
    options.webtransport.as_mut().map(change).unwrap();
    options
}

/// A hung test fails.
pub async fn within<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future.into_future())
        .await
        .expect("took too long")
}

/// Waits until `condition` holds.
pub async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub fn body(bytes: impl Into<Bytes>) -> Body {
    use http_body_util::BodyExt;
    http_body_util::Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A service that knows no path.
pub async fn not_found(_: Request<Body>) -> Response<Body> {
    let mut response = Response::new(body("404 page not found\n"));
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

//! The HTTP client, against a server on this machine.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use super::*;

/// Serves a key set with the key of `signer`; the URL says how.
async fn serve(signer: &Signer) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listener");
    let address = listener.local_addr().expect("address");
    let document = json!({"keys": [signer.jwk("k")]}).to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let document = document.clone();
            let answer = move |request: Request<Incoming>| {
                let (status, body) = match request.uri().path() {
                    "/keys" => (StatusCode::OK, document.clone().into()),
                    "/large" => (StatusCode::OK, Bytes::from(vec![b' '; 2 * 1024 * 1024])),
                    "/moved" => (StatusCode::FOUND, Bytes::new()),
                    _ => (StatusCode::NOT_FOUND, Bytes::new()),
                };
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                std::future::ready(Ok::<_, Infallible>(response))
            };
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn key_sets_over_http() {
    let signer = Signer::ed25519();
    let server = serve(&signer).await;
    let source = Arc::new(HttpKeySource::new().expect("client"));
    let options = TokenOptions {
        jwks_public_endpoint: format!("{server}/keys"),
        ..TokenOptions::default()
    };
    let keys = Arc::clone(&source) as Arc<dyn KeySource>;
    let verifier = TokenVerifier::new(&options, Purpose::Connection, false, keys).expect("options");
    let token = signer.sign_with(json!({"alg": "EdDSA", "kid": "k"}), br#"{"sub":"42"}"#);
    let verified = verifier.verify_connect(&token, NOW).wait().await.expect("token");
    assert_eq!(verified.user, "42");

    let missing = source.fetch(&format!("{server}/other")).await;
    assert_eq!(missing, Err(FetchError::Status(StatusCode::NOT_FOUND)));
    let moved = source.fetch(&format!("{server}/moved")).await;
    assert_eq!(moved, Err(FetchError::Status(StatusCode::FOUND)));
    let large = source.fetch(&format!("{server}/large")).await;
    assert!(matches!(large, Err(FetchError::Transport(_))), "{large:?}");
    assert_eq!(source.fetch("no url").await, Err(FetchError::Url));
}

#[tokio::test]
async fn unreachable_servers() {
    let source = HttpKeySource::new().expect("client");
    // Bound but not listening: nobody else gets the port, and every connection is refused.
    let socket = TcpSocket::new_v4().expect("socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("port");
    let address = socket.local_addr().expect("address");
    let error = source
        .fetch(&format!("http://{address}/"))
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("refused"), "{error}");
}

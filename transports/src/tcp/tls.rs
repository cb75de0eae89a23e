//! The TLS handshake of an accepted connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::TlsFacts;
use crate::http::ConnectionFacts;

/// How long a TLS handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens TLS. `None` means that there is nothing to serve; why was logged.
pub(super) async fn open(
    mut stream: TcpStream,
    peer: SocketAddr,
    config: Arc<rustls::ServerConfig>,
) -> Option<(TlsStream<TcpStream>, ConnectionFacts, bool)> {
    let mut first = [0];
    // 0x16 opens every TLS handshake record (RFC 8446 5.1).
    match timeout(TLS_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [0x16] => {}
        Ok(Ok(1)) => {
            let _ = refuse_plain_http(&mut stream).await;
            return None;
        }
        _ => return None,
    }
    match timeout(TLS_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => {
            let connection = stream.get_ref().1;
            let tls = TlsFacts {
                server_name: connection.server_name().map(str::to_owned),
                client_certificate: connection.peer_certificates().is_some(),
            };
            let is_h2 = connection.alpn_protocol() == Some(b"h2");
            Some((stream, ConnectionFacts { peer, tls: Some(tls) }, is_h2))
        }
        Ok(Err(error)) => {
            tracing::warn!(%peer, %error, "TLS handshake error");
            None
        }
        Err(_) => {
            tracing::warn!(%peer, error = "timed out", "TLS handshake error");
            None
        }
    }
}

async fn refuse_plain_http(stream: &mut TcpStream) -> std::io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
        Client sent an HTTP request to an HTTPS server.\n";
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    // Read what was sent, so that the answer is not lost to a reset.
    let mut sink = [0; 4096];
    let drained = async { while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {} };
    let _ = timeout(Duration::from_secs(1), drained).await;
    Ok(())
}

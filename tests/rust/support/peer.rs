//! One client of a bidirectional transport: text out, text in.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use web_transport_quinn::{SessionError, WebTransportError};

use super::http::Request;
use super::pattern::Bindings;
use super::{TestServer, within};

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A WebSocket message, or a line of a stream.
    Frame(Vec<u8>),
    /// The transport was closed with a code.
    Close(u32, String),
    /// The transport ended without one.
    End,
}

/// What a client says.
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
}

/// A client. Dropping it closes the transport.
pub struct Peer {
    say: mpsc::UnboundedSender<Said>,
    hear: mpsc::UnboundedReceiver<Heard>,
    lines: VecDeque<String>,
    bindings: Bindings,
    /// Whether the server says why it closes before it does.
    announces_close: bool,
}

impl Peer {
    fn new(
        say: mpsc::UnboundedSender<Said>,
        hear: mpsc::UnboundedReceiver<Heard>,
        announces_close: bool,
    ) -> Self {
        let mut bindings = Bindings::default();
        bindings.bind("version", tidegate::server::VERSION);
        Self {
            say,
            hear,
            lines: VecDeque::new(),
            bindings,
            announces_close,
        }
    }

    /// A WebSocket over a connection.
    pub async fn websocket(stream: TcpStream, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let upgrading = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = within("a WebSocket upgrade", upgrading).await.unwrap();
        let (say, mut said) = mpsc::unbounded_channel();
        let (tell, hear) = mpsc::unbounded_channel();
        let (mut sink, mut source) = socket.split();
        tokio::spawn(async move {
            while let Some(said) = said.recv().await {
                let message = match said {
                    Said::Text(text) => Message::text(text),
                    Said::Binary(bytes) => Message::binary(bytes),
                    Said::Close(code) => Message::Close(Some(CloseFrame {
                        code: CloseCode::from(code),
                        reason: "".into(),
                    })),
                };
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _ = sink.close().await;
        });
        tokio::spawn(async move {
            let mut last = Heard::End;
            while let Some(Ok(message)) = source.next().await {
                let heard = match message {
                    Message::Text(text) => Heard::Frame(text.as_bytes().to_vec()),
                    Message::Binary(bytes) => Heard::Frame(bytes.to_vec()),
                    Message::Close(Some(frame)) => {
                        last = Heard::Close(u16::from(frame.code).into(), frame.reason.to_string());
                        continue;
                    }
                    _ => continue,
                };
                let _ = tell.send(heard);
            }
            let _ = tell.send(last);
        });
        Self::new(say, hear, false)
    }

    /// An HTTP stream opened with the first commands. Further ones go to the emulation endpoint, one at a time,
    /// once the reply to connect has told session and node.
    pub async fn http_stream(server: &TestServer, first: &str) -> Self {
        let request = Request::post("/connection/http_stream", first);
        Self::streaming(server.address(), request, |line| Some(line.to_owned())).await
    }

    /// An SSE stream, likewise.
    pub async fn sse(server: &TestServer, first: &str) -> Self {
        let request = Request::post("/connection/sse", first);
        Self::streaming(server.address(), request, |line| {
            line.strip_prefix("data: ").map(str::to_owned)
        })
        .await
    }

    async fn streaming(address: SocketAddr, request: Request, message: fn(&str) -> Option<String>) -> Self {
        let connection = TcpStream::connect(address).await.unwrap();
        let mut stream = within("the head of a stream", request.send(connection)).await;
        assert_eq!(stream.status, 200);
        let (say, mut said) = mpsc::unbounded_channel();
        let (tell, hear) = mpsc::unbounded_channel();
        let (learn, learned) = tokio::sync::oneshot::channel();
        let reading = tokio::spawn(async move {
            let mut learn = Some(learn);
            let mut unread = Vec::new();
            while let Some(chunk) = stream.chunk().await {
                unread.extend_from_slice(&chunk);
                while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = unread.drain(..=end).collect();
                    let line = String::from_utf8(line).unwrap();
                    let Some(text) = message(line.trim_end_matches('\n')) else {
                        continue;
                    };
                    if let Some(found) = session_of(&text)
                        && let Some(learn) = learn.take()
                    {
                        let _ = learn.send(found);
                    }
                    let _ = tell.send(Heard::Frame(text.into_bytes()));
                }
            }
            let _ = tell.send(Heard::End);
        });
        tokio::spawn(async move {
            if let Ok((session, node)) = learned.await {
                while let Some(Said::Text(data)) = said.recv().await {
                    let body = json!({ "session": session, "node": node, "data": data }).to_string();
                    let connection = TcpStream::connect(address).await.unwrap();
                    let answer = Request::post("/emulation", body).exchange(connection).await;
                    assert_eq!(answer.status, 204, "{answer:?}");
                }
                reading.abort();
            }
        });
        Self::new(say, hear, true)
    }

    /// A WebTransport session with its one stream.
    pub async fn webtransport(server: &TestServer, query: &str) -> Self {
        let session = webtransport_session(server, query).await;
        let (mut send, mut recv) = within("a stream", session.open_bi()).await.unwrap();
        let (say, mut said) = mpsc::unbounded_channel();
        let (tell, hear) = mpsc::unbounded_channel();
        tokio::spawn({
            let session = session.clone();
            async move {
                while let Some(said) = said.recv().await {
                    let bytes = match said {
                        Said::Text(text) => (text + "\n").into_bytes(),
                        Said::Binary(bytes) => bytes,
                        Said::Close(_) => break,
                    };
                    if send.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                session.close(0, b"");
            }
        });
        tokio::spawn(async move {
            let mut unread = Vec::new();
            let mut chunk = vec![0; 16_384];
            while let Ok(Some(count)) = recv.read(&mut chunk).await {
                unread.extend_from_slice(&chunk[..count]);
                while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                    let mut line: Vec<u8> = unread.drain(..=end).collect();
                    line.pop();
                    let _ = tell.send(Heard::Frame(line));
                }
            }
            let last = match session.closed().await {
                SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => {
                    Heard::Close(code, reason)
                }
                _ => Heard::End,
            };
            let _ = tell.send(last);
        });
        Self::new(say, hear, true)
    }

    /// A client of each transport that has said this, and nothing before.
    pub async fn each(server: &TestServer, first: &str) -> Vec<Self> {
        let all = vec![
            server.websocket().await,
            Self::webtransport(server, "").await,
            Self::http_stream(server, first).await,
            Self::sse(server, first).await,
        ];
        // The streams were opened with it.
        for peer in &all[..2] {
            peer.send(first);
        }
        all
    }

    /// Says what is written, with names filled in.
    pub fn send(&self, text: &str) {
        self.send_raw(&self.bindings.fill(text));
    }

    /// Says exactly what is written.
    pub fn send_raw(&self, text: &str) {
        let _ = self.say.send(Said::Text(text.to_owned()));
    }

    /// Says bytes: a binary message of a WebSocket.
    pub fn send_bytes(&self, bytes: impl Into<Vec<u8>>) {
        let _ = self.say.send(Said::Binary(bytes.into()));
    }

    /// Closes from this side.
    pub fn close(&self, code: u16) {
        let _ = self.say.send(Said::Close(code));
    }

    /// What a name stands for.
    pub fn name(&self, name: &str) -> &str {
        self.bindings.get(name)
    }

    /// Gives a name.
    pub fn bind(&mut self, name: &str, value: &str) {
        self.bindings.bind(name, value);
    }

    /// The next thing heard.
    pub async fn hear(&mut self, what: &str) -> Heard {
        within(what, self.hear.recv()).await.unwrap_or(Heard::End)
    }

    /// The next message, which may have shared its frame with others.
    pub async fn message(&mut self, what: &str) -> String {
        while self.lines.is_empty() {
            match self.hear(what).await {
                Heard::Frame(frame) => {
                    let text = String::from_utf8(frame).expect("a text");
                    self.lines.extend(text.split('\n').map(str::to_owned));
                }
                other => panic!("expected {what}\n   heard {other:?}"),
            }
        }
        self.lines.pop_front().unwrap()
    }

    /// The next message must be exactly this.
    #[track_caller]
    pub fn expect<'a>(&'a mut self, pattern: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let actual = self.message(pattern).await;
            assert!(
                self.bindings.matches(pattern, &actual),
                "at {caller}\nexpected {pattern}\n   heard {actual}"
            );
        }
    }

    /// The next messages must be exactly these, in any order.
    #[track_caller]
    pub fn expect_all<'a>(&'a mut self, patterns: &'a [&'a str]) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut open = patterns.to_vec();
            while !open.is_empty() {
                let actual = self.message(open[0]).await;
                let found = open
                    .iter()
                    .position(|pattern| self.bindings.matches(pattern, &actual));
                let Some(found) = found else {
                    panic!("at {caller}\nexpected one of {open:#?}\n   heard {actual}");
                };
                open.remove(found);
            }
        }
    }

    /// The next frame must be exactly this: what it holds came together.
    #[track_caller]
    pub fn expect_frame<'a>(&'a mut self, pattern: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            assert!(self.lines.is_empty(), "at {caller}\nunread: {:?}", self.lines);
            let Heard::Frame(frame) = self.hear(pattern).await else {
                panic!("at {caller}\nexpected {pattern}\n   heard the end");
            };
            let actual = String::from_utf8(frame).unwrap();
            assert!(
                self.bindings.matches(pattern, &actual),
                "at {caller}\nexpected {pattern}\n   heard {actual}"
            );
        }
    }

    /// Sends a command and expects its reply.
    #[track_caller]
    pub fn ask<'a>(&'a mut self, command: &str, reply: &'a str) -> impl Future<Output = ()> + 'a {
        self.send(command);
        self.expect(reply)
    }

    /// The server must close now, with this code and reason, in the way of the transport.
    #[track_caller]
    pub fn expect_close<'a>(&'a mut self, code: u32, reason: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            if self.announces_close {
                let push = format!(r#"{{"push":{{"disconnect":{{"code":{code},"reason":"{reason}"}}}}}}"#);
                let actual = self.message(&push).await;
                assert_eq!(actual, push, "at {caller}");
            }
            assert!(self.lines.is_empty(), "at {caller}\nunread: {:?}", self.lines);
            let what = format!("the close {code} {reason}, as asked at {caller}");
            let heard = self.hear(&what).await;
            // A stream has nothing but its end.
            if self.announces_close && heard == Heard::End {
                return;
            }
            assert_eq!(heard, Heard::Close(code, reason.to_owned()), "at {caller}");
        }
    }

    /// A command that the server answers by closing.
    #[track_caller]
    pub fn provoke<'a>(
        &'a mut self,
        command: &str,
        code: u32,
        reason: &'a str,
    ) -> impl Future<Output = ()> + 'a {
        self.send(command);
        self.expect_close(code, reason)
    }
}

fn session_of(reply: &str) -> Option<(String, String)> {
    let reply: serde_json::Value = serde_json::from_str(reply).ok()?;
    let connect = reply.get("connect")?;
    let text = |key| connect.get(key)?.as_str().map(str::to_owned);
    Some((text("session")?, text("node")?))
}

/// A WebTransport session on which nothing was opened. Nobody checks the server's certificate.
pub async fn webtransport_session(server: &TestServer, query: &str) -> web_transport_quinn::Session {
    webtransport_session_at(quic_connection(server).await, server.address(), query).await
}

/// A WebTransport session over a connection to the server at an address.
pub async fn webtransport_session_at(
    connection: quinn::Connection,
    address: SocketAddr,
    query: &str,
) -> web_transport_quinn::Session {
    let url = format!(
        "https://localhost:{}/connection/webtransport{query}",
        address.port()
    );
    let connecting = web_transport_quinn::Session::connect(connection, url.parse::<url::Url>().unwrap());
    within("a WebTransport session", connecting).await.unwrap()
}

/// A QUIC connection that speaks HTTP/3.
pub async fn quic_connection(server: &TestServer) -> quinn::Connection {
    quic_connection_at(server.address(), quinn::TransportConfig::default()).await
}

/// A QUIC connection with limits of the test's choice to the server at an address.
pub async fn quic_connection_at(address: SocketAddr, transport: quinn::TransportConfig) -> quinn::Connection {
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(trusting_tls("h3")).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    let connecting = endpoint.connect_with(config, address, "localhost").unwrap();
    within("a QUIC handshake", connecting).await.unwrap()
}

/// TLS of a client that speaks one protocol and believes any certificate.
pub fn trusting_tls(alpn: &str) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    tls
}

/// The certificate of the tests is made anew for each: that it is shown is enough.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

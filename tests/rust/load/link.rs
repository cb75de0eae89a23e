//! One client of any transport that reads only when it is asked to: who does not ask is a stuck reader.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use web_transport_quinn::{SessionError, WebTransportError};

use crate::decoder::Decoder;
use crate::kind::{Encoding, Kind};
use crate::message::{Command, Publication, Reply, Subscribed};
use crate::patiently;
use crate::support::http::{Request, Stream};
use crate::support::peer::{quic_connection_at, trusting_tls, webtransport_session_at};

/// How much the network holds for a client that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    Usual,
    /// As little as can be had.
    Small,
}

/// What a client hears.
#[derive(Debug)]
pub enum Heard {
    Reply(Reply),
    /// The transport was closed with a code.
    Close(u32, String),
    /// The transport ended without one.
    End,
}

/// A client. Dropping it drops its socket.
pub struct Link {
    pub kind: Kind,
    source: Source,
    decoder: Decoder,
    /// Heard while something else was waited for.
    aside: VecDeque<Reply>,
}

enum Source {
    WebSocket(Box<WebSocketStream<Socket>>),
    Body(Stream),
    WebTransport(Box<WebTransport>),
}

struct WebTransport {
    session: web_transport_quinn::Session,
    send: web_transport_quinn::SendStream,
    recv: web_transport_quinn::RecvStream,
    chunk: Box<[u8]>,
}

type Socket = Pin<Box<dyn Duplex>>;

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl Link {
    /// Opens a client that says these commands first. A stream says nothing after them.
    pub async fn open(address: SocketAddr, kind: Kind, buffers: Buffers, commands: &[Command]) -> Self {
        let opening = async {
            match kind {
                Kind::WebSocket(encoding) => {
                    let stream = dial(address, buffers).await;
                    websocket(Box::pin(stream), encoding).await
                }
                Kind::SecureWebSocket(encoding) => {
                    let connector = TlsConnector::from(Arc::new(trusting_tls("http/1.1")));
                    let stream = dial(address, buffers).await;
                    let name = "localhost".try_into().unwrap();
                    let stream = connector.connect(name, stream).await.unwrap();
                    websocket(Box::pin(stream), encoding).await
                }
                Kind::HttpStream(_) | Kind::Sse => {
                    Source::Body(body(dial(address, buffers).await, kind, commands).await)
                }
                Kind::WebTransport(encoding) => webtransport(address, encoding, buffers).await,
            }
        };
        let source = patiently("a connection", opening).await;
        let decoder = Decoder::new(kind.framing());
        let mut link = Self {
            kind,
            source,
            decoder,
            aside: VecDeque::new(),
        };
        if !matches!(link.source, Source::Body(_)) {
            link.say(commands).await;
        }
        link
    }

    /// A nameless client that is connected and subscribed.
    pub async fn subscribed(address: SocketAddr, kind: Kind, buffers: Buffers, channels: &[&str]) -> Self {
        let mut commands = vec![Command::connect(1, String::new())];
        commands.extend(
            (2..)
                .zip(channels)
                .map(|(id, channel)| Command::subscribe(id, channel)),
        );
        let mut link = Self::open(address, kind, buffers, &commands).await;
        for command in commands {
            link.reply(command.id).await;
        }
        link
    }

    /// Says commands in one frame.
    pub async fn say(&mut self, commands: &[Command]) {
        assert!(self.try_say(commands).await, "{:?} ended", self.kind);
    }

    /// Says commands in one frame, unless the connection has ended.
    pub async fn try_say(&mut self, commands: &[Command]) -> bool {
        let bytes = self.kind.encode(commands);
        let saying = async {
            match &mut self.source {
                Source::WebSocket(socket) => {
                    let message = match self.kind.encoding() {
                        Encoding::Json => Message::text(String::from_utf8(bytes).unwrap()),
                        Encoding::Protobuf => Message::binary(bytes),
                    };
                    socket.send(message).await.is_ok()
                }
                Source::WebTransport(stream) => stream.send.write_all(&bytes).await.is_ok(),
                Source::Body(_) => unreachable!("a stream has said everything when it opens"),
            }
        };
        patiently("the server to read", saying).await
    }

    /// The next thing.
    pub async fn hear(&mut self) -> Heard {
        if let Some(reply) = self.aside.pop_front() {
            return Heard::Reply(reply);
        }
        self.hear_more().await
    }

    /// The reply to a command, which must be no error. What comes before it is heard later.
    pub async fn reply(&mut self, id: u32) -> Reply {
        let already = self.aside.iter().position(|reply| reply.id == id);
        let mut found = already.and_then(|index| self.aside.remove(index));
        while found.is_none() {
            match self.hear_more().await {
                Heard::Reply(reply) if reply.id == id => found = Some(reply),
                Heard::Reply(reply) => self.aside.push_back(reply),
                ended => panic!("{:?}: {ended:?} instead of reply {id}", self.kind),
            }
        }
        let reply = found.expect("a reply");
        assert!(reply.error.is_none(), "{:?}: {reply:?}", self.kind);
        reply
    }

    /// The reply to a subscribe command.
    pub async fn subscription(&mut self, id: u32) -> Subscribed {
        self.reply(id).await.subscribe.expect("a subscription")
    }

    /// The next publication, and its channel: nothing else may come before it.
    pub async fn publication(&mut self) -> (String, Publication) {
        let heard = self.hear().await;
        if let Heard::Reply(Reply { push: Some(push), .. }) = heard {
            if let Some(publication) = push.publication {
                return (push.channel, publication);
            }
            panic!("{:?}: {push:?}", self.kind);
        }
        panic!("{:?}: {heard:?} instead of a publication", self.kind);
    }

    async fn hear_more(&mut self) -> Heard {
        let kind = self.kind;
        loop {
            if let Some(reply) = self.decoder.next() {
                return Heard::Reply(reply);
            }
            match patiently(&format!("{kind:?} to hear something"), self.read()).await {
                None => {}
                Some(end) => return end,
            }
        }
    }

    /// Reads what there is, into the decoder; something only at the end.
    async fn read(&mut self) -> Option<Heard> {
        match &mut self.source {
            Source::WebSocket(socket) => match socket.next().await {
                Some(Ok(Message::Text(text))) => self.decoder.feed_message(text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => self.decoder.feed_message(&bytes),
                Some(Ok(Message::Close(Some(frame)))) => {
                    // Reading on answers the close.
                    while let Some(Ok(_)) = socket.next().await {}
                    return Some(Heard::Close(
                        u16::from(frame.code).into(),
                        frame.reason.to_string(),
                    ));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Some(Heard::End),
            },
            Source::Body(stream) => match stream.chunk().await {
                Some(chunk) => self.decoder.feed(&chunk),
                None => return Some(Heard::End),
            },
            Source::WebTransport(stream) => match stream.recv.read(&mut stream.chunk).await {
                Ok(Some(count)) => self.decoder.feed(&stream.chunk[..count]),
                _ => return Some(stream.end().await),
            },
        }
        None
    }

    /// Closes as a client does that leaves on purpose. A stream has nothing but its end.
    pub async fn close(self) {
        match self.source {
            Source::WebSocket(mut socket) => {
                let _ = WebSocketStream::close(&mut socket, None).await;
                let closed = async { while let Some(Ok(_)) = socket.next().await {} };
                patiently("the answer to a close", closed).await;
            }
            Source::Body(_) => {}
            Source::WebTransport(stream) => stream.session.close(0, b""),
        }
    }
}

impl WebTransport {
    /// How the session ends once its stream has.
    async fn end(&self) -> Heard {
        match self.session.closed().await {
            SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => {
                Heard::Close(code, reason)
            }
            _ => Heard::End,
        }
    }
}

async fn dial(address: SocketAddr, buffers: Buffers) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if buffers == Buffers::Small {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn websocket(socket: Socket, encoding: Encoding) -> Source {
    let path = match encoding {
        Encoding::Json => "/connection/websocket",
        Encoding::Protobuf => "/connection/websocket?format=protobuf",
    };
    let request = format!("ws://localhost{path}").into_client_request().unwrap();
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0);
    let upgrading = tokio_tungstenite::client_async_with_config(request, socket, Some(config));
    let (socket, _): (_, tungstenite::handshake::client::Response) = upgrading.await.unwrap();
    Source::WebSocket(Box::new(socket))
}

async fn body(stream: TcpStream, kind: Kind, commands: &[Command]) -> Stream {
    let path = if kind == Kind::Sse {
        "/connection/sse"
    } else {
        "/connection/http_stream"
    };
    let mut request = Request::post(path, kind.encode(commands));
    if kind.encoding() == Encoding::Protobuf {
        request = request.header("Content-Type", "application/octet-stream");
    }
    let stream = request.send(stream).await;
    assert_eq!(stream.status, 200, "{kind:?}");
    stream
}

async fn webtransport(address: SocketAddr, encoding: Encoding, buffers: Buffers) -> Source {
    let mut transport = quinn::TransportConfig::default();
    if buffers == Buffers::Small {
        transport.stream_receive_window(16_384_u32.into());
    }
    let connection = quic_connection_at(address, transport).await;
    let query = match encoding {
        Encoding::Json => "",
        Encoding::Protobuf => "?cf_protocol=protobuf",
    };
    let session = webtransport_session_at(connection, address, query).await;
    let (send, recv) = session.open_bi().await.unwrap();
    Source::WebTransport(Box::new(WebTransport {
        session,
        send,
        recv,
        chunk: vec![0; 16_384].into(),
    }))
}

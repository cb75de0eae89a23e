//! A client that speaks Protobuf: whole commands out, whole replies in.

use bytes::Bytes;
use prost::Message;
use serde_json::Value;
use tidegate::protocol::message::{Command, ConnectRequest, Push, Reply};

use crate::support::{Heard, Peer, TestServer, token, within};

/// A connected client.
pub struct Binary {
    pub peer: Peer,
    /// Its id.
    pub client: String,
    replies: std::collections::VecDeque<Reply>,
}

impl Binary {
    /// Over a WebSocket, with a token of these claims.
    pub async fn user(server: &TestServer, claims: Value) -> Self {
        let peer = Peer::websocket(server.dial().await, "/connection/websocket?format=protobuf", &[]).await;
        Self::connect(peer, claims).await
    }

    /// Over any transport that carries bytes.
    pub async fn connect(peer: Peer, claims: Value) -> Self {
        let mut binary = Self {
            peer,
            client: String::new(),
            replies: Default::default(),
        };
        let connect = ConnectRequest {
            token: token(&claims),
            ..Default::default()
        };
        let reply = binary
            .ask(Command {
                id: 1,
                connect: Some(connect),
                ..Default::default()
            })
            .await;
        let result = reply.connect.expect("connected");
        assert_eq!(
            (result.version.as_str(), result.ping, result.pong),
            (tidegate::server::VERSION, 25, true)
        );
        binary.client = result.client;
        binary
    }

    pub fn send(&self, command: Command) {
        self.send_bytes(&command.encode_length_delimited_to_vec());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        self.peer.send_bytes(bytes);
    }

    /// The next message.
    pub async fn reply(&mut self) -> Reply {
        while self.replies.is_empty() {
            match self.peer.hear("a Protobuf message").await {
                Heard::Frame(frame) => {
                    let mut frame = Bytes::from(frame);
                    while !frame.is_empty() {
                        self.replies
                            .push_back(Reply::decode_length_delimited(&mut frame).unwrap());
                    }
                }
                other => panic!("expected a message, heard {other:?}"),
            }
        }
        self.replies.pop_front().unwrap()
    }

    #[track_caller]
    pub fn expect(&mut self, expected: Reply) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move { assert_eq!(self.reply().await, expected, "at {caller}") }
    }

    #[track_caller]
    pub fn exchange(&mut self, command: Command, expected: Reply) -> impl Future<Output = ()> {
        self.send(command);
        self.expect(expected)
    }

    pub async fn ask(&mut self, command: Command) -> Reply {
        self.send(command);
        self.reply().await
    }

    /// The next message, which is a push.
    pub async fn push(&mut self) -> Push {
        let reply = self.reply().await;
        assert_eq!(reply.id, 0, "{reply:?}");
        reply.push.expect("a push")
    }

    #[track_caller]
    pub fn expect_push(&mut self, expected: Push) -> impl Future<Output = ()> {
        self.expect(Reply {
            push: Some(expected),
            ..Default::default()
        })
    }
}

/// One stream of a WebTransport session that asked for Protobuf.
pub struct WebTransport {
    session: web_transport_quinn::Session,
    send: web_transport_quinn::SendStream,
    recv: web_transport_quinn::RecvStream,
    unread: Vec<u8>,
}

impl WebTransport {
    pub async fn open(server: &TestServer) -> Self {
        let session = crate::support::peer::webtransport_session(server, "?cf_protocol=protobuf").await;
        let (send, recv) = within("a stream", session.open_bi()).await.unwrap();
        Self {
            session,
            send,
            recv,
            unread: Vec::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        within("writing", self.send.write_all(bytes)).await.unwrap();
    }

    pub async fn reply(&mut self) -> Reply {
        loop {
            let mut rest = &self.unread[..];
            if !rest.is_empty()
                && let Ok(reply) = Reply::decode_length_delimited(&mut rest)
            {
                self.unread = rest.to_vec();
                return reply;
            }
            let mut chunk = [0; 4096];
            let count = within("a reply", self.recv.read(&mut chunk))
                .await
                .unwrap()
                .expect("the stream goes on");
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }

    /// How the server closes the session.
    pub async fn closed(&self) -> Heard {
        use web_transport_quinn::{SessionError, WebTransportError};
        match within("the close", self.session.closed()).await {
            SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => {
                Heard::Close(code, reason)
            }
            other => panic!("{other}"),
        }
    }
}

//! A client that writes bytes, for what no decent client does.

use quinn::{Connection, RecvStream, SendStream};
use tidegate_transports::http3::{frame, qpack, varint};

use super::within;

/// A connection whose control stream is open and has carried `settings`.
pub struct RawClient {
    pub connection: Connection,
    pub control: SendStream,
}

impl RawClient {
    pub async fn new(connection: Connection) -> Self {
        let mut control = connection.open_uni().await.unwrap();
        control.write_all(&[0x00, 0x04, 0x00]).await.unwrap();
        Self { connection, control }
    }

    pub async fn stream(&self, bytes: &[u8]) -> (SendStream, RecvStream) {
        let (mut send, recv) = within(self.connection.open_bi()).await.unwrap();
        send.write_all(bytes).await.unwrap();
        (send, recv)
    }

    pub async fn uni(&self, bytes: &[u8]) -> SendStream {
        let mut send = within(self.connection.open_uni()).await.unwrap();
        send.write_all(bytes).await.unwrap();
        send
    }

    /// Opens a session and reads the answer.
    pub async fn session(&self) -> (SendStream, RecvStream, u64) {
        let (send, mut recv) = self
            .stream(&connect("/connection/webtransport", "webtransport"))
            .await;
        let id = quinn::VarInt::from(send.id()).into_inner();
        assert_eq!(status(&mut recv).await, "200");
        (send, recv, id)
    }

    /// The code with which the server closed the connection.
    pub async fn close_code(&self) -> u64 {
        match within(self.connection.closed()).await {
            quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("closed otherwise: {other}"),
        }
    }
}

/// A HEADERS frame.
pub fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = Vec::new();
    qpack::encode_prefix(&mut section);
    for (name, value) in fields {
        qpack::encode_field(name.as_bytes(), value.as_bytes(), &mut section);
    }
    frame(frame::HEADERS, &section)
}

pub fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::encode(kind, &mut out);
    varint::encode(payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

pub fn request(method: &str, path: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    let fields = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ];
    headers(&[&fields, extra].concat())
}

pub fn connect(path: &str, protocol: &str) -> Vec<u8> {
    request(
        "CONNECT",
        path,
        &[(":protocol", protocol), ("origin", "https://example.com")],
    )
}

/// What a stream of a session starts with.
pub fn session_stream(session: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint::encode(frame::WEBTRANSPORT_STREAM, &mut out);
    varint::encode(session, &mut out);
    out
}

/// Reads one frame.
pub async fn read_frame(recv: &mut RecvStream) -> (u64, Vec<u8>) {
    let mut header = Vec::new();
    loop {
        let mut byte = [0];
        within(recv.read_exact(&mut byte)).await.unwrap();
        header.push(byte[0]);
        if let Some((kind, len, _)) = frame::decode_header(&header) {
            let mut payload = vec![0; len as usize];
            within(recv.read_exact(&mut payload)).await.unwrap();
            return (kind, payload);
        }
    }
}

/// Reads a response's head and tells its status.
pub async fn status(recv: &mut RecvStream) -> String {
    let (kind, section) = read_frame(recv).await;
    assert_eq!(kind, frame::HEADERS);
    let mut status = None;
    qpack::decode(&section, 1 << 20, |name, value| {
        if name == b":status" {
            status = Some(String::from_utf8(value.to_vec()).unwrap());
        }
    })
    .unwrap();
    status.unwrap()
}

/// The code with which the server reset a stream.
pub async fn reset_code(recv: &mut RecvStream) -> u64 {
    match within(recv.read_to_end(1 << 20)).await {
        Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))) => code.into_inner(),
        other => panic!("not reset: {other:?}"),
    }
}

/// The code with which the server stopped a stream.
pub async fn stop_code(send: &SendStream) -> u64 {
    within(send.stopped())
        .await
        .unwrap()
        .expect("not stopped")
        .into_inner()
}

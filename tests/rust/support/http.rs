//! HTTP/1.1 by hand, so that tests see the bytes: one request per connection, answers read as they come.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n"),
            body: Vec::new(),
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let request = Self::new("POST", path).header("Content-Length", &body.len().to_string());
        Self { body, ..request }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// What asks for a WebSocket.
    pub fn websocket(path: &str) -> Self {
        Self::get(path)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Sends the request; what comes back, from the head on.
    pub async fn send(self, stream: TcpStream) -> Stream {
        let mut stream = BufReader::new(stream);
        let mut bytes = self.head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        // A server may refuse and close before it has read all of a body: what matters is its answer.
        let _ = stream.write_all(&bytes).await;
        let head = read_head(&mut stream).await;
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let length = header_of(&head, "content-length").map(|length| length.parse().unwrap());
        Stream {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .unwrap_or(0),
            head,
            is_chunked,
            left: length.unwrap_or(0),
            stream,
        }
    }

    /// Sends the request and reads the whole answer.
    pub async fn exchange(self, stream: TcpStream) -> Answer {
        let mut stream = self.send(stream).await;
        let mut body = Vec::new();
        while let Some(chunk) = stream.chunk().await {
            body.extend_from_slice(&chunk);
        }
        Answer {
            status: stream.status,
            head: stream.head,
            body,
        }
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = Vec::new();
    loop {
        match stream.read_until(b'\n', &mut head).await {
            Ok(0) | Err(_) => break,
            Ok(_) if head.ends_with(b"\r\n\r\n") => break,
            Ok(_) => {}
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn header_of<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An answer whose body may still be coming.
pub struct Stream {
    pub status: u16,
    head: String,
    is_chunked: bool,
    left: usize,
    stream: BufReader<TcpStream>,
}

impl Stream {
    pub fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.head, name)
    }

    /// The next piece of the body as it was written, `None` at its end.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        if self.is_chunked {
            let mut size = String::new();
            self.stream.read_line(&mut size).await.ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).await.ok()?;
            chunk.truncate(size);
            (size > 0).then_some(chunk)
        } else {
            let mut chunk = vec![0; std::mem::take(&mut self.left)];
            self.stream.read_exact(&mut chunk).await.ok()?;
            (!chunk.is_empty()).then_some(chunk)
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 0 if the server closed without an answer.
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.head, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

//! The first request of a connection: a WebSocket handshake is answered here, everything else goes to hyper.
//!
//! Only a complete, plain GET with `Upgrade: websocket` within [`MAX_HEAD`] bytes is taken. Whatever is unusual
//! about a request, including every mistake in it, is left to hyper, which reads the same bytes again; so is the
//! writing of any answer that is not 101.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::upgrade::UpgradeContext;
use super::{HEADER_TIMEOUT, NetStream, Rewound, Server};
use crate::http::{Body, ConnectionFacts};

/// Most bytes of a handshake that are looked at here.
const MAX_HEAD: usize = 16 * 1024;
/// Most header fields of a handshake that are looked at here.
const MAX_FIELDS: usize = 64;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_HEAD].into_boxed_slice());
}

/// What a connection began with.
pub(super) struct First {
    stream: NetStream,
    /// Everything that was read.
    bytes: Bytes,
    upgrade: Option<Handshake>,
}

struct Handshake {
    request: Request<Body>,
    /// Length of the request in what was read.
    length: usize,
}

/// Waits for the first request. `None` if the peer left or took too long.
pub(super) async fn read(mut stream: NetStream) -> Option<First> {
    let mut read = BytesMut::new();
    let reading = poll_fn(|cx| poll_read(&mut stream, &mut read, cx));
    let upgrade = timeout(HEADER_TIMEOUT, reading).await.ok()??;
    let (bytes, upgrade) = match upgrade {
        Begun::Handshake(bytes, handshake) => (bytes, Some(*handshake)),
        Begun::Other => (read.freeze(), None),
    };
    Some(First {
        stream,
        bytes,
        upgrade,
    })
}

/// Answers a handshake. Returns the connection if it stays with HTTP, and the response to its first request if
/// that was made.
pub(super) async fn answer(
    server: &Server,
    first: First,
    facts: ConnectionFacts,
) -> Option<(Rewound, ConnectionFacts, Option<Response<Body>>)> {
    let First {
        mut stream,
        bytes,
        upgrade,
    } = first;
    let Some(Handshake { mut request, length }) = upgrade else {
        return Some((Rewound::new(stream, bytes), facts, None));
    };
    let context = UpgradeContext::of_first(server.flusher.clone());
    request.extensions_mut().insert(facts.clone());
    request.extensions_mut().insert(context.clone());
    let response = server.service.call(request).await;
    match context.take() {
        Some(take_over) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let head = head(&response);
            let writing = async {
                stream.write_all(&head).await?;
                stream.flush().await
            };
            if let Ok(Ok(())) = timeout(HEADER_TIMEOUT, writing).await {
                take_over(stream, bytes.slice(length..));
            }
            None
        }
        _ => Some((Rewound::new(stream, bytes), facts, Some(response))),
    }
}

enum Begun {
    Handshake(Bytes, Box<Handshake>),
    Other,
}

/// Ready with nothing if the peer left.
fn poll_read(stream: &mut NetStream, read: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Option<Begun>> {
    BUFFER.with_borrow_mut(|buffer| {
        loop {
            let mut into = ReadBuf::new(buffer);
            if ready!(Pin::new(&mut *stream).poll_read(cx, &mut into)).is_err() || into.filled().is_empty() {
                return Poll::Ready(None);
            }
            read.extend_from_slice(into.filled());
            if !may_be_handshake(read) {
                return Poll::Ready(Some(Begun::Other));
            }
            let bytes = read.split().freeze();
            match parse(&bytes) {
                Parsed::Handshake(handshake) => {
                    return Poll::Ready(Some(Begun::Handshake(bytes, handshake)));
                }
                parsed => {
                    *read = BytesMut::from(bytes);
                    if matches!(parsed, Parsed::Other) || read.len() >= MAX_HEAD {
                        return Poll::Ready(Some(Begun::Other));
                    }
                }
            }
        }
    })
}

fn may_be_handshake(read: &[u8]) -> bool {
    const START: &[u8] = b"GET ";
    read.iter().zip(START).all(|(byte, expected)| byte == expected)
}

enum Parsed {
    Handshake(Box<Handshake>),
    Incomplete,
    Other,
}

fn parse(bytes: &Bytes) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Incomplete,
        Err(_) => return Parsed::Other,
    };
    let asks_for_websocket = head.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("upgrade") && field.value.eq_ignore_ascii_case(b"websocket")
    });
    if !asks_for_websocket || head.version != Some(1) || head.method != Some("GET") {
        return Parsed::Other;
    }
    request(bytes, &head).map_or(Parsed::Other, |request| {
        Parsed::Handshake(Box::new(Handshake { request, length }))
    })
}

/// The request in the types of `http`, its values shared with what was read.
fn request(bytes: &Bytes, head: &httparse::Request<'_, '_>) -> Option<Request<Body>> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut request = Request::new(body);
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice_ref(head.path?.as_bytes())).ok()?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if matches!(name.as_str(), "content-length" | "transfer-encoding" | "expect") {
            return None;
        }
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    Some(request)
}

/// Length of the handshake at the beginning of `read`, if there is one: what a fuzzer needs to see.
#[cfg(fuzzing)]
#[must_use]
pub fn length_of_handshake(read: &[u8]) -> Option<usize> {
    match parse(&Bytes::copy_from_slice(read)) {
        Parsed::Handshake(handshake) => {
            assert!(handshake.request.headers().contains_key("upgrade"));
            Some(handshake.length)
        }
        Parsed::Incomplete | Parsed::Other => None,
    }
}

/// The head of a 101.
fn head(response: &Response<Body>) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &'static str) -> Parsed {
        parse(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_handshake_is_taken_with_what_follows_left_over() {
        let text =
            "GET /c?a=b HTTP/1.1\r\nHost: x\r\nUPGRADE: WebSocket\r\nCookie: a\r\nCookie: b\r\n\r\n\x01\x02";
        let Parsed::Handshake(handshake) = parsed(text) else {
            panic!("not taken");
        };
        let Handshake { request, length } = *handshake;
        assert_eq!(text.len() - length, 2);
        assert_eq!(request.uri(), "/c?a=b");
        assert_eq!(request.headers().get_all("cookie").iter().count(), 2);
        assert_eq!(request.headers()["host"], "x");
    }

    #[test]
    fn what_is_unusual_is_left_to_hyper() {
        for text in [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET http://[ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade websocket\r\n\r\n",
        ] {
            assert!(matches!(parsed(text), Parsed::Other), "{text}");
        }
        assert!(!may_be_handshake(b"POST /api"));
        assert!(!may_be_handshake(b"PR"));
    }

    #[test]
    fn a_part_of_a_handshake_waits_for_the_rest() {
        for text in ["", "G", "GET /", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n"] {
            assert!(may_be_handshake(text.as_bytes()));
            assert!(matches!(parsed(text), Parsed::Incomplete), "{text}");
        }
    }
}

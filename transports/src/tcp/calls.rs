//! Plain calls over HTTP/1.1: a POST with a small body, one after the other on a connection that is kept.
//!
//! So backends publish, and to them the HTTP stack is most of what a publication costs: types for every request
//! there is, a dozen allocations, timers. Here a request is looked at where it was read, and the answer leaves in
//! one write. As with the [first request](super::first), only what is entirely ordinary is taken. The rest,
//! every mistake included, and whatever the service [declines](crate::http::HttpService::call_whole), is left to
//! hyper, which reads the same bytes again and keeps the connection from then on.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use ::http::HeaderValue;
use bytes::{Buf, BytesMut};
use httpdate::HttpDate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFuture;

use super::{HEADER_TIMEOUT, NetStream, Rewound, Server};
use crate::http::{WholeRequest, WholeResponse};

/// Largest call, head and body, that is taken here.
const MAX_CALL: usize = 64 * 1024;
/// Most header fields of a call that is taken here.
const MAX_FIELDS: usize = 32;
/// Room for a usual call; also what a connection keeps between calls.
const USUAL_CALL: usize = 2048;

/// Serves calls for as long as they are ordinary. Returns the connection with everything unanswered when something
/// else comes, and nothing when the connection has ended.
///
/// Ends like hyper: idle connections after [`HEADER_TIMEOUT`] (here between one and two of it) and when the server
/// stops; a call under way is answered first.
pub(super) async fn serve(server: &Server, stream: Rewound) -> Option<Rewound> {
    let (mut stream, early) = stream.into_parts();
    if !may_be_call(&early) {
        return Some(Rewound::new(stream, early));
    }
    let mut read = BytesMut::from(early);
    let mut out = Vec::new();
    let mut silence = Silence::new(server);
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match parse(&read, &mut fields) {
            Parsed::Call { request, length } => {
                let Some(answer) = server.service.call_whole(request) else {
                    return Some(Rewound::new(stream, read.freeze()));
                };
                let response = answer.await;
                let is_last = server.stop.is_cancelled();
                encode(&response, is_last, &mut out);
                if stream.write_all(&out).await.is_err() || stream.flush().await.is_err() {
                    return None;
                }
                if is_last {
                    let _ = stream.shutdown().await;
                    return None;
                }
                consume(&mut read, length);
                empty(&mut out);
                silence.is_broken = true;
            }
            Parsed::Incomplete if read.len() < MAX_CALL => {
                match more(&mut stream, &mut read, &mut silence).await {
                    More::Read => {}
                    More::Nothing if read.is_empty() => {
                        let _ = stream.shutdown().await;
                        return None;
                    }
                    // What is to become of half a request is hyper's to say.
                    More::Nothing => return Some(Rewound::new(stream, read.freeze())),
                }
            }
            Parsed::Incomplete | Parsed::Other => return Some(Rewound::new(stream, read.freeze())),
        }
    }
}

fn may_be_call(read: &[u8]) -> bool {
    read.starts_with(b"POST /")
}

enum Parsed<'a> {
    Call {
        request: WholeRequest<'a>,
        /// Of head and body.
        length: usize,
    },
    Incomplete,
    Other,
}

fn parse<'a>(read: &'a [u8], fields: &'a mut [httparse::Header<'a>]) -> Parsed<'a> {
    if read.is_empty() {
        return Parsed::Incomplete;
    }
    let mut head = httparse::Request::new(fields);
    let head_length = match head.parse(read) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Incomplete,
        Err(_) => return Parsed::Other,
    };
    let (Some("POST"), Some(target), Some(1)) = (head.method, head.path, head.version) else {
        return Parsed::Other;
    };
    let fields: &'a [httparse::Header<'a>] = head.headers;
    let Some(body_length) = body_length(fields).filter(|_| is_ordinary(target)) else {
        return Parsed::Other;
    };
    let length = head_length + body_length;
    if length > MAX_CALL {
        return Parsed::Other;
    }
    let Some(body) = read.get(head_length..length) else {
        return Parsed::Incomplete;
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    Parsed::Call {
        request: WholeRequest {
            path,
            query,
            body,
            fields,
        },
        length,
    }
}

/// A path and perhaps a query of characters that mean nothing in particular.
fn is_ordinary(target: &str) -> bool {
    target.starts_with('/')
        && target
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/?&=%._-~+".contains(&byte))
}

/// Length of the body, if one field tells it in digits and no other changes what follows the head
/// (RFC 9112 6.3) or what becomes of the connection.
fn body_length(fields: &[httparse::Header<'_>]) -> Option<usize> {
    let mut length = None;
    for field in fields {
        // Told apart by their lengths first: most fields are none of these.
        let is = |name| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            14 if is("content-length") => {
                let digits = field.value;
                if length.is_some() || !(1..=7).contains(&digits.len()) {
                    return None;
                }
                let mut value = 0;
                for digit in digits {
                    value = value * 10 + usize::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
                }
                length = Some(value);
            }
            10 if is("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive") => return None,
            17 if is("transfer-encoding") => return None,
            7 if is("upgrade") => return None,
            6 if is("expect") => return None,
            2 if is("te") => return None,
            _ => {}
        }
    }
    length
}

/// Length of the plain call at the beginning of `read`, if there is one: what a fuzzer needs to see.
#[cfg(fuzzing)]
#[must_use]
pub fn length_of_call(read: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match parse(read, &mut fields) {
        Parsed::Call { request, length } => {
            assert!(request.path.starts_with('/') && request.body.len() < length);
            Some(length)
        }
        Parsed::Incomplete | Parsed::Other => None,
    }
}

/// Writes a response as hyper would.
fn encode(response: &WholeResponse, is_last: bool, out: &mut Vec<u8>) {
    let WholeResponse {
        status,
        fields,
        alt_svc,
        body,
    } = response;
    out.reserve(256 + body.len());
    for part in [
        "HTTP/1.1 ",
        status.as_str(),
        " ",
        status.canonical_reason().unwrap_or_default(),
    ] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in *fields {
        field(out, name, value.as_bytes());
    }
    if let Some(alt_svc) = alt_svc {
        field(out, "alt-svc", alt_svc.as_bytes());
    }
    if is_last {
        field(out, "connection", b"close");
    }
    field(out, "content-length", HeaderValue::from(body.len()).as_bytes());
    field(out, "date", &date());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
}

/// The time in the form of RFC 9110 5.6.7, formatted once a second.
fn date() -> [u8; 29] {
    thread_local! {
        static FORMATTED: Cell<(u64, [u8; 29])> = const { Cell::new((0, [b' '; 29])) };
    }
    /// The last second of the year 9999: the format knows none after it.
    const LAST: u64 = 253_402_300_799;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let second = now.unwrap_or_default().as_secs().min(LAST);
    let (formatted_at, mut text) = FORMATTED.get();
    if formatted_at != second {
        let formatted = HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).to_string();
        for (to, from) in text.iter_mut().zip(formatted.bytes()) {
            *to = from;
        }
        FORMATTED.set((second, text));
    }
    text
}

/// Lets go of an answered call, and of room that only an unusual one needs.
fn consume(read: &mut BytesMut, length: usize) {
    if length < read.len() {
        read.advance(length);
    } else if read.capacity() > 2 * USUAL_CALL {
        *read = BytesMut::new();
    } else {
        read.clear();
    }
}

fn empty(out: &mut Vec<u8>) {
    if out.capacity() > 2 * USUAL_CALL {
        *out = Vec::new();
    }
    out.clear();
}

enum More {
    Read,
    /// And there will be none: the peer left or is silent, or the server stops.
    Nothing,
}

/// Reads what is there next.
async fn more(stream: &mut NetStream, read: &mut BytesMut, silence: &mut Silence<'_>) -> More {
    read.reserve(USUAL_CALL);
    let mut reading = pin!(stream.read_buf(read));
    poll_fn(|cx| match reading.as_mut().poll(cx) {
        Poll::Ready(Ok(1..)) => Poll::Ready(More::Read),
        Poll::Ready(_) => Poll::Ready(More::Nothing),
        Poll::Pending => silence.poll_end(cx).map(|()| More::Nothing),
    })
    .await
}

/// What ends the wait for a call.
struct Silence<'a> {
    server: &'a Server,
    stop: Pin<Box<WaitForCancellationFuture<'a>>>,
    timeout: Pin<Box<Sleep>>,
    /// There was a call since the timer was set: it is set again when it fires, and not for each call.
    is_broken: bool,
    /// Whom the two futures wake.
    waker: Option<Waker>,
}

impl<'a> Silence<'a> {
    fn new(server: &'a Server) -> Self {
        Self {
            server,
            stop: Box::pin(server.stop.cancelled()),
            timeout: Box::pin(sleep(HEADER_TIMEOUT)),
            is_broken: false,
            waker: None,
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_registered = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_registered && !self.server.stop.is_cancelled() && !self.timeout.is_elapsed() {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while self.timeout.as_mut().poll(cx).is_ready() {
            if !std::mem::take(&mut self.is_broken) {
                return Poll::Ready(());
            }
            self.timeout.as_mut().reset(Instant::now() + HEADER_TIMEOUT);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, query, body and what is left over; or whether more is waited for.
    fn parsed(read: &str) -> Result<(String, Option<String>, String, &str), bool> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match parse(read.as_bytes(), &mut fields) {
            Parsed::Call { request, length } => Ok((
                request.path.to_owned(),
                request.query.map(str::to_owned),
                String::from_utf8(request.body.to_vec()).unwrap(),
                &read[length..],
            )),
            Parsed::Incomplete => Err(true),
            Parsed::Other => Err(false),
        }
    }

    #[test]
    fn a_call_is_taken_and_what_follows_left_over() {
        let text = "POST /api/publish?a=%20 HTTP/1.1\r\nHost: x\r\nCONTENT-length: 2\r\nConnection: Keep-Alive\r\n\r\n{}PO";
        assert_eq!(
            parsed(text),
            Ok(("/api/publish".into(), Some("a=%20".into()), "{}".into(), "PO"))
        );
        let end = text.len() - 2;
        for length in 0..end {
            assert_eq!(parsed(&text[..length]), Err(true), "{length}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_hyper() {
        for (target, version, fields) in [
            ("/a", "HTTP/1.0", "Content-Length: 0"),
            ("/a", "HTTP/1.1", "Host: x"),
            ("/a", "HTTP/1.1", "Content-Length: 0\r\nContent-Length: 0"),
            ("/a", "HTTP/1.1", "Content-Length: +1"),
            ("/a", "HTTP/1.1", "Content-Length: 1,1"),
            ("/a", "HTTP/1.1", "Content-Length: "),
            ("/a", "HTTP/1.1", "Content-Length: 99999"),
            ("/a", "HTTP/1.1", "Content-Length: 99999999999999999999999"),
            (
                "/a",
                "HTTP/1.1",
                "Content-Length: 0\r\nTransfer-Encoding: chunked",
            ),
            ("/a", "HTTP/1.1", "Transfer-Encoding: chunked"),
            ("/a", "HTTP/1.1", "Content-Length: 0\r\nExpect: 100-continue"),
            ("/a", "HTTP/1.1", "Content-Length: 0\r\nUpgrade: x"),
            ("/a", "HTTP/1.1", "Content-Length: 0\r\nConnection: close"),
            ("/a", "HTTP/1.1", "Content-Length: 0\r\nConnection: keep-alive, x"),
            ("/a", "HTTP/1.1", "Content-Length : 0"),
            ("http://x/a", "HTTP/1.1", "Content-Length: 0"),
            ("*", "HTTP/1.1", "Content-Length: 0"),
            ("/a#b", "HTTP/1.1", "Content-Length: 0"),
            ("/\u{e9}", "HTTP/1.1", "Content-Length: 0"),
        ] {
            let text = format!("POST {target} {version}\r\n{fields}\r\n\r\n");
            assert_eq!(parsed(&text), Err(false), "{text}");
        }
        assert_eq!(parsed("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), Err(false));
        let many = format!(
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_FIELDS)
        );
        assert_eq!(parsed(&many), Err(false));
    }

    #[test]
    fn fields_are_found_in_any_case_and_the_first_counts() {
        let text = b"POST / HTTP/1.1\r\nX-Key: a\r\nx-key: b\r\nContent-Length: 0\r\n\r\n";
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let Parsed::Call { request, .. } = parse(text, &mut fields) else {
            panic!("not taken");
        };
        assert_eq!(
            request.field(&::http::HeaderName::from_static("x-key")),
            Some(&b"a"[..])
        );
        assert_eq!(request.field(&::http::header::HOST), None);
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_call_never_panics(damage: Vec<(proptest::sample::Index, u8)>, cut: proptest::sample::Index) {
            let mut text = b"POST /api?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nA: x\r\n\r\n{\"a\":\"b\"}\r\n".to_vec();
            for (index, byte) in damage {
                let index = index.index(text.len());
                text[index] = byte;
            }
            text.truncate(cut.index(text.len()));
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            if let Parsed::Call { request, length } = parse(&text, &mut fields) {
                assert!(length <= text.len() && request.body.len() < length);
            }
        }
    }

    #[test]
    fn the_date_is_a_date() {
        let text = String::from_utf8(date().to_vec()).unwrap();
        assert!(text.parse::<HttpDate>().is_ok(), "{text}");
    }
}

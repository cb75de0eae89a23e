//! Message heads: field sections to requests, responses to field sections (RFC 9114 sections 4.2 and 4.3).

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, StatusCode, Uri, Version};

use super::error::Code;
use super::frame;
use super::qpack::{self, QpackError};
use super::varint;

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead {
    /// Method, target and headers, as any HTTP version would give them.
    pub request: Request<()>,
    /// `:protocol` of an extended CONNECT (RFC 9220).
    pub protocol: Option<Box<str>>,
    /// `content-length`.
    pub content_length: Option<u64>,
}

/// Why a field section is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Larger than we accept: HTTP 431.
    #[error("field section too large")]
    TooLarge,
    /// Breaks a rule of HTTP: H3_MESSAGE_ERROR on the stream.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// Breaks QPACK: the connection ends with QPACK_DECOMPRESSION_FAILED.
    #[error("cannot decode field section: {0}")]
    Qpack(QpackError),
}

/// Decodes the field section of a request of at most `limit` bytes.
///
/// # Errors
/// See [`HeadError`].
pub fn decode_request(section: &[u8], limit: u64) -> Result<RequestHead, HeadError> {
    let mut builder = Builder::default();
    let mut fault = None;
    decode_fields(section, limit, |name, value| {
        if fault.is_none() {
            fault = builder.field(name, value).err();
        }
    })?;
    fault.map_or_else(|| builder.finish(), Err)
}

/// Decodes the field section of trailers of at most `limit` bytes.
///
/// # Errors
/// See [`HeadError`]; a pseudo-header is malformed here.
pub fn decode_trailers(section: &[u8], limit: u64) -> Result<HeaderMap, HeadError> {
    let mut trailers = HeaderMap::new();
    let mut fault = None;
    decode_fields(section, limit, |name, value| {
        if fault.is_none() {
            fault = append(&mut trailers, name, value).err();
        }
    })?;
    fault.map_or(Ok(trailers), Err)
}

fn decode_fields(section: &[u8], limit: u64, each: impl FnMut(&[u8], &[u8])) -> Result<(), HeadError> {
    qpack::decode(section, limit, each).map_err(|error| match error {
        QpackError::TooLarge => HeadError::TooLarge,
        error => HeadError::Qpack(error),
    })
}

/// A HEADERS frame with status and headers. Headers about an HTTP/1 connection are left out, for the
/// services behind us answer every HTTP version alike.
#[must_use]
pub fn encode_response(status: StatusCode, headers: &HeaderMap) -> Bytes {
    let mut section = BytesMut::with_capacity(256);
    qpack::encode_prefix(&mut section);
    qpack::encode_field(b":status", status.as_str().as_bytes(), &mut section);
    encode_headers(headers, section)
}

/// A HEADERS frame with trailers.
#[must_use]
pub fn encode_trailers(trailers: &HeaderMap) -> Bytes {
    let mut section = BytesMut::with_capacity(128);
    qpack::encode_prefix(&mut section);
    encode_headers(trailers, section)
}

fn encode_headers(headers: &HeaderMap, mut section: BytesMut) -> Bytes {
    for (name, value) in headers {
        if !is_connection_specific(name.as_str().as_bytes()) {
            qpack::encode_field(name.as_str().as_bytes(), value.as_bytes(), &mut section);
        }
    }
    let mut frame = BytesMut::with_capacity(section.len() + 9);
    varint::encode(frame::HEADERS, &mut frame);
    varint::encode(section.len() as u64, &mut frame);
    frame.put(section);
    frame.freeze()
}

#[derive(Default)]
struct Builder {
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
    protocol: Option<Box<str>>,
    headers: HeaderMap,
    /// Pieces of `cookie`, joined at the end (RFC 9114 section 4.2.1).
    cookies: Vec<u8>,
    has_regular: bool,
}

impl Builder {
    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if name.first() == Some(&b':') {
            return self.pseudo(name, value);
        }
        self.has_regular = true;
        if name == b"cookie" {
            if !self.cookies.is_empty() {
                self.cookies.extend_from_slice(b"; ");
            }
            self.cookies.extend_from_slice(value);
            return Ok(());
        }
        if is_connection_specific(name) || (name == b"te" && value != b"trailers") {
            return Err(HeadError::Malformed("header about an HTTP/1 connection"));
        }
        append(&mut self.headers, name, value)
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if self.has_regular {
            return Err(HeadError::Malformed("pseudo-header after a header"));
        }
        match name {
            b":method" => put(&mut self.method, Method::from_bytes(value).ok()),
            b":scheme" => put(&mut self.scheme, Scheme::try_from(value).ok()),
            b":authority" => put(&mut self.authority, Authority::try_from(value).ok()),
            b":path" => put(&mut self.path, path(value)),
            b":protocol" => put(&mut self.protocol, std::str::from_utf8(value).ok().map(Box::from)),
            _ => Err(HeadError::Malformed("unknown pseudo-header")),
        }
    }

    fn finish(mut self) -> Result<RequestHead, HeadError> {
        let method = self.method.take().ok_or(HeadError::Malformed("no :method"))?;
        if !self.cookies.is_empty() {
            append(&mut self.headers, b"cookie", &std::mem::take(&mut self.cookies))?;
        }
        self.check_host()?;
        let mut uri = http::uri::Parts::default();
        let is_plain_connect = method == Method::CONNECT && self.protocol.is_none();
        if is_plain_connect {
            if self.scheme.is_some() || self.path.is_some() || self.authority.is_none() {
                return Err(HeadError::Malformed("CONNECT takes :authority alone"));
            }
        } else {
            if self.protocol.is_some() && method != Method::CONNECT {
                return Err(HeadError::Malformed(":protocol without CONNECT"));
            }
            let scheme = self.scheme.ok_or(HeadError::Malformed("no :scheme"))?;
            let path = self.path.ok_or(HeadError::Malformed("no :path"))?;
            if self.authority.is_none() {
                let host = self
                    .headers
                    .get(header::HOST)
                    .ok_or(HeadError::Malformed("no :authority"))?;
                let host = Authority::try_from(host.as_bytes());
                self.authority = Some(host.map_err(|_| HeadError::Malformed("bad host"))?);
            }
            uri.scheme = Some(scheme);
            uri.path_and_query = Some(path);
        }
        uri.authority = self.authority;
        let content_length = content_length(&self.headers)?;
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| HeadError::Malformed("bad target"))?;
        *request.version_mut() = Version::HTTP_3;
        *request.headers_mut() = self.headers;
        Ok(RequestHead {
            request,
            protocol: self.protocol,
            content_length,
        })
    }

    /// `:authority` and `host` must agree (RFC 9114 section 4.3.1).
    fn check_host(&self) -> Result<(), HeadError> {
        let (Some(authority), Some(host)) = (&self.authority, self.headers.get(header::HOST)) else {
            return Ok(());
        };
        if authority
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(host.as_bytes())
        {
            return Ok(());
        }
        Err(HeadError::Malformed("host differs from :authority"))
    }
}

fn put<T>(slot: &mut Option<T>, value: Option<T>) -> Result<(), HeadError> {
    let value = value.ok_or(HeadError::Malformed("bad pseudo-header"))?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeadError::Malformed("pseudo-header repeated")),
    }
}

fn path(value: &[u8]) -> Option<PathAndQuery> {
    let absolute = value.starts_with(b"/") || value == b"*";
    absolute.then(|| PathAndQuery::try_from(value).ok()).flatten()
}

fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
    if name.iter().any(u8::is_ascii_uppercase) {
        return Err(HeadError::Malformed("uppercase header name"));
    }
    let name = HeaderName::from_bytes(name).map_err(|_| HeadError::Malformed("bad header name"))?;
    let value = HeaderValue::from_bytes(value).map_err(|_| HeadError::Malformed("bad header value"))?;
    headers.try_append(name, value).map_err(|_| HeadError::TooLarge)?;
    Ok(())
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, HeadError> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let value = value
            .to_str()
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let value: u64 = value
            .and_then(|text| text.parse().ok())
            .ok_or(HeadError::Malformed("bad content-length"))?;
        if length.replace(value).is_some_and(|before| before != value) {
            return Err(HeadError::Malformed("two content-lengths"));
        }
    }
    Ok(length)
}

/// Headers that mean nothing without an HTTP/1 connection (RFC 9114 section 4.2).
fn is_connection_specific(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade"
    )
}

impl HeadError {
    /// Code for the stream or connection that carried the section; none if an answer is due instead.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        match self {
            Self::TooLarge => None,
            Self::Malformed(_) => Some(Code::MESSAGE_ERROR),
            Self::Qpack(_) => Some(Code::QPACK_DECOMPRESSION_FAILED),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const GET: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.com"),
        (":path", "/a?b=c"),
    ];

    fn head(fields: &[(&str, &str)]) -> Result<RequestHead, HeadError> {
        let mut section = Vec::new();
        qpack::encode_prefix(&mut section);
        for (name, value) in fields {
            qpack::encode_field(name.as_bytes(), value.as_bytes(), &mut section);
        }
        decode_request(&section, 4096)
    }

    fn with(extra: &[(&'static str, &'static str)]) -> Result<RequestHead, HeadError> {
        head(&[&GET, extra].concat())
    }

    #[test]
    fn reads_a_request() {
        let head = with(&[
            ("cookie", "a=1"),
            ("x", "y"),
            ("cookie", "b=2"),
            ("content-length", "7"),
        ])
        .unwrap();
        assert_eq!(head.request.uri(), "https://example.com/a?b=c");
        assert_eq!(head.request.version(), Version::HTTP_3);
        assert_eq!(head.request.headers()["cookie"], "a=1; b=2");
        assert_eq!(head.content_length, Some(7));
        assert_eq!(head.protocol, None);
    }

    #[test]
    fn reads_an_extended_connect() {
        let mut fields = GET;
        fields[0].1 = "CONNECT";
        let head = head(&[&fields[..], &[(":protocol", "webtransport")]].concat()).unwrap();
        assert_eq!(head.protocol.as_deref(), Some("webtransport"));
        assert_eq!(head.request.uri().path(), "/a");
    }

    #[test]
    fn takes_the_host_header_for_the_authority() {
        let fields = [GET[0], GET[1], GET[3], ("host", "example.org")];
        assert_eq!(head(&fields).unwrap().request.uri().host(), Some("example.org"));
        assert!(with(&[("host", "EXAMPLE.com")]).is_ok());
    }

    #[test]
    fn malformed_requests_are_refused() {
        let bad: &[&[(&'static str, &'static str)]] = &[
            &[("x", "y"), (":path", "/")],
            &[(":path", "/")],
            &[(":status", "200")],
            &[("X-Upper", "a")],
            &[("connection", "close")],
            &[("transfer-encoding", "chunked")],
            &[("te", "gzip")],
            &[("a b", "c")],
            &[("a", "b\nc")],
            &[("content-length", "+1")],
            &[("content-length", "")],
            &[("content-length", "1"), ("content-length", "2")],
            &[("host", "example.org")],
            &[(":protocol", "webtransport")],
        ];
        for extra in bad {
            assert!(matches!(with(extra), Err(HeadError::Malformed(_))), "{extra:?}");
        }
        for missing in 0..4 {
            let mut fields = GET.to_vec();
            fields.remove(missing);
            assert!(matches!(head(&fields), Err(HeadError::Malformed(_))), "{missing}");
        }
        let fields = [GET[0], GET[1], GET[2], (":path", "a")];
        assert!(matches!(head(&fields), Err(HeadError::Malformed(_))));
        assert!(matches!(
            head(&[(":method", "CONNECT"), (":authority", "a"), (":path", "/")]),
            Err(HeadError::Malformed(_))
        ));
    }

    #[test]
    fn trailers_have_no_pseudo_headers() {
        let mut section = vec![0, 0];
        qpack::encode_field(b":path", b"/", &mut section);
        assert!(matches!(
            decode_trailers(&section, 100),
            Err(HeadError::Malformed(_))
        ));
    }

    #[test]
    fn responses_leave_out_what_belongs_to_http_1() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("keep-alive"));
        headers.insert("x", HeaderValue::from_static("y"));
        let frame = encode_response(StatusCode::OK, &headers);
        let (kind, len, used) = frame::decode_header(&frame).unwrap();
        assert_eq!((kind, len as usize), (frame::HEADERS, frame.len() - used));
        let mut fields = Vec::new();
        qpack::decode(&frame[used..], 1000, |name, value| {
            fields.push((name.to_vec(), value.to_vec()));
        })
        .unwrap();
        assert_eq!(
            fields,
            [
                (b":status".to_vec(), b"200".to_vec()),
                (b"x".to_vec(), b"y".to_vec())
            ]
        );
    }

    proptest! {
        #[test]
        fn random_fields_never_panic(
            fields in vec((
                prop_oneof![
                    Just(":method".to_owned()), Just(":path".to_owned()), Just(":scheme".to_owned()),
                    Just(":authority".to_owned()), Just(":protocol".to_owned()), "[a-z]{1,4}", ".{0,4}"
                ],
                prop_oneof![Just("CONNECT".to_owned()), Just("https".to_owned()), ".{0,8}"],
            ), 0..8),
        ) {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let _ = head(&fields);
        }

        #[test]
        fn random_sections_never_panic(section in vec(any::<u8>(), 0..200)) {
            let _ = decode_request(&section, 1000);
            let _ = decode_trailers(&section, 1000);
        }
    }
}

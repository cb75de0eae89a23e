//! Responses: heads, bodies as they come, and the refusals of this layer.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};

use super::frame;
use super::head;
use super::output::{Output, OutputError};
use super::varint;
use crate::http::{Body, BodyError};

/// Why a response was not written to its end.
#[derive(Debug)]
pub(crate) enum ResponseError {
    /// Nothing more can be written.
    Output(OutputError),
    /// The service's body failed.
    Body(BodyError),
}

/// Writes `response` and ends the stream.
///
/// Each body frame becomes one DATA frame in one stream write, so that clients which decode chunk by chunk
/// find whole messages (protocol.md, notes on js 5.7). On an error the caller resets the stream.
pub(crate) async fn write(
    output: &mut Output,
    method: &Method,
    response: Response<Body>,
) -> Result<(), ResponseError> {
    let (mut parts, mut body) = response.into_parts();
    add_date(&mut parts.headers);
    let may_have_body = parts.status != StatusCode::NO_CONTENT && parts.status != StatusCode::NOT_MODIFIED;
    let sends_body = may_have_body && method != Method::HEAD;
    if let Some(length) = body.size_hint().exact()
        && may_have_body
        // The body of an answer to HEAD is often left out: its length says nothing then.
        && (sends_body || length > 0)
    {
        parts
            .headers
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| length.into());
    }
    output
        .write(&mut [head::encode_response(parts.status, &parts.headers)])
        .await?;
    drop(parts);
    while sends_body && !body.is_end_stream() {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
            break;
        };
        match frame.map_err(ResponseError::Body)?.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => output.write(&mut [data_header(data.len()), data]).await?,
            Err(other) => {
                if let Ok(trailers) = other.into_trailers() {
                    output.write(&mut [head::encode_trailers(&trailers)]).await?;
                }
                break;
            }
        }
    }
    output.finish();
    Ok(())
}

/// Writes a head and leaves the stream open, as CONNECT needs it.
pub(crate) async fn write_head(output: &mut Output, mut response: Response<()>) -> Result<(), OutputError> {
    add_date(response.headers_mut());
    output
        .write(&mut [head::encode_response(response.status(), response.headers())])
        .await
}

/// A response with the status text as its body, as the other transports answer refusals.
pub(crate) fn refusal(status: StatusCode) -> Response<Body> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or("Error"));
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// The header of a DATA frame.
pub(crate) fn data_header(len: usize) -> Bytes {
    let mut header = BytesMut::with_capacity(9);
    varint::encode(frame::DATA, &mut header);
    varint::encode(len as u64, &mut header);
    header.freeze()
}

fn add_date(headers: &mut HeaderMap) {
    if !headers.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
    {
        headers.insert(header::DATE, date);
    }
}

impl From<OutputError> for ResponseError {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

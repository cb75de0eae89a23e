//! From bytes to messages: headers, unmasking, fragments, limits. No I/O.

use super::deflate::{InflateError, inflate};
use crate::Close;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Reads the frames of one connection. Holds only the fragments of an unfinished message.
#[derive(Debug)]
pub struct Decoder {
    message_limit: usize,
    inflated_limit: usize,
    compression: bool,
    fragments: Option<Fragments>,
}

#[derive(Debug)]
struct Fragments {
    compressed: bool,
    data: Vec<u8>,
}

/// One thing that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message that lies in the input.
    Message(&'a [u8]),
    /// A whole message that was assembled or inflated.
    Assembled(Vec<u8>),
    /// A ping to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// The peer closes, with its code if it gave one.
    Close(Option<u16>),
}

/// The peer broke RFC 6455 or a limit: close with that code and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1002 or 1009.
    pub code: u16,
    /// Short text; empty for messages over the limit.
    pub reason: &'static str,
}

impl Violation {
    const TOO_BIG: Self = Self {
        code: 1009,
        reason: "",
    };
    const TOO_BIG_INFLATED: Self = Self {
        code: 1009,
        reason: "message too big after decompression",
    };

    const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }

    pub(super) fn to_close(self) -> Close {
        Close::new(self.code.into(), self.reason)
    }
}

/// How far one call of [`Decoder::decode`] came.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Not enough bytes for a frame: call again with more.
    Incomplete,
    /// A frame of so many bytes was read; it may have completed something.
    Frame(usize, Option<Event<'a>>),
}

struct Header {
    fin: bool,
    rsv1: bool,
    opcode: u8,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

impl Decoder {
    /// A decoder with the limits of [`WebsocketOptions`](super::WebsocketOptions).
    #[must_use]
    pub fn new(message_limit: usize, inflated_limit: usize, compression: bool) -> Self {
        Self {
            message_limit,
            inflated_limit,
            compression,
            fragments: None,
        }
    }

    /// Reads the frame at the start of `input`, unmasking it in place.
    ///
    /// # Errors
    /// A [`Violation`], as soon as the header shows it: an oversized frame is refused before it is buffered.
    pub fn decode<'a>(&mut self, input: &'a mut [u8]) -> Result<Step<'a>, Violation> {
        let Some(header) = self.header(input)? else {
            return Ok(Step::Incomplete);
        };
        let Some(payload) = input.get_mut(header.start..header.end) else {
            return Ok(Step::Incomplete);
        };
        unmask(payload, header.mask);
        let payload: &'a [u8] = payload;
        let event = match header.opcode {
            PING => Some(Event::Ping(payload)),
            PONG => Some(Event::Pong),
            CLOSE => Some(Event::Close(close_code(payload)?)),
            _ => self.data(&header, payload)?,
        };
        Ok(Step::Frame(header.end, event))
    }

    /// Whether an unfinished message is held.
    #[must_use]
    pub fn holds_fragments(&self) -> bool {
        self.fragments.is_some()
    }

    fn header(&self, input: &[u8]) -> Result<Option<Header>, Violation> {
        let &[first, second, ref rest @ ..] = input else {
            return Ok(None);
        };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        let rsv1 = first & 0x40 != 0;
        let is_data_start = matches!(opcode, TEXT | BINARY);
        if first & 0x30 != 0 || (rsv1 && !(self.compression && is_data_start)) {
            return Err(Violation::protocol("unexpected reserved bits"));
        }
        if second & 0x80 == 0 {
            return Err(Violation::protocol("bad MASK"));
        }
        let short = second & 0x7f;
        let is_control = matches!(opcode, CLOSE | PING | PONG);
        match opcode {
            CONTINUATION if self.fragments.is_none() => {
                return Err(Violation::protocol("continuation after FIN"));
            }
            TEXT | BINARY if self.fragments.is_some() => {
                return Err(Violation::protocol("data before FIN"));
            }
            CONTINUATION | TEXT | BINARY => {}
            _ if !is_control => return Err(Violation::protocol(bad_opcode(opcode))),
            _ if short > 125 => return Err(Violation::protocol("len > 125 for control")),
            _ if !fin => return Err(Violation::protocol("FIN not set on control")),
            _ => {}
        }
        let (length, extra) = match short {
            126 => match rest {
                &[a, b, ..] => (u64::from(u16::from_be_bytes([a, b])), 2),
                _ => return Ok(None),
            },
            127 => match rest {
                &[a, b, c, d, e, f, g, h, ..] => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 8),
                _ => return Ok(None),
            },
            length => (u64::from(length), 0),
        };
        let length = usize::try_from(length).map_err(|_| Violation::TOO_BIG)?;
        let held = self
            .fragments
            .as_ref()
            .map_or(0, |fragments| fragments.data.len());
        if !is_control && length > self.message_limit.saturating_sub(held) {
            return Err(Violation::TOO_BIG);
        }
        let mask_at = 2 + extra;
        let Some(&[a, b, c, d]) = input.get(mask_at..mask_at + 4) else {
            return Ok(None);
        };
        let start = mask_at + 4;
        Ok(Some(Header {
            fin,
            rsv1,
            opcode,
            mask: [a, b, c, d],
            start,
            end: start + length,
        }))
    }

    fn data<'a>(&mut self, header: &Header, payload: &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        if header.fin && self.fragments.is_none() {
            return if header.rsv1 {
                self.inflated(payload).map(Some)
            } else {
                Ok(Some(Event::Message(payload)))
            };
        }
        let fragments = self.fragments.get_or_insert_with(|| Fragments {
            compressed: header.rsv1,
            data: Vec::new(),
        });
        fragments.data.extend_from_slice(payload);
        if !header.fin {
            return Ok(None);
        }
        match self.fragments.take() {
            Some(Fragments {
                compressed: true,
                data,
            }) => self.inflated(&data).map(Some),
            Some(Fragments { data, .. }) => Ok(Some(Event::Assembled(data))),
            None => Ok(None),
        }
    }

    fn inflated(&self, payload: &[u8]) -> Result<Event<'static>, Violation> {
        match inflate(payload, self.inflated_limit) {
            Ok(message) => Ok(Event::Assembled(message)),
            Err(InflateError::TooBig) => Err(Violation::TOO_BIG_INFLATED),
            Err(InflateError::Malformed) => Err(Violation::protocol("invalid compressed data")),
        }
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        &[a, b, ref reason @ ..] => {
            let code = u16::from_be_bytes([a, b]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Violation::protocol("bad close code"));
            }
            if std::str::from_utf8(reason).is_err() {
                return Err(Violation::protocol("invalid utf8 payload in close frame"));
            }
            Ok(Some(code))
        }
        _ => Err(Violation::protocol("bad close code")),
    }
}

fn bad_opcode(opcode: u8) -> &'static str {
    const TEXTS: [&str; 10] = [
        "bad opcode 3",
        "bad opcode 4",
        "bad opcode 5",
        "bad opcode 6",
        "bad opcode 7",
        "bad opcode 11",
        "bad opcode 12",
        "bad opcode 13",
        "bad opcode 14",
        "bad opcode 15",
    ];
    let index = if opcode < 8 {
        opcode.saturating_sub(3)
    } else {
        opcode.saturating_sub(6)
    };
    TEXTS.get(usize::from(index)).copied().unwrap_or("bad opcode")
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

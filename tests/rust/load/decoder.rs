//! Replies out of the bytes of a transport.

use bytes::{Buf, BytesMut};
use prost::Message as _;

use crate::kind::Framing;
use crate::message::Reply;

/// Takes bytes as they come and yields whole replies.
pub struct Decoder {
    framing: Framing,
    unread: BytesMut,
}

impl Decoder {
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            unread: BytesMut::new(),
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// A whole message, whose last line has no end of its own.
    pub fn feed_message(&mut self, bytes: &[u8]) {
        self.feed(bytes);
        if self.framing == Framing::Lines {
            self.feed(b"\n");
        }
    }

    pub fn next(&mut self) -> Option<Reply> {
        if self.framing == Framing::Lengths {
            let mut ahead = &self.unread[..];
            let length = prost::decode_length_delimiter(&mut ahead).ok()?;
            if ahead.len() < length {
                return None;
            }
            let skip = self.unread.len() - ahead.len();
            self.unread.advance(skip);
            return Some(Reply::decode(self.unread.split_to(length)).unwrap());
        }
        loop {
            let end = self.unread.iter().position(|byte| *byte == b'\n')?;
            let line = self.unread.split_to(end + 1);
            let json = match self.framing {
                Framing::Events => line.strip_prefix(b"data: "),
                _ => Some(&line[..]),
            };
            if let Some(json) = json {
                return Some(serde_json::from_slice(json).unwrap());
            }
        }
    }
}

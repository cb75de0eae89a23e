//! From frames of the protocol to WebSocket messages.

use super::Compression;
use super::deflate::deflate;
use crate::delimiter::{length_len, put_length};
use crate::{Encoding, Frame};

/// Appends one message that carries a batch of frames: JSON joined by newlines, Protobuf each with its length.
pub(super) fn message(
    frames: &[Frame],
    encoding: Encoding,
    compression: Option<Compression>,
    out: &mut Vec<u8>,
) {
    let (opcode, length) = match encoding {
        Encoding::Json => (
            0x81,
            frames
                .iter()
                .map(|frame| frame.payload().len() + 1)
                .sum::<usize>()
                .saturating_sub(1),
        ),
        Encoding::Protobuf => (
            0x82,
            frames
                .iter()
                .map(|frame| frame.payload().len() + length_len(frame.payload().len()))
                .sum(),
        ),
    };
    if let Some(compression) = compression.filter(|compression| length > compression.min_size) {
        let mut plain = Vec::with_capacity(length);
        payload(frames, encoding, &mut plain);
        let mut compressed = Vec::new();
        if deflate(&plain, compression.level, &mut compressed) {
            header(opcode | 0x40, compressed.len(), out);
            out.extend_from_slice(&compressed);
            return;
        }
    }
    header(opcode, length, out);
    payload(frames, encoding, out);
}

/// Appends a control frame; the payload has at most 125 bytes.
pub(super) fn control(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    header(0x80 | opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a close frame. Reasons are cut at 123 bytes, on a character boundary.
pub(super) fn close(code: u16, reason: &str, out: &mut Vec<u8>) {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    header(0x88, 2 + end, out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.get(..end).unwrap_or_default().as_bytes());
}

fn payload(frames: &[Frame], encoding: Encoding, out: &mut Vec<u8>) {
    for (index, frame) in frames.iter().enumerate() {
        match encoding {
            Encoding::Json if index > 0 => out.push(b'\n'),
            Encoding::Json => {}
            Encoding::Protobuf => put_length(frame.payload().len(), out),
        }
        out.extend_from_slice(frame.payload());
    }
}

fn header(first: u8, length: usize, out: &mut Vec<u8>) {
    out.push(first);
    match u16::try_from(length) {
        Ok(short @ 0..=125) => out.extend(u8::try_from(short)),
        Ok(medium) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frames(texts: &[&'static str]) -> Vec<Frame> {
        texts
            .iter()
            .map(|text| Frame::new(Bytes::from_static(text.as_bytes())))
            .collect()
    }

    #[test]
    fn batches() {
        let mut out = Vec::new();
        message(&frames(&["{}", "[1]"]), Encoding::Json, None, &mut out);
        assert_eq!(out, b"\x81\x06{}\n[1]");
        out.clear();
        message(&frames(&["", "ab"]), Encoding::Protobuf, None, &mut out);
        assert_eq!(out, b"\x82\x04\x00\x02ab");
    }

    #[test]
    fn close_reasons_are_cut_between_characters() {
        let mut out = Vec::new();
        close(3001, &"é".repeat(100), &mut out);
        assert_eq!(out.len(), 2 + 2 + 122);
    }
}

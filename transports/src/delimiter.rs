//! The length prefix by which Protobuf messages are delimited on every transport (protocol.md 1.3).

use bytes::BufMut;

/// Appends a length as an unsigned varint.
pub(crate) fn put_length(mut length: usize, out: &mut impl BufMut) {
    while length > 0x7f {
        out.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.put_u8((length & 0x7f) as u8);
}

/// Bytes that [`put_length`] appends.
pub(crate) fn length_len(length: usize) -> usize {
    let bits = usize::BITS - length.leading_zeros();
    (bits.max(1) as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 30] {
            let mut out = Vec::new();
            put_length(value, &mut out);
            assert_eq!(out.len(), length_len(value), "{value}");
        }
    }
}

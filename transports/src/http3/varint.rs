//! QUIC variable-length integers (RFC 9000 section 16): the two top bits tell 1, 2, 4 or 8 bytes.

use bytes::BufMut;

/// The largest value that can be written.
pub const MAX: u64 = (1 << 62) - 1;

/// Reads one integer and how many bytes it took; `None` if `input` ends before it does.
///
/// Longer forms than needed are allowed, as RFC 9000 does everywhere but in frame types of its own.
#[must_use]
pub fn decode(input: &[u8]) -> Option<(u64, usize)> {
    let (&first, rest) = input.split_first()?;
    let len = 1usize << (first >> 6);
    let tail = rest.get(..len - 1)?;
    let value = tail.iter().fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    });
    Some((value, len))
}

/// Writes `value` in its shortest form; values above [`MAX`] are written as [`MAX`].
pub fn encode(value: u64, out: &mut impl BufMut) {
    let value = value.min(MAX);
    match len(value) {
        1 => out.put_u8(value as u8),
        2 => out.put_u16(value as u16 | 1 << 14),
        4 => out.put_u32(value as u32 | 2 << 30),
        _ => out.put_u64(value | 3 << 62),
    }
}

/// Bytes that [`encode`] writes for `value`.
#[must_use]
pub fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_examples_of_rfc_9000() {
        let long = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
        assert_eq!(decode(&long), Some((151_288_809_941_952_652, 8)));
        assert_eq!(decode(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 4)));
        assert_eq!(decode(&[0x7b, 0xbd]), Some((15_293, 2)));
        assert_eq!(decode(&[0x25, 0xff]), Some((37, 1)));
        assert_eq!(decode(&[0x40, 0x25]), Some((37, 2)));
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0x40]), None);
    }

    proptest! {
        #[test]
        fn round_trips(value in 0..=MAX) {
            let mut out = Vec::new();
            encode(value, &mut out);
            prop_assert_eq!(out.len(), len(value));
            prop_assert_eq!(decode(&out), Some((value, out.len())));
            prop_assert_eq!(decode(&out[..out.len() - 1]), None);
        }
    }
}

//! The Huffman code of HPACK and QPACK (RFC 7541 appendix B), decoding only.
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their symbols. So the
//! lengths alone define it, and a decoder needs two short arrays instead of the customary 8 to 64 KiB of state
//! tables. It goes bit by bit, which costs about 20 ns per character; a request has a few hundred.

use super::QpackError;

/// Appends the decoded `input` to `out`. Output is at most 8/5 of the input.
///
/// # Errors
/// If the end-of-string symbol appears, or the padding is not up to seven one bits.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), QpackError> {
    let mut code = 0u32;
    let mut len = 0usize;
    for byte in input {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            len += 1;
            let group = CODE.groups.get(len).ok_or(QpackError::Huffman)?;
            let Some(index) = code.checked_sub(group.first_code).filter(|n| *n < group.count) else {
                continue;
            };
            let symbol = CODE.symbols.get(group.first_symbol + index as usize);
            let symbol = symbol.and_then(|symbol| u8::try_from(*symbol).ok());
            out.push(symbol.ok_or(QpackError::Huffman)?);
            (code, len) = (0, 0);
        }
    }
    let padded = len < 8 && code == (1 << len) - 1;
    if padded { Ok(()) } else { Err(QpackError::Huffman) }
}

/// All codes of one length.
#[derive(Clone, Copy)]
struct Group {
    first_code: u32,
    count: u32,
    first_symbol: usize,
}

struct Canonical {
    groups: [Group; MAX_LEN + 1],
    /// Symbols by length, then value; 256 is the end of the string.
    symbols: [u16; 257],
}

static CODE: Canonical = build();

const fn build() -> Canonical {
    let mut groups = [Group {
        first_code: 0,
        count: 0,
        first_symbol: 0,
    }; MAX_LEN + 1];
    let mut symbols = [0u16; 257];
    let mut next_code = 0;
    let mut next_symbol = 0;
    let mut len = 1;
    while len <= MAX_LEN {
        next_code <<= 1;
        groups[len].first_code = next_code;
        groups[len].first_symbol = next_symbol;
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == len {
                symbols[next_symbol] = symbol as u16;
                next_symbol += 1;
                next_code += 1;
                groups[len].count += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    Canonical { groups, symbols }
}

const MAX_LEN: usize = 30;

/// Bits of the code of each symbol.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The encoder that only tests need.
    pub(crate) fn encode(input: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in input {
            let len = usize::from(LENGTHS[usize::from(*byte)]);
            let group = CODE.groups[len];
            let place = CODE.symbols.iter().position(|s| *s == u16::from(*byte)).unwrap();
            let code = group.first_code + (place - group.first_symbol) as u32;
            bits.extend((0..len).rev().map(|shift| code >> shift & 1));
        }
        while bits.len() % 8 != 0 {
            bits.push(1);
        }
        bits.chunks(8)
            .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8))
            .collect()
    }

    fn decoded(input: &[u8]) -> Result<Vec<u8>, QpackError> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out)
    }

    #[test]
    fn reads_the_examples_of_rfc_7541() {
        let wire = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&wire).unwrap(), b"www.example.com");
        assert_eq!(
            decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(),
            b"no-cache"
        );
    }

    #[test]
    fn refuses_bad_padding_and_the_end_symbol() {
        assert!(decoded(&[0xff]).is_err(), "eight bits of padding");
        assert!(decoded(&[0x00]).is_err(), "'0' and three zero bits");
        assert!(decoded(&[0xff; 4]).is_err(), "end of string");
    }

    proptest! {
        #[test]
        fn round_trips(text in vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decoded(&encode(&text)).unwrap(), text);
        }

        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..100)) {
            if let Ok(out) = decoded(&bytes) {
                prop_assert!(out.len() <= bytes.len() * 8 / 5);
            }
        }
    }
}

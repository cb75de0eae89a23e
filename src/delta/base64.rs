//! The numbers of patches: digits of six bits, the most significant first.

const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/// Digits of a 64-bit number.
const MAX_DIGITS: usize = 11;

/// Appends a number without leading zeros.
pub(super) fn write(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; MAX_DIGITS];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        // Six bits are an index of the table.
        *slot = DIGITS[(value & 63) as usize];
        start -= 1;
        value >>= 6;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Takes a number off the front; `None` if there is none or it exceeds 64 bits.
pub(super) fn read(input: &mut &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    let mut length = 0;
    while let Some(digit) = input.get(length).and_then(|byte| digit(*byte)) {
        value = value.checked_mul(64)?.checked_add(digit)?;
        length += 1;
    }
    *input = input.get(length..)?;
    (length > 0).then_some(value)
}

fn digit(byte: u8) -> Option<u64> {
    let value = match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        b'_' => 36,
        b'a'..=b'z' => byte - b'a' + 37,
        b'~' => 63,
        _ => return None,
    };
    Some(value.into())
}

//! QPACK (RFC 9204) without a dynamic table.
//!
//! We announce a table capacity of zero, so peers may refer to the static table and write literals, and
//! nothing else. That makes both directions stateless: no table per connection, no stream ever blocked, no
//! encoder or decoder stream of our own. Compression loses little on requests that come once per connection
//! and on responses that carry a handful of fields. h3's implementation is private to that crate, and its
//! larger half is the dynamic table.

pub mod huffman;
pub mod static_table;

use bytes::BufMut;

use static_table::Found;

/// Why a field section cannot be read: always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QpackError {
    /// The section ends inside a field.
    #[error("field section cut short")]
    Truncated,
    /// The section refers to a dynamic table, which has no capacity.
    #[error("reference to the dynamic table")]
    DynamicReference,
    /// The section refers to a static entry that does not exist.
    #[error("no such static entry")]
    StaticIndex,
    /// An integer above 2^62-1.
    #[error("integer too large")]
    Integer,
    /// A broken Huffman code.
    #[error("broken Huffman code")]
    Huffman,
    /// The section is valid so far but larger than we accept.
    #[error("field section too large")]
    TooLarge,
}

/// Decodes a field section and gives each name and value to `each`, in order.
///
/// Sizes are counted as RFC 9114 section 4.2.2 says: name, value and 32 bytes per field. Nothing beyond
/// `limit` reaches `each`.
///
/// # Errors
/// [`QpackError::TooLarge`] above `limit` (HTTP 431); all others are QPACK_DECOMPRESSION_FAILED.
pub fn decode(section: &[u8], limit: u64, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), QpackError> {
    let mut input = section;
    let required_insert_count = integer(&mut input, 8)?.1;
    let (sign, _delta_base) = integer(&mut input, 7)?;
    // Without dynamic references any base is as good as any other, but it cannot be negative.
    if required_insert_count != 0 || sign != 0 {
        return Err(QpackError::DynamicReference);
    }
    let mut size = 0u64;
    let mut name_buffer = Vec::new();
    let mut value_buffer = Vec::new();
    while let Some(first) = input.first().copied() {
        let (name, value) = if first & 0x80 != 0 {
            // 1 T index(6): a whole entry.
            let (flags, index) = integer(&mut input, 6)?;
            static_entry(flags & 0x40 != 0, index)?
        } else if first & 0x40 != 0 {
            // 0 1 N T index(4): a name from the table.
            let (flags, index) = integer(&mut input, 4)?;
            let (name, _) = static_entry(flags & 0x10 != 0, index)?;
            (name, string(&mut input, 7, &mut value_buffer)?)
        } else if first & 0x20 != 0 {
            // 0 0 1 N H length(3): both literal.
            let name = string(&mut input, 3, &mut name_buffer)?;
            (name, string(&mut input, 7, &mut value_buffer)?)
        } else {
            // 0 0 0 1 and 0 0 0 0: post-base entries are dynamic.
            return Err(QpackError::DynamicReference);
        };
        size += name.len() as u64 + value.len() as u64 + FIELD_OVERHEAD;
        if size > limit {
            return Err(QpackError::TooLarge);
        }
        each(name, value);
    }
    Ok(())
}

/// Writes the prefix of a field section that refers to nothing dynamic.
pub fn encode_prefix(out: &mut impl BufMut) {
    out.put_slice(&[0, 0]);
}

/// Writes one field: from the static table as far as it is there, the rest literally.
///
/// Huffman coding is not used: it would save a few bytes of a packet that is sent anyway.
pub fn encode_field(name: &[u8], value: &[u8], out: &mut impl BufMut) {
    match static_table::find(name, value) {
        Some(Found::Field(index)) => put_integer(0xc0, 6, index, out),
        Some(Found::Name(index)) => {
            put_integer(0x50, 4, index, out);
            put_string(0, 7, value, out);
        }
        None => {
            put_string(0x20, 3, name, out);
            put_string(0, 7, value, out);
        }
    }
}

fn static_entry(is_static: bool, index: u64) -> Result<(&'static [u8], &'static [u8]), QpackError> {
    if !is_static {
        return Err(QpackError::DynamicReference);
    }
    static_table::get(index).ok_or(QpackError::StaticIndex)
}

/// Reads an integer with a prefix of `bits` bits (RFC 7541 section 5.1), and the flags above the prefix.
fn integer(input: &mut &[u8], bits: u32) -> Result<(u8, u64), QpackError> {
    let mask = prefix_mask(bits);
    let first = take(input)?;
    let flags = first & !mask;
    let mut value = u64::from(first & mask);
    if first & mask != mask {
        return Ok((flags, value));
    }
    for shift in (0..63).step_by(7) {
        let byte = take(input)?;
        let part = u64::from(byte & 0x7f);
        // At most 63 bits are shifted in, so the sum stays below 2^64.
        value += part << shift;
        if value > super::varint::MAX {
            return Err(QpackError::Integer);
        }
        if byte & 0x80 == 0 {
            return Ok((flags, value));
        }
    }
    Err(QpackError::Integer)
}

/// Reads a string with a length prefix of `bits` bits and the Huffman flag above it.
fn string<'out, 'section: 'out>(
    input: &mut &'section [u8],
    bits: u32,
    buffer: &'out mut Vec<u8>,
) -> Result<&'out [u8], QpackError> {
    let (flags, len) = integer(input, bits)?;
    let len = usize::try_from(len).map_err(|_| QpackError::Truncated)?;
    let (bytes, rest) = input.split_at_checked(len).ok_or(QpackError::Truncated)?;
    *input = rest;
    if flags & 1 << bits == 0 {
        return Ok(bytes);
    }
    buffer.clear();
    huffman::decode(bytes, buffer)?;
    Ok(buffer)
}

fn take(input: &mut &[u8]) -> Result<u8, QpackError> {
    let (&byte, rest) = input.split_first().ok_or(QpackError::Truncated)?;
    *input = rest;
    Ok(byte)
}

fn put_integer(flags: u8, bits: u32, value: u64, out: &mut impl BufMut) {
    let mask = prefix_mask(bits);
    if value < u64::from(mask) {
        out.put_u8(flags | value as u8);
        return;
    }
    out.put_u8(flags | mask);
    let mut value = value - u64::from(mask);
    while value > 0x7f {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn put_string(flags: u8, bits: u32, value: &[u8], out: &mut impl BufMut) {
    put_integer(flags, bits, value.len() as u64, out);
    out.put_slice(value);
}

fn prefix_mask(bits: u32) -> u8 {
    u8::MAX >> (8 - bits)
}

/// What every field counts besides its bytes.
const FIELD_OVERHEAD: u64 = 32;

#[cfg(test)]
mod tests;

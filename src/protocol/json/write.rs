//! Writing: a message is named field by field, straight into the buffer that goes to the network.
//!
//! The writer knows where commas belong and how strings are escaped; it allocates nothing of its own and cannot
//! fail, except where it is asked to check embedded JSON. Fields come in two kinds: plain ones are always
//! written, `…_nonzero` ones are left out when they hold their type's zero value, as most fields of both
//! protocols are.

use serde_json::value::RawValue;

/// Embedded JSON that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payload is not valid JSON")]
pub struct InvalidJson;

/// Appends one JSON value to a buffer.
///
/// ```
/// use tidegate::protocol::json::JsonWriter;
///
/// let mut out = Vec::new();
/// JsonWriter::new(&mut out).object(|reply| {
///     reply.u64_field_nonzero("id", 1);
///     reply.object_field("error", |error| error.str_field("message", "bad request"));
/// });
/// assert_eq!(out, br#"{"id":1,"error":{"message":"bad request"}}"#);
/// ```
pub struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Something stands before the next element of the object or array that is open.
    comma: bool,
}

impl<'a> JsonWriter<'a> {
    /// Starts a value at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    /// An object, as the whole value or as an element of an array.
    pub fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.begin_object();
        fields(self);
        self.end_object();
    }

    /// An object in a field.
    pub fn object_field(&mut self, name: &str, fields: impl FnOnce(&mut Self)) {
        self.name(name);
        self.object(fields);
    }

    /// An array in a field.
    pub fn array_field(&mut self, name: &str, elements: impl FnOnce(&mut Self)) {
        self.name(name);
        self.begin_array();
        elements(self);
        self.end_array();
    }

    /// Opens an object; for encoders that may fail halfway and want `?`.
    pub fn begin_object(&mut self) {
        self.open(b'{');
    }

    /// Closes the object opened last.
    pub fn end_object(&mut self) {
        self.close(b'}');
    }

    /// Opens an array.
    pub fn begin_array(&mut self) {
        self.open(b'[');
    }

    /// Closes the array opened last.
    pub fn end_array(&mut self) {
        self.close(b']');
    }

    /// Name of the next field, which the caller writes as a value. The name is one of the protocol's own: it is
    /// not escaped.
    pub fn name(&mut self, name: &str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
    }

    /// Key of the next entry of a map, which may hold anything.
    pub fn key(&mut self, key: &str) {
        self.separate();
        escape(self.out, key);
        self.out.push(b':');
        self.comma = false;
    }

    /// A string value.
    pub fn str(&mut self, value: &str) {
        self.separate();
        escape(self.out, value);
        self.comma = true;
    }

    /// A string field.
    pub fn str_field(&mut self, name: &str, value: &str) {
        self.name(name);
        self.str(value);
    }

    /// A string field, left out when empty.
    pub fn str_field_nonzero(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.str_field(name, value);
        }
    }

    /// A boolean field.
    pub fn bool_field(&mut self, name: &str, value: bool) {
        self.name(name);
        self.verbatim(if value { b"true" } else { b"false" });
    }

    /// A boolean field, left out when false.
    pub fn bool_field_nonzero(&mut self, name: &str, value: bool) {
        if value {
            self.bool_field(name, value);
        }
    }

    /// An unsigned value.
    pub fn u64(&mut self, value: u64) {
        self.separate();
        decimal(self.out, value);
        self.comma = true;
    }

    /// An unsigned field.
    pub fn u64_field(&mut self, name: &str, value: u64) {
        self.name(name);
        self.u64(value);
    }

    /// An unsigned field, left out when 0.
    pub fn u64_field_nonzero(&mut self, name: &str, value: u64) {
        if value != 0 {
            self.u64_field(name, value);
        }
    }

    /// A signed field.
    pub fn i64_field(&mut self, name: &str, value: i64) {
        self.name(name);
        if value < 0 {
            self.out.push(b'-');
        }
        self.u64(value.unsigned_abs());
    }

    /// A signed field, left out when 0.
    pub fn i64_field_nonzero(&mut self, name: &str, value: i64) {
        if value != 0 {
            self.i64_field(name, value);
        }
    }

    /// A floating point value, without a fraction when it is whole. JSON has no infinities and no NaN: they are
    /// written as 0.
    pub fn f64(&mut self, value: f64) {
        self.separate();
        let finite = if value.is_finite() { value } else { 0.0 };
        self.out.extend_from_slice(finite.to_string().as_bytes());
        self.comma = true;
    }

    /// Embedded JSON as it is, except for line feeds, which would end the message in framings by line. That it
    /// is JSON is the caller's promise.
    pub fn raw(&mut self, json: &[u8]) {
        self.separate();
        if json.contains(&b'\n') {
            json.split(|byte| *byte == b'\n')
                .for_each(|line| self.out.extend_from_slice(line));
        } else {
            self.out.extend_from_slice(json);
        }
        self.comma = true;
    }

    /// Embedded JSON in a field; see [`raw`](Self::raw).
    pub fn raw_field(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.raw(json);
    }

    /// Embedded JSON in a field, left out when there are no bytes.
    pub fn raw_field_nonzero(&mut self, name: &str, json: &[u8]) {
        if !json.is_empty() {
            self.raw_field(name, json);
        }
    }

    /// Embedded JSON in a field, checked, without white space, and with the characters escaped that a page of
    /// HTML could trip over (server-api.md 1.4). Left out when there are no bytes.
    ///
    /// # Errors
    /// When the bytes are not one JSON value. What was written before stays in the buffer.
    pub fn compact_html_field_nonzero(&mut self, name: &str, json: &[u8]) -> Result<(), InvalidJson> {
        if json.is_empty() {
            return Ok(());
        }
        let value: &RawValue = serde_json::from_slice(json).map_err(|_| InvalidJson)?;
        self.name(name);
        compact_html(self.out, value.get());
        self.comma = true;
        Ok(())
    }

    fn verbatim(&mut self, token: &[u8]) {
        self.separate();
        self.out.extend_from_slice(token);
        self.comma = true;
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
    }

    fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.comma = true;
    }
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for slot in digits.iter_mut().rev() {
        // `value % 10` is a digit: the conversion keeps it.
        *slot = b'0' + (value % 10) as u8;
        start -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Writes a quoted string. Text between the characters that need escaping is copied in one piece.
fn escape(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    copy_escaping(out, text, &IN_STRING);
    out.push(b'"');
}

/// Bytes by whether they need a closer look before they are copied.
type Special = [bool; 256];

/// For text that becomes a string.
static IN_STRING: Special = special(b"\"\\<>&", 0x20);
/// For the strings of JSON that is embedded.
static IN_JSON: Special = special(b"<>&", 0);

/// The bytes of `list`, those below `below`, and the first byte of a line separator.
const fn special(list: &[u8], below: usize) -> Special {
    let mut table = [false; 256];
    let mut index = 0;
    while index < below {
        table[index] = true;
        index += 1;
    }
    index = 0;
    while index < list.len() {
        table[list[index] as usize] = true;
        index += 1;
    }
    table[0xe2] = true;
    table
}

/// Copies JSON without the white space between its tokens. `<`, `>`, `&` and the two line separators can only
/// stand inside strings, so they may be escaped wherever they are met.
fn compact_html(out: &mut Vec<u8>, json: &str) {
    let mut start = 0;
    let mut in_string = false;
    let mut escaped = false;
    let mut copy = |from: usize, to: usize| {
        copy_escaping(out, json.get(from..to).unwrap_or_default(), &IN_JSON);
    };
    for (index, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\r' | b'\n' if !in_string => {
                copy(start, index);
                start = index + 1;
            }
            _ => {}
        }
    }
    copy(start, json.len());
}

/// Copies `text`, escaping what `special` marks, which must be ASCII, and U+2028 and U+2029, which are line ends to
/// JavaScript but not to JSON. Most text has nothing of either.
fn copy_escaping(out: &mut Vec<u8>, text: &str, special: &Special) {
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        if !special[usize::from(byte)] {
            index += 1;
            continue;
        }
        let length = match byte {
            0xe2 if is_line_separator(bytes, index) => 3,
            0xe2 => {
                index += 1;
                continue;
            }
            _ => 1,
        };
        out.extend_from_slice(bytes.get(start..index).unwrap_or_default());
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0xe2 => {
                out.extend_from_slice(b"\\u202");
                // The last byte is A8 for U+2028 and A9 for U+2029.
                out.push(if bytes.get(index + 2) == Some(&0xa8) {
                    b'8'
                } else {
                    b'9'
                });
            }
            _ => {
                let digit = |nibble: u8| {
                    if nibble < 10 {
                        b'0' + nibble
                    } else {
                        b'a' + nibble - 10
                    }
                };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
            }
        }
        index += length;
        start = index;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
}

fn is_line_separator(bytes: &[u8], index: usize) -> bool {
    matches!(bytes.get(index + 1..index + 3), Some([0x80, 0xa8 | 0xa9]))
}

#[cfg(test)]
mod tests;

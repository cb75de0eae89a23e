//! A JSON object read one level deep, its values left as text.
//!
//! Claims differ per token kind, match case-insensitively and are typed more strictly than serde's derived
//! structures would be ("numeric string" and "integer only" side by side), so they are read by hand from here.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Members in the order of the text, duplicates included.
pub(super) struct Object<'a>(Vec<(String, &'a RawValue)>);

/// A value of the wrong type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WrongType;

impl<'a> Object<'a> {
    /// Reads `text`, which must be one JSON object and nothing else.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, WrongType> {
        serde_json::from_slice(text).map_err(|_| WrongType)
    }

    /// Reads an object that is a value of another one.
    pub(super) fn nested(raw: &'a RawValue) -> Result<Self, WrongType> {
        Self::parse(raw.get().as_bytes())
    }

    /// The first member of exactly that name.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    /// Members with their names in lower case: issuers written against Centrifugo may rely on claim names being
    /// matched case-insensitively, the last of several winning.
    pub(super) fn into_folded(self) -> impl Iterator<Item = (String, &'a RawValue)> {
        self.0.into_iter().map(|(mut key, raw)| {
            key.make_ascii_lowercase();
            (key, raw)
        })
    }

    /// Members as they are written.
    pub(super) fn into_members(self) -> impl Iterator<Item = (String, &'a RawValue)> {
        self.0.into_iter()
    }
}

/// Reads a value, `null` being absent.
pub(super) fn value<T: DeserializeOwned>(raw: &RawValue) -> Result<Option<T>, WrongType> {
    serde_json::from_str(raw.get()).map_err(|_| WrongType)
}

/// Keeps a value as JSON on one line, `null` being absent. A line break between two JSON tokens would end the
/// frame on connections whose frames are lines; inside strings JSON has none.
pub(super) fn raw(raw: &RawValue) -> Option<Bytes> {
    match raw.get() {
        "null" => None,
        text => Some(
            text.bytes()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte })
                .collect(),
        ),
    }
}

/// Reads a JSON integer, `null` being absent.
pub(super) fn integer(raw: &RawValue) -> Result<Option<i64>, WrongType> {
    match raw.get() {
        "null" => Ok(None),
        text => text.parse().map(Some).map_err(|_| WrongType),
    }
}

/// Reads a point in time: a number with or without fraction, or a string of one; `null` is absent. A fraction
/// of a second is cut off, what exceeds 64 bits becomes the nearest that does not.
pub(super) fn timestamp(raw: &RawValue) -> Result<Option<i64>, WrongType> {
    let number = match raw.get() {
        "null" => return Ok(None),
        text if text.starts_with('"') => serde_json::from_str::<String>(text).map_err(|_| WrongType)?,
        text => text.to_owned(),
    };
    if let Ok(integer) = number.parse() {
        return Ok(Some(integer));
    }
    match number.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Some(float as i64)),
        _ => Err(WrongType),
    }
}

/// What a claim of any type reads as a user ID (channels-and-auth.md 4.4, `user_id_claim`).
pub(super) fn plain_text(raw: &RawValue) -> Result<String, WrongType> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map_err(|_| WrongType),
        Some(b'n') => Ok(String::new()),
        Some(b'-' | b'0'..=b'9') if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
            // Plain decimal notation, whatever notation the issuer chose.
            text.parse::<f64>()
                .map(|number| number.to_string())
                .map_err(|_| WrongType)
        }
        _ => Ok(text.to_owned()),
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry::<String, &'de RawValue>()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn timestamps_are_numbers_or_strings_of_numbers() {
        for (text, expected) in [
            ("12", Ok(Some(12))),
            ("12.9", Ok(Some(12))),
            ("-1.5", Ok(Some(-1))),
            ("1e3", Ok(Some(1000))),
            ("\"12\"", Ok(Some(12))),
            ("\"12.5\"", Ok(Some(12))),
            ("1e300", Ok(Some(i64::MAX))),
            ("null", Ok(None)),
            ("\"\"", Err(WrongType)),
            ("\"inf\"", Err(WrongType)),
            ("\"NaN\"", Err(WrongType)),
            ("\"x\"", Err(WrongType)),
            ("true", Err(WrongType)),
            ("[1]", Err(WrongType)),
            ("{}", Err(WrongType)),
        ] {
            assert_eq!(timestamp(&json(text)), expected, "{text}");
        }
    }

    #[test]
    fn integers_are_not_floats_or_strings() {
        for (text, expected) in [
            ("12", Ok(Some(12))),
            ("-3", Ok(Some(-3))),
            ("null", Ok(None)),
            ("1.0", Err(WrongType)),
            ("1e3", Err(WrongType)),
            ("\"1\"", Err(WrongType)),
            ("9223372036854775808", Err(WrongType)),
        ] {
            assert_eq!(integer(&json(text)), expected, "{text}");
        }
    }

    #[test]
    fn user_ids_of_any_type() {
        for (text, expected) in [
            ("\"a\\u0062\"", "ab"),
            ("42", "42"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("null", ""),
            ("true", "true"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(plain_text(&json(text)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn raw_values_stay_on_one_line() {
        assert_eq!(
            raw(&json("{\n\"a\":\r\n\"b\\n\"}")).as_deref(),
            Some(&b"{ \"a\":  \"b\\n\"}"[..])
        );
        assert_eq!(raw(&json("null")), None);
        assert_eq!(raw(&json("0")).as_deref(), Some(&b"0"[..]));
    }

    #[test]
    fn only_objects_are_objects() {
        for text in ["", "[]", "1", "null", "\"{}\"", "{} {}", "{", "{\"a\":}"] {
            assert!(Object::parse(text.as_bytes()).is_err(), "{text}");
        }
        let object = Object::parse(br#" {"a":1,"A":2,"a":3} "#).expect("object");
        assert_eq!(object.get("a").map(RawValue::get), Some("1"));
        assert_eq!(
            object.into_folded().last().map(|(key, raw)| (key, raw.get())),
            Some(("a".to_owned(), "3"))
        );
    }
}

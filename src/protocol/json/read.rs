//! Reading: lenient where published clients rely on it, strict where a guess would change a meaning.
//!
//! - Names of fields match without regard to ASCII case. Unknown fields are ignored, and of a field that is there
//!   twice the last one counts.
//! - `null` is the same as absent, except in `bytes` fields, where it is the embedded value `null`. In place of a
//!   whole message it is the message without fields.
//! - Numbers are numbers: a string, a fraction, a negative for an unsigned field or anything out of range is an
//!   error, never a truncation. An array is never a message.
//!
//! (protocol.md 1.2, server-api.md 1.4)
//!
//! The generated messages implement [`JsonMessage`] and by it serde's `Deserialize`; see `codegen.rs`. serde's
//! own derive would not do: it refuses duplicates, knows one spelling of a name, and takes arrays for structs.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A message of a protocol, with its fields by index.
pub trait JsonMessage: Default {
    /// Names of the fields.
    const FIELDS: &'static [&'static str];

    /// Reads the next value of `map` into the field at `index` of [`FIELDS`](Self::FIELDS).
    ///
    /// # Errors
    /// When the value is of another type or out of range.
    fn read_field<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error>;
}

/// Reads a message.
///
/// # Errors
/// When the value is neither an object nor `null`, or one of its fields is of another type or out of range.
pub fn message<'de, D: Deserializer<'de>, M: JsonMessage>(deserializer: D) -> Result<M, D::Error> {
    deserializer.deserialize_any(MessageVisitor(PhantomData))
}

/// Reads the next value of a map into a field.
///
/// # Errors
/// When the value is of another type or out of range.
pub fn value<'de, A: MapAccess<'de>, T: JsonField<'de>>(map: &mut A) -> Result<T, A::Error> {
    map.next_value_seed(FieldSeed(PhantomData))
}

/// Reads one field; to be named in `#[serde(deserialize_with)]` of structs that are written by hand.
///
/// # Errors
/// When the value is of another type or out of range.
pub fn field<'de, D: Deserializer<'de>, T: JsonField<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::read(deserializer)
}

/// A type that a field of a protocol message may have.
pub trait JsonField<'de>: Sized {
    /// Reads the value of a field that is present.
    ///
    /// # Errors
    /// When the value is of another type or out of range.
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Embedded JSON, kept byte for byte.
impl<'de> JsonField<'de> for Bytes {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: Box<RawValue> = Deserialize::deserialize(deserializer)?;
        Ok(Self::from(String::from(Box::<str>::from(raw))))
    }
}

/// A message within a message.
impl<'de, T: Deserialize<'de>> JsonField<'de> for Option<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

/// A repeated field. A `null` among the elements is the element's zero value.
impl<'de, T: Deserialize<'de> + Default> JsonField<'de> for Vec<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements: Option<Vec<Option<T>>> = Deserialize::deserialize(deserializer)?;
        Ok(elements
            .unwrap_or_default()
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect())
    }
}

/// A map field. A `null` among the values is the value's zero value.
impl<'de, T: Deserialize<'de> + Default> JsonField<'de> for BTreeMap<String, T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries: Option<BTreeMap<String, Option<T>>> = Deserialize::deserialize(deserializer)?;
        let entries = entries.unwrap_or_default();
        Ok(entries
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect())
    }
}

macro_rules! scalar {
    ($($type:ty),*) => {$(
        impl<'de> JsonField<'de> for $type {
            fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value: Option<Self> = Deserialize::deserialize(deserializer)?;
                Ok(value.unwrap_or_default())
            }
        }
    )*};
}

scalar!(String, bool, u32, u64, i32, i64, f64);

struct MessageVisitor<M>(PhantomData<M>);

impl<'de, M: JsonMessage> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<M, E> {
        Ok(M::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        while let Some(index) = map.next_key_seed(NameSeed(M::FIELDS))? {
            match index {
                Some(index) => message.read_field(index, &mut map)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(message)
    }
}

/// Reads a name as its index, `None` if it is unknown.
struct NameSeed(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|field| field.eq_ignore_ascii_case(name)))
    }
}

struct FieldSeed<T>(PhantomData<T>);

impl<'de, T: JsonField<'de>> DeserializeSeed<'de> for FieldSeed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Sample {
        text: String,
        number: u64,
        raw: Bytes,
        inner: Option<Box<Sample>>,
        list: Vec<String>,
        map: BTreeMap<String, i32>,
    }

    impl JsonMessage for Sample {
        const FIELDS: &'static [&'static str] = &["text", "number", "raw", "inner", "list", "map"];

        fn read_field<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {
            match index {
                0 => self.text = value(map)?,
                1 => self.number = value(map)?,
                2 => self.raw = value(map)?,
                3 => self.inner = value(map)?,
                4 => self.list = value(map)?,
                _ => self.map = value(map)?,
            }
            Ok(())
        }
    }

    impl<'de> Deserialize<'de> for Sample {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            message(deserializer)
        }
    }

    fn read(json: &str) -> Option<Sample> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn reads_every_kind_of_field() {
        let sample = read(concat!(
            r#"{"text":"t\u00e9","number":18446744073709551615,"raw": {"a" : "<"} ,"inner":{"number":1},"#,
            r#""list":["a",null],"map":{"k":-1,"n":null},"unknown":[{}]}"#
        ))
        .expect("valid");
        assert_eq!((sample.text.as_str(), sample.number), ("té", u64::MAX));
        assert_eq!(sample.raw, r#"{"a" : "<"}"#);
        assert_eq!(sample.inner.map(|inner| inner.number), Some(1));
        assert_eq!(sample.list, ["a", ""]);
        assert_eq!(sample.map, BTreeMap::from([("k".into(), -1), ("n".into(), 0)]));
    }

    #[test]
    fn null_is_absent_but_for_raw_fields() {
        let sample = read(r#"{"text":null,"number":null,"raw":null,"inner":null,"list":null,"map":null}"#);
        assert_eq!(
            sample,
            Some(Sample {
                raw: Bytes::from_static(b"null"),
                ..Sample::default()
            })
        );
        assert_eq!(read("null"), Some(Sample::default()));
    }

    #[test]
    fn names_match_in_any_case_and_the_last_one_counts() {
        let sample = read(r#"{"TEXT":"a","number":1,"Text":"b","nUMBER":2,"number":3}"#).expect("valid");
        assert_eq!((sample.text.as_str(), sample.number), ("b", 3));
    }

    #[test]
    fn what_is_not_meant_is_refused() {
        for bad in [
            r#"{"number":"4"}"#,
            r#"{"number":-1}"#,
            r#"{"number":1.0}"#,
            r#"{"number":1e3}"#,
            r#"{"number":18446744073709551616}"#,
            r#"{"map":{"a":2147483648}}"#,
            r#"{"text":1}"#,
            r#"{"list":{}}"#,
            r#"{"inner":true}"#,
            r#"{"inner":[]}"#,
            r#"["text"]"#,
            r#""text""#,
            "1",
            "",
            "{} {}",
            "{",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let deep = format!("{}{}", r#"{"inner":"#.repeat(10_000), "}".repeat(10_000));
        assert_eq!(read(&deep), None, "nesting is bounded");
    }
}

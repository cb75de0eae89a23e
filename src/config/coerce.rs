//! From what somebody wrote to a value (configuration.md 2.3, 2.5).
//!
//! Environment and flags hold text and are read strictly; a file holds values that already have a type, and is
//! read leniently where the intention is plain.

use serde_json::Value as Json;

use super::definition::{Field, Kind};
use super::duration;
use super::value::Value;

/// Why a value could not be read. Never contains the value of a text option, which may be a secret.
pub(crate) type Reason = String;

impl Kind {
    /// `false`, 0 or empty.
    pub(crate) fn zero(self) -> Value {
        match self {
            Self::Bool => Value::Bool(false),
            Self::Int => Value::Int(0),
            Self::Text | Self::Choice(_) => Value::Text(String::new()),
            Self::Duration => Value::Duration(0),
            Self::TextMap => Value::Map([].into()),
            Self::TextList | Self::Object(_) | Self::Objects(_) | Self::Named(_) => Value::List(Vec::new()),
        }
    }

    /// What the type is called in documentation and errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Text | Self::Choice(_) => "string",
            Self::Duration => "duration",
            Self::TextList => "[]string",
            Self::TextMap => "map",
            Self::Object(_) => "object",
            Self::Objects(_) | Self::Named(_) => "array of objects",
        }
    }
}

impl Field {
    pub(crate) fn default_value(&self) -> Value {
        if self.default.is_empty() {
            return self.kind.zero();
        }
        // A test reads all defaults; if one could not be read, zero would be as good as anything.
        from_text(self.kind, self.default).unwrap_or_else(|_| self.kind.zero())
    }
}

/// Reads text of the environment or the command line. Lists are separated by single spaces. Maps and lists of
/// objects are not for this function.
pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Value, Reason> {
    match kind {
        Kind::Bool => boolean(text).map(Value::Bool),
        Kind::Int => integer(text).map(Value::Int),
        Kind::Text | Kind::Choice(_) => Ok(Value::Text(text.to_owned())),
        Kind::Duration => duration::parse(text).map(Value::Duration),
        Kind::TextList => Ok(Value::List(text.split(' ').map(str::to_owned).collect())),
        Kind::TextMap | Kind::Object(_) | Kind::Objects(_) | Kind::Named(_) => {
            Err(format!("cannot parse text as '{}'", kind.name()))
        }
    }
}

/// Reads a value of a file. Maps and lists of objects are not for this function.
pub(crate) fn from_json(kind: Kind, json: &Json) -> Result<Value, Reason> {
    match (kind, json) {
        (_, Json::Null) => Ok(kind.zero()),
        (Kind::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
        (Kind::Bool, Json::Number(number)) => Ok(Value::Bool(number.as_f64() != Some(0.0))),
        (Kind::Int, Json::Bool(value)) => Ok(Value::Int((*value).into())),
        (Kind::Int, Json::Number(number)) => whole(number).map(Value::Int),
        (Kind::Duration, Json::Number(number)) => whole(number).map(Value::Duration),
        (Kind::Bool | Kind::Int | Kind::Duration, Json::String(text)) if text.is_empty() => Ok(kind.zero()),
        (Kind::Bool | Kind::Int | Kind::Duration, Json::String(text)) => from_text(kind, text),
        (Kind::Text | Kind::Choice(_), scalar) => text(scalar).map(Value::Text),
        (Kind::TextList, Json::Array(items)) => {
            Ok(Value::List(items.iter().map(text).collect::<Result<_, _>>()?))
        }
        (Kind::TextList, Json::String(text)) if text.is_empty() => Ok(kind.zero()),
        (Kind::TextList, scalar) => Ok(Value::List(vec![text(scalar)?])),
        (_, other) => Err(shape(kind, other)),
    }
}

/// Says that a value has the wrong shape, without quoting it.
pub(crate) fn shape(kind: Kind, json: &Json) -> Reason {
    let found = match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    };
    format!("cannot parse value as '{}': found {found}", kind.name())
}

fn boolean(text: &str) -> Result<bool, Reason> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!(
            "cannot parse value as 'bool': {text:?} is neither true (t, 1) nor false (f, 0)"
        )),
    }
}

/// Decimal, or with `0x`, `0o`, `0b`.
fn integer(text: &str) -> Result<i64, Reason> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => ("-", &text[1..]),
        [b'+', ..] => ("", &text[1..]),
        _ => ("", text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        _ => (10, digits),
    };
    // A second sign is no digit, though the standard library would take it.
    let number = if digits.starts_with(['-', '+']) {
        None
    } else {
        i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
    };
    number.ok_or_else(|| format!("cannot parse value as 'int': {text:?} is not a whole number of 64 bits"))
}

/// A number without its decimals.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the range is checked, decimals are to be cut off"
)]
fn whole(number: &serde_json::Number) -> Result<i64, Reason> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let truncated = || {
        number
            .as_f64()
            .filter(|float| (-LIMIT..LIMIT).contains(float))
            .map(|float| float as i64)
    };
    let fits = || if number.is_u64() { None } else { truncated() };
    number
        .as_i64()
        .or_else(fits)
        .ok_or_else(|| format!("{number} is not a number of 64 bits"))
}

fn text(json: &Json) -> Result<String, Reason> {
    match json {
        Json::String(text) => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(value) => Ok(u8::from(*value).to_string()),
        Json::Null => Ok(String::new()),
        Json::Array(_) | Json::Object(_) => Err(shape(Kind::Text, json)),
    }
}

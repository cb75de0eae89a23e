//! Reading values of answers without trusting them.

use bytes::Bytes;
use hashbrown::HashMap;
use redis::Value;

use crate::error::LinkError;

/// The items of an array.
///
/// # Errors
/// [`LinkError::Server`] for an error, [`LinkError::Unexpected`] for anything else.
pub fn items(value: Value) -> Result<Vec<Value>, LinkError> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Map(pairs) => Ok(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
        other => Err(unexpected(other)),
    }
}

/// A string.
///
/// # Errors
/// As [`items`].
pub fn bytes(value: Value) -> Result<Bytes, LinkError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        Value::SimpleString(text) => Ok(text.into_bytes().into()),
        Value::VerbatimString { text, .. } => Ok(text.into_bytes().into()),
        Value::Int(number) => Ok(number.to_string().into_bytes().into()),
        Value::Okay => Ok(Bytes::from_static(b"OK")),
        other => Err(unexpected(other)),
    }
}

/// A string of text.
///
/// # Errors
/// As [`items`]; also for what is no UTF-8.
pub fn text(value: Value) -> Result<String, LinkError> {
    String::from_utf8(bytes(value)?.into())
        .map_err(|_| LinkError::Unexpected("text that is no UTF-8".to_owned()))
}

/// A number, written as one or as text.
///
/// # Errors
/// As [`items`].
pub fn integer(value: Value) -> Result<i64, LinkError> {
    match value {
        Value::Int(number) => Ok(number),
        Value::BulkString(_) | Value::SimpleString(_) => {
            let text = text(value)?;
            text.parse()
                .map_err(|_| LinkError::Unexpected(format!("{text:?} for a number")))
        }
        other => Err(unexpected(other)),
    }
}

/// Names and values, of which RESP2 makes a list and RESP3 a map.
///
/// # Errors
/// As [`items`] and [`text`].
pub(crate) fn fields(value: Value) -> Result<HashMap<String, Value>, LinkError> {
    let mut items = items(value)?.into_iter();
    let mut fields = HashMap::new();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        fields.insert(text(name)?, value);
    }
    Ok(fields)
}

/// The value, or the server's error that it is.
pub(crate) fn checked(value: Value) -> Result<Value, LinkError> {
    match value {
        Value::ServerError(error) => Err(LinkError::server(&error)),
        value => Ok(value),
    }
}

fn unexpected(value: Value) -> LinkError {
    match value {
        Value::ServerError(error) => LinkError::server(&error),
        other => LinkError::Unexpected(kind(&other).to_owned()),
    }
}

/// Never the content, which may be anything and large.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::VerbatimString { .. } => "a string",
        Value::Array(_) | Value::Set(_) => "a list",
        Value::Map(_) => "a map",
        _ => "a value of another type",
    }
}

//! Reads what scripts answer, without trusting it.

use bytes::Bytes;
use tidegate_redis_link::redis::Value;
use tidegate_redis_link::{LinkError, bytes, items, text};

use crate::engine::EngineError;

impl From<LinkError> for EngineError {
    fn from(error: LinkError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The parts of a list.
#[derive(Default)]
pub(super) struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    pub(super) fn of(value: Value) -> Result<Self, LinkError> {
        items(value).map(|items| Self(items.into_iter()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, LinkError> {
        bytes(self.next()?)
    }

    pub(super) fn text(&mut self) -> Result<String, LinkError> {
        text(self.next()?)
    }

    /// A number; nothing counts as 0.
    pub(super) fn number(&mut self) -> Result<u64, LinkError> {
        match self.next()? {
            Value::Nil => Ok(0),
            value => {
                let text = text(value)?;
                text.parse()
                    .map_err(|_| LinkError::Unexpected(format!("{text:?} for a number")))
            }
        }
    }

    /// Whether the next part is `1`.
    pub(super) fn flag(&mut self) -> Result<bool, LinkError> {
        Ok(self.bytes()? == "1")
    }

    /// A list in the list; `None` if there is no further part.
    pub(super) fn list(&mut self) -> Result<Option<Self>, LinkError> {
        self.0.next().map(Self::of).transpose()
    }

    /// All that is left, as pairs.
    pub(super) fn pairs(mut self) -> Result<Vec<(Bytes, Bytes)>, LinkError> {
        let mut pairs = Vec::with_capacity(self.0.len() / 2);
        while !self.is_empty() {
            pairs.push((self.bytes()?, self.bytes()?));
        }
        Ok(pairs)
    }

    /// All that is left, one by one.
    pub(super) fn rest(self) -> Result<Vec<Bytes>, LinkError> {
        self.0.map(bytes).collect()
    }

    fn next(&mut self) -> Result<Value, LinkError> {
        self.0
            .next()
            .ok_or_else(|| LinkError::Unexpected("a list that is too short".to_owned()))
    }
}

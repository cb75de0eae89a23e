//! Secrets that may pass near a log.

use std::fmt;

/// A value that prints as `<REDACTED>`, at every level: a token, a password, a header a client vouches with.
///
/// Wrapping makes the safe thing the short one: a structure that derives `Debug` can be logged without a look at
/// its fields. Whoever needs the value writes `.0`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<REDACTED>")
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

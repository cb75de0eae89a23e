//! What publications of a namespace may contain (channels-and-auth.md 2.1, `publication_data_format`).

use serde_json::value::RawValue;

/// A rule for the data of publications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataFormat {
    /// Anything but nothing.
    #[default]
    NonEmpty,
    /// One JSON value.
    Json,
    /// One JSON object.
    JsonObject,
    /// Anything, nothing included.
    Binary,
}

impl DataFormat {
    /// Whether `data` may be published; if not, that is a bad request (107). Looks at every byte of JSON once
    /// and keeps nothing.
    #[must_use]
    pub fn accepts(self, data: &[u8]) -> bool {
        match self {
            Self::NonEmpty => !data.is_empty(),
            Self::Json => is_json(data),
            Self::JsonObject => {
                let trimmed = data.trim_ascii();
                trimmed.starts_with(b"{") && trimmed.ends_with(b"}") && is_json(trimmed)
            }
            Self::Binary => true,
        }
    }
}

/// Whether the bytes are one JSON value, at any depth: raw values are skipped without recursion.
fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(data).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        use DataFormat::{Binary, Json, JsonObject, NonEmpty};
        for (data, accepting) in [
            (&b""[..], &[Binary][..]),
            (b"x", &[NonEmpty, Binary]),
            (b" ", &[NonEmpty, Binary]),
            (b"\xff", &[NonEmpty, Binary]),
            (b"{", &[NonEmpty, Binary]),
            (b"{} {}", &[NonEmpty, Binary]),
            (b"{\"a\":}", &[NonEmpty, Binary]),
            (b"null", &[NonEmpty, Json, Binary]),
            (b" [1] ", &[NonEmpty, Json, Binary]),
            (b"\"{}\"", &[NonEmpty, Json, Binary]),
            (b" \n{\"a\":1}\t", &[NonEmpty, Json, JsonObject, Binary]),
        ] {
            for format in [NonEmpty, Json, JsonObject, Binary] {
                assert_eq!(
                    format.accepts(data),
                    accepting.contains(&format),
                    "{format:?} {data:?}"
                );
            }
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        assert!(DataFormat::Json.accepts(&deep));
        assert!(!DataFormat::Json.accepts(&deep[..1_500_000]));
    }
}

//! Query parameters of request targets.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The first value of a parameter, with `+` and percent escapes decoded. Invalid UTF-8 becomes U+FFFD.
#[must_use]
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return percent_decode_str(text).decode_utf8_lossy();
    }
    let text = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn decodes_and_takes_the_first() {
        assert_eq!(
            parameter("a=1&b=%7B%22x%22:+1%7D&b=2", "b").as_deref(),
            Some("{\"x\": 1}")
        );
        assert_eq!(parameter("a&b=", "a").as_deref(), Some(""));
        assert_eq!(parameter("ab=1", "a"), None);
    }
}

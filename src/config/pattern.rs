//! Channel patterns as operators write them: `/users/:name` (channels-and-auth.md 7.6).
//!
//! A pattern is a path. Each segment is fixed text, or fixed text followed by one variable, which stands for
//! everything up to the next `/` and never for nothing. So two patterns match the same names exactly if they
//! differ in the names of their variables only, which is what [`ChannelPattern::shape`] tells.

use std::collections::HashSet;

/// Segments that a pattern may have: bounds the depth of whatever is built of patterns.
const MAX_SEGMENTS: usize = 64;

/// The pattern of a namespace, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelPattern {
    segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    text: String,
    /// The name of the variable behind the text.
    variable: Option<String>,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedPattern {
    #[error("channel pattern must start with /")]
    Start,
    #[error("channel pattern can not contain //")]
    EmptySegment,
    #[error("channel pattern can not contain *")]
    Star,
    #[error("channel pattern must be ASCII")]
    NotAscii,
    #[error("channel pattern has a variable without a name")]
    Unnamed,
    #[error("channel pattern has more than one variable in a segment")]
    SecondVariable,
    #[error("channel pattern has the variable :{0} twice")]
    Duplicate(String),
    #[error("channel pattern has more than {MAX_SEGMENTS} segments")]
    TooLong,
}

impl ChannelPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub(crate) fn parse(pattern: &str) -> Result<Self, MalformedPattern> {
        let path = pattern.strip_prefix('/').ok_or(MalformedPattern::Start)?;
        if !pattern.is_ascii() {
            return Err(MalformedPattern::NotAscii);
        }
        if pattern.contains("//") {
            return Err(MalformedPattern::EmptySegment);
        }
        if pattern.contains('*') {
            return Err(MalformedPattern::Star);
        }
        let segments: Vec<Segment> = path.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        if segments.len() > MAX_SEGMENTS {
            return Err(MalformedPattern::TooLong);
        }
        let mut seen = HashSet::new();
        for variable in segments.iter().filter_map(|of| of.variable.as_deref()) {
            if !seen.insert(variable) {
                return Err(MalformedPattern::Duplicate(variable.to_owned()));
            }
        }
        Ok(Self { segments })
    }

    /// Fixed text and whether a variable follows it, segment by segment: all that decides which names match.
    pub(crate) fn shape(&self) -> impl Iterator<Item = (&str, bool)> {
        self.segments
            .iter()
            .map(|segment| (segment.text.as_str(), segment.variable.is_some()))
    }
}

impl Segment {
    fn parse(segment: &str) -> Result<Self, MalformedPattern> {
        let (text, variable) = match segment.split_once(':') {
            Some((text, name)) => (text, Some(name)),
            None => (segment, None),
        };
        match variable {
            Some("") => Err(MalformedPattern::Unnamed),
            Some(name) if name.contains(':') => Err(MalformedPattern::SecondVariable),
            _ => Ok(Self {
                text: text.to_owned(),
                variable: variable.map(str::to_owned),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pattern: &str) -> Vec<(String, bool)> {
        let pattern = ChannelPattern::parse(pattern).expect(pattern);
        pattern
            .shape()
            .map(|(text, variable)| (text.to_owned(), variable))
            .collect()
    }

    #[test]
    fn patterns_are_text_and_variables() {
        let text = |text: &str| (text.to_owned(), false);
        let variable = |text: &str| (text.to_owned(), true);
        for (pattern, expected) in [
            ("/", vec![text("")]),
            ("/users", vec![text("users")]),
            ("/users/:name", vec![text("users"), variable("")]),
            ("/p/user_:id/x", vec![text("p"), variable("user_"), text("x")]),
            ("/a/", vec![text("a"), text("")]),
            ("/$#,&", vec![text("$#,&")]),
        ] {
            assert_eq!(shape(pattern), expected, "{pattern}");
        }
        assert_eq!(shape("/:a/b:c"), shape("/:x/b:y"));
        assert_ne!(shape("/:a/b:c"), shape("/:a/:c"));
    }

    #[test]
    fn malformed_patterns() {
        for (pattern, expected) in [
            ("users/:name", MalformedPattern::Start),
            ("", MalformedPattern::Start),
            ("//", MalformedPattern::EmptySegment),
            ("/a//b", MalformedPattern::EmptySegment),
            ("/a/*", MalformedPattern::Star),
            ("/ü", MalformedPattern::NotAscii),
            ("/a/:", MalformedPattern::Unnamed),
            ("/a:/b", MalformedPattern::Unnamed),
            ("/:a:b", MalformedPattern::SecondVariable),
            ("/:a/b/:a", MalformedPattern::Duplicate("a".to_owned())),
            (&"/a".repeat(65), MalformedPattern::TooLong),
        ] {
            assert_eq!(ChannelPattern::parse(pattern), Err(expected), "{pattern}");
        }
        assert!(ChannelPattern::parse(&"/a".repeat(64)).is_ok());
    }
}

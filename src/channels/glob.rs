//! Globs over channel names and origins (server-api.md 4.9, configuration.md 4.3).
//!
//! The patterns of the reference know no separators: a star crosses `:`, `.` and `/` alike, and a question mark
//! is one character, not one byte. Path globs differ in both, so patterns are translated to an anchored regular
//! expression, whose matching time is linear however a pattern is built.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// Memory that one compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 1024 * 1024;

/// A compiled pattern: `*` and `**` any characters, `?` one character, `[a-z]` one of a class, `[!x]` one not of
/// it, `{a,b}` one of several patterns, `\` takes the next character literally.
#[derive(Clone, Debug)]
pub struct Glob(Regex);

/// A pattern that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedGlob {
    /// `[` without `]`.
    #[error("character class is not closed")]
    OpenClass,
    /// `[]`, `[!]` or a range whose end comes before its start.
    #[error("character class is empty")]
    EmptyClass,
    /// `{` without `}`.
    #[error("alternatives are not closed")]
    OpenAlternatives,
    /// A backslash at the end.
    #[error("nothing to escape")]
    DanglingEscape,
    /// Too long or too deeply nested.
    #[error("pattern is too large")]
    TooLarge,
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// What is malformed.
    pub fn new(pattern: &str) -> Result<Self, MalformedGlob> {
        let expression = translate(pattern)?;
        let mut builder = RegexBuilder::new(&expression);
        let regex = builder
            .dot_matches_new_line(true)
            .size_limit(MAX_COMPILED)
            .build();
        regex.map(Self).map_err(|_| MalformedGlob::TooLarge)
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn translate(pattern: &str) -> Result<String, MalformedGlob> {
    let mut expression = String::from(r"\A(?:");
    let mut depth = 0_usize;
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '*' => {
                while chars.next_if_eq(&'*').is_some() {}
                expression.push_str(".*");
            }
            '?' => expression.push('.'),
            '[' => class(&mut chars, &mut expression)?,
            '{' => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '\\' => literal(
                chars.next().ok_or(MalformedGlob::DanglingEscape)?,
                &mut expression,
            ),
            other => literal(other, &mut expression),
        }
    }
    if depth > 0 {
        return Err(MalformedGlob::OpenAlternatives);
    }
    expression.push_str(r")\z");
    Ok(expression)
}

/// Translates a class up to its closing bracket.
fn class(chars: &mut Peekable<Chars<'_>>, expression: &mut String) -> Result<(), MalformedGlob> {
    expression.push('[');
    if chars.next_if_eq(&'!').is_some() {
        expression.push('^');
    }
    let mut is_empty = true;
    loop {
        let start = match chars.next().ok_or(MalformedGlob::OpenClass)? {
            ']' if is_empty => return Err(MalformedGlob::EmptyClass),
            ']' => break,
            '\\' => chars.next().ok_or(MalformedGlob::OpenClass)?,
            other => other,
        };
        is_empty = false;
        literal(start, expression);
        // A dash before the closing bracket is a dash.
        let mut ahead = chars.clone();
        if ahead.next() == Some('-') && ahead.peek().is_some_and(|next| *next != ']') {
            chars.next();
            let end = match chars.next().ok_or(MalformedGlob::OpenClass)? {
                '\\' => chars.next().ok_or(MalformedGlob::OpenClass)?,
                other => other,
            };
            if end < start {
                return Err(MalformedGlob::EmptyClass);
            }
            expression.push('-');
            literal(end, expression);
        }
    }
    expression.push(']');
    Ok(())
}

fn literal(char: char, expression: &mut String) {
    // An escaped angle bracket would be a word boundary.
    if char.is_ascii_punctuation() && !matches!(char, '<' | '>') {
        expression.push('\\');
    }
    expression.push(char);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, matches, not) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "ns:a/b.c#1", "\n", "ü"], &[]),
            ("**", &["", "a:b"], &[]),
            ("a*c", &["ac", "abc", "a:/c"], &["ab", "xac", "acx"]),
            ("a?c", &["abc", "aüc", "a:c"], &["ac", "abbc"]),
            ("[a-c]1", &["a1", "c1"], &["d1", "1", "-1"]),
            ("[a-cx-z_]", &["b", "y", "_"], &["m", "-"]),
            ("[abc]", &["a", "b"], &["d", "ab"]),
            ("[!a-c]", &["d", ":"], &["a", ""]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[^a]", &["^", "a"], &["b"]),
            ("[\\]]", &["]"], &["\\"]),
            ("[[&&~]", &["[", "&", "~"], &["a"]),
            ("{a,bc}x", &["ax", "bcx"], &["x", "bx", "{a,bc}x"]),
            ("{a,{b,c}d}", &["a", "bd", "cd"], &["d", "b"]),
            ("a{,b}", &["a", "ab"], &["b"]),
            ("a,b}]", &["a,b}]"], &["a"]),
            ("\\*\\?\\{", &["*?{"], &["a?{"]),
            ("a.b+c$^|(#", &["a.b+c$^|(#"], &["axb+c$^|(#"]),
            ("Ab", &["Ab"], &["ab", "Ab\n"]),
        ] {
            let glob = Glob::new(pattern).expect(pattern);
            for text in matches {
                assert!(glob.is_match(text), "{pattern} should match {text}");
            }
            for text in not {
                assert!(!glob.is_match(text), "{pattern} should not match {text}");
            }
        }
    }

    #[test]
    fn malformed_patterns() {
        for (pattern, error) in [
            ("[a", MalformedGlob::OpenClass),
            ("[", MalformedGlob::OpenClass),
            ("[\\", MalformedGlob::OpenClass),
            ("[a-\\", MalformedGlob::OpenClass),
            ("[]", MalformedGlob::EmptyClass),
            ("[!]", MalformedGlob::EmptyClass),
            ("[z-a]", MalformedGlob::EmptyClass),
            ("{a", MalformedGlob::OpenAlternatives),
            ("a\\", MalformedGlob::DanglingEscape),
        ] {
            assert_eq!(Glob::new(pattern).err(), Some(error), "{pattern}");
        }
        let deep = format!("{}{}", "{".repeat(10_000), "}".repeat(10_000));
        assert_eq!(Glob::new(&deep).err(), Some(MalformedGlob::TooLarge));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_compiles_or_is_malformed(pattern in r"[-\[\]{},*?!\\^&~#a-c\p{Any}]{0,24}", text: String) {
            match Glob::new(&pattern) {
                Ok(glob) => { let _ = glob.is_match(&text); }
                Err(error) => proptest::prop_assert_ne!(error, MalformedGlob::TooLarge),
            }
        }

        #[test]
        fn escaped_text_matches_itself_only(text: String, other: String) {
            let pattern: String = text.chars().flat_map(|char| ['\\', char]).collect();
            let glob = Glob::new(&pattern).expect("escaped");
            proptest::prop_assert!(glob.is_match(&text));
            proptest::prop_assert_eq!(glob.is_match(&other), text == other);
        }
    }
}

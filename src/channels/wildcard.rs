//! Wildcards of capabilities (channels-and-auth.md 7.1), matched without being compiled to an expression.
//!
//! Many connections hold wildcards of their own (`user_42:*`), for which a compiled expression would cost
//! kilobytes and more time than all its uses. Here a wildcard is a short list of tokens, and matching follows all
//! ways through it at once, one bit per token: the time is the product of the two lengths at worst, however the
//! wildcard is built, and nothing is allocated.

/// Tokens of one wildcard; as many states and the end fit into [`States`].
const MAX_TOKENS: usize = 255;

/// A wildcard, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wildcard(Box<[Token]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Literal(char),
    /// One character.
    One { but_slash: bool },
    /// Any number of characters.
    Run { but_slash: bool },
    /// What the next two tokens match, or nothing.
    Optional,
}

impl Wildcard {
    /// Reads a wildcard that knows no separators: `*` is any run of characters, `?` is one. `None` if it is too
    /// long.
    pub(super) fn flat(text: &str) -> Option<Self> {
        Self::from_tokens(text.chars().map(|char| match char {
            '*' => Token::Run { but_slash: false },
            '?' => Token::One { but_slash: false },
            literal => Token::Literal(literal),
        }))
    }

    /// Reads a wildcard over paths: `*` and `?` stay within a segment, `**` crosses `/`, and `**/` at the start of a
    /// segment is any number of segments, none included. `None` if it is too long.
    pub(super) fn paths(text: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = text;
        let mut at_start = true;
        while let Some(char) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**/").filter(|_| at_start) {
                let run = Token::Run { but_slash: false };
                tokens.extend([Token::Optional, run, Token::Literal('/')]);
                rest = after;
                continue;
            }
            at_start = char == '/';
            if rest.starts_with("**") {
                tokens.push(Token::Run { but_slash: false });
                rest = rest.trim_start_matches('*');
                continue;
            }
            tokens.push(match char {
                '*' => Token::Run { but_slash: true },
                '?' => Token::One { but_slash: true },
                literal => Token::Literal(literal),
            });
            rest = rest.get(char.len_utf8()..).unwrap_or_default();
        }
        Self::from_tokens(tokens)
    }

    fn from_tokens(tokens: impl IntoIterator<Item = Token>) -> Option<Self> {
        let tokens: Box<[Token]> = tokens.into_iter().take(MAX_TOKENS + 1).collect();
        (tokens.len() <= MAX_TOKENS).then_some(Self(tokens))
    }

    /// Whether the whole text matches.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let mut states = States::default();
        self.enter(0, &mut states);
        for char in text.chars() {
            let mut next = States::default();
            for at in states.iter() {
                match self.0.get(at) {
                    Some(Token::Literal(literal)) if *literal == char => self.enter(at + 1, &mut next),
                    Some(Token::One { but_slash }) if !(*but_slash && char == '/') => {
                        self.enter(at + 1, &mut next);
                    }
                    Some(Token::Run { but_slash }) if !(*but_slash && char == '/') => {
                        self.enter(at, &mut next);
                    }
                    _ => {}
                }
            }
            if next == States::default() {
                return false;
            }
            states = next;
        }
        states.contains(self.0.len())
    }

    /// Adds a state and those that are reached from it without a character.
    fn enter(&self, mut at: usize, states: &mut States) {
        while states.insert(at) {
            match self.0.get(at) {
                Some(Token::Run { .. }) => {}
                Some(Token::Optional) => self.enter(at + 3, states),
                _ => return,
            }
            at += 1;
        }
    }
}

/// The ways through a wildcard that are still open: before which tokens they stand.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct States([u64; 4]);

impl States {
    /// Adds a state, and tells whether it is new.
    fn insert(&mut self, at: usize) -> bool {
        let Some(word) = self.0.get_mut(at / 64) else {
            return false;
        };
        let bit = 1 << (at % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        self.0
            .into_iter()
            .zip((0..).step_by(64))
            .flat_map(|(mut word, base)| {
                std::iter::from_fn(move || {
                    let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                    word &= word - 1;
                    Some(base + bit)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn wildcards_without_separators() {
        for (wildcard, matches, not) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "a:b/c", "ü"], &[]),
            ("user_*", &["user_", "user_42", "user_a/b"], &["user", "xuser_1"]),
            ("a?c", &["abc", "a/c", "aüc"], &["ac", "abbc"]),
            ("*a*b*", &["ab", "xaybz", "aab"], &["ba", "a", "b"]),
            ("a**b", &["ab", "axb"], &["a"]),
            ("[a]{b}\\.", &["[a]{b}\\."], &["a", "ab."]),
        ] {
            let read = Wildcard::flat(wildcard).expect(wildcard);
            for text in matches {
                assert!(read.is_match(text), "{wildcard} should match {text}");
            }
            for text in not {
                assert!(!read.is_match(text), "{wildcard} should not match {text}");
            }
        }
    }

    #[test]
    fn wildcards_over_paths() {
        for (wildcard, matches, not) in [
            ("*", &["", "a", "a:b"][..], &["a/b", "/"][..]),
            ("**", &["", "a", "a/b/c", "/"], &[]),
            ("a/*", &["a/", "a/b"], &["a", "a/b/c"]),
            ("a/**", &["a/", "a/b", "a/b/c"], &["a", "b/a/c"]),
            ("**/c", &["c", "a/c", "a/b/c", "/c"], &["a/cc", "ac"]),
            (
                "a/**/c",
                &["a/c", "a/b/c", "a/x/y/c", "a//c"],
                &["ac", "a/bc", "a/b/cc"],
            ),
            ("a**c", &["ac", "a/c", "a/b/c"], &["a", "a/b"]),
            ("a**/c", &["a/c", "ab/c", "a/b/c"], &["ac"]),
            ("a?c", &["abc"], &["a/c", "ac"]),
            ("***/c", &["a/c", "/c"], &["c"]),
            ("*/*b*", &["a/b", "/xb", "a/aba"], &["a/b/", "ab"]),
        ] {
            let read = Wildcard::paths(wildcard).expect(wildcard);
            for text in matches {
                assert!(read.is_match(text), "{wildcard} should match {text}");
            }
            for text in not {
                assert!(!read.is_match(text), "{wildcard} should not match {text}");
            }
        }
    }

    #[test]
    fn wildcards_that_are_too_long() {
        assert!(Wildcard::flat(&"*".repeat(MAX_TOKENS)).is_some_and(|of| of.is_match("abc")));
        assert!(Wildcard::flat(&"a".repeat(MAX_TOKENS)).is_some_and(|of| of.is_match(&"a".repeat(255))));
        assert_eq!(Wildcard::flat(&"a".repeat(MAX_TOKENS + 1)), None);
        assert_eq!(Wildcard::paths(&"a".repeat(MAX_TOKENS + 1)), None);
        assert_eq!(Wildcard::paths(&"**/".repeat(86)), None);
    }

    /// The same wildcard as an expression.
    fn expression(tokens: &[Token]) -> String {
        let mut text = String::new();
        let mut rest = tokens;
        while let [token, tail @ ..] = rest {
            rest = tail;
            match token {
                Token::Literal(char) => text.push_str(&regex::escape(&char.to_string())),
                Token::One { but_slash } => text.push_str(if *but_slash { "[^/]" } else { "(?s:.)" }),
                Token::Run { but_slash } => text.push_str(if *but_slash { "[^/]*" } else { "(?s:.)*" }),
                Token::Optional => {
                    let (group, tail) = rest.split_at(2);
                    text.push_str(&format!("(?:{})?", expression(group)));
                    rest = tail;
                }
            }
        }
        text
    }

    proptest::proptest! {
        #[test]
        fn wildcards_match_as_expressions_do(wildcard in r"[ab/*?]{0,10}", text in r"[ab/]{0,10}") {
            for read in [Wildcard::flat(&wildcard), Wildcard::paths(&wildcard)] {
                let read = read.expect("short");
                let regex = Regex::new(&format!(r"\A{}\z", expression(&read.0))).expect("expression");
                proptest::prop_assert_eq!(read.is_match(&text), regex.is_match(&text), "{}", regex);
            }
        }

        #[test]
        fn no_wildcard_panics(wildcard in r"[*?/\p{Any}]{0,300}", text: String) {
            for read in [Wildcard::flat(&wildcard), Wildcard::paths(&wildcard)].into_iter().flatten() {
                let _ = read.is_match(&text);
            }
        }
    }
}

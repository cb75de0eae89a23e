//! Regular expressions that tokens bring along, compiled once for all connections.
//!
//! The text of such an expression belongs to the issuer of tokens, one per connection if it likes. Compiled, it
//! may take a hundred times its size; so connections keep texts, and the compiled forms of those in use are kept
//! here, few and of limited size. An expression that was forgotten is compiled again when it is needed.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use regex::{Regex, RegexBuilder};

/// Compiled expressions kept at once.
const KEPT: usize = 256;
/// Length of an expression that is compiled at all, in bytes.
const MAX_TEXT: usize = 1024;
/// Memory that one compiled expression may take, in bytes, and again as much for its matcher's states.
const MAX_COMPILED: usize = 128 * 1024;

/// Compiled expressions by text. Bounded; the one that was not used for the longest time makes room.
#[derive(Debug, Default)]
pub(super) struct Expressions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    compiled: HashMap<Box<str>, Compiled>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Compiled {
    /// `None` if the text is no expression, or too large a one.
    regex: Option<Arc<Regex>>,
    used_at: u64,
}

impl Expressions {
    /// Whether the expression matches somewhere in the text. One that does not compile matches nothing.
    pub(super) fn is_match(&self, expression: &str, text: &str) -> bool {
        // Not matched under the lock.
        self.get(expression).is_some_and(|regex| regex.is_match(text))
    }

    fn get(&self, expression: &str) -> Option<Arc<Regex>> {
        if expression.len() > MAX_TEXT {
            return None;
        }
        if let Some(regex) = self.0.lock().find(expression) {
            return regex;
        }
        // Nor compiled: two who miss at once both compile.
        let regex = compile(expression);
        self.0.lock().keep(expression, regex.clone());
        regex
    }
}

impl Kept {
    fn find(&mut self, expression: &str) -> Option<Option<Arc<Regex>>> {
        self.clock += 1;
        let compiled = self.compiled.get_mut(expression)?;
        compiled.used_at = self.clock;
        Some(compiled.regex.clone())
    }

    fn keep(&mut self, expression: &str, regex: Option<Arc<Regex>>) {
        if self.compiled.len() >= KEPT {
            let oldest = self.compiled.iter().min_by_key(|(_, compiled)| compiled.used_at);
            if let Some(text) = oldest.map(|(text, _)| text.clone()) {
                self.compiled.remove(&text);
            }
        }
        let used_at = self.clock;
        self.compiled
            .insert(expression.into(), Compiled { regex, used_at });
    }
}

fn compile(expression: &str) -> Option<Arc<Regex>> {
    let mut builder = RegexBuilder::new(expression);
    match builder
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
    {
        Ok(regex) => Some(Arc::new(regex)),
        // The error shows the text, which is a part of a token.
        Err(_) => {
            tracing::info!("expression of a capability is malformed or too large: it matches no channel");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_searched_for() {
        let expressions = Expressions::default();
        for (expression, text, expected) in [
            ("b", "abc", true),
            ("^b", "abc", false),
            ("^user_[0-9]+$", "user_42", true),
            ("^user_[0-9]+$", "user_x", false),
            ("", "anything", true),
            ("(", "(", false),
            (r"\w{1000}{1000}", "a", false),
        ] {
            for _ in 0..2 {
                assert_eq!(
                    expressions.is_match(expression, text),
                    expected,
                    "{expression} {text}"
                );
            }
        }
        assert!(!expressions.is_match(&"a".repeat(MAX_TEXT + 1), &"a".repeat(MAX_TEXT + 1)));
        assert_eq!(
            expressions.0.lock().compiled.len(),
            6,
            "once each, too long ones not at all"
        );
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let expressions = Expressions::default();
        for number in 0..KEPT + 10 {
            assert!(expressions.is_match("^always$", "always"));
            assert!(expressions.is_match(&format!("^{number}$"), &number.to_string()));
        }
        let kept = expressions.0.lock();
        assert_eq!(kept.compiled.len(), KEPT);
        assert!(kept.compiled.contains_key("^always$"));
        assert!(!kept.compiled.contains_key("^0$"));
    }
}

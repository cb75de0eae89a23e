//! Exact texts with names for what cannot be known beforehand: `{"client":"<client>"}`.
//!
//! A name stands for any characters but quotes the first time it occurs, and for the same characters ever after.
//! `<_>` is never remembered.

use std::collections::HashMap;

/// What names stand for.
#[derive(Clone, Debug, Default)]
pub struct Bindings(HashMap<String, String>);

impl Bindings {
    pub fn bind(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> &str {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("<{name}> is not known yet"))
    }

    /// The text with every name replaced, for sending.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        for part in parts(text) {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Name(name) => filled.push_str(self.get(name)),
            }
        }
        filled
    }

    /// Compares, and remembers what new names stand for. `false` leaves them as they were.
    pub fn matches(&mut self, pattern: &str, actual: &str) -> bool {
        let mut found = self.clone();
        let mut rest = actual;
        let mut parts = parts(pattern).into_iter().peekable();
        while let Some(part) = parts.next() {
            let literal = match part {
                Part::Text(text) => text.to_owned(),
                Part::Name(name) => match found.0.get(name) {
                    Some(value) => value.clone(),
                    None => {
                        let end = match parts.peek() {
                            Some(Part::Text(next)) => rest.find(*next),
                            _ => Some(rest.len()),
                        };
                        let Some((value, after)) = end.and_then(|end| rest.split_at_checked(end)) else {
                            return false;
                        };
                        if value.contains('"') {
                            return false;
                        }
                        if name != "_" {
                            found.0.insert(name.to_owned(), value.to_owned());
                        }
                        rest = after;
                        continue;
                    }
                },
            };
            match rest.strip_prefix(literal.as_str()) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        if rest.is_empty() {
            *self = found;
        }
        rest.is_empty()
    }
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// JSON of the server never has a bare `<`: it is escaped in strings.
fn parts(pattern: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>').expect("a name has an end");
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

//! The URL of a key set, possibly filled from issuer and audience (channels-and-auth.md 4.8).
//!
//! A template takes text of a token that nobody has verified yet and asks that place for the keys to verify it.
//! So the expressions that this text comes from may only list permitted values: [`check_safety`] refuses
//! anything wider before the server starts.

use http::Uri;
use percent::decoded_path;
use regex_syntax::ast::{Ast, Group, GroupKind, parse::Parser};

use super::token::InvalidReason;

/// Values of the named groups of `issuer_regex` and `audience_regex`.
pub(super) type Groups = Vec<(String, String)>;

/// A parsed `jwks_public_endpoint`.
pub(super) struct UrlTemplate(Vec<Part>);

enum Part {
    Text(String),
    /// `{{name}}`
    Name(String),
}

impl UrlTemplate {
    /// Parses an endpoint; `None` if it is not an HTTP URL.
    pub(super) fn parse(endpoint: &str) -> Option<Self> {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return None;
        }
        let mut parts = Vec::new();
        let mut rest = endpoint;
        while let Some((text, (name, after))) = rest
            .split_once("{{")
            .and_then(|(text, after)| Some((text, after.split_once("}}")?)))
        {
            parts.push(Part::Text(text.to_owned()));
            parts.push(Part::Name(name.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Some(Self(parts))
    }

    /// The names between braces.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The URL for one token; names without a group become empty.
    ///
    /// # Errors
    ///
    /// [`InvalidReason::KeySetUrl`] if the result is no URL, or if its path is not in its shortest form: a group
    /// must not climb out of the directory that the operator wrote.
    pub(super) fn resolve(&self, groups: &Groups) -> Result<String, InvalidReason> {
        let url: String = self
            .0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Name(name) => groups
                    .iter()
                    .find(|(group, _)| group == name)
                    .map_or("", |(_, value)| value.as_str()),
            })
            .collect();
        let uri: Uri = url.parse().map_err(|_| InvalidReason::KeySetUrl)?;
        if uri.host().is_none_or(str::is_empty) || !is_clean(&decoded_path(uri.path())) {
            return Err(InvalidReason::KeySetUrl);
        }
        Ok(url)
    }
}

/// No empty, `.` or `..` segment; the root itself is clean.
fn is_clean(path: &[u8]) -> bool {
    match path.strip_prefix(b"/") {
        None | Some(b"") => path.len() <= 1,
        Some(path) => path
            .split(|byte| *byte == b'/')
            .all(|segment| !matches!(segment, b"" | b"." | b"..")),
    }
}

/// An expression that lets a token choose the URL more freely than by picking from a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeTemplate {
    /// A class matches characters that the operator did not write down.
    #[error(
        "{option} contains character class syntax which is not allowed when JWKS endpoint URL template is used: \
         list the allowed values instead (e.g., value1|value2|value3)"
    )]
    CharacterClass {
        /// `issuer_regex` or `audience_regex`.
        option: &'static str,
    },
    /// A group that fills the URL repeats something, or matches any character.
    #[error(
        "{option} named group \"{group}\" is used in JWKS endpoint URL template — only an explicit list of \
         allowed values is permitted (e.g., value1|value2|value3)"
    )]
    Group {
        /// `issuer_regex` or `audience_regex`.
        option: &'static str,
        /// The group's name.
        group: String,
    },
}

/// Checks an expression whose groups may fill the template.
///
/// # Errors
///
/// What makes it unsafe.
pub(super) fn check_safety(
    template: &UrlTemplate,
    option: &'static str,
    pattern: &str,
) -> Result<(), UnsafeTemplate> {
    if template.names().next().is_none() {
        return Ok(());
    }
    let Ok(ast) = Parser::new().parse(pattern) else {
        return Ok(());
    };
    if any(&ast, &|ast| {
        matches!(
            ast,
            Ast::ClassBracketed(_) | Ast::ClassPerl(_) | Ast::ClassUnicode(_)
        )
    }) {
        return Err(UnsafeTemplate::CharacterClass { option });
    }
    for name in template.names() {
        let is_loose = |ast: &Ast| match ast {
            Ast::Group(group) if group_name(group) == Some(name) => !is_list(&group.ast),
            _ => false,
        };
        if any(&ast, &is_loose) {
            return Err(UnsafeTemplate::Group {
                option,
                group: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn group_name(group: &Group) -> Option<&str> {
    match &group.kind {
        GroupKind::CaptureName { name, .. } => Some(&name.name),
        GroupKind::CaptureIndex(_) | GroupKind::NonCapturing(_) => None,
    }
}

/// Whether an expression matches finitely many strings, all of them written in it.
fn is_list(ast: &Ast) -> bool {
    match ast {
        Ast::Empty(_) | Ast::Literal(_) => true,
        Ast::Concat(concat) => concat.asts.iter().all(is_list),
        Ast::Alternation(alternation) => alternation.asts.iter().all(is_list),
        Ast::Group(group) => matches!(group.kind, GroupKind::NonCapturing(_)) && is_list(&group.ast),
        _ => false,
    }
}

/// Whether a node, or one below it, is as asked. The parser bounds the depth.
fn any(ast: &Ast, is: &dyn Fn(&Ast) -> bool) -> bool {
    is(ast)
        || match ast {
            Ast::Concat(concat) => concat.asts.iter().any(|ast| any(ast, is)),
            Ast::Alternation(alternation) => alternation.asts.iter().any(|ast| any(ast, is)),
            Ast::Repetition(repetition) => any(&repetition.ast, is),
            Ast::Group(group) => any(&group.ast, is),
            _ => false,
        }
}

mod percent {
    /// A path with its `%xx` sequences decoded, so that `%2e%2e` is seen for what it is.
    pub(super) fn decoded_path(path: &str) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(path.len());
        let mut rest = path.as_bytes();
        while let [byte, tail @ ..] = rest {
            match (byte, tail) {
                (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    decoded.push(digit(*high) << 4 | digit(*low));
                    rest = tail;
                }
                _ => {
                    decoded.push(*byte);
                    rest = tail;
                }
            }
        }
        decoded
    }

    fn digit(hex: u8) -> u8 {
        match hex {
            b'0'..=b'9' => hex - b'0',
            _ => (hex | 0x20) - b'a' + 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(endpoint: &str, groups: &[(&str, &str)]) -> Result<String, InvalidReason> {
        let groups = groups
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        UrlTemplate::parse(endpoint).expect("template").resolve(&groups)
    }

    #[test]
    fn names_are_filled_and_unknown_ones_become_empty() {
        let filled = resolve("https://{{t}}.example.com/{{t}}{{x}}/keys", &[("t", "a")]);
        assert_eq!(filled.as_deref(), Ok("https://a.example.com/a/keys"));
        assert_eq!(
            resolve("https://h/{{x}}/keys", &[]),
            Err(InvalidReason::KeySetUrl)
        );
        assert_eq!(resolve("https://{{x}}/keys", &[]), Err(InvalidReason::KeySetUrl));
        assert!(UrlTemplate::parse("ftp://h/").is_none() && UrlTemplate::parse("h/keys").is_none());
    }

    #[test]
    fn paths_must_be_clean() {
        for good in [
            "https://h",
            "https://h/",
            "https://h/a",
            "https://h/a/.well-known/jwks.json?x=/../",
        ] {
            assert_eq!(resolve(good, &[]).as_deref(), Ok(good));
        }
        for bad in [
            "https://h/a/",
            "https://h//a",
            "https://h/a/../b",
            "https://h/./a",
            "https://h/%2E%2e/a",
        ] {
            assert_eq!(resolve(bad, &[]), Err(InvalidReason::KeySetUrl), "{bad}");
        }
        assert_eq!(
            resolve("https://h/{{t}}/keys", &[("t", "../x")]),
            Err(InvalidReason::KeySetUrl)
        );
        assert_eq!(
            resolve("https://h/{{t}}", &[("t", "a b")]),
            Err(InvalidReason::KeySetUrl)
        );
    }

    #[test]
    fn only_lists_of_values_may_fill_a_template() {
        let template = UrlTemplate::parse("https://h/{{r}}/keys").expect("template");
        let check = |pattern: &str| check_safety(&template, "issuer_regex", pattern);
        for good in [
            "https://h/(?P<r>one|two)",
            "(?P<r>one)",
            "(?<r>a|b)$",
            "(?P<r>(?:a|b)c)",
            "x.*(?P<r>one)",
            r"a\.b\[(?P<r>one\.two)",
            "(?P<other>.+)",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for class in ["[a-z]+", r"(?P<r>\d)", r"\w", r"x(\S)*", r"\p{L}", r"\PL"] {
            assert_eq!(
                check(class),
                Err(UnsafeTemplate::CharacterClass {
                    option: "issuer_regex"
                }),
                "{class}"
            );
        }
        for loose in [
            "(?P<r>.+)",
            "(?P<r>a*)",
            "(?P<r>a|.)",
            "(?P<r>(x)y)",
            "((?P<r>a{1,9}))",
            "(?P<r>^a)",
        ] {
            let error = UnsafeTemplate::Group {
                option: "issuer_regex",
                group: "r".to_owned(),
            };
            assert_eq!(check(loose), Err(error), "{loose}");
        }
        let plain = UrlTemplate::parse("https://h/keys").expect("template");
        assert_eq!(check_safety(&plain, "issuer_regex", r"(?P<r>\w+)"), Ok(()));
    }

    #[test]
    fn texts_of_refusals() {
        let error = UnsafeTemplate::Group {
            option: "issuer_regex",
            group: "r".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "issuer_regex named group \"r\" is used in JWKS endpoint URL template — only an explicit list of \
             allowed values is permitted (e.g., value1|value2|value3)"
        );
        let error = UnsafeTemplate::CharacterClass {
            option: "audience_regex",
        };
        assert!(error.to_string().starts_with(
            "audience_regex contains character class syntax which is not allowed when JWKS endpoint URL \
             template is used"
        ));
    }
}

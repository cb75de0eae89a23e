//! Which web pages may open connections (configuration.md 4.3).

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};

use crate::channels::{Glob, MalformedGlob};

/// The rules of `client.allowed_origins`.
#[derive(Clone, Debug)]
pub struct OriginRules {
    written: Vec<String>,
    patterns: Vec<Glob>,
    any: bool,
}

/// A pattern of `client.allowed_origins` that cannot be read. Fatal at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed origin pattern: {0}")]
pub struct MalformedOrigin(#[from] MalformedGlob);

/// A page that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginDenial<'a> {
    /// The page's origin as sent.
    pub origin: &'a HeaderValue,
    /// The patterns, none of which it matches.
    pub allowed: &'a [String],
}

impl OriginRules {
    /// Reads the patterns.
    ///
    /// # Errors
    ///
    /// The first pattern that is malformed.
    pub fn new(patterns: &[String]) -> Result<Self, MalformedOrigin> {
        let any = matches!(patterns, [pattern] if pattern == "*");
        let globs = patterns
            .iter()
            .map(|pattern| Glob::new(pattern))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            written: patterns.to_vec(),
            patterns: globs,
            any,
        })
    }

    /// Whether every page is allowed, which is worth a warning at start.
    #[must_use]
    pub fn allows_any(&self) -> bool {
        self.any
    }

    /// Whether a request with these headers may go on.
    #[must_use]
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        self.check(headers).is_ok()
    }

    /// Decides on a request. Without `Origin` it does not come from a page and is let through. The origin is
    /// compared in lower case, the patterns as they are written: a pattern with upper-case letters matches
    /// nothing.
    ///
    /// # Errors
    ///
    /// What to log about the refusal.
    pub fn check<'a>(&'a self, headers: &'a HeaderMap) -> Result<(), OriginDenial<'a>> {
        let Some(origin) = headers.get(ORIGIN).filter(|origin| !origin.is_empty()) else {
            return Ok(());
        };
        if self.any || self.matches(origin) {
            return Ok(());
        }
        Err(OriginDenial {
            origin,
            allowed: &self.written,
        })
    }

    fn matches(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_lowercase();
        self.patterns.iter().any(|pattern| pattern.is_match(&origin))
    }
}

impl OriginDenial<'_> {
    /// Logs the refusal (configuration.md 4.3).
    pub fn log(&self) {
        let origin = String::from_utf8_lossy(self.origin.as_bytes());
        if self.allowed.is_empty() {
            tracing::info!(%origin, "request Origin is not authorized due to empty allowed_origins");
        } else {
            tracing::info!(%origin, allowed_origins = ?self.allowed, "request Origin is not authorized");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> OriginRules {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        OriginRules::new(&patterns).expect("patterns")
    }

    /// Whether a page is let through, and if not, how many patterns the log will name.
    fn check(rules: &OriginRules, origin: &[u8]) -> Result<(), usize> {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_bytes(origin).expect("header"));
        rules.check(&headers).map_err(|denial| {
            denial.log();
            assert_eq!(denial.origin.as_bytes(), origin);
            denial.allowed.len()
        })
    }

    #[test]
    fn requests_without_origin_pass() {
        for patterns in [&[][..], &["https://a"][..], &["*"][..]] {
            assert!(rules(patterns).allows(&HeaderMap::new()));
            assert_eq!(check(&rules(patterns), b""), Ok(()));
        }
    }

    #[test]
    fn an_empty_list_denies_every_page() {
        assert_eq!(check(&rules(&[]), b"https://a"), Err(0));
        assert!(rules(&["*"]).allows_any() && !rules(&["*", "x"]).allows_any() && !rules(&[]).allows_any());
        assert_eq!(check(&rules(&["*"]), b"\xff"), Ok(()));
    }

    #[test]
    fn observed_patterns() {
        let wild = "https://*.example.com";
        for (pattern, origin, allowed) in [
            (wild, "https://a.example.com", true),
            (wild, "https://a.b.example.com", true),
            (wild, "https://.example.com", true),
            (wild, "HTTPS://A.EXAMPLE.COM", true),
            (wild, "https://example.com", false),
            (wild, "https://a.example.com:8080", false),
            (wild, "http://a.example.com", false),
            ("http://localhost:3000", "HTTP://localhost:3000", true),
            ("http://localhost:3000", "http://localhost", false),
            ("http://localhost:3000", "http://localhost:3001", false),
            ("https://Example.com", "https://Example.com", false),
            ("https://Example.com", "https://example.com", false),
            ("null", "null", true),
            ("example.com", "https://example.com", false),
            ("https://example.com/", "https://example.com", false),
            ("http{s,}://a", "http://a", true),
        ] {
            let expected = if allowed { Ok(()) } else { Err(2) };
            assert_eq!(
                check(&rules(&["x", pattern]), origin.as_bytes()),
                expected,
                "{pattern} {origin}"
            );
        }
        assert_eq!(check(&rules(&[wild]), b"https://\xff.example.com"), Err(1));
    }

    #[test]
    fn malformed_patterns_are_named() {
        let error = OriginRules::new(&["https://[a".to_owned()]).expect_err("malformed");
        assert!(
            error.to_string().starts_with("malformed origin pattern: "),
            "{error}"
        );
    }
}

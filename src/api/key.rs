//! The key of the server API (server-api.md 1.3).

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use subtle::ConstantTimeEq;
use tidegate_transports::http::WholeRequest;
use tidegate_transports::query;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Header fields of a request, however they are held.
pub(super) trait Fields {
    /// Value of the first field of that name.
    fn field(&self, name: &HeaderName) -> Option<&[u8]>;
}

impl Fields for HeaderMap {
    fn field(&self, name: &HeaderName) -> Option<&[u8]> {
        self.get(name).map(http::HeaderValue::as_bytes)
    }
}

impl Fields for WholeRequest<'_> {
    fn field(&self, name: &HeaderName) -> Option<&[u8]> {
        WholeRequest::field(self, name)
    }
}

/// Who may call.
pub(super) enum Access {
    /// Everybody who reaches the listener.
    Anybody,
    /// Who shows the key. Nobody, if it is empty.
    Key(String),
}

impl Access {
    /// Whether a request may call. Looks at `X-API-Key`; without it at `Authorization`; and unless that was enough
    /// at the query, so that a key there makes up for a wrong one in a header.
    pub(super) fn admits(&self, headers: &impl Fields, query: Option<&str>) -> bool {
        let key = match self {
            Self::Anybody => return true,
            Self::Key(key) => key.as_bytes(),
        };
        if key.is_empty() {
            tracing::error!("API key is empty");
            return false;
        }
        let from_header = header(headers, &X_API_KEY).or_else(|| apikey(header(headers, &AUTHORIZATION)?));
        if from_header.is_some_and(|shown| is_equal(shown, key)) {
            return true;
        }
        let from_query = query.and_then(|query| query::parameter(query, "api_key"));
        from_query.is_some_and(|shown| is_equal(shown.as_bytes(), key))
    }
}

fn header<'a>(headers: &'a impl Fields, name: &HeaderName) -> Option<&'a [u8]> {
    headers.field(name).filter(|value| !value.is_empty())
}

/// The second of exactly two words, if the first is `apikey`.
fn apikey(authorization: &[u8]) -> Option<&[u8]> {
    let mut words = authorization
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let (scheme, key) = (words.next()?, words.next()?);
    (scheme.eq_ignore_ascii_case(b"apikey") && words.next().is_none()).then_some(key)
}

/// Takes the same time wherever the first difference is; only the length shows.
fn is_equal(shown: &[u8], key: &[u8]) -> bool {
    shown.ct_eq(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(key: &str, headers: &[(HeaderName, &str)], query: Option<&str>) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("header")))
            .collect::<HeaderMap>();
        Access::Key(key.to_owned()).admits(&headers, query)
    }

    /// Headers, query, and whether they are enough.
    type Row<'a> = (&'a [(HeaderName, &'a str)], Option<&'a str>, bool);

    #[test]
    fn the_key_is_looked_for_in_order() {
        let rows: &[Row<'_>] = &[
            (&[], None, false),
            (&[(X_API_KEY, "secret")], None, true),
            (&[(X_API_KEY, "Secret")], None, false),
            (&[(X_API_KEY, "secret2")], None, false),
            (&[(AUTHORIZATION, "apikey secret")], None, true),
            (&[(AUTHORIZATION, "ApiKey \t secret ")], None, true),
            (&[(AUTHORIZATION, "apikey secret more")], None, false),
            (&[(AUTHORIZATION, "apikey")], None, false),
            (&[(AUTHORIZATION, "secret")], None, false),
            (&[(AUTHORIZATION, "Bearer secret")], None, false),
            (&[(X_API_KEY, ""), (AUTHORIZATION, "apikey secret")], None, true),
            (
                &[(X_API_KEY, "wrong"), (AUTHORIZATION, "apikey secret")],
                None,
                false,
            ),
            (&[], Some("api_key=secret"), true),
            (&[], Some("a=b&api_key=%73ecret"), true),
            (&[], Some("api_key="), false),
            (&[], Some("api_key=wrong&api_key=secret"), false),
            (&[(X_API_KEY, "wrong")], Some("api_key=secret"), true),
            (&[(AUTHORIZATION, "apikey wrong")], Some("api_key=secret"), true),
            (&[(X_API_KEY, "secret")], Some("api_key=wrong"), true),
        ];
        for (headers, query, admitted) in rows {
            assert_eq!(
                admits("secret", headers, *query),
                *admitted,
                "{headers:?} {query:?}"
            );
        }
    }

    #[test]
    fn no_key_admits_nobody() {
        assert!(!admits("", &[], None));
        assert!(!admits("", &[(X_API_KEY, "")], Some("api_key=")));
        assert!(!admits("", &[(AUTHORIZATION, "apikey ")], None));
        assert!(Access::Anybody.admits(&HeaderMap::new(), None));
    }
}

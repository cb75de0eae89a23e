//! The compact form of a signed token: three base64url parts (RFC 7515, channels-and-auth.md 4.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use super::keys::Algorithm;
use super::object::{Object, WrongType, value};
use super::token::InvalidReason;

/// A token taken apart; nothing of it is to be trusted yet.
pub(super) struct Jws<'a> {
    /// `alg` as written.
    pub(super) alg: String,
    /// `kid`, empty if there is none.
    pub(super) kid: String,
    /// The bytes that the signature covers.
    pub(super) signed: &'a [u8],
    /// The claims, still JSON.
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes `token` apart.
    ///
    /// Base64 is read strictly: padding, or bits beyond the last byte that are not zero, would let one token be
    /// written in several ways.
    pub(super) fn parse(token: &'a str) -> Result<Self, InvalidReason> {
        // A JSON object in base64: what begins otherwise (white space before the brace, say) no issuer writes.
        if !token.starts_with("eyJ") {
            return Err(InvalidReason::Format);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(InvalidReason::Format)?;
        let (header, payload) = signed.split_once('.').ok_or(InvalidReason::Format)?;
        let header = decode(header)?;
        let (alg, kid) = read_header(&header).map_err(|WrongType| InvalidReason::Format)?;
        Ok(Self {
            alg,
            kid,
            signed: signed.as_bytes(),
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// The signature algorithm.
    pub(super) fn algorithm(&self) -> Result<Algorithm, InvalidReason> {
        Algorithm::from_name(&self.alg).ok_or(InvalidReason::UnsupportedAlgorithm)
    }
}

fn read_header(header: &[u8]) -> Result<(String, String), WrongType> {
    let header = Object::parse(header)?;
    let string = |raw: Option<&RawValue>| raw.map_or(Ok(None), value::<String>);
    let alg = string(header.get("alg"))?.ok_or(WrongType)?;
    let kid = string(header.get("kid"))?.unwrap_or_default();
    Ok((alg, kid))
}

fn decode(part: &str) -> Result<Vec<u8>, InvalidReason> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidReason::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str, signature: &[u8]) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!(
            "{}.{}.{}",
            encode(header.as_bytes()),
            encode(payload.as_bytes()),
            encode(signature)
        )
    }

    #[test]
    fn takes_a_token_apart() {
        let text = token(r#"{"alg":"HS256","typ":7,"kid":"k"}"#, "{}", &[1, 2]);
        let jws = Jws::parse(&text).expect("token");
        assert_eq!((jws.alg.as_str(), jws.kid.as_str()), ("HS256", "k"));
        assert_eq!((&jws.payload[..], &jws.signature[..]), (&b"{}"[..], &[1, 2][..]));
        assert!(text.as_bytes().starts_with(jws.signed));
        assert_eq!(jws.signed.iter().filter(|byte| **byte == b'.').count(), 1);
        let text = token(r#"{"alg":"none"}"#, "{}", &[]);
        let jws = Jws::parse(&text).expect("token without signature");
        assert_eq!(jws.algorithm(), Err(InvalidReason::UnsupportedAlgorithm));
    }

    #[test]
    fn malformed_tokens() {
        let good = token(r#"{"alg":"HS256"}"#, "{}", &[1]);
        let cases = [
            String::new(),
            "eyJ".to_owned(),
            "eyJ.eyJ".to_owned(),
            "eyJ..".to_owned(),
            format!("{good}.x"),
            format!("{good}="),
            format!(" {good}"),
            token(r#" {"alg":"HS256"}"#, "{}", &[1]),
            token(r#"{"typ":"JWT"}"#, "{}", &[1]),
            token(r#"{"alg":1}"#, "{}", &[1]),
            token(r#"{"alg":"HS256","kid":1}"#, "{}", &[1]),
            good.replace('.', " ."),
            // One byte as "AQ"; "AR" would decode to the same if the spare bits were ignored.
            format!("{}AR", good.strip_suffix("AQ").expect("suffix")),
        ];
        for case in cases {
            assert_eq!(Jws::parse(&case).err(), Some(InvalidReason::Format), "{case}");
        }
    }
}

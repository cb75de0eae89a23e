//! Tokens for operators: `gentoken` and `gensubtoken` (configuration.md 3).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// What a generated token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeneratedClaims {
    /// User ID; an empty one is left out and makes the token anonymous.
    pub user: String,
    /// `client.token.user_id_claim`: the user is also written there. Empty for none.
    pub user_id_claim: String,
    /// Channel of a subscription token.
    pub channel: Option<String>,
    /// Unix seconds.
    pub issued_at: i64,
    /// Unix seconds; without it the token does not expire.
    pub expire_at: Option<i64>,
}

/// A token signed with HMAC-SHA-256.
#[must_use]
pub fn sign_hs256(secret: &str, claims: &GeneratedClaims) -> String {
    let mut payload = Map::new();
    if !claims.user.is_empty() {
        payload.insert("sub".to_owned(), claims.user.clone().into());
        if !claims.user_id_claim.is_empty() {
            payload.insert(claims.user_id_claim.clone(), claims.user.clone().into());
        }
    }
    if let Some(expire_at) = claims.expire_at {
        payload.insert("exp".to_owned(), expire_at.into());
    }
    payload.insert("iat".to_owned(), claims.issued_at.into());
    if let Some(channel) = &claims.channel {
        payload.insert("channel".to_owned(), channel.clone().into());
    }
    sign_payload(secret, Value::Object(payload).to_string().as_bytes())
}

pub(super) fn sign_payload(secret: &str, payload: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let mut token = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        token.as_bytes(),
    );
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

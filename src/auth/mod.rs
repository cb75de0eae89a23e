//! Who a peer is: JSON Web Tokens of connections and subscriptions, and the origins that pages may come from
//! (channels-and-auth.md 4, configuration.md 4.3).
//!
//! This module decides and does not act. It is given a token and the time, and answers with what the token
//! grants or with the reason for which it grants nothing. The one thing it may have to wait for, a key that
//! lives behind a URL, sits behind the [`KeySource`] trait; with keys from the configuration every answer is
//! there at once, so that the session's common path contains no future at all.
//!
//! Signatures are checked by aws-lc, directly and not through a JWT crate. The rules that make a token valid
//! here (order of the checks, claim types, which algorithm goes with which key, two HMAC secrets during a
//! rotation) are part of the wire contract and therefore ours; below them a JWT crate would only have left the
//! three calls into the cryptographic library, and none of the maintained ones knows ES512.
//!
//! Nothing here prints a token, a claim or a secret: errors say which rule was broken, not by what.

mod claims;
mod fetch;
mod jwk;
mod jwks;
mod jws;
mod keys;
mod object;
mod origin;
mod sign;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod verifier;

pub use fetch::{FetchError, HttpKeySource, KeyFetch, KeySource};
pub use keys::{Algorithm, KeyError};
pub use origin::{MalformedOrigin, OriginDenial, OriginRules};
pub use sign::{GeneratedClaims, sign_hs256};
pub use template::UnsafeTemplate;
pub use token::{ConnectToken, InvalidReason, SubscribeOptions, SubscribeToken, TokenError, TokenMismatch};
pub use verifier::{BuildError, Purpose, TokenParts, TokenVerifier, Verification, peek};

//! JSON Web Key Sets (RFC 7517, channels-and-auth.md 4.8).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::keys::{Algorithm, PublicKey};

/// Usable keys by `kid`.
#[derive(Default)]
pub(super) struct KeySet {
    pub(super) keys: HashMap<String, Arc<PublicKey>>,
    /// Keys for signatures that we cannot use: private, too short, of an unknown kind, damaged.
    pub(super) skipped: usize,
}

impl KeySet {
    /// Reads a set. A key that cannot be used is skipped, not fatal: the set belongs to somebody else, who may
    /// well publish keys for others in it. Of several keys with one `kid` the first counts.
    ///
    /// # Errors
    ///
    /// The text is not an object with an array `keys`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let list: List<'_> = serde_json::from_slice(body)?;
        let mut set = Self::default();
        for raw in list.keys {
            let Ok(jwk) = serde_json::from_str::<Jwk>(raw.get()) else {
                set.skipped += 1;
                continue;
            };
            if jwk.usage != "sig" {
                continue;
            }
            match jwk.to_public_key() {
                Some(key) => {
                    set.keys.entry(jwk.kid).or_insert_with(|| Arc::new(key));
                }
                None => set.skipped += 1,
            }
        }
        Ok(set)
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
    alg: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
    /// Present in private keys only.
    d: Option<String>,
}

impl Jwk {
    /// The key, restricted to its `alg` if it names one.
    fn to_public_key(&self) -> Option<PublicKey> {
        if self.d.is_some() || self.kid.is_empty() {
            return None;
        }
        let key = match (self.kty.as_str(), self.crv.as_str()) {
            ("RSA", _) => PublicKey::rsa(&decode(&self.n)?, &decode(&self.e)?).ok()?,
            ("EC", "P-256") => PublicKey::ecdsa(Algorithm::Es256, &self.point(32)?).ok()?,
            ("EC", "P-384") => PublicKey::ecdsa(Algorithm::Es384, &self.point(48)?).ok()?,
            ("EC", "P-521") => PublicKey::ecdsa(Algorithm::Es512, &self.point(66)?).ok()?,
            ("OKP", "Ed25519") => PublicKey::ed25519(&decode(&self.x)?).ok()?,
            _ => return None,
        };
        match self.alg.as_deref() {
            None | Some("") => Some(key),
            Some(name) => key.restricted_to(Algorithm::from_name(name)?),
        }
    }

    /// The uncompressed point, its coordinates padded to the size of the field.
    fn point(&self, size: usize) -> Option<Vec<u8>> {
        let mut point = vec![4];
        for coordinate in [&self.x, &self.y] {
            let bytes = decode(coordinate)?;
            point.resize(point.len() + size.checked_sub(bytes.len())?, 0);
            point.extend(bytes);
        }
        Some(point)
    }
}

/// Some issuers pad although RFC 7518 forbids it.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

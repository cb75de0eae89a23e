//! Tokens from outside: signed by keys made on the spot, verified through the public interface.

mod claims;
mod fetching;

mod jwks;
mod random;
mod signatures;
mod sources;

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair,
};
use aws_lc_rs::{encoding::AsDer, encoding::PublicKeyX509Der, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as X509Key;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::*;
use crate::config::TokenOptions;
use sources::Unreachable;

/// The moment at which all tests happen.
const NOW: i64 = 1_700_000_000;
const SECRET: &str = "secret";

/// A private key of any kind.
enum Signer {
    Hmac(Box<hmac::Key>, &'static str),
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn hs256(secret: &str) -> Self {
        Self::Hmac(
            Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())),
            "HS256",
        )
    }

    fn rsa(size: KeySize) -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(size).expect("RSA key")))
    }

    fn ecdsa(alg: &'static str) -> Self {
        let algorithm = match alg {
            "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
        };
        Self::Ecdsa(EcdsaKeyPair::generate(algorithm).expect("ECDSA key"), alg)
    }

    fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("Ed25519 key"))
    }

    /// The algorithm it signs with unless asked for another.
    fn alg(&self) -> &'static str {
        match self {
            Self::Hmac(_, alg) | Self::Ecdsa(_, alg) => alg,
            Self::Rsa(_) => "RS256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(
            json!({"alg": self.alg(), "typ": "JWT"}),
            claims.to_string().as_bytes(),
        )
    }

    fn sign_with(&self, header: Value, payload: &[u8]) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload));
        let message = signed.as_bytes();
        let random = SystemRandom::new();
        let signature = match self {
            Self::Hmac(key, _) => hmac::sign(key, message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding = match header["alg"].as_str() {
                    Some("RS384") => &RSA_PKCS1_SHA384,
                    Some("RS512") => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature)
                    .expect("signature");
                signature
            }
            Self::Ecdsa(key, _) => key.sign(&random, message).expect("signature").as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(&signature))
    }

    /// The public key as PEM.
    fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ecdsa(key, _) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
            Self::Hmac(..) => panic!("a secret has no public key"),
        }
        .expect("DER");
        pem("PUBLIC KEY", der.as_ref())
    }

    /// The public key as a JSON Web Key.
    fn jwk(&self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().expect("DER");
                let (_, info) = SubjectPublicKeyInfo::from_der(der.as_ref()).expect("key info");
                let Ok(X509Key::RSA(rsa)) = info.parsed() else {
                    panic!("not RSA")
                };
                let (n, e) = (rsa.modulus, rsa.exponent);
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Self::Ecdsa(key, alg) => {
                let point = key.public_key().as_ref();
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                let curve = match *alg {
                    "ES256" => "P-256",
                    "ES384" => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())})
            }
            Self::Hmac(..) => json!({"kty": "oct", "k": encode(SECRET.as_bytes())}),
        };
        jwk["use"] = "sig".into();
        jwk["kid"] = kid.into();
        jwk
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// Options with the usual secret.
fn with_secret() -> TokenOptions {
    TokenOptions {
        hmac_secret_key: SECRET.to_owned(),
        ..TokenOptions::default()
    }
}

fn verifier(options: &TokenOptions) -> TokenVerifier {
    build(options).expect("options")
}

fn build(options: &TokenOptions) -> Result<TokenVerifier, BuildError> {
    TokenVerifier::new(options, Purpose::Connection, false, Arc::new(Unreachable))
}

/// The result of a verification that must not wait.
fn ready<T>(verification: Verification<T>) -> Result<T, TokenError> {
    match verification {
        Verification::Ready(result) => result,
        Verification::Pending(_) => panic!("the verification waits for a key"),
    }
}

fn connect(verifier: &TokenVerifier, token: &str) -> Result<ConnectToken, TokenError> {
    ready(verifier.verify_connect(token, NOW))
}

fn subscribe(verifier: &TokenVerifier, token: &str) -> Result<SubscribeToken, TokenError> {
    ready(verifier.verify_subscribe(token, NOW))
}

fn invalid<T>(reason: InvalidReason) -> Result<T, TokenError> {
    Err(TokenError::Invalid(reason))
}

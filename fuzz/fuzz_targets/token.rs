//! JSON Web Tokens: arbitrary text, arbitrary claims behind a valid shape, and signed tokens with one byte changed,
//! which must all be refused.

#![no_main]

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use tidegate::auth::{
    FetchError, GeneratedClaims, KeyFetch, KeySource, Purpose, TokenVerifier, Verification, peek, sign_hs256,
};
use tidegate::config::{self, Sources};
use tidegate_fuzz::choice;

const NOW: i64 = 1_700_000_000;
const SECRET: &str = "secret";

/// Checks signatures.
static STRICT: LazyLock<TokenVerifier> = LazyLock::new(|| verifier(false));
/// Does not, so that claims are reached.
static LENIENT: LazyLock<TokenVerifier> = LazyLock::new(|| verifier(true));
static SIGNED: LazyLock<String> = LazyLock::new(|| {
    let claims = GeneratedClaims {
        user: "42".to_owned(),
        user_id_claim: String::new(),
        channel: None,
        issued_at: NOW,
        expire_at: None,
    };
    sign_hs256(SECRET, &claims)
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = choice(data) else { return };
    match mode % 3 {
        0 => {
            let token = String::from_utf8_lossy(data);
            verify(&STRICT, &token);
            verify(&LENIENT, &token);
            let _ = peek(&token);
        }
        1 => {
            let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
            let (header, claims) = data.split_at(cut);
            let claims = claims.get(1..).unwrap_or_default();
            let encode = |part| URL_SAFE_NO_PAD.encode(part);
            verify(&LENIENT, &format!("{}.{}.AA", encode(header), encode(claims)));
        }
        _ => {
            let &[at, with, ..] = data else { return };
            let mut token = SIGNED.clone().into_bytes();
            let at = usize::from(at) % token.len();
            token[at] = with & 0x7f;
            let token = String::from_utf8_lossy(&token);
            let Verification::Ready(result) = STRICT.verify_connect(&token, NOW) else {
                panic!("nothing to wait for");
            };
            assert_eq!(result.is_ok(), token == *SIGNED);
        }
    }
});

fn verify(verifier: &TokenVerifier, token: &str) {
    let (connect, subscribe) = (
        verifier.verify_connect(token, NOW),
        verifier.verify_subscribe(token, NOW),
    );
    assert!(matches!(connect, Verification::Ready(_)));
    assert!(matches!(subscribe, Verification::Ready(_)));
}

fn verifier(skip_signature: bool) -> TokenVerifier {
    let mut rules = vec![("hmac_secret_key", SECRET)];
    if skip_signature {
        rules.extend([("audience_regex", "^|y"), ("issuer_regex", "^|x")]);
    }
    let sources = Sources {
        flags: rules
            .into_iter()
            .map(|(key, value)| (format!("client.token.{key}"), value.to_owned()))
            .collect(),
        ..Sources::default()
    };
    let options = config::load(&sources)
        .expect("a configuration")
        .config
        .client
        .token;
    TokenVerifier::new(&options, Purpose::Connection, skip_signature, Arc::new(NoSource)).expect("a verifier")
}

struct NoSource;

impl KeySource for NoSource {
    fn fetch<'a>(&'a self, _: &'a str) -> KeyFetch<'a> {
        Box::pin(async { Err(FetchError::Url) })
    }
}

//! No input panics, and nothing but a signed token verifies.

use proptest::prelude::*;
use serde_json::json;

use super::*;

proptest! {
    #[test]
    fn random_text_never_verifies(token in r"(eyJ)?[-_.a-zA-Z0-9=\p{Any}]{0,80}") {
        let verifier = verifier(&with_secret());
        prop_assert!(connect(&verifier, &token).is_err());
        prop_assert!(subscribe(&verifier, &token).is_err());
        let _ = peek(&token);
    }

    #[test]
    fn random_claims_never_panic(payload in r#"\{("(sub|subs|exp|aud|override|info|channel)":[-{}\[\]":,0-9aeE.]{0,12},?){0,4}\}"#) {
        let token = Signer::hs256(SECRET).sign_with(json!({"alg": "HS256"}), payload.as_bytes());
        let verifier = verifier(&with_secret());
        let _ = connect(&verifier, &token);
        let _ = subscribe(&verifier, &token);
    }

    #[test]
    fn a_mutated_token_never_verifies(index: prop::sample::Index, byte in "[-_.=a-zA-Z0-9 ]", cut: bool) {
        let token = Signer::hs256(SECRET).sign(&json!({"sub": "42", "exp": NOW + 60}));
        let at = index.index(token.len());
        let mutated = if cut {
            token[..at].to_owned()
        } else {
            format!("{}{byte}{}", &token[..at], &token[at + 1..])
        };
        prop_assume!(mutated != token);
        let result = connect(&verifier(&with_secret()), &mutated);
        prop_assert!(matches!(result, Err(TokenError::Invalid(_))), "{result:?}");
    }
}

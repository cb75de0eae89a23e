//! Keys behind a URL (channels-and-auth.md 4.8).

use std::time::Duration;

use aws_lc_rs::rsa::KeySize;
use futures_util::future::join_all;
use serde_json::json;

use super::sources::Fake;
use super::*;

const URL: &str = "https://keys.example.com/jwks.json";

fn remote(source: &Arc<Fake>) -> TokenVerifier {
    remote_with(
        source,
        &TokenOptions {
            jwks_public_endpoint: URL.to_owned(),
            ..with_secret()
        },
    )
}

fn remote_with(source: &Arc<Fake>, options: &TokenOptions) -> TokenVerifier {
    TokenVerifier::new(
        options,
        Purpose::Connection,
        false,
        Arc::clone(source) as Arc<dyn KeySource>,
    )
    .expect("options")
}

fn token(signer: &Signer, kid: &str) -> String {
    signer.sign_with(json!({"alg": signer.alg(), "kid": kid}), br#"{"sub":"42"}"#)
}

async fn verify(verifier: &TokenVerifier, token: &str) -> Result<String, TokenError> {
    verify_at(verifier, token, NOW).await
}

async fn verify_at(verifier: &TokenVerifier, token: &str, now: i64) -> Result<String, TokenError> {
    verifier
        .verify_connect(token, now)
        .wait()
        .await
        .map(|token| token.user)
}

fn is_ready(verifier: &TokenVerifier, token: &str, now: i64) -> bool {
    matches!(verifier.verify_connect(token, now), Verification::Ready(_))
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_key() {
    let rsa = Signer::rsa(KeySize::Rsa2048);
    let signers = [
        Signer::ecdsa("ES256"),
        Signer::ecdsa("ES384"),
        Signer::ecdsa("ES512"),
        Signer::ed25519(),
        rsa,
    ];
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk(signer.alg())).collect();
    let source = Fake::new(URL, &keys);
    let verifier = remote(&source);
    for signer in &signers {
        let user = verify(&verifier, &token(signer, signer.alg())).await;
        assert_eq!(user.as_deref(), Ok("42"), "{}", signer.alg());
    }
    assert_eq!(source.count(), 1, "one fetch supplies all keys of a set");
    let rs512 = signers[4].sign_with(json!({"alg": "RS512", "kid": "RS256"}), b"{}");
    assert!(
        verify(&verifier, &rs512).await.is_ok(),
        "a key without alg serves its family"
    );
    let mixed = token(&signers[0], "ES384");
    assert_eq!(
        verify(&verifier, &mixed).await,
        invalid(InvalidReason::KeyAlgorithm)
    );
    let other = token(&Signer::ecdsa("ES256"), "ES256");
    assert_eq!(verify(&verifier, &other).await, invalid(InvalidReason::Signature));
    assert_eq!(verifier.algorithms().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_need_no_fetch_to_be_refused() {
    let source = Fake::new(URL, &[]);
    let verifier = remote(&source);
    let signer = Signer::ecdsa("ES256");
    let cases = [
        (signer.sign(&json!({})), InvalidReason::MissingKeyId),
        (
            Signer::hs256(SECRET).sign(&json!({})),
            InvalidReason::DisabledAlgorithm,
        ),
        (
            signer.sign_with(json!({"alg": "none", "kid": "k"}), b"{}"),
            InvalidReason::UnsupportedAlgorithm,
        ),
        ("eyJ".to_owned(), InvalidReason::Format),
    ];
    for (token, reason) in cases {
        assert_eq!(connect(&verifier, &token), invalid(reason));
    }
    assert_eq!(source.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn unusable_keys_are_skipped() {
    let good = Signer::ecdsa("ES256");
    let restricted = Signer::rsa(KeySize::Rsa2048);
    let mut with_alg = restricted.jwk("restricted");
    with_alg["alg"] = "RS384".into();
    let mut private = good.jwk("private");
    private["d"] = "AQ".into();
    let mut encryption = good.jwk("encryption");
    encryption["use"] = "enc".into();
    let mut unspecified = good.jwk("unspecified");
    unspecified.as_object_mut().expect("object").remove("use");
    let mut off_curve = good.jwk("off-curve");
    off_curve["x"] = "AQ".into();
    let mut odd_alg = good.jwk("odd-alg");
    odd_alg["alg"] = "ES384".into();
    let mut short = json!({"kty": "RSA", "use": "sig", "kid": "short", "e": "AQAB"});
    short["n"] = URL_SAFE_NO_PAD.encode([0xff; 128]).into();
    let second = Signer::ecdsa("ES256").jwk("good");
    let keys = [
        json!(1),
        json!({"kty": 7}),
        json!({"kty": "EC", "use": "sig", "kid": "empty", "crv": "P-256"}),
        json!({"kty": "OKP", "use": "sig", "kid": "x", "crv": "X25519", "x": "AQ"}),
        Signer::hs256("x").jwk("oct"),
        private,
        encryption,
        unspecified,
        off_curve,
        odd_alg,
        short,
        good.jwk("good"),
        second,
        with_alg,
    ];
    let source = Fake::new(URL, &keys);
    let verifier = remote(&source);
    assert!(verify(&verifier, &token(&good, "good")).await.is_ok());
    for kid in [
        "private",
        "encryption",
        "unspecified",
        "off-curve",
        "odd-alg",
        "empty",
        "Good",
    ] {
        let result = verify(&verifier, &token(&good, kid)).await;
        assert_eq!(result, invalid(InvalidReason::UnknownKey), "{kid}");
    }
    let rs256 = token(&restricted, "restricted");
    assert_eq!(
        verify(&verifier, &rs256).await,
        invalid(InvalidReason::KeyAlgorithm)
    );
    let rs384 = restricted.sign_with(json!({"alg": "RS384", "kid": "restricted"}), b"{}");
    assert!(verify(&verifier, &rs384).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn concurrent_verifications_share_a_fetch() {
    let signer = Signer::ecdsa("ES256");
    let source = Fake::new(URL, &[signer.jwk("k")]);
    source.delay(Duration::from_millis(300));
    let verifier = remote(&source);
    let tokens = ["k", "k", "unknown", "k"].map(|kid| token(&signer, kid));
    // One who gives up takes nothing from the others.
    let impatient = verify(&verifier, &tokens[0]);
    assert!(
        tokio::time::timeout(Duration::from_millis(10), impatient)
            .await
            .is_err()
    );
    let results = join_all(tokens.iter().map(|token| verify(&verifier, token))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    assert_eq!(results[2], invalid(InvalidReason::UnknownKey));
    assert_eq!(source.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_lead_to_one_fetch_a_second() {
    let signer = Signer::ecdsa("ES256");
    let source = Fake::new(URL, &[signer.jwk("old")]);
    let verifier = remote(&source);
    assert!(verify(&verifier, &token(&signer, "old")).await.is_ok());
    // A new key is found although the set was fetched a moment ago, in the company of inventions.
    source.publish(URL, &[signer.jwk("new")]);
    let mut tokens: Vec<_> = (0..100)
        .map(|kid| token(&signer, &format!("made up {kid}")))
        .collect();
    tokens.push(token(&signer, "new"));
    let start = tokio::time::Instant::now();
    let results = join_all(tokens.iter().map(|token| verify(&verifier, token))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(source.count(), 2);
    assert!(
        start.elapsed() >= Duration::from_millis(999),
        "{:?}",
        start.elapsed()
    );
    // The withdrawn key is gone.
    assert_eq!(
        verify(&verifier, &token(&signer, "old")).await,
        invalid(InvalidReason::UnknownKey)
    );
    assert!(is_ready(&verifier, &token(&signer, "new"), NOW));
}

#[tokio::test(start_paused = true)]
async fn keys_are_kept_for_an_hour_after_their_last_use() {
    let signer = Signer::ecdsa("ES256");
    let source = Fake::new(URL, &[signer.jwk("k")]);
    let verifier = remote(&source);
    let token = token(&signer, "k");
    assert!(!is_ready(&verifier, &token, NOW));
    assert!(verify(&verifier, &token).await.is_ok());
    assert!(is_ready(&verifier, &token, NOW + 3599));
    assert!(
        is_ready(&verifier, &token, NOW + 3599 + 3599),
        "every use prolongs"
    );
    assert!(!is_ready(&verifier, &token, NOW + 2 * 3599 + 3600));
    assert!(verify_at(&verifier, &token, NOW + 100_000).await.is_ok());
    assert_eq!(source.count(), 2);
    assert!(!is_ready(&remote(&source), &token, NOW), "a reload begins anew");
}

#[tokio::test(start_paused = true)]
async fn failures_are_temporary() {
    let signer = Signer::ecdsa("ES256");
    let source = Fake::new(URL, &[signer.jwk("k")]);
    let verifier = remote(&source);
    let token = token(&signer, "k");
    source.withdraw();
    let result = verify(&verifier, &token).await;
    assert_eq!(result, Err(TokenError::Unavailable));
    assert_eq!(source.count(), 2, "two attempts");
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        source.publish_text(URL, text.to_owned());
        let result = verify(&verifier, &token).await;
        assert_eq!(result, Err(TokenError::Unavailable), "{text}");
    }
    source.publish(URL, &[signer.jwk("k")]);
    source.delay(Duration::from_secs(5));
    let result = verify(&verifier, &token).await;
    assert_eq!(result, Err(TokenError::Unavailable));
    source.delay(Duration::ZERO);
    assert!(verify(&verifier, &token).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn claims_are_checked_after_the_key_arrived() {
    let signer = Signer::ecdsa("ES256");
    let source = Fake::new(URL, &[signer.jwk("k")]);
    let verifier = remote(&source);
    let expired = signer.sign_with(json!({"alg": "ES256", "kid": "k"}), br#"{"exp":1}"#);
    assert_eq!(verify(&verifier, &expired).await, Err(TokenError::Expired));
}

#[tokio::test(start_paused = true)]
async fn the_url_may_depend_on_issuer_and_audience() {
    let (one, two) = (Signer::ecdsa("ES256"), Signer::ecdsa("ES256"));
    let source = Fake::new("https://keys.example.com/one/app/keys", &[one.jwk("k")]);
    source.publish("https://keys.example.com/two/app/keys", &[two.jwk("k")]);
    let options = TokenOptions {
        jwks_public_endpoint: "https://keys.example.com/{{tenant}}/{{app}}/keys".to_owned(),
        issuer_regex: r"^https://(?P<tenant>one|two|a/\.\./b)$".to_owned(),
        audience_regex: "^(?P<app>app|)$".to_owned(),
        ..TokenOptions::default()
    };
    let verifier = remote_with(&source, &options);
    let sign = |signer: &Signer, tenant: &str, app: &str| {
        let claims = json!({"iss": format!("https://{tenant}"), "aud": ["x", app]});
        signer.sign_with(json!({"alg": "ES256", "kid": "k"}), claims.to_string().as_bytes())
    };
    assert!(verify(&verifier, &sign(&one, "one", "app")).await.is_ok());
    assert!(verify(&verifier, &sign(&two, "two", "app")).await.is_ok());
    let crossed = verify(&verifier, &sign(&one, "two", "app")).await;
    assert_eq!(crossed, invalid(InvalidReason::Signature));
    assert_eq!(
        connect(&verifier, &sign(&one, "three", "app")),
        invalid(InvalidReason::Issuer)
    );
    assert_eq!(
        connect(&verifier, &sign(&one, "one", "")),
        invalid(InvalidReason::KeySetUrl)
    );
    assert_eq!(
        connect(&verifier, &sign(&one, "a/../b", "app")),
        invalid(InvalidReason::KeySetUrl)
    );
}

#[test]
fn unsafe_expressions_are_fatal_unless_waived() {
    let mut options = TokenOptions {
        jwks_public_endpoint: "https://h/{{r}}/keys".to_owned(),
        issuer_regex: "(?P<r>.+)".to_owned(),
        audience_regex: "[a]".to_owned(),
        ..TokenOptions::default()
    };
    let error = build(&options).err().expect("unsafe");
    assert!(
        error
            .to_string()
            .starts_with("issuer_regex named group \"r\" is used"),
        "{error}"
    );
    options.insecure_skip_jwks_endpoint_safety_check = true;
    assert_eq!(verifier(&options).warnings().len(), 2);
}

//! Keys, algorithms and options (channels-and-auth.md 4.1).

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeySize;
use serde_json::json;

use super::*;

fn names(verifier: &TokenVerifier) -> String {
    let names: Vec<_> = verifier.algorithms().into_iter().map(Algorithm::name).collect();
    names.join(", ")
}

fn secret(algorithm: hmac::Algorithm, secret: &str) -> Box<hmac::Key> {
    Box::new(hmac::Key::new(algorithm, secret.as_bytes()))
}

#[test]
fn every_hmac_algorithm() {
    let verifier = verifier(&with_secret());
    assert_eq!(names(&verifier), "HS256, HS384, HS512");
    for (alg, algorithm) in [
        ("HS256", hmac::HMAC_SHA256),
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
    ] {
        let token = Signer::Hmac(secret(algorithm, SECRET), alg).sign(&json!({"sub": "1"}));
        assert_eq!(
            connect(&verifier, &token).map(|token| token.user).as_deref(),
            Ok("1"),
            "{alg}"
        );
        let token = Signer::Hmac(secret(algorithm, "other"), alg).sign(&json!({}));
        assert_eq!(
            connect(&verifier, &token),
            invalid(InvalidReason::Signature),
            "{alg}"
        );
    }
    let mislabelled = Signer::Hmac(secret(hmac::HMAC_SHA256, SECRET), "HS512");
    assert_eq!(
        connect(&verifier, &mislabelled.sign(&json!({}))),
        invalid(InvalidReason::Signature)
    );
}

#[test]
fn the_previous_secret_counts_until_its_time() {
    let token = Signer::hs256("old").sign(&json!({}));
    for (valid_until, accepted) in [(0, true), (NOW, true), (NOW + 1, true), (NOW - 1, false)] {
        let options = TokenOptions {
            hmac_previous_secret_key: "old".to_owned(),
            hmac_previous_secret_key_valid_until: valid_until,
            ..with_secret()
        };
        let verifier = verifier(&options);
        assert_eq!(connect(&verifier, &token).is_ok(), accepted, "{valid_until}");
        assert!(connect(&verifier, &Signer::hs256(SECRET).sign(&json!({}))).is_ok());
        assert!(connect(&verifier, &Signer::hs256("older").sign(&json!({}))).is_err());
    }
}

#[test]
fn public_keys_and_certificates() {
    let certificate = |key: &rcgen::KeyPair| {
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        parameters.self_signed(key).expect("certificate").pem()
    };
    let rsa = Signer::rsa(KeySize::Rsa2048);
    let options = TokenOptions {
        rsa_public_key: rsa.public_pem(),
        ..TokenOptions::default()
    };
    let verifier = verifier(&options);
    assert_eq!(names(&verifier), "RS256, RS384, RS512");
    for alg in ["RS256", "RS384", "RS512"] {
        assert!(
            connect(&verifier, &rsa.sign_with(json!({"alg": alg}), b"{}")).is_ok(),
            "{alg}"
        );
    }
    let other = Signer::rsa(KeySize::Rsa2048);
    assert_eq!(
        connect(&verifier, &other.sign(&json!({}))),
        invalid(InvalidReason::Signature)
    );

    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
    let signing =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pair.serialized_der()).expect("key");
    let options = TokenOptions {
        ecdsa_public_key: certificate(&pair),
        ..with_secret()
    };
    let verifier = super::verifier(&options);
    assert_eq!(names(&verifier), "HS256, HS384, HS512, ES384");
    assert!(connect(&verifier, &Signer::Ecdsa(signing, "ES384").sign(&json!({}))).is_ok());

    let pair =
        rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("key");
    let signing = RsaKeyPair::from_pkcs8(pair.serialized_der()).expect("key");
    let options = TokenOptions {
        rsa_public_key: certificate(&pair),
        ..TokenOptions::default()
    };
    let verifier = super::verifier(&options);
    assert!(connect(&verifier, &Signer::Rsa(Box::new(signing)).sign(&json!({}))).is_ok());
}

#[test]
fn the_curve_decides_on_the_algorithm() {
    for alg in ["ES256", "ES384", "ES512"] {
        let signer = Signer::ecdsa(alg);
        let options = TokenOptions {
            ecdsa_public_key: signer.public_pem(),
            ..TokenOptions::default()
        };
        let verifier = verifier(&options);
        assert_eq!(names(&verifier), alg);
        assert!(connect(&verifier, &signer.sign(&json!({}))).is_ok(), "{alg}");
        for other in ["ES256", "ES384", "ES512"]
            .into_iter()
            .filter(|other| *other != alg)
        {
            let token = Signer::ecdsa(other).sign(&json!({}));
            assert_eq!(
                connect(&verifier, &token),
                invalid(InvalidReason::KeyAlgorithm),
                "{alg} {other}"
            );
        }
    }
}

#[test]
fn algorithms_without_a_key() {
    let nothing = verifier(&TokenOptions::default());
    assert_eq!(names(&nothing), "");
    let rsa = Signer::rsa(KeySize::Rsa2048);
    for signer in [Signer::hs256(""), rsa, Signer::ecdsa("ES256")] {
        assert_eq!(
            connect(&nothing, &signer.sign(&json!({}))),
            invalid(InvalidReason::DisabledAlgorithm)
        );
    }
    let verifier = verifier(&with_secret());
    let eddsa = Signer::ed25519().sign(&json!({}));
    assert_eq!(
        connect(&verifier, &eddsa),
        invalid(InvalidReason::UnsupportedAlgorithm)
    );
    for alg in ["none", "None", "PS256", "hs256", "ES256K", ""] {
        let token = Signer::hs256(SECRET).sign_with(json!({"alg": alg}), b"{}");
        assert_eq!(
            connect(&verifier, &token),
            invalid(InvalidReason::UnsupportedAlgorithm),
            "{alg}"
        );
    }
}

/// The classic: the public key of an RSA verifier, known to all, used as an HMAC secret.
#[test]
fn a_public_key_is_no_secret() {
    let signer = Signer::ecdsa("ES256");
    let options = TokenOptions {
        ecdsa_public_key: signer.public_pem(),
        ..TokenOptions::default()
    };
    let forged = Signer::hs256(&signer.public_pem()).sign(&json!({"sub": "admin"}));
    assert_eq!(
        connect(&verifier(&options), &forged),
        invalid(InvalidReason::DisabledAlgorithm)
    );
}

#[test]
fn skipping_signatures_keeps_every_other_check() {
    let options = TokenOptions {
        issuer: "i".to_owned(),
        ..TokenOptions::default()
    };
    let skip =
        TokenVerifier::new(&options, Purpose::Connection, true, Arc::new(Unreachable)).expect("options");
    let unsigned = |claims: &[u8]| {
        let token = Signer::hs256("x").sign_with(json!({"alg": "none"}), claims);
        token
            .rsplit_once('.')
            .map(|(signed, _)| format!("{signed}."))
            .expect("parts")
    };
    assert_eq!(
        connect(&skip, &unsigned(br#"{"sub":"1","iss":"i"}"#))
            .expect("token")
            .user,
        "1"
    );
    assert_eq!(connect(&skip, &unsigned(b"{}")), invalid(InvalidReason::Issuer));
    assert_eq!(
        connect(&skip, &unsigned(br#"{"iss":"i","exp":1}"#)),
        Err(TokenError::Expired)
    );
    assert_eq!(
        connect(&skip, &unsigned(br#"{"sub":1}"#)),
        invalid(InvalidReason::Claims)
    );
    let remote = TokenOptions {
        jwks_public_endpoint: "http://h/k".to_owned(),
        ..TokenOptions::default()
    };
    let skip =
        TokenVerifier::new(&remote, Purpose::Connection, true, Arc::new(Unreachable)).expect("options");
    assert!(connect(&skip, &unsigned(b"{}")).is_ok());
}

#[test]
fn options_that_cannot_be_used() {
    let error = |options: &TokenOptions| match build(options) {
        Ok(_) => panic!("the options are good"),
        Err(error) => error.to_string(),
    };
    let text = str::to_owned;
    let default = TokenOptions::default;
    assert_eq!(
        error(&TokenOptions {
            audience: text("a"),
            audience_regex: text("b"),
            ..default()
        }),
        "can not use both token_audience and token_audience_regex, configure only one of them"
    );
    assert_eq!(
        error(&TokenOptions {
            issuer: text("a"),
            issuer_regex: text("b"),
            ..default()
        }),
        "can not use both token_issuer and token_issuer_regex, configure only one of them"
    );
    let compile = error(&TokenOptions {
        audience_regex: text("("),
        ..default()
    });
    assert!(
        compile.starts_with("error compiling audience regex: "),
        "{compile}"
    );
    let compile = error(&TokenOptions {
        issuer_regex: text("["),
        ..default()
    });
    assert!(compile.starts_with("error compiling issuer regex: "), "{compile}");
    assert_eq!(
        error(&TokenOptions {
            rsa_public_key: text("x"),
            ..default()
        }),
        "error parsing RSA public key: key must be PEM encoded"
    );
    assert_eq!(
        error(&TokenOptions {
            ecdsa_public_key: text("x"),
            ..default()
        }),
        "error parsing ECDSA public key: key must be PEM encoded"
    );
    let ecdsa = Signer::ecdsa("ES256").public_pem();
    let rsa = Signer::rsa(KeySize::Rsa2048).public_pem();
    assert!(
        error(&TokenOptions {
            rsa_public_key: ecdsa,
            ..default()
        })
        .contains("not a valid RSA")
    );
    assert!(
        error(&TokenOptions {
            ecdsa_public_key: rsa,
            ..default()
        })
        .contains("not a valid ECDSA")
    );
    let private = pem("PRIVATE KEY", &[1, 2, 3]);
    assert!(
        error(&TokenOptions {
            rsa_public_key: private,
            ..default()
        })
        .contains("must be a public key")
    );
    let broken = pem("CERTIFICATE", &[1, 2, 3]);
    assert!(
        error(&TokenOptions {
            rsa_public_key: broken,
            ..default()
        })
        .contains("malformed certificate")
    );
    assert_eq!(
        error(&TokenOptions {
            jwks_public_endpoint: text("ftp://h/"),
            ..default()
        }),
        "endpoint must have http:// or https:// scheme, got: ftp://h/"
    );
    let claim = TokenOptions {
        user_id_claim: text("a1"),
        ..default()
    };
    assert_eq!(
        error(&claim),
        "invalid token custom user ID claim: a1, must match ^[a-zA-Z_]+$ regular expression"
    );
    let built = TokenVerifier::new(&claim, Purpose::Subscription, false, Arc::new(Unreachable));
    let error = built.err().expect("error").to_string();
    assert!(
        error.starts_with("invalid subscription token custom user ID claim: a1"),
        "{error}"
    );
}

#[test]
fn texts_for_the_log() {
    let verifier = verifier(&with_secret());
    let error = connect(&verifier, &Signer::hs256("x").sign(&json!({}))).expect_err("signature");
    assert_eq!(error.to_string(), "invalid token: signature is not valid");
    let error = connect(&verifier, "x").expect_err("format");
    assert_eq!(error.to_string(), "invalid token: token format is not valid");
    assert_eq!(TokenError::Expired.to_string(), "token expired");
}

#[test]
fn generated_tokens_verify() {
    let claims = GeneratedClaims {
        user: "42".to_owned(),
        user_id_claim: "uid".to_owned(),
        channel: None,
        issued_at: NOW,
        expire_at: Some(NOW + 60),
    };
    let options = TokenOptions {
        user_id_claim: "uid".to_owned(),
        ..with_secret()
    };
    let token = sign_hs256(SECRET, &claims);
    let verified = connect(&verifier(&options), &token).expect("token");
    assert_eq!((verified.user.as_str(), verified.expire_at), ("42", NOW + 60));
    assert_eq!(verified.issued_at, Some(NOW));
    let parts = peek(&token).expect("parts");
    assert_eq!(parts.algorithm, "HS256");
    let expected = json!({"sub": "42", "uid": "42", "iat": NOW, "exp": NOW + 60});
    assert_eq!(
        serde_json::from_str::<Value>(&parts.claims).expect("JSON"),
        expected
    );
    assert!(peek("nonsense").is_none());

    let claims = GeneratedClaims {
        channel: Some("c".to_owned()),
        issued_at: NOW,
        ..GeneratedClaims::default()
    };
    let verified = subscribe(&verifier(&with_secret()), &sign_hs256(SECRET, &claims)).expect("token");
    assert_eq!(
        (
            verified.channel.as_str(),
            verified.user.as_str(),
            verified.expire_at
        ),
        ("c", "", 0)
    );
}

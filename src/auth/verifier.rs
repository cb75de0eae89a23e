//! From a token to what it grants, in the order of channels-and-auth.md 4.3.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use regex::Regex;

use super::claims::Claims;
use super::fetch::KeySource;
use super::jwks::KeySets;
use super::jws::Jws;
use super::keys::{Algorithm, KeyError, PreviousSecret, PublicKey, Secret, StaticKeys};
use super::template::{Groups, UnsafeTemplate, UrlTemplate, check_safety};
use super::token::{ConnectToken, InvalidReason, SubscribeToken, TokenError};
use crate::config::TokenOptions;

/// What a token is used for. It decides which claims are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To open or refresh a connection.
    Connection,
    /// To open or refresh a subscription.
    Subscription,
}

/// Verifies tokens under one `client.token` or `client.subscription_token` section. Clones share the key cache;
/// a reload builds a new verifier and so begins with an empty one.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Rules>);

/// A verification: over, or waiting for a key.
pub enum Verification<T> {
    /// All keys were at hand.
    Ready(Result<T, TokenError>),
    /// A key set has to be fetched, which takes up to three seconds. Needs a Tokio runtime; dropping the future
    /// gives up this verification only.
    Pending(Pin<Box<dyn Future<Output = Result<T, TokenError>> + Send>>),
}

impl<T> Verification<T> {
    /// Waits for the key if need be.
    ///
    /// # Errors
    ///
    /// Why the token grants nothing.
    pub async fn wait(self) -> Result<T, TokenError> {
        match self {
            Self::Ready(result) => result,
            Self::Pending(future) => future.await,
        }
    }
}

impl TokenVerifier {
    /// Builds the verifier of `options`, which are those of `client.token` (or of `client.subscription_token`
    /// if `section` says so: it only changes the words of errors). `skip_signature` is
    /// `client.insecure_skip_token_signature_verify`. Keys behind a URL come from `source`.
    ///
    /// # Errors
    ///
    /// The option that the operator must correct.
    pub fn new(
        options: &TokenOptions,
        section: Purpose,
        skip_signature: bool,
        source: Arc<dyn KeySource>,
    ) -> Result<Self, BuildError> {
        check_user_claim(&options.user_id_claim, section)?;
        let audience = Rule::build(&options.audience, &options.audience_regex).map_err(|error| {
            error.into_build_error(BuildError::AudienceConflict, BuildError::AudienceRegex)
        })?;
        let issuer = Rule::build(&options.issuer, &options.issuer_regex)
            .map_err(|error| error.into_build_error(BuildError::IssuerConflict, BuildError::IssuerRegex))?;
        let mut warnings = Vec::new();
        let keys = if options.jwks_public_endpoint.is_empty() {
            Keys::Static(Box::new(static_keys(options)?))
        } else {
            let template = template(options, &mut warnings)?;
            Keys::Remote {
                template,
                sets: KeySets::new(source),
            }
        };
        let user_claim = options.user_id_claim.clone();
        Ok(Self(Arc::new(Rules {
            user_claim,
            audience,
            issuer,
            keys,
            skip_signature,
            warnings,
        })))
    }

    /// Verifies a token that opens or refreshes a connection.
    #[must_use]
    pub fn verify_connect(&self, token: &str, now_unix: i64) -> Verification<ConnectToken> {
        self.verify(token, Purpose::Connection, now_unix, Claims::into_connect)
    }

    /// Verifies a token that opens or refreshes a subscription. That the token is for this channel, user and
    /// client remains to be asked: [`SubscribeToken::check`].
    #[must_use]
    pub fn verify_subscribe(&self, token: &str, now_unix: i64) -> Verification<SubscribeToken> {
        self.verify(token, Purpose::Subscription, now_unix, Claims::into_subscribe)
    }

    /// What tokens may be signed with, for the log line `enabled JWT verifiers`. Empty if no key is configured:
    /// then every token is invalid.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        match &self.0.keys {
            Keys::Static(keys) => keys.algorithms(),
            Keys::Remote { .. } => Algorithm::ALL.into_iter().filter(|of| !is_hmac(*of)).collect(),
        }
    }

    /// What the operator should be warned of at start: unsafe expressions that were let through.
    #[must_use]
    pub fn warnings(&self) -> &[UnsafeTemplate] {
        &self.0.warnings
    }

    fn verify<T: 'static>(
        &self,
        token: &str,
        purpose: Purpose,
        now_unix: i64,
        grant: fn(Claims) -> Result<T, TokenError>,
    ) -> Verification<T> {
        let unverified = match self.0.read(token, purpose) {
            Ok(unverified) => unverified,
            Err(reason) => return Verification::Ready(Err(reason.into())),
        };
        let Unverified { jws, claims, groups } = unverified;
        let checked = match self.0.check_signature(&jws, &groups, now_unix) {
            Ok(Signature::Good) => Ok(()),
            Ok(Signature::NeedsKey { url, sets, algorithm }) => {
                let rules = Arc::clone(&self.0);
                let Jws {
                    kid,
                    signed,
                    signature,
                    ..
                } = jws;
                let signed = signed.to_vec();
                return Verification::Pending(Box::pin(async move {
                    let key = sets.fetch(&url, &kid, now_unix).await?;
                    key.verify(algorithm, &signed, &signature)?;
                    rules.grant(claims, purpose, now_unix, grant)
                }));
            }
            Err(reason) => Err(reason.into()),
        };
        Verification::Ready(checked.and_then(|()| self.0.grant(claims, purpose, now_unix, grant)))
    }
}

struct Rules {
    user_claim: String,
    audience: Rule,
    issuer: Rule,
    keys: Keys,
    skip_signature: bool,
    warnings: Vec<UnsafeTemplate>,
}

enum Keys {
    Static(Box<StaticKeys>),
    /// The static keys beside an endpoint are ignored.
    Remote {
        template: UrlTemplate,
        sets: KeySets,
    },
}

/// What `iss` or `aud` must be.
enum Rule {
    Any,
    Exactly(String),
    Matching(Regex),
}

/// A token that was read, with the values its claims supply to a URL template.
struct Unverified<'a> {
    jws: Jws<'a>,
    claims: Claims,
    groups: Groups,
}

enum Signature {
    Good,
    NeedsKey {
        url: String,
        sets: KeySets,
        algorithm: Algorithm,
    },
}

impl Rules {
    /// Steps 1 and 2: form, types, and expressions.
    fn read<'a>(&self, token: &'a str, purpose: Purpose) -> Result<Unverified<'a>, InvalidReason> {
        let jws = Jws::parse(token)?;
        let claims = Claims::parse(&jws.payload, purpose, &self.user_claim)?;
        let mut groups = Groups::new();
        if let Rule::Matching(regex) = &self.issuer {
            collect_groups(regex, &claims.issuer, &mut groups).ok_or(InvalidReason::Issuer)?;
        }
        if let Rule::Matching(regex) = &self.audience {
            let mut audience = claims.audience.iter();
            audience
                .find_map(|value| collect_groups(regex, value, &mut groups))
                .ok_or(InvalidReason::Audience)?;
        }
        Ok(Unverified { jws, claims, groups })
    }

    /// Step 3.
    fn check_signature(
        &self,
        jws: &Jws<'_>,
        groups: &Groups,
        now_unix: i64,
    ) -> Result<Signature, InvalidReason> {
        if self.skip_signature {
            return Ok(Signature::Good);
        }
        let algorithm = jws.algorithm()?;
        match &self.keys {
            Keys::Static(keys) => keys.verify(algorithm, jws.signed, &jws.signature, now_unix)?,
            Keys::Remote { .. } if is_hmac(algorithm) => return Err(InvalidReason::DisabledAlgorithm),
            Keys::Remote { .. } if jws.kid.is_empty() => return Err(InvalidReason::MissingKeyId),
            Keys::Remote { template, sets } => {
                let url = template.resolve(groups)?;
                let Some(key) = sets.cached(&url, &jws.kid, now_unix) else {
                    return Ok(Signature::NeedsKey {
                        url,
                        sets: sets.clone(),
                        algorithm,
                    });
                };
                key.verify(algorithm, jws.signed, &jws.signature)?;
            }
        }
        Ok(Signature::Good)
    }

    /// Steps 4 to 7, for claims whose signature is good.
    fn grant<T>(
        &self,
        claims: Claims,
        purpose: Purpose,
        now_unix: i64,
        grant: fn(Claims) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        match &self.audience {
            Rule::Exactly(audience) if !claims.audience.contains(audience) => {
                return Err(InvalidReason::Audience.into());
            }
            _ => {}
        }
        match &self.issuer {
            Rule::Exactly(issuer) if claims.issuer != *issuer => return Err(InvalidReason::Issuer.into()),
            _ => {}
        }
        claims.check_purpose(purpose)?;
        claims.check_time(now_unix)?;
        grant(claims)
    }
}

impl Rule {
    fn build(exact: &str, pattern: &str) -> Result<Self, RuleError> {
        match (exact.is_empty(), pattern.is_empty()) {
            (true, true) => Ok(Self::Any),
            (false, true) => Ok(Self::Exactly(exact.to_owned())),
            (true, false) => Regex::new(pattern).map(Self::Matching).map_err(RuleError::Regex),
            (false, false) => Err(RuleError::Conflict),
        }
    }
}

enum RuleError {
    Conflict,
    Regex(regex::Error),
}

impl RuleError {
    fn into_build_error(self, conflict: BuildError, regex: fn(regex::Error) -> BuildError) -> BuildError {
        match self {
            Self::Conflict => conflict,
            Self::Regex(error) => regex(error),
        }
    }
}

/// A token section that cannot be used. The fault is the operator's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// `audience` and `audience_regex`.
    #[error("can not use both token_audience and token_audience_regex, configure only one of them")]
    AudienceConflict,
    /// `issuer` and `issuer_regex`.
    #[error("can not use both token_issuer and token_issuer_regex, configure only one of them")]
    IssuerConflict,
    /// `audience_regex` does not compile.
    #[error("error compiling audience regex: {0}")]
    AudienceRegex(#[source] regex::Error),
    /// `issuer_regex` does not compile.
    #[error("error compiling issuer regex: {0}")]
    IssuerRegex(#[source] regex::Error),
    /// `rsa_public_key` is none.
    #[error("error parsing RSA public key: {0}")]
    RsaKey(#[source] KeyError),
    /// `ecdsa_public_key` is none.
    #[error("error parsing ECDSA public key: {0}")]
    EcdsaKey(#[source] KeyError),
    /// `jwks_public_endpoint` is not an HTTP URL.
    #[error("endpoint must have http:// or https:// scheme, got: {0}")]
    Endpoint(String),
    /// `issuer_regex` or `audience_regex` would let a token choose its key server.
    #[error(transparent)]
    Unsafe(#[from] UnsafeTemplate),
    /// `user_id_claim` is not a plain name.
    #[error("invalid {section} custom user ID claim: {claim}, must match ^[a-zA-Z_]+$ regular expression")]
    UserClaim {
        /// `token` or `subscription token`.
        section: &'static str,
        /// The configured name.
        claim: String,
    },
}

fn check_user_claim(claim: &str, section: Purpose) -> Result<(), BuildError> {
    if claim
        .bytes()
        .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    {
        return Ok(());
    }
    let section = match section {
        Purpose::Connection => "token",
        Purpose::Subscription => "subscription token",
    };
    Err(BuildError::UserClaim {
        section,
        claim: claim.to_owned(),
    })
}

fn static_keys(options: &TokenOptions) -> Result<StaticKeys, BuildError> {
    let mut keys = StaticKeys {
        hmac: Secret::new(&options.hmac_secret_key),
        ..StaticKeys::default()
    };
    keys.previous_hmac = Secret::new(&options.hmac_previous_secret_key).map(|secret| PreviousSecret {
        secret,
        valid_until: options.hmac_previous_secret_key_valid_until,
    });
    if !options.rsa_public_key.is_empty() {
        keys.rsa = Some(PublicKey::rsa_from_pem(&options.rsa_public_key).map_err(BuildError::RsaKey)?);
    }
    if !options.ecdsa_public_key.is_empty() {
        keys.ecdsa =
            Some(PublicKey::ecdsa_from_pem(&options.ecdsa_public_key).map_err(BuildError::EcdsaKey)?);
    }
    Ok(keys)
}

fn template(options: &TokenOptions, warnings: &mut Vec<UnsafeTemplate>) -> Result<UrlTemplate, BuildError> {
    let endpoint = &options.jwks_public_endpoint;
    let template = UrlTemplate::parse(endpoint).ok_or_else(|| BuildError::Endpoint(endpoint.clone()))?;
    let expressions = [
        ("issuer_regex", &options.issuer_regex),
        ("audience_regex", &options.audience_regex),
    ];
    for (option, pattern) in expressions {
        match check_safety(&template, option, pattern) {
            Err(error) if options.insecure_skip_jwks_endpoint_safety_check => warnings.push(error),
            checked => checked?,
        }
    }
    Ok(template)
}

/// The named groups of a match; `None` without one.
fn collect_groups(regex: &Regex, text: &str, groups: &mut Groups) -> Option<()> {
    let captures = regex.captures(text)?;
    let named = regex.capture_names().flatten();
    groups.extend(named.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned()))));
    Some(())
}

fn is_hmac(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512)
}

/// What `checktoken` prints about a token, good or bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenParts {
    /// `alg` of the header.
    pub algorithm: String,
    /// The claims as JSON text.
    pub claims: String,
}

/// Takes a token apart without verifying anything, to be shown to the operator who typed it. `None` if it is no
/// token at all.
#[must_use]
pub fn peek(token: &str) -> Option<TokenParts> {
    let jws = Jws::parse(token).ok()?;
    let claims = String::from_utf8(jws.payload).ok()?;
    Some(TokenParts {
        algorithm: jws.alg,
        claims,
    })
}

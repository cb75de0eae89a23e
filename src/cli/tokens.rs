//! `gentoken`, `gensubtoken`, `checktoken` and `checksubtoken`.

use std::fmt::Write as _;
use std::time::Duration;

use super::{CheckToken, Context, Failure, GenSubToken, GenToken, check};
use crate::auth::{GeneratedClaims, Purpose, TokenError, Verification, peek, sign_hs256};
use crate::config::{Config, TokenOptions, format_duration};

pub(super) fn generate_connection(args: &GenToken, context: &mut Context<'_>) -> Result<(), Failure> {
    let config = context.load(&args.file)?.config;
    generate("gentoken", args, None, &config.client.token, context)
}

pub(super) fn generate_subscription(args: &GenSubToken, context: &mut Context<'_>) -> Result<(), Failure> {
    if args.channel.is_empty() {
        return Err(Failure("channel is required".to_owned()));
    }
    let config = context.load(&args.token.file)?.config;
    let options = options(&config, Purpose::Subscription);
    generate("gensubtoken", &args.token, Some(&args.channel), options, context)
}

pub(super) fn check_connection(args: &CheckToken, context: &mut Context<'_>) -> Result<(), Failure> {
    check_token("checktoken", args, Purpose::Connection, context)
}

pub(super) fn check_subscription(args: &CheckToken, context: &mut Context<'_>) -> Result<(), Failure> {
    check_token("checksubtoken", args, Purpose::Subscription, context)
}

/// The options under which tokens of a purpose are verified.
fn options(config: &Config, purpose: Purpose) -> &TokenOptions {
    let subscription = &config.client.subscription_token;
    match purpose {
        Purpose::Subscription if subscription.enabled => &subscription.options,
        Purpose::Subscription | Purpose::Connection => &config.client.token,
    }
}

fn generate(
    tool: &str,
    args: &GenToken,
    channel: Option<&str>,
    options: &TokenOptions,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    if options.hmac_secret_key.is_empty() {
        return Err(Failure(format!(
            "error: {tool} only supports generating HMAC-signed tokens, but no HMAC secret key is set in the \
             configuration (hmac_secret_key)"
        )));
    }
    let lifetime = u64::try_from(args.ttl)
        .ok()
        .filter(|ttl| *ttl > 0)
        .map(Duration::from_secs);
    let claims = GeneratedClaims {
        user: args.user.clone(),
        user_id_claim: options.user_id_claim.clone(),
        channel: channel.map(str::to_owned),
        issued_at: context.unix_time,
        expire_at: lifetime.map(|_| context.unix_time.saturating_add(args.ttl)),
    };
    let token = sign_hs256(&options.hmac_secret_key, &claims);
    if args.quiet {
        write!(context.out, "{token}")?;
        return Ok(());
    }
    let mut line = format!("HMAC SHA-256 JWT for {}", user(&args.user, true));
    if let Some(channel) = channel {
        let _ = write!(line, " and channel {channel:?}");
    }
    match lifetime {
        Some(lifetime) => {
            let _ = write!(line, " with expiration TTL {}:", format_duration(lifetime));
        }
        None => line.push_str(" without expiration:"),
    }
    writeln!(context.out, "{line}\n{token}")?;
    Ok(())
}

fn check_token(
    tool: &str,
    args: &CheckToken,
    purpose: Purpose,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let Some(token) = args.token.as_deref().filter(|token| !token.is_empty()) else {
        return Err(Failure(format!(
            "error: provide token to check [tidegate {tool} <TOKEN>]"
        )));
    };
    let config = context.load(&args.file)?.config;
    let parts = peek(token).ok_or_else(|| Failure("error: token format is not valid".to_owned()))?;
    let verifier = check::verifier(&config, options(&config, purpose), purpose)
        .map_err(|reason| Failure(format!("error: {reason}")))?;
    let now = context.unix_time;
    let valid = match purpose {
        Purpose::Connection => wait(|| verifier.verify_connect(token, now))?
            .map(|token| format!("valid token for {}", user(&token.user, false))),
        Purpose::Subscription => wait(|| verifier.verify_subscribe(token, now))?.map(|token| {
            let user = user(&token.user, true);
            format!(
                "valid subscription token for {user} and channel {:?}",
                token.channel
            )
        }),
    };
    let valid = valid.map_err(|error| {
        let (algorithm, claims) = (&parts.algorithm, &parts.claims);
        Failure(format!(
            "error: token with algorithm {algorithm} and claims {claims} has error: {error}"
        ))
    })?;
    writeln!(context.out, "{valid}\npayload: {}", parts.claims)?;
    Ok(())
}

/// Waits for a key set if one has to be fetched.
fn wait<T>(verify: impl FnOnce() -> Verification<T>) -> Result<Result<T, TokenError>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(async { verify().wait().await }))
}

fn user(id: &str, quoted: bool) -> String {
    match (id, quoted) {
        ("", _) => "anonymous user".to_owned(),
        (id, true) => format!("user {id:?}"),
        (id, false) => format!("user {id}"),
    }
}

//! `checkconfig`: whether the server would start with a configuration, as far as that can be told without opening
//! anything.

use std::sync::Arc;

use super::{CheckConfig, Context, Failure};
use crate::auth::{HttpKeySource, OriginRules, Purpose, TokenVerifier};
use crate::channels::ChannelRules;
use crate::config::{Client, Config, Loaded, TokenOptions, Warning};

/// Says nothing if all is well.
pub(super) fn check(args: &CheckConfig, context: &mut Context<'_>) -> Result<(), Failure> {
    let Loaded {
        config,
        warnings,
        file_found,
    } = context.load(&args.file)?;
    if !file_found {
        return Err(Failure("config file not found".to_owned()));
    }
    check_parts(&config).map_err(|reason| Failure(format!("error validating config: {reason}")))?;
    if args.strict {
        refuse_warnings(&warnings)
    } else {
        Ok(())
    }
}

/// Builds what is built from the configuration at start, and forgets it.
fn check_parts(config: &Config) -> Result<(), String> {
    let Client {
        allowed_origins,
        token,
        subscription_token,
        ..
    } = &config.client;
    OriginRules::new(allowed_origins).map_err(|error| error.to_string())?;
    verifier(config, token, Purpose::Connection)?;
    if subscription_token.enabled {
        verifier(config, &subscription_token.options, Purpose::Subscription)?;
    }
    ChannelRules::from_config(&config.channel, config.client.insecure).map_err(|error| error.to_string())?;
    Ok(())
}

/// The verifier of a section, as the server has it.
pub(super) fn verifier(
    config: &Config,
    options: &TokenOptions,
    section: Purpose,
) -> Result<TokenVerifier, String> {
    let source = HttpKeySource::new().map_err(|error| error.to_string())?;
    let skip_signature = config.client.insecure_skip_token_signature_verify;
    TokenVerifier::new(options, section, skip_signature, Arc::new(source)).map_err(|error| error.to_string())
}

fn refuse_warnings(warnings: &[Warning]) -> Result<(), Failure> {
    let list = |keys: Vec<&str>, what: &str| {
        if keys.is_empty() {
            Ok(())
        } else {
            Err(Failure(format!("{what}: {}", keys.join(", "))))
        }
    };
    let (mut unknown, mut unsupported) = (Vec::new(), Vec::new());
    for warning in warnings {
        match warning {
            Warning::UnknownKey(key) => unknown.push(key.as_str()),
            Warning::Unsupported(key) => unsupported.push(key.as_str()),
            Warning::UnknownVariable(_) | Warning::LogLevel(_) => {}
        }
    }
    list(unknown, "unknown keys in config")?;
    list(unsupported, "unsupported options in config")
}

//! From configuration to what sessions share.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::HeaderName;

use super::{StartError, VERSION};
use crate::auth::{Algorithm, KeySource, Purpose, TokenVerifier};
use crate::channels::ChannelRules;
use crate::config::Config;
use crate::limits::OperationLimits;
use crate::revocation::Revocations;
use crate::session::{Context, Guards, Personal, Rules, Settings};
use crate::telemetry::Metrics;

/// What all sessions of a server share, by its configuration.
///
/// # Errors
/// What the operator must change: keys, patterns, namespaces.
pub fn session_context(
    config: &Config,
    node: String,
    source: &Arc<dyn KeySource>,
) -> Result<Context, StartError> {
    Ok(Context {
        settings: settings(config, node),
        rules: ArcSwap::from_pointee(build(config, source)?),
        guards: Guards {
            limits: OperationLimits::from_config(&config.client.rate_limit, Instant::now()),
            revocations: Revocations::default(),
        },
        metrics: Arc::new(Metrics::new(VERSION)),
        delays: Arc::default(),
    })
}

/// What a reload replaces.
pub(super) fn build(config: &Config, source: &Arc<dyn KeySource>) -> Result<Rules, StartError> {
    let client = &config.client;
    let skip = client.insecure_skip_token_signature_verify;
    let tokens = TokenVerifier::new(&client.token, Purpose::Connection, skip, source.clone())
        .map_err(StartError::Tokens)?;
    let subscription_tokens = if client.subscription_token.enabled {
        TokenVerifier::new(
            &client.subscription_token.options,
            Purpose::Subscription,
            skip,
            source.clone(),
        )
        .map_err(StartError::Tokens)?
    } else {
        tokens.clone()
    };
    let personal = &client.subscribe_to_user_personal_channel;
    Ok(Rules {
        channels: ChannelRules::from_config(&config.channel, client.insecure)
            .map_err(StartError::Channels)?,
        tokens,
        subscription_tokens,
        insecure: client.insecure,
        allow_anonymous_connect: client.allow_anonymous_connect_without_token,
        disallow_anonymous_tokens: client.disallow_anonymous_connection_tokens,
        personal: personal.enabled.then(|| Personal {
            namespace: personal.personal_channel_namespace.clone(),
            single_connection: personal.single_connection,
        }),
    })
}

/// What only a restart replaces. The configuration was validated: a header that is no header is not there.
pub(super) fn settings(config: &Config, node: String) -> Settings {
    let client = &config.client;
    Settings {
        node,
        version: VERSION.to_owned(),
        ping_interval: client.ping_interval,
        pong_timeout: client.pong_timeout,
        stale_close_delay: client.stale_close_delay,
        expired_close_delay: client.expired_close_delay,
        expired_sub_close_delay: client.expired_sub_close_delay,
        presence_update_interval: client.presence_update_interval,
        position_check_delay: client.channel_position_check_delay,
        position_max_time_lag: client.channel_position_max_time_lag.filter(|lag| !lag.is_zero()),
        channel_limit: client.channel_limit,
        concurrency: client.concurrency.max(1),
        reply_without_queue: client.reply_without_queue,
        history_max_publications: client.history_max_publication_limit.unwrap_or(usize::MAX),
        recovery_max_publications: client.recovery_max_publication_limit.unwrap_or(usize::MAX),
        include_server_time: client.connect_include_server_time,
        user_id_header: user_id_header(config).ok().flatten(),
        rpc_namespace_boundary: config.rpc.namespace_boundary.clone(),
        rpc_namespaces: config
            .rpc
            .namespaces
            .iter()
            .map(|namespace| namespace.name.clone())
            .collect(),
        rpc_ping: config.rpc.ping.enabled.then(|| config.rpc.ping.method.clone()),
    }
}

/// The trusted header, if one is configured.
pub(super) fn user_id_header(config: &Config) -> Result<Option<HeaderName>, StartError> {
    let name = config.client.user_id_http_header.as_str();
    if name.is_empty() {
        return Ok(None);
    }
    name.parse()
        .map(Some)
        .map_err(|_| StartError::UserHeader(name.to_owned()))
}

pub(super) fn log_verifiers(rules: &Rules) {
    let algorithms = rules.tokens.algorithms();
    if !algorithms.is_empty() {
        let names: Vec<&str> = algorithms.into_iter().map(Algorithm::name).collect();
        tracing::info!(algorithms = names.join(", "), "enabled JWT verifiers");
    }
    for warning in rules.tokens.warnings() {
        tracing::warn!("{warning}");
    }
}

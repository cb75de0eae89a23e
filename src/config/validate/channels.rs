//! Rules of namespaces.

use std::time::Duration;

use regex::Regex;

use super::Check;
use crate::config::error::Problem;
use crate::config::format_duration;
use crate::config::pattern::ChannelPattern;
use crate::config::tree::{ChannelOptions, Config};
use crate::config::types::{RecoveryMode, SubscriptionType};
use crate::config::value::Table;

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    let channel = &config.channel;
    check.names(
        channel.namespaces.iter().map(|item| item.name.as_str()),
        "channel.namespaces",
        "namespace name",
    );
    check.names(
        config.rpc.namespaces.iter().map(|item| item.name.as_str()),
        "rpc.namespaces",
        "rpc namespace name",
    );
    if has_fraction(channel.history_meta_ttl) {
        check.fail(
            "channel.history_meta_ttl",
            sub_second("history_meta_ttl", channel.history_meta_ttl),
        );
    }
    let global_meta_ttl = channel.history_meta_ttl;
    Rules {
        check: &mut *check,
        key: WITHOUT_NAMESPACE,
        place: without_namespace(),
    }
    .check(&channel.without_namespace, global_meta_ttl);
    patterns(check, config);
    for (index, namespace) in channel.namespaces.iter().enumerate() {
        let key = format!("channel.namespaces.[{index}]");
        Rules {
            check: &mut *check,
            key: &key,
            place: within(&namespace.name),
        }
        .check(&namespace.options, global_meta_ttl);
    }
    personal_channel(check, config);
}

/// Begins messages about an option of a namespace with the name of that namespace.
pub(crate) fn name_places(table: &Table, problems: &mut [Problem]) {
    for problem in problems {
        let place = if problem.key.starts_with(WITHOUT_NAMESPACE) {
            without_namespace()
        } else if let Some(rest) = problem.key.strip_prefix("channel.namespaces.")
            && let Some((item, _)) = rest.split_once('.')
            && let Some(name) = table.find(&format!("channel.namespaces.{item}.name"))
        {
            within(&name.value.to_string())
        } else {
            continue;
        };
        problem.message.insert_str(0, &place);
    }
}

const WITHOUT_NAMESPACE: &str = "channel.without_namespace";

fn without_namespace() -> String {
    format!("in {WITHOUT_NAMESPACE}: ")
}

fn within(namespace: &str) -> String {
    format!("namespace {namespace}: ")
}

/// The rules of one set of channel options.
struct Rules<'a, 'b> {
    check: &'a mut Check<'b>,
    key: &'a str,
    place: String,
}

impl Rules<'_, '_> {
    fn check(mut self, options: &ChannelOptions, global_meta_ttl: Duration) {
        self.history(options, global_meta_ttl);
        let has_history = options.history_size > 0 && !options.history_ttl.is_zero();
        if options.force_recovery && !has_history {
            self.fail(
                "force_recovery",
                "both history size and history ttl required for recovery",
            );
        }
        let recovers_cache = options.force_recovery && options.force_recovery_mode == RecoveryMode::Cache;
        if options.auto_cache_recover && !recovers_cache {
            let message = "auto_cache_recover requires force_recovery and force_recovery_mode set to cache";
            self.fail("auto_cache_recover", message);
        }
        let collects = options.batch_max_size.is_some() || options.batch_max_delay.is_some();
        if options.batch_flush_latest && !collects {
            let message = "batch_flush_latest requires batch_max_size or batch_max_delay";
            self.fail("batch_flush_latest", message);
        }
        if let Err(error) = Regex::new(&options.channel_regex) {
            self.fail(
                "channel_regex",
                format!("invalid channel regex {}: {error}", options.channel_regex),
            );
        }
        if options.subscription_type != SubscriptionType::Stream {
            let message = "subscription_type: only \"stream\" is supported by this version";
            self.fail("subscription_type", message);
        }
    }

    fn history(&mut self, options: &ChannelOptions, global_meta_ttl: Duration) {
        let ttl = options.history_ttl;
        if (options.history_size > 0) == ttl.is_zero() {
            let missing = if ttl.is_zero() {
                "history_ttl"
            } else {
                "history_size"
            };
            self.fail(missing, "both history size and history ttl required for history");
        }
        if has_fraction(ttl) {
            self.fail("history_ttl", sub_second("history_ttl", ttl));
        }
        if let Some(meta_ttl) = options
            .history_meta_ttl
            .filter(|meta_ttl| has_fraction(*meta_ttl))
        {
            self.fail("history_meta_ttl", sub_second("history_meta_ttl", meta_ttl));
        }
        let meta_ttl = options.history_meta_ttl.unwrap_or(global_meta_ttl);
        if ttl > meta_ttl {
            let message = format!(
                "history ttl ({}) can not be greater than history meta ttl ({})",
                format_duration(ttl),
                format_duration(meta_ttl),
            );
            self.fail("history_ttl", message);
        }
    }

    fn fail(&mut self, option: &str, message: impl AsRef<str>) {
        let message = format!("{}{}", self.place, message.as_ref());
        self.check.fail(&format!("{}.{option}", self.key), message);
    }
}

/// Patterns and what they may not meet (channels-and-auth.md 7.6).
fn patterns(check: &mut Check<'_>, config: &Config) {
    let channel = &config.channel;
    if !channel.without_namespace.pattern.is_empty() {
        let place = without_namespace();
        check.fail(
            &format!("{WITHOUT_NAMESPACE}.pattern"),
            format!("{place}channel pattern can only be set in a namespace"),
        );
    }
    let mut known: Vec<(ChannelPattern, &str)> = Vec::new();
    for (index, namespace) in channel.namespaces.iter().enumerate() {
        let pattern = namespace.options.pattern.as_str();
        if pattern.is_empty() {
            continue;
        }
        let problem = match ChannelPattern::parse(pattern) {
            _ if !channel.patterns => "channel pattern requires channel.patterns".to_owned(),
            Err(error) => format!("{error}: {pattern}"),
            Ok(parsed) => match known.iter().find(|(other, _)| other.shape().eq(parsed.shape())) {
                Some((_, other)) => {
                    format!(
                        "channel pattern {pattern} matches the same channels as that of namespace {other}"
                    )
                }
                None => {
                    known.push((parsed, &namespace.name));
                    continue;
                }
            },
        };
        let place = within(&namespace.name);
        check.fail(
            &format!("channel.namespaces.[{index}].pattern"),
            format!("{place}{problem}"),
        );
    }
}

fn personal_channel(check: &mut Check<'_>, config: &Config) {
    let personal = &config.client.subscribe_to_user_personal_channel;
    if !personal.enabled {
        return;
    }
    let name = personal.personal_channel_namespace.as_str();
    let section = "client.subscribe_to_user_personal_channel";
    let namespace = config
        .channel
        .namespaces
        .iter()
        .find(|namespace| namespace.name == name);
    let options = match namespace {
        _ if name.is_empty() => &config.channel.without_namespace,
        Some(namespace) => &namespace.options,
        None => {
            let key = format!("{section}.personal_channel_namespace");
            check.fail(
                &key,
                format!("namespace for user personal channel not found: {name}"),
            );
            return;
        }
    };
    if namespace.is_some() && !options.pattern.is_empty() {
        let key = format!("{section}.personal_channel_namespace");
        let message =
            format!("namespace {name} has a channel pattern, which user personal channels do not match");
        check.fail(&key, message);
    }
    if personal.single_connection && !options.presence {
        let place = if name.is_empty() {
            "on top level".to_owned()
        } else {
            format!("for namespace {name}")
        };
        let message = format!("presence must be enabled {place} to maintain single connection");
        check.fail(&format!("{section}.single_connection"), message);
    }
}

fn has_fraction(duration: Duration) -> bool {
    duration.subsec_nanos() != 0
}

fn sub_second(option: &str, duration: Duration) -> String {
    let duration = format_duration(duration);
    format!("in {option}: malformed duration {duration}, sub-second precision is not supported for this key")
}

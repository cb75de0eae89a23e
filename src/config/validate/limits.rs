//! Rules of rate limits, and of what keeps revocations.

use std::collections::HashSet;
use std::time::Duration;

use super::Check;
use crate::config::format_duration;
use crate::config::tree::{CommandLimit, CommandLimits, Config, LimitOptions};
use crate::config::types::RevocationStorage;

/// A limit over less would be one on bursts that no network delivers evenly; one over more would outlive its cause.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Limits are checked also where they are switched off: to switch one on must not be what ends a start.
pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    let limits = &config.client.rate_limit;
    let key = "client.rate_limit.client_command";
    let client = &limits.client_command.options;
    layer(check, key, client, &client.commands());
    let key = "client.rate_limit.user_command";
    let user = &limits.user_command.options;
    layer(check, key, &user.commands, &user.commands());
    let errors = limits.client_error.options.total.options();
    buckets(check, "client.rate_limit.client_error.total", errors);

    for (name, store) in [
        ("user_block", &config.user_block),
        ("token_revoke", &config.token_revoke),
        ("user_tokens_invalidate", &config.user_tokens_invalidate),
    ] {
        let asked = match store.storage_type {
            RevocationStorage::Memory => continue,
            RevocationStorage::Redis => "redis",
            RevocationStorage::Database => "database",
        };
        let message = format!(
            "storage_type {asked:?} is not supported by this version, which keeps entries in memory only: \
             leave it empty"
        );
        check.fail(&format!("{name}.storage_type"), message);
    }
}

fn layer(check: &mut Check<'_>, key: &str, limits: &CommandLimits, commands: &[CommandLimit<'_>]) {
    buckets(check, &format!("{key}.total"), limits.total.options());
    buckets(check, &format!("{key}.default"), limits.default.options());
    for command in commands {
        let key = format!("{key}.{}", command.name);
        buckets(check, &key, command.base);
        let [list, name_option] = command.list;
        let mut seen = HashSet::new();
        for (index, (name, limit)) in command.overrides.iter().enumerate() {
            let key = format!("{key}.{list}.[{index}]");
            if name.is_empty() {
                check.fail(
                    &format!("{key}.{name_option}"),
                    format!("{name_option} is required"),
                );
            } else if !seen.insert(name) {
                let message = format!("{name_option} must be unique: {name}");
                check.fail(&format!("{key}.{name_option}"), message);
            }
            buckets(check, &key, *limit);
        }
    }
}

fn buckets(check: &mut Check<'_>, key: &str, limit: LimitOptions<'_>) {
    for (index, bucket) in limit.buckets.iter().enumerate() {
        let key = format!("{key}.buckets.[{index}]");
        if !INTERVALS.contains(&bucket.interval) {
            let message = format!(
                "interval {} is not between {} and {}",
                format_duration(bucket.interval),
                format_duration(*INTERVALS.start()),
                format_duration(*INTERVALS.end()),
            );
            check.fail(&format!("{key}.interval"), message);
        }
        if bucket.rate == 0 {
            check.fail(&format!("{key}.rate"), "rate must be at least 1");
        }
    }
}

//! Rules of engines: which there are, and where they are.

use std::time::Duration;

use super::Check;
use crate::config::tree::{Config, Nats, Redis};
use crate::engine::{nats, redis};

/// Kinds of brokers that the reference knows and this version does not have.
const OTHER_BROKERS: [&str; 2] = ["postgres", "redisnats"];

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    let Config {
        engine,
        broker,
        presence_manager,
        ..
    } = config;
    if !["memory", "redis"].contains(&&*engine.r#type) {
        check.fail("engine.type", format!("unknown engine type: {}", engine.r#type));
    }
    match &*broker.r#type {
        "memory" | "redis" | "nats" => {}
        kind if !OTHER_BROKERS.contains(&kind) => {
            check.fail("broker.type", format!("unknown broker type: {kind}"));
        }
        kind if broker.enabled => {
            check.fail(
                "broker.type",
                format!("broker.type {kind:?} is not supported by this version"),
            );
        }
        _ => {}
    }
    if !["memory", "redis"].contains(&&*presence_manager.r#type) {
        let kind = &presence_manager.r#type;
        check.fail(
            "presence_manager.type",
            format!("unknown presence manager type: {kind}"),
        );
    }
    let has_redis = uses_redis(config);
    if config.client.user_connection_limit_cluster.is_some() && !has_redis {
        check.fail(
            "client.user_connection_limit_cluster",
            "connections of users can be counted over all nodes in Redis only: no engine is redis",
        );
    }
    // What is not used may say what it likes.
    let uses_engine = !broker.enabled || !presence_manager.enabled;
    if uses_engine && engine.r#type == "redis" {
        let reads_replicas = !presence_manager.enabled && engine.redis.options.presence_read_from_replica;
        addresses(check, "engine.redis", &engine.redis.redis, reads_replicas);
    }
    if broker.enabled && broker.r#type == "redis" {
        addresses(check, "broker.redis", &broker.redis.redis, false);
    }
    if broker.enabled && broker.r#type == "nats" {
        check_nats(check, &broker.nats);
    }
    if presence_manager.enabled && presence_manager.r#type == "redis" {
        let redis = &presence_manager.redis;
        let reads_replicas = redis.options.presence_read_from_replica;
        addresses(check, "presence_manager.redis", &redis.redis, reads_replicas);
    }
}

/// The servers take no subject with these, and a prefix with wildcards would mix up channels.
fn is_prefix(prefix: &str) -> bool {
    nats::subjects::is_valid(prefix) && !nats::subjects::is_pattern(prefix)
}

/// A stream must remember repeats for two minutes at least.
const SHORTEST_AGE: Duration = Duration::from_secs(120);

fn check_nats(check: &mut Check<'_>, options: &Nats) {
    if let Err(error) = nats::Connecting::new(options) {
        check.fail("broker.nats.url", error.to_string());
    }
    if !is_prefix(&options.prefix) {
        check.fail(
            "broker.nats.prefix",
            format!("{:?} is not a valid beginning of subjects", options.prefix),
        );
    }
    let raw = &options.raw_mode;
    if nats::subjects::is_pattern(&raw.prefix) {
        check.fail(
            "broker.nats.raw_mode.prefix",
            "a prefix has no wildcards".to_owned(),
        );
    }
    let history = &options.jetstream;
    if !history.enabled {
        return;
    }
    if raw.enabled {
        check.fail(
            "broker.nats.jetstream.enabled",
            "there is no history in raw mode, in which messages have no room for positions".to_owned(),
        );
    }
    if !["file", "memory"].contains(&&*history.storage) {
        check.fail(
            "broker.nats.jetstream.storage",
            format!("unknown storage {:?}: file or memory", history.storage),
        );
    }
    if !(1..=5).contains(&history.replicas) {
        check.fail(
            "broker.nats.jetstream.replicas",
            format!("{} replicas: from 1 to 5 are possible", history.replicas),
        );
    }
    if history.max_age < SHORTEST_AGE {
        check.fail("broker.nats.jetstream.max_age", "must be 2m at least".to_owned());
    }
}

fn uses_redis(config: &Config) -> bool {
    let Config {
        engine,
        broker,
        presence_manager,
        ..
    } = config;
    let by_engine = engine.r#type == "redis" && !(broker.enabled && presence_manager.enabled);
    let by_broker = broker.enabled && broker.r#type == "redis";
    by_engine || by_broker || (presence_manager.enabled && presence_manager.r#type == "redis")
}

fn addresses(check: &mut Check<'_>, key: &str, redis: &Redis, reads_replicas: bool) {
    let place = match redis {
        redis if !redis.cluster_address.is_empty() => "cluster_address",
        redis if !redis.sentinel_address.is_empty() => "sentinel_address",
        _ => "address",
    };
    match redis::shards(redis) {
        Err(error) => check.fail(&format!("{key}.{place}"), error.to_string()),
        Ok(shards) if reads_replicas && !shards.iter().all(|shard| shard.replicas) => check.fail(
            &format!("{key}.presence_read_from_replica"),
            "needs replica_client.enabled",
        ),
        Ok(_) => {}
    }
}

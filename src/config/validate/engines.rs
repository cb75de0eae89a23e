//! Rules of engines: which there are, and where they are.

use super::Check;
use crate::config::tree::{Config, Redis};
use crate::engine::redis;

/// Kinds of brokers that the reference knows and this version does not have.
const OTHER_BROKERS: [&str; 3] = ["nats", "postgres", "redisnats"];

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
        "memory" | "redis" => {}
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
        addresses(check, "engine.redis", &engine.redis.redis);
    }
    if broker.enabled && broker.r#type == "redis" {
        addresses(check, "broker.redis", &broker.redis.redis);
    }
    if presence_manager.enabled && presence_manager.r#type == "redis" {
        addresses(check, "presence_manager.redis", &presence_manager.redis.redis);
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

fn addresses(check: &mut Check<'_>, key: &str, redis: &Redis) {
    let place = match redis {
        redis if !redis.cluster_address.is_empty() => "cluster_address",
        redis if !redis.sentinel_address.is_empty() => "sentinel_address",
        _ => "address",
    };
    if let Err(error) = redis::shards(redis) {
        check.fail(&format!("{key}.{place}"), error.to_string());
    }
}

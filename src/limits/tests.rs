//! Limits from their options, in virtual time; buckets against a naive model.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{self, Config, Sources};

/// A server's limits, one connection and a clock.
struct Desk {
    limits: OperationLimits,
    tokens: ConnectionTokens,
    now: Instant,
    user: &'static str,
}

impl Desk {
    fn new(rate_limit: &serde_json::Value) -> Self {
        let now = Instant::now();
        Self {
            limits: OperationLimits::from_config(&options(rate_limit).client.rate_limit, now)
                .expect("limits"),
            tokens: ConnectionTokens::default(),
            now,
            user: "42",
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn try_one(&mut self, operation: Operation, name: &str) -> Result<(), OverLimit> {
        let attempt = Attempt {
            operation,
            name,
            user: self.user,
        };
        self.limits.attempt(&mut self.tokens, attempt, self.now)
    }

    /// How many of twenty commands sent at once pass.
    fn burst(&mut self, operation: Operation, name: &str) -> usize {
        (0..20).filter(|_| self.try_one(operation, name).is_ok()).count()
    }

    fn users(&self) -> usize {
        self.limits.user.as_ref().map_or(0, |(_, users)| users.len())
    }
}

fn options(rate_limit: &serde_json::Value) -> Config {
    let file = tempfile::Builder::new().suffix(".json").tempfile().expect("file");
    let text = json!({ "client": { "rate_limit": rate_limit } }).to_string();
    std::fs::write(file.path(), text).expect("written");
    let sources = Sources {
        file: Some(file.path().into()),
        ..Sources::default()
    };
    crate::config::load(&sources).expect("valid").config
}

fn per(seconds: u64, rate: usize) -> serde_json::Value {
    json!({ "enabled": true, "buckets": [{ "interval": format!("{seconds}s"), "rate": rate }] })
}

#[test]
fn nothing_is_limited_unless_asked_for() {
    for rate_limit in [
        json!({}),
        json!({ "client_command": { "publish": per(1, 1) } }),
        json!({ "client_error": { "enabled": true, "total": { "buckets": [{ "interval": "1s", "rate": 1 }] } } }),
        json!({ "client_error": { "total": per(1, 1) } }),
    ] {
        let limits = OperationLimits::from_config(&options(&rate_limit).client.rate_limit, Instant::now());
        assert!(limits.is_none(), "{rate_limit}");
    }
    let mut desk = Desk::new(&json!({ "client_command": { "enabled": true,
        "publish": { "buckets": [{ "interval": "1s", "rate": 1 }] } } }));
    assert_eq!(
        desk.burst(Operation::Publish, ""),
        20,
        "a limit that is not enabled"
    );
}

#[test]
fn tokens_come_back_evenly() {
    let mut desk = Desk::new(&json!({ "client_command": { "enabled": true, "publish": per(1, 4) } }));
    assert_eq!(desk.burst(Operation::Publish, ""), 4);
    desk.wait(249);
    assert_eq!(desk.burst(Operation::Publish, ""), 0);
    desk.wait(1);
    assert_eq!(desk.burst(Operation::Publish, ""), 1);
    desk.wait(10_000);
    assert_eq!(
        desk.burst(Operation::Publish, ""),
        4,
        "no more than the bucket holds"
    );
    assert_eq!(
        desk.burst(Operation::History, ""),
        20,
        "other commands have no limit"
    );
}

#[test]
fn all_buckets_must_have_a_token() {
    let buckets = json!([{ "interval": "1s", "rate": 5 }, { "interval": "60s", "rate": 7 }]);
    let publish = json!({ "enabled": true, "buckets": buckets });
    let mut desk = Desk::new(&json!({ "client_command": { "enabled": true, "publish": publish } }));
    assert_eq!(desk.burst(Operation::Publish, ""), 5);
    desk.wait(1000);
    assert_eq!(desk.burst(Operation::Publish, ""), 2);
    desk.wait(1000);
    assert_eq!(desk.burst(Operation::Publish, ""), 0);
    desk.wait(60_000);
    assert_eq!(desk.burst(Operation::Publish, ""), 5);
}

#[test]
fn each_command_has_its_own_tokens_of_default() {
    let mut desk = Desk::new(&json!({ "client_command": { "enabled": true,
        "default": per(1, 3), "publish": per(1, 5), "history": { "enabled": true }, "rpc": { "enabled": false } } }));
    for (operation, passes) in [
        (Operation::Publish, 5),
        (Operation::Subscribe, 3),
        (Operation::History, 3),
        (Operation::Presence, 3),
        (Operation::PresenceStats, 3),
        (Operation::Rpc, 3),
        (Operation::Refresh, 3),
        (Operation::SubRefresh, 3),
        (Operation::Unsubscribe, 3),
        // A connection connects once: only users have a limit for that.
        (Operation::Connect, 20),
    ] {
        assert_eq!(desk.burst(operation, ""), passes, "{operation:?}");
    }
}

#[test]
fn total_counts_what_passed() {
    let mut desk = Desk::new(&json!({ "client_command": { "enabled": true,
        "total": per(60, 6), "publish": per(60, 2) } }));
    assert_eq!(desk.burst(Operation::Publish, ""), 2);
    assert_eq!(
        desk.burst(Operation::History, ""),
        4,
        "the publishes that were refused took nothing"
    );
    desk.wait(10_000);
    assert_eq!(desk.burst(Operation::Presence, ""), 1);
    desk.wait(20_000);
    assert_eq!(
        desk.burst(Operation::Publish, ""),
        1,
        "what total refused took no token of publish"
    );
}

#[test]
fn an_override_takes_the_place_of_the_limit() {
    let mut desk = Desk::new(
        &json!({ "client_command": { "enabled": true, "default": per(1, 3),
        "publish": { "enabled": true, "buckets": [{ "interval": "1s", "rate": 2 }], "namespace_overrides": [
            { "namespace_name": "chat", "enabled": true, "buckets": [{ "interval": "1s", "rate": 9 }] },
            { "namespace_name": "news", "enabled": true, "buckets": [{ "interval": "10s", "rate": 1 }] },
            { "namespace_name": "plain", "enabled": true },
            { "namespace_name": "off", "buckets": [{ "interval": "1s", "rate": 9 }] }
        ] },
        "rpc": { "method_overrides": [
            { "method": "slow", "enabled": true, "buckets": [{ "interval": "20s", "rate": 1 }] } ] } } }),
    );
    for (name, passes) in [
        ("", 2),
        ("chat", 9),
        ("news", 1),
        ("plain", 3),
        ("off", 0),
        ("other", 0),
    ] {
        assert_eq!(desk.burst(Operation::Publish, name), passes, "{name}");
    }
    assert_eq!(desk.burst(Operation::Rpc, "slow"), 1);
    assert_eq!(desk.burst(Operation::Rpc, "fast"), 3);
    desk.wait(1000);
    assert_eq!(
        desk.burst(Operation::Publish, "off"),
        2,
        "the limit beneath counts"
    );
}

#[test]
fn connections_of_a_user_share_the_limits_of_the_user() {
    let mut desk = Desk::new(&json!({
        "client_command": { "enabled": true, "publish": per(1, 4) },
        "user_command": { "enabled": true, "publish": per(1, 6), "connect": per(1, 2) }
    }));
    assert_eq!(desk.burst(Operation::Publish, ""), 4);
    assert_eq!(
        desk.try_one(Operation::Publish, ""),
        Err(OverLimit::new(LimitLayer::ClientCommand, true))
    );
    desk.tokens = ConnectionTokens::default();
    assert_eq!(desk.burst(Operation::Publish, ""), 2);
    assert_eq!(
        desk.try_one(Operation::Publish, ""),
        Err(OverLimit::new(LimitLayer::UserCommand, true))
    );
    assert_eq!(desk.burst(Operation::Connect, ""), 2);

    desk.user = "43";
    assert_eq!(
        desk.burst(Operation::Publish, ""),
        2,
        "what the user's limit refused took no token of the connection"
    );

    desk.user = "";
    assert_eq!(desk.burst(Operation::Connect, ""), 20, "nobody in particular");
}

#[test]
fn unsubscribe_pays_but_passes() {
    let mut desk = Desk::new(&json!({ "client_command": { "enabled": true,
        "total": per(60, 4), "unsubscribe": per(60, 2) } }));
    assert_eq!(desk.burst(Operation::Unsubscribe, ""), 2);
    assert_eq!(
        desk.try_one(Operation::Unsubscribe, ""),
        Err(OverLimit::new(LimitLayer::ClientCommand, false))
    );
    assert_eq!(
        desk.burst(Operation::Publish, ""),
        0,
        "also those above their limit counted for all commands"
    );
}

#[test]
fn users_at_rest_are_forgotten() {
    let mut desk = Desk::new(&json!({ "user_command": { "enabled": true, "publish": per(10, 2) } }));
    for user in ["a", "b", "c"] {
        desk.user = user;
        desk.burst(Operation::Publish, "");
        desk.burst(Operation::History, "");
    }
    desk.limits.sweep(desk.now);
    assert_eq!(desk.users(), 3);
    desk.wait(5000);
    desk.user = "a";
    assert_eq!(desk.burst(Operation::Publish, ""), 1);
    desk.wait(5000);
    desk.limits.sweep(desk.now);
    assert_eq!(desk.users(), 1);
    desk.wait(5000);
    desk.limits.sweep(desk.now);
    assert_eq!(desk.users(), 0);
    assert_eq!(desk.burst(Operation::Publish, ""), 2);
}

#[test]
fn errors_have_their_own_limit() {
    let mut desk = Desk::new(&json!({ "client_error": { "enabled": true, "total": per(5, 3) } }));
    let errors = |desk: &mut Desk| {
        (0..9)
            .filter(|_| desk.limits.error(&mut desk.tokens, desk.now).is_ok())
            .count()
    };
    assert_eq!(errors(&mut desk), 3);
    desk.wait(5000);
    assert_eq!(errors(&mut desk), 3);
    assert_eq!(desk.burst(Operation::Publish, ""), 20);
}

/// Buckets as they are told to children: so many tokens, to which time adds.
struct Naive {
    /// Nanoseconds per token, tokens of a full bucket, and what is there in nanoseconds.
    buckets: Vec<(u128, u128, u128)>,
}

impl Naive {
    fn new(buckets: &[config::Bucket]) -> Self {
        let bucket = |of: &config::Bucket| {
            let token = of.interval.as_nanos() / of.rate as u128;
            (token, of.rate as u128, token * of.rate as u128)
        };
        Self {
            buckets: buckets.iter().map(bucket).collect(),
        }
    }

    fn pass(&mut self, time: u64) {
        for (token, rate, there) in &mut self.buckets {
            *there = (*there + u128::from(time)).min(*token * *rate);
        }
    }

    fn take(&mut self) -> bool {
        let suffice = self.buckets.iter().all(|(token, _, there)| there >= token);
        if suffice {
            for (token, _, there) in &mut self.buckets {
                *there -= *token;
            }
        }
        suffice
    }
}

proptest! {
    /// Whatever the buckets and however long the pauses: exactly what the model lets through passes, for a
    /// connection and for a user alike, and what is full is not remembered.
    #[test]
    fn buckets_do_what_the_model_does(
        buckets in prop::collection::vec((1u64..=3600, 1usize..50), 1..4),
        steps in prop::collection::vec((0u64..5_000_000_000, 1usize..12), 1..60),
    ) {
        let options: Vec<_> = buckets
            .iter()
            .map(|(seconds, rate)| config::Bucket { interval: Duration::from_secs(*seconds), rate: *rate })
            .collect();
        let limit = Limit::new(&options, &mut 0);
        let limits = [Some(&limit), None];
        let (mut naive, mut tokens, users) = (Naive::new(&options), Tokens::default(), Users::default());
        let mut now = 0;
        for (pause, attempts) in steps {
            now += pause;
            naive.pass(pause);
            for _ in 0..attempts {
                let expected = naive.take();
                prop_assert_eq!(users.take("42", &limits, now), expected);
                prop_assert_eq!(tokens.suffice(&limits, now), expected);
                if expected {
                    tokens.take(&limits, now);
                }
            }
            let is_full = naive.buckets.iter().all(|(token, rate, there)| *there == token * rate);
            prop_assert_eq!(tokens.are_full(now), is_full);
        }
        users.sweep(now + 3_600_000_000_000);
        prop_assert_eq!(users.len(), 0);
    }
}

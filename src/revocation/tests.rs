//! What is refused, for how long, and who is told.

use std::task::{Context, Waker};

use proptest::prelude::*;
use tidegate_transports::{Encoding, Outbox, TransportKind};

use super::*;
use crate::hub::{Event, Mailbox};

const NOW: i64 = 1_700_000_000;

fn session() -> Arc<Handle> {
    Arc::new(Handle {
        client: "C".to_owned(),
        encoding: Encoding::Json,
        transport: TransportKind::Websocket,
        outbox: Arc::new(Outbox::new(None)),
        mailbox: Mailbox::default(),
        batched: std::sync::atomic::AtomicUsize::default(),
    })
}

/// How many events wait for a session.
fn told(session: &Handle) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    std::iter::from_fn(|| session.mailbox.poll(&mut cx))
        .inspect(|event| assert!(matches!(event, Event::TokensRevoked)))
        .count()
}

fn token(revocations: &Revocations, id: &str, issued_at: Option<i64>) -> TokenTrace {
    revocations.trace(Some(id.to_owned()), issued_at, &session())
}

#[test]
fn a_block_ends_by_itself_or_by_a_call() {
    let revocations = Revocations::default();
    assert!(!revocations.is_blocked("42", NOW));
    revocations.block("42", Until::Time(NOW + 10), NOW).expect("room");
    revocations.block("43", Until::Forever, NOW).expect("room");
    assert!(revocations.is_blocked("42", NOW + 9));
    assert!(!revocations.is_blocked("42", NOW + 10));
    assert!(revocations.is_blocked("43", i64::MAX));
    revocations.unblock("43");
    revocations.unblock("44");
    assert!(!revocations.is_blocked("43", NOW));
}

#[test]
fn a_repeated_entry_never_shortens_an_earlier_one() {
    let revocations = Revocations::default();
    let token = token(&revocations, "", Some(NOW - 50));
    for (until, before) in [
        (Until::Time(NOW + 100), NOW - 10),
        (Until::Time(NOW + 5), NOW - 90),
        (Until::Time(NOW - 5), NOW),
    ] {
        revocations
            .invalidate("42", None, before, until, NOW)
            .expect("room");
    }
    assert!(revocations.has_revoked(&token, "42", None, NOW + 99));
    assert!(!revocations.has_revoked(&token, "42", None, NOW + 100));
    // What is over counts for nothing.
    revocations
        .invalidate("42", None, NOW - 90, Until::Forever, NOW + 100)
        .expect("room");
    assert!(!revocations.has_revoked(&token, "42", None, NOW + 101));
}

#[test]
fn an_entry_that_is_over_is_not_made() {
    let revocations = Revocations::default();
    revocations.block("42", Until::Time(NOW), NOW).expect("room");
    assert!(revocations.users.is_empty());
}

#[test]
fn tokens_are_refused_by_id() {
    let revocations = Revocations::default();
    let (one, other) = (token(&revocations, "a", None), token(&revocations, "b", None));
    revocations.revoke("a", Until::Forever, NOW).expect("room");
    for channel in [None, Some("news")] {
        assert!(revocations.has_revoked(&one, "42", channel, NOW));
        assert!(!revocations.has_revoked(&other, "42", channel, NOW));
        assert!(!revocations.has_revoked(&TokenTrace::default(), "42", channel, NOW));
    }
}

#[test]
fn tokens_are_refused_by_their_age() {
    let revocations = Revocations::default();
    revocations
        .invalidate("42", None, NOW, Until::Forever, NOW)
        .expect("room");
    revocations
        .invalidate("42", Some("news"), NOW - 50, Until::Forever, NOW)
        .expect("room");
    for (issued_at, user, channel, refused) in [
        (Some(NOW - 1), "42", None, true),
        (Some(NOW), "42", None, false),
        (None, "42", None, false),
        (Some(NOW - 1), "43", None, false),
        (Some(NOW - 51), "42", Some("news"), true),
        (Some(NOW - 50), "42", Some("news"), false),
        (Some(NOW - 51), "42", Some("other"), false),
        (Some(NOW - 51), "43", Some("news"), false),
        // User and channel do not run into each other.
        (Some(NOW - 51), "4", Some("2news"), false),
        (Some(NOW - 51), "42n", Some("ews"), false),
    ] {
        let trace = token(&revocations, "", issued_at);
        assert_eq!(
            revocations.has_revoked(&trace, user, channel, NOW),
            refused,
            "{issued_at:?} {user} {channel:?}"
        );
    }
}

#[test]
fn sessions_are_told_of_their_own_tokens() {
    let revocations = Revocations::default();
    let (one, other) = (session(), session());
    let trace = |session: &Arc<Handle>, id: &str| revocations.trace(Some(id.to_owned()), None, session);
    let (first, second) = (trace(&one, "a"), trace(&one, "b"));
    let third = trace(&other, "a");
    revocations.revoke("b", Until::Forever, NOW).expect("room");
    assert_eq!((told(&one), told(&other)), (1, 0));
    revocations.revoke("a", Until::Forever, NOW).expect("room");
    revocations.revoke("a", Until::Forever, NOW).expect("room");
    assert_eq!(
        (told(&one), told(&other)),
        (1, 1),
        "what waits already need not be told again"
    );
    drop((first, third));
    revocations.revoke("a", Until::Forever, NOW).expect("room");
    assert_eq!((told(&one), told(&other)), (0, 0));
    drop(second);
    assert_eq!(revocations.watched.len(), 0);
    assert!(revocations.trace(None, None, &one).is_empty());
    assert!(revocations.trace(Some(String::new()), None, &one).is_empty());
}

#[test]
fn there_is_a_limit_that_expired_entries_do_not_count_for() {
    let table = Expiring::default();
    for name in ["a", "b"] {
        table
            .raise_within(2, name, Until::Time(NOW + 10), 0, NOW)
            .expect("room");
    }
    assert_eq!(table.raise_within(2, "c", Until::Forever, 0, NOW), Err(Full));
    table
        .raise_within(2, "b", Until::Forever, 0, NOW)
        .expect("known already");
    table
        .raise_within(2, "c", Until::Forever, 0, NOW + 10)
        .expect("a has expired");
    assert_eq!(table.raise_within(2, "d", Until::Forever, 0, NOW + 10), Err(Full));
    table.sweep(NOW + 10);
    assert!(table.get("b", NOW + 10).is_some() && table.get("c", NOW + 10).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Raise(usize, Option<i64>, i64),
    Remove(usize),
    Sweep,
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..4, prop::option::of(-5_i64..30), 0_i64..9).prop_map(|(name, until, value)| Step::Raise(name, until, value)),
        1 => (0_usize..4).prop_map(Step::Remove),
        1 => Just(Step::Sweep),
        4 => (0_i64..8).prop_map(Step::Pass),
    ]
}

proptest! {
    /// A table is what the calls of each name say, sweeps or not: the latest end and the highest value since the
    /// name was last free.
    #[test]
    fn entries_follow_their_calls(steps in prop::collection::vec(step(), 1..80)) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let table = Expiring::default();
        let mut model: [Option<(i64, i64)>; 4] = [None; 4];
        let mut now = NOW;
        for step in steps {
            match step {
                Step::Raise(name, until, value) => {
                    let end = until.map_or(i64::MAX, |after| now + after);
                    let told = until.map_or(Until::Forever, |after| Until::Time(now + after));
                    table.raise(NAMES[name], told, value, now).expect("room");
                    if end > now {
                        let entry = &mut model[name];
                        *entry = Some(entry.map_or((end, value), |(old, high)| (old.max(end), high.max(value))));
                    }
                }
                Step::Remove(name) => {
                    table.remove(NAMES[name]);
                    model[name] = None;
                }
                Step::Sweep => table.sweep(now),
                Step::Pass(seconds) => now += seconds,
            }
            for (name, entry) in NAMES.iter().zip(&mut model) {
                *entry = entry.filter(|(end, _)| *end > now);
                prop_assert_eq!(table.get(name, now), entry.map(|(_, value)| value));
            }
        }
    }
}

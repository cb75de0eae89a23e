//! What is refused, for how long, and who is told.

use std::task::{Context, Waker};

use bytes::Bytes;
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

fn block(revocations: &Revocations, user: &str, until: Until, now: i64) {
    let refusal = revocations.block(user, until, now * 1000);
    revocations.take(&refusal, now).expect("room");
}

fn unblock(revocations: &Revocations, user: &str) {
    let refusal = revocations.unblock(user, NOW * 1000);
    revocations.take(&refusal, NOW).expect("room");
}

fn revoke(revocations: &Revocations, id: &str) {
    let id = id.to_owned();
    let until = Until::Forever;
    revocations
        .take(&Refusal::Token { id, until }, NOW)
        .expect("room");
}

/// The tokens of user 42.
fn invalidate(revocations: &Revocations, channel: Option<&str>, issued_before: i64, until: Until, now: i64) {
    let refusal = Refusal::Tokens {
        user: "42".to_owned(),
        channel: channel.map(str::to_owned),
        until,
        issued_before,
    };
    revocations.take(&refusal, now).expect("room");
}

fn token(revocations: &Revocations, id: &str, issued_at: Option<i64>) -> TokenTrace {
    revocations.trace(Some(id.to_owned()), issued_at, &session())
}

#[test]
fn a_block_ends_by_itself_or_by_a_call() {
    let revocations = Revocations::default();
    assert!(!revocations.is_blocked("42", NOW));
    block(&revocations, "42", Until::Time(NOW + 10), NOW);
    block(&revocations, "43", Until::Forever, NOW);
    assert!(revocations.is_blocked("42", NOW + 9));
    assert!(!revocations.is_blocked("42", NOW + 10));
    assert!(revocations.is_blocked("43", i64::MAX));
    unblock(&revocations, "43");
    unblock(&revocations, "44");
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
        invalidate(&revocations, None, before, until, NOW);
    }
    assert!(revocations.has_revoked(&token, "42", None, NOW + 99));
    assert!(!revocations.has_revoked(&token, "42", None, NOW + 100));
    // What is over counts for nothing.
    invalidate(&revocations, None, NOW - 90, Until::Forever, NOW + 100);
    assert!(!revocations.has_revoked(&token, "42", None, NOW + 101));
}

#[test]
fn an_entry_that_is_over_is_not_made() {
    let revocations = Revocations::default();
    block(&revocations, "42", Until::Time(NOW), NOW);
    assert!(revocations.users.is_empty());
}

#[test]
fn tokens_are_refused_by_id() {
    let revocations = Revocations::default();
    let (one, other) = (token(&revocations, "a", None), token(&revocations, "b", None));
    revoke(&revocations, "a");
    for channel in [None, Some("news")] {
        assert!(revocations.has_revoked(&one, "42", channel, NOW));
        assert!(!revocations.has_revoked(&other, "42", channel, NOW));
        assert!(!revocations.has_revoked(&TokenTrace::default(), "42", channel, NOW));
    }
}

#[test]
fn tokens_are_refused_by_their_age() {
    let revocations = Revocations::default();
    invalidate(&revocations, None, NOW, Until::Forever, NOW);
    invalidate(&revocations, Some("news"), NOW - 50, Until::Forever, NOW);
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
    revoke(&revocations, "b");
    assert_eq!((told(&one), told(&other)), (1, 0));
    revoke(&revocations, "a");
    revoke(&revocations, "a");
    assert_eq!(
        (told(&one), told(&other)),
        (1, 1),
        "what waits already need not be told again"
    );
    drop((first, third));
    revoke(&revocations, "a");
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
                    table.remove_up_to(NAMES[name], i64::MAX);
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

/// What a backend says, and to which node.
fn decision() -> impl Strategy<Value = (usize, usize, u8, Option<i64>)> {
    (0_usize..3, 0_usize..3, 0_u8..4, prop::option::of(1_i64..50))
}

fn all(revocations: &Revocations, limit: usize) -> Vec<Refusal> {
    let (mut all, mut place) = (Vec::new(), Some(Place::default()));
    while let Some(from) = place {
        let (mut piece, next) = revocations.page(&from, limit, NOW);
        assert!(piece.len() <= limit && next.as_ref().is_none_or(|next| next.is_after(&from)));
        all.append(&mut piece);
        place = next;
    }
    all
}

proptest! {
    /// Nodes that have heard of everything, in whatever order, agree; and so does one that reads it from another.
    #[test]
    fn nodes_agree(
        decisions in prop::collection::vec(decision(), 1..30),
        order in any::<prop::sample::Index>(),
        limit in 1_usize..5,
    ) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let nodes: [Revocations; 3] = Default::default();
        let mut told = Vec::new();
        for (index, (at, name, what, until)) in (0_i64..).zip(decisions) {
            let name = NAMES[name];
            let end = until.map_or(Until::Forever, |after| Until::Time(NOW + after));
            let refusal = match what {
                0 => nodes[at].block(name, Until::Forever, NOW * 1000 + index),
                1 => nodes[at].unblock(name, NOW * 1000 + index),
                2 => Refusal::Token { id: name.to_owned(), until: end },
                _ => Refusal::Tokens {
                    user: name.to_owned(),
                    channel: (index % 2 == 0).then(|| "news".to_owned()),
                    until: end,
                    issued_before: NOW - index,
                },
            };
            nodes[at].take(&refusal, NOW).expect("room");
            let bytes = Refusals { refusals: vec![refusal], ..Refusals::default() }.encode();
            told.push(bytes);
        }
        let start = order.index(told.len());
        told.rotate_left(start);
        for bytes in told {
            let piece = Refusals::decode(bytes).expect("it was encoded");
            for node in &nodes {
                node.take(&piece.refusals[0], NOW).expect("room");
            }
        }
        let known = all(&nodes[0], limit);
        prop_assert_eq!(&all(&nodes[1], 1000), &known);
        prop_assert_eq!(&all(&nodes[2], 1000), &known);
        let newcomer = Revocations::default();
        for refusal in &known {
            newcomer.take(refusal, NOW).expect("room");
        }
        prop_assert_eq!(all(&newcomer, 1000), known);
        for name in NAMES {
            prop_assert_eq!(newcomer.is_blocked(name, NOW), nodes[0].is_blocked(name, NOW));
        }
    }
}

#[test]
fn the_last_word_on_a_user_counts() {
    let (one, other) = (Revocations::default(), Revocations::default());
    let now_ms = NOW * 1000;
    let blocked = one.block("42", Until::Forever, now_ms);
    other.take(&blocked, NOW).expect("room");
    // The other's clock is slow.
    let let_in = other.unblock("42", now_ms - 5000);
    for node in [&one, &other] {
        node.take(&let_in, NOW).expect("room");
        node.take(&blocked, NOW).expect("room");
        assert!(!node.is_blocked("42", NOW));
    }
    let again = other.block("42", Until::Forever, now_ms - 5000);
    for node in [&one, &other] {
        node.take(&again, NOW).expect("room");
        node.take(&let_in, NOW).expect("room");
        assert!(node.is_blocked("42", NOW));
    }
}

#[test]
fn what_other_nodes_say_is_read_with_care() {
    for (bytes, refusals) in [
        (&b"\xff"[..], None),
        (b"", Some(0)),
        // A user, a table that is not known, a name that is none, a pair that is none.
        (
            b"\x0a\x03\x12\x01a\x0a\x05\x08\x09\x12\x01a\x0a\x00\x0a\x05\x08\x04\x12\x01a",
            Some(1),
        ),
    ] {
        let piece = Refusals::decode(Bytes::from_static(bytes));
        assert_eq!(piece.map(|piece| piece.refusals.len()), refusals, "{bytes:?}");
    }
    let beyond = Place::decode(Bytes::from_static(b"\x08\x09")).expect("a place");
    assert_eq!(Revocations::default().page(&beyond, 10, NOW), (Vec::new(), None));
}

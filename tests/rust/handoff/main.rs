//! The hand-off between a stream and a new subscriber, under loom: every interleaving of the locks is tried.
//!
//! What runs is the server's own code: the files of `src/hub` that deliver, and the stream of the memory engine, are
//! compiled here once more, with loom's locks and atomics in place of the real ones (`hub/sync.rs`). Outboxes and
//! mailboxes keep theirs: they are taken and released within one step of the code above them, so that no other thread
//! could see them held.
//!
//! The rest of the server is compiled as ever. A `--cfg loom` for everything would have reached tokio, which has a
//! loom of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the files have more than is tested here"
)]

mod hub;
#[path = "../../../src/engine/memory/stream.rs"]
mod stream;

use hub::world::{World, explore, spawn};
use tidegate::{channels, engine, protocol, tags};

/// The subscriber joins, reads, catches up and goes live while two publications are made.
#[test]
fn a_recovering_subscriber_misses_nothing() {
    explore(|| {
        let world = World::new();
        world.publish();
        let publisher = spawn({
            let world = world.clone();
            move || {
                world.publish();
                world.publish();
            }
        });
        let client = world.client();
        let start = client.subscribe(Some(0));
        publisher.join().unwrap();
        assert_eq!(start, 0);
        assert_eq!(client.seen(), [1, 2, 3], "lost, repeated or out of order");
        assert_eq!(world.bystander.seen(), [1, 2, 3]);
        client.was_not_told_of_a_loss();
    });
}

/// Without recovery it begins where the reply says.
#[test]
fn a_new_subscriber_misses_nothing_from_where_it_begins() {
    explore(|| {
        let world = World::new();
        let publisher = spawn({
            let world = world.clone();
            move || {
                world.publish();
                world.publish();
            }
        });
        let client = world.client();
        let start = client.subscribe(None);
        publisher.join().unwrap();
        let expected: Vec<u64> = (start + 1..=2).collect();
        assert_eq!(client.seen(), expected, "lost, repeated or out of order");
        client.was_not_told_of_a_loss();
    });
}

#[test]
fn two_publishers_are_seen_in_one_order() {
    explore(|| {
        let world = World::new();
        let publisher = spawn({
            let world = world.clone();
            move || world.publish()
        });
        let another = spawn({
            let world = world.clone();
            move || world.publish()
        });
        let client = world.client();
        client.subscribe(Some(0));
        publisher.join().unwrap();
        another.join().unwrap();
        assert_eq!(client.seen(), [1, 2]);
        assert_eq!(world.bystander.seen(), [1, 2]);
        client.was_not_told_of_a_loss();
    });
}

/// The periodic check reads the position, then the stream, while publications arrive.
#[test]
fn the_position_check_is_never_wrong() {
    explore(|| {
        let world = World::new();
        let publisher = spawn({
            let world = world.clone();
            move || {
                world.publish();
                world.publish();
            }
        });
        assert!(world.bystander.check(&world), "lost out of nothing");
        publisher.join().unwrap();
        assert!(world.bystander.check(&world));
        assert_eq!(world.bystander.seen(), [1, 2]);
        world.bystander.was_not_told_of_a_loss();
        // One that nobody was told of is found by the check, or by the next that arrives.
        world.publish_unheard();
        assert!(!world.bystander.check(&world));
    });
}

#[test]
fn nothing_comes_after_the_end() {
    explore(|| {
        let world = World::new();
        let publisher = spawn({
            let world = world.clone();
            move || {
                world.publish();
                world.publish();
            }
        });
        let before = world.bystander.leave(&world);
        publisher.join().unwrap();
        assert!(
            world.bystander.seen().is_empty(),
            "a push after the unsubscribe reply"
        );
        let expected: Vec<u64> = (1..=before.len() as u64).collect();
        assert_eq!(before, expected);
    });
}

/// Whoever joins a channel that its last subscriber leaves is in it, or knows that it has closed.
#[test]
fn a_closing_channel_takes_nobody_in() {
    explore(|| {
        let world = World::new();
        let leaving = spawn({
            let world = world.clone();
            move || world.bystander.leave(&world)
        });
        let client = world.client();
        let joined = client.join();
        leaving.join().unwrap();
        assert_eq!(joined, !world.is_closed());
        if joined {
            client.go_live(Some(0));
            world.publish();
            assert_eq!(client.seen(), [1]);
        }
    });
}

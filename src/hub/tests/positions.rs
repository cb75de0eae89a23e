//! The rules of a live position (history-and-recovery.md 6) and of what was held before (4, step 7), one by one.

use super::*;
use crate::protocol::message::FilterNode;
use crate::tags::Filter;

const LAG: i64 = 1000;

struct Client {
    hub: Hub,
    channel: Arc<str>,
    handle: Arc<Handle>,
    subscriber: Arc<Subscriber>,
    epoch: Epoch,
}

impl Client {
    /// A subscriber that has joined; with a filter it wants what has a tag.
    fn joined(filters: bool) -> Self {
        let (hub, channel, handle) = (Hub::default(), Arc::from("ch"), handle(Encoding::Json, None));
        let tracking = Tracking {
            positioned: true,
            max_time_lag_ms: LAG,
        };
        let node = FilterNode {
            key: "wanted".to_owned(),
            cmp: "ex".to_owned(),
            ..FilterNode::default()
        };
        let tailoring = Tailoring {
            filter: filters.then(|| Filter::new(node).expect("valid")),
            ..Tailoring::default()
        };
        let subscriber = Subscriber::new(handle.clone(), tracking, true).tailored(tailoring);
        let subscriber = Arc::new(subscriber);
        hub.join(&channel, &subscriber);
        Self {
            hub,
            channel,
            handle,
            subscriber,
            epoch: Epoch::new("E"),
        }
    }

    /// Live at an offset.
    fn live(filters: bool, offset: u64) -> Self {
        let client = Self::joined(filters);
        let top = top(offset, &client.epoch);
        client
            .subscriber
            .catch_up(Vec::new(), top, false, 0)
            .expect("no gap");
        client.subscriber.release(&client.channel, 0);
        client
    }

    fn publish(&self, publication: &Arc<Publication>, epoch: &str, now_ms: i64) {
        let epoch = Epoch::new(epoch);
        self.hub.publication("ch", publication, Some(&epoch), now_ms);
    }

    fn catch_up(&self, read: &[Arc<Publication>], at: u64, recover: bool) -> Result<(Vec<u64>, u64), Gap> {
        let caught_up = self
            .subscriber
            .catch_up(read.to_vec(), top(at, &self.epoch), recover, 0)?;
        let offsets = caught_up.publications.iter().map(|item| item.offset).collect();
        Ok((offsets, caught_up.position.offset))
    }

    /// Frames that arrived, and whether the position was lost.
    fn outcome(&self) -> (usize, bool) {
        let events = events(&self.handle);
        assert!(
            events
                .iter()
                .all(|event| matches!(event, Event::InsufficientState(_)))
        );
        assert!(events.len() <= 1, "told once");
        (frames(&self.handle).len(), !events.is_empty())
    }
}

fn wanted(offset: u64) -> Arc<Publication> {
    Arc::new(Publication {
        tags: [("wanted".to_owned(), String::new())].into(),
        ..Publication::clone(&publication(offset))
    })
}

fn sent_at(offset: u64, time_ms: i64) -> Arc<Publication> {
    Arc::new(Publication {
        time_ms,
        ..Publication::clone(&publication(offset))
    })
}

#[test]
fn each_rule_in_its_order() {
    // At 3 of the epoch E: what is published, when, and what comes of it.
    let cases = [
        ("the next one", publication(4), "E", 0, (1, false)),
        (
            "none with an offset: no rule applies",
            publication(0),
            "other",
            LAG + 1,
            (1, false),
        ),
        ("late, but not too late", sent_at(4, 5), "E", LAG + 5, (1, false)),
        ("too late", sent_at(4, 5), "E", LAG + 6, (0, true)),
        (
            "too late before it is known to be a repetition",
            sent_at(3, 5),
            "E",
            LAG + 6,
            (0, true),
        ),
        ("another epoch", publication(4), "F", 0, (0, true)),
        (
            "another epoch before it is known to be a repetition",
            publication(1),
            "F",
            0,
            (0, true),
        ),
        ("one was missed", publication(5), "E", 0, (0, true)),
        ("a repetition", publication(3), "E", 0, (0, false)),
        ("older still", publication(1), "E", 0, (0, false)),
    ];
    for (case, publication, epoch, now_ms, expected) in cases {
        let client = Client::live(false, 3);
        client.publish(&publication, epoch, now_ms);
        assert_eq!(client.outcome(), expected, "{case}");
        // After a loss nothing comes; without one the stream goes on.
        let position = client.subscriber.position().map(|(position, _)| position.offset);
        assert_eq!(position.is_none(), expected.1, "{case}");
        client.publish(&super::publication(position.unwrap_or(3) + 1), "E", 0);
        assert_eq!(client.outcome(), (usize::from(!expected.1), false), "{case}");
    }
}

#[test]
fn what_a_filter_drops_moves_the_position() {
    let client = Client::live(true, 3);
    client.publish(&publication(4), "E", 7);
    assert_eq!(client.outcome(), (0, false));
    let (position, checked_ms) = client.subscriber.position().expect("live");
    assert_eq!((position.offset, checked_ms), (4, 7));
    client.publish(&wanted(5), "E", 0);
    assert_eq!(client.outcome(), (1, false));
    // What is missing is missing, whoever would have wanted it.
    client.publish(&publication(7), "E", 0);
    assert_eq!(client.outcome(), (0, true));
}

#[test]
fn what_a_filter_drops_is_no_hole_between_history_and_live() {
    let client = Client::joined(true);
    // Of what was read the filter drops 2, of what was held 4 and 5.
    let read = [wanted(1), publication(2), wanted(3)];
    for publication in [wanted(3), publication(4), publication(5), wanted(6)] {
        client.publish(&publication, "E", 0);
    }
    assert_eq!(client.catch_up(&read, 3, true), Ok((vec![1, 3, 6], 6)));
    // Held after the merge, delivered after the reply.
    client.publish(&publication(7), "E", 0);
    client.publish(&wanted(8), "E", 0);
    assert_eq!(client.outcome(), (0, false));
    client.subscriber.release(&client.channel, 0);
    assert_eq!(client.outcome(), (1, false));
    assert_eq!(client.subscriber.position().expect("live").0.offset, 8);
}

#[test]
fn a_hole_between_history_and_live_is_one_with_a_filter_too() {
    for filters in [false, true] {
        let client = Client::joined(filters);
        client.publish(&wanted(5), "E", 0);
        assert_eq!(client.catch_up(&[wanted(3)], 3, true), Err(Gap));
        let client = Client::joined(filters);
        client.publish(&wanted(4), "F", 0);
        assert_eq!(client.catch_up(&[wanted(3)], 3, true), Err(Gap));
        // Nothing was held: nothing is compared.
        let client = Client::joined(filters);
        assert_eq!(
            client.catch_up(&[wanted(1), wanted(3)], 3, true),
            Ok((vec![1, 3], 3))
        );
    }
}

#[test]
fn without_recovery_what_was_held_moves_the_position_only() {
    let client = Client::joined(false);
    for offset in 2..=5 {
        client.publish(&publication(offset), "E", 0);
    }
    assert_eq!(client.catch_up(&[], 3, false), Ok((Vec::new(), 5)));
    client.subscriber.release(&client.channel, 0);
    assert_eq!(client.outcome(), (0, false));
    client.publish(&publication(6), "E", 0);
    assert_eq!(client.outcome(), (1, false));
}

//! Batches against a model: what would have been sent without them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_transports::Delays;
use tokio::time::Instant;

use super::*;
use crate::channels::Batching;
use crate::engine::ClientInfo;

const HOUR: Duration = Duration::from_secs(3600);

struct Crowd {
    hub: Hub,
    handle: Arc<Handle>,
    subscriber: Arc<Subscriber>,
    delays: Arc<Delays>,
}

impl Crowd {
    fn new(options: Batching, limit: Option<usize>) -> Self {
        let (hub, delays) = (Hub::default(), Arc::<Delays>::default());
        let handle = handle(Encoding::Json, limit);
        let tracking = Tracking {
            positioned: true,
            max_time_lag_ms: 0,
        };
        let subscriber = Subscriber::new(handle.clone(), tracking, true).batched(options, &delays);
        let channel: Arc<str> = "ch".into();
        hub.join(&channel, &subscriber);
        subscriber
            .catch_up(Vec::new(), top(0, &epoch()), false, 0)
            .expect("no gap");
        subscriber.release(&channel, 0);
        Self {
            hub,
            handle,
            subscriber,
            delays,
        }
    }

    fn publish(&self, offset: u64) {
        self.hub
            .publication("ch", &publication(offset), Some(&epoch()), 0);
    }

    fn join(&self, client: u64) {
        let info = ClientInfo {
            client: client.to_string(),
            ..ClientInfo::default()
        };
        self.hub.join_push("ch", &info);
    }

    fn an_hour_later(&self) {
        while self.delays.fire(Instant::now() + HOUR) {}
    }

    /// What has come out: publications by offset, joins by number.
    fn seen(&self) -> Vec<Push> {
        let push = |frame: String| {
            let reply: serde_json::Value = serde_json::from_str(&frame).expect("JSON");
            match reply["push"]["pub"]["offset"].as_u64() {
                Some(offset) => Push::Publication(offset),
                None => {
                    let client = reply["push"]["join"]["info"]["client"].as_str();
                    Push::Join(client.expect("a join").parse().expect("a number"))
                }
            }
        };
        frames(&self.handle).into_iter().map(push).collect()
    }

    fn held(&self) -> usize {
        self.handle.batched.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Push {
    Publication(u64),
    Join(u64),
}

fn epoch() -> Epoch {
    Epoch::new("E")
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish,
    Join,
    Wait,
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => Just(Step::Publish),
        4 => Just(Step::Join),
        2 => Just(Step::Wait),
        1 => Just(Step::Stop),
    ];
    proptest::collection::vec(step, 1..80)
}

fn options() -> impl Strategy<Value = Batching> {
    let size = proptest::option::of(2..6usize);
    (size, proptest::option::of(Just(HOUR)), any::<bool>()).prop_map(|(max_size, max_delay, latest)| {
        Batching {
            max_size,
            max_delay,
            latest,
        }
    })
}

/// What one batch becomes.
fn flushed(batch: &[Push], latest: bool) -> Vec<Push> {
    if !latest {
        return batch.to_vec();
    }
    let is_join = |push: &&Push| matches!(push, Push::Join(_));
    let joins = batch.iter().filter(is_join);
    let last = batch.iter().rfind(|push| !is_join(push));
    joins.chain(last).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Nothing is lost or swapped, batches end where they should, and positions go on as if there were none.
    #[test]
    fn a_batch_is_what_would_have_been_sent(options in options(), steps in steps()) {
        let crowd = Crowd::new(options, None);
        let (mut batch, mut sent, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let (mut offset, mut joins) = (0, 0);
        let mut is_live = true;
        for step in steps {
            match step {
                Step::Publish => {
                    offset += 1;
                    crowd.publish(offset);
                    batch.push(Push::Publication(offset));
                }
                Step::Join => {
                    joins += 1;
                    crowd.join(joins);
                    batch.push(Push::Join(joins));
                }
                Step::Wait => crowd.an_hour_later(),
                Step::Stop => crowd.subscriber.stop(),
            }
            let is_full = options.max_size.is_some_and(|max| batch.len() >= max);
            let is_due = matches!(step, Step::Wait) && options.max_delay.is_some();
            let is_over = matches!(step, Step::Stop);
            if is_live && (is_full || is_due || is_over) {
                sent.extend(flushed(&batch, options.latest));
                batch.clear();
            }
            is_live &= !is_over;
            seen.extend(crowd.seen());
            prop_assert_eq!(&seen, &sent);
            prop_assert_eq!(crowd.held() == 0, batch.is_empty() || !is_live);
            if is_live {
                let (position, _) = crowd.subscriber.position().expect("live");
                prop_assert_eq!(position.offset, offset);
            }
        }
        prop_assert!(events(&crowd.handle).is_empty());
    }
}

#[test]
fn a_lost_position_is_told_after_what_was_collected() {
    let options = Batching {
        max_size: None,
        max_delay: Some(HOUR),
        latest: false,
    };
    let crowd = Crowd::new(options, None);
    crowd.publish(1);
    crowd.publish(2);
    assert!(crowd.seen().is_empty());
    crowd.publish(4);
    assert_eq!(crowd.seen(), [Push::Publication(1), Push::Publication(2)]);
    assert!(matches!(
        events(&crowd.handle).as_slice(),
        [Event::InsufficientState(_)]
    ));
    crowd.an_hour_later();
    assert!(crowd.seen().is_empty());
}

#[test]
fn what_a_connection_collects_is_bounded() {
    let options = Batching {
        max_size: None,
        max_delay: Some(HOUR),
        latest: false,
    };
    let crowd = Crowd::new(options, Some(1000));
    let mut seen = 0;
    for offset in 1..=100 {
        crowd.publish(offset);
        seen += crowd.seen().len();
        assert!(crowd.held() <= 500);
    }
    assert!(seen > 80, "{seen}");
    assert!(events(&crowd.handle).is_empty(), "collecting makes nobody slow");
}

#[test]
fn a_slow_reader_is_slow_with_batches_too() {
    let options = Batching {
        max_size: Some(2),
        max_delay: None,
        latest: false,
    };
    let crowd = Crowd::new(options, Some(200));
    for offset in 1..=20 {
        crowd.publish(offset);
    }
    assert!(matches!(
        events(&crowd.handle).as_slice(),
        [Event::Disconnect(Disconnect { code: 3008, .. })]
    ));
}

#[test]
fn a_batch_flushed_for_its_size_leaves_one_entry_behind() {
    let options = Batching {
        max_size: Some(2),
        max_delay: Some(HOUR),
        latest: true,
    };
    let crowd = Crowd::new(options, None);
    for offset in 1..=5 {
        crowd.publish(offset);
    }
    assert_eq!(crowd.seen(), [Push::Publication(2), Push::Publication(4)]);
    crowd.an_hour_later();
    assert_eq!(crowd.seen(), [Push::Publication(5)]);
    crowd.publish(6);
    crowd.an_hour_later();
    assert_eq!(crowd.seen(), [Push::Publication(6)]);
}

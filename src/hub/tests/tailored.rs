//! Filters and deltas: what arrives is what was published, whatever came in between, and each form is made once.

use std::collections::HashSet;

use proptest::prelude::*;
use prost::Message;
use tidegate_transports::Frame;

use super::*;
use crate::delta::apply;
use crate::protocol::message::{FilterNode, Reply};
use crate::tags::Filter;

/// A client that applies patches to what it was sent last.
struct Client {
    handle: Arc<Handle>,
    subscriber: Arc<Subscriber>,
    /// Wants what has the tag.
    filters: bool,
    base: Option<Vec<u8>>,
}

fn tagged() -> Filter {
    let node = FilterNode {
        key: "wanted".to_owned(),
        cmp: "ex".to_owned(),
        ..FilterNode::default()
    };
    Filter::new(node).expect("valid")
}

impl Client {
    fn join(hub: &Hub, channel: &Arc<str>, encoding: Encoding, tailoring: Tailoring) -> Self {
        let handle = handle(encoding, None);
        let tracking = Tracking {
            positioned: false,
            max_time_lag_ms: 0,
        };
        let filters = tailoring.filter.is_some() || tailoring.server_filter.is_some();
        let subscriber = Subscriber::new(handle.clone(), tracking, true).tailored(tailoring);
        let subscriber = Arc::new(subscriber);
        hub.join(channel, &subscriber);
        subscriber.release(channel, 0);
        Self {
            handle,
            subscriber,
            filters,
            base: None,
        }
    }

    fn frames(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Drained::Frames) = self.handle.outbox.poll_drain(&mut cx, 16, &mut frames) {}
        frames
    }

    /// The text of a publication, and whether it came as a patch.
    fn read(&mut self, frame: &Frame, deltas: bool) -> (Vec<u8>, bool) {
        let (data, is_patch) = match self.handle.encoding {
            Encoding::Protobuf => {
                let reply = Reply::decode(&frame.payload()[..]).expect("a reply");
                let publication = reply.push.expect("push").r#pub.expect("publication");
                (publication.data.to_vec(), publication.delta)
            }
            Encoding::Json => {
                let reply: serde_json::Value = serde_json::from_slice(frame.payload()).expect("JSON");
                let publication = &reply["push"]["pub"];
                let data = match &publication["data"] {
                    serde_json::Value::String(text) if deltas => text.clone().into_bytes(),
                    data => data.to_string().into_bytes(),
                };
                (data, publication["delta"] == true)
            }
        };
        let text = if is_patch {
            let base = self.base.as_ref().expect("a base");
            apply(base, &data, 10_000).expect("a patch of what was sent last")
        } else {
            data
        };
        self.base = Some(text.clone());
        (text, is_patch)
    }
}

fn tailorings() -> Vec<(Encoding, Tailoring)> {
    let mut all = Vec::new();
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        for bits in 0..8 {
            let tailoring = Tailoring {
                server_filter: (bits & 4 != 0).then(|| Arc::new(tagged())),
                filter: (bits & 2 != 0).then(tagged),
                delta: bits & 1 != 0,
                keep_latest: true,
            };
            all.push((encoding, tailoring));
        }
    }
    all
}

fn long(number: usize, tags: bool) -> Publication {
    Publication {
        data: Bytes::from(format!(r#""what all have in common, and {number} é""#)),
        tags: tags
            .then(|| ("wanted".to_owned(), String::new()))
            .into_iter()
            .collect(),
        ..Publication::default()
    }
}

#[test]
fn every_form_is_made_once() {
    let hub = Hub::default();
    let channel: Arc<str> = "ch".into();
    let mut clients: Vec<Client> = tailorings()
        .into_iter()
        .chain(tailorings())
        .map(|(encoding, tailoring)| Client::join(&hub, &channel, encoding, tailoring))
        .collect();
    for (number, forms, patches) in [(1, 3, 0), (2, 4, 16)] {
        let publication = Arc::new(long(number, true));
        let delivery = hub.publication_after(Previous::Unknown, "ch", &publication, None, 0);
        assert_eq!(delivery.frames.iter().sum::<u64>(), clients.len() as u64);
        let (mut buffers, mut patched) = (HashSet::new(), 0);
        for (index, client) in clients.iter_mut().enumerate() {
            for frame in client.frames() {
                buffers.insert(frame.payload().as_ptr());
                let (text, is_patch) = client.read(&frame, index % 2 == 1);
                assert_eq!(text, publication.data);
                patched += usize::from(is_patch);
            }
        }
        // As it is in both encodings, as a string; then the patches in both, the string no more.
        assert_eq!((buffers.len(), patched), (forms, patches));
    }
}

#[test]
fn a_batch_drops_nothing_that_is_a_base() {
    let hub = Hub::default();
    let channel: Arc<str> = "ch".into();
    let of = handle(Encoding::Protobuf, None);
    let tracking = Tracking {
        positioned: false,
        max_time_lag_ms: 0,
    };
    let tailoring = Tailoring {
        delta: true,
        keep_latest: true,
        ..Tailoring::default()
    };
    let batching = crate::channels::Batching {
        max_size: Some(2),
        max_delay: None,
        latest: true,
    };
    let subscriber = Subscriber::new(of.clone(), tracking, true).tailored(tailoring);
    let subscriber = subscriber.batched(batching, &Arc::default());
    hub.join(&channel, &subscriber);
    subscriber.release(&channel, 0);
    for number in 1..=4 {
        hub.publication_after(Previous::Unknown, "ch", &Arc::new(long(number, true)), None, 0);
    }
    let mut client = Client {
        handle: of,
        subscriber,
        filters: false,
        base: None,
    };
    let frames = client.frames();
    let read: Vec<_> = frames.iter().map(|frame| client.read(frame, true)).collect();
    assert_eq!(
        read,
        [1, 2, 3, 4].map(|number| (long(number, true).data.to_vec(), number > 1))
    );
}

/// What happens to a channel.
#[derive(Clone, Debug)]
enum Step {
    /// A publication: with the tag, with history, with a wish for deltas, and whether this node hears of it.
    Publish(bool, bool, bool, bool),
    /// The items of the stream are removed.
    Remove,
    /// The stream begins anew.
    Forget,
    /// One client goes and comes back, having recovered nothing or what the stream has.
    Return(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rarely = || proptest::bool::weighted(0.1);
    let step = prop_oneof![
        12 => (any::<bool>(), rarely(), rarely(), rarely())
            .prop_map(|(tag, bare, whole, lost)| Step::Publish(tag, !bare, !whole, !lost)),
        1 => Just(Step::Remove),
        1 => Just(Step::Forget),
        3 => (0_usize..16, any::<bool>()).prop_map(|(client, recovers)| Step::Return(client, recovers)),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every client reads what was broadcast and passes its filter, in order; patches always apply.
    #[test]
    fn what_arrives_is_what_was_published(steps in steps()) {
        let hub = Hub::default();
        let channel: Arc<str> = "ch".into();
        let tailorings = tailorings();
        let mut clients: Vec<Client> = tailorings
            .iter()
            .map(|(encoding, tailoring)| Client::join(&hub, &channel, *encoding, tailoring.clone()))
            .collect();
        let (mut items, mut top): (Vec<Arc<Publication>>, u64) = (Vec::new(), 0);
        let (mut epoch, mut epochs) = (Epoch::new("0"), 0);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Publish(tag, history, delta, heard) => {
                    let mut publication = long(number, tag);
                    let newest = items.last().filter(|_| history).cloned();
                    if history {
                        top += 1;
                        publication.offset = top;
                    }
                    let publication = Arc::new(publication);
                    if history {
                        items.push(publication.clone());
                    }
                    if !heard {
                        continue;
                    }
                    let previous = match &newest {
                        _ if !delta => Previous::Unwanted,
                        None => Previous::Unknown,
                        Some(newest) => Previous::Known(newest),
                    };
                    hub.publication_after(previous, "ch", &publication, history.then_some(&epoch), 0);
                    for (index, client) in clients.iter_mut().enumerate() {
                        let frames = client.frames();
                        prop_assert_eq!(frames.len(), usize::from(tag || !client.filters));
                        for frame in frames {
                            let (text, is_patch) = client.read(&frame, index % 2 == 1);
                            prop_assert_eq!(&text, &publication.data);
                            prop_assert!(!is_patch || (delta && tailorings[index].1.delta));
                        }
                    }
                }
                Step::Remove => items.clear(),
                Step::Forget => {
                    items.clear();
                    (top, epochs) = (0, epochs + 1);
                    epoch = Epoch::new(&epochs.to_string());
                }
                Step::Return(index, recovers) => {
                    let (encoding, tailoring) = &tailorings[index];
                    hub.leave("ch", &clients[index].subscriber);
                    let base = clients[index].base.take();
                    clients[index] = Client::join(&hub, &channel, *encoding, tailoring.clone());
                    let at = Position { offset: top, epoch: epoch.clone() };
                    let history = if recovers { items.clone() } else { Vec::new() };
                    let caught_up = clients[index].subscriber.catch_up(history, at, recovers, 0).expect("no gap");
                    // Its base may be any older one: without something recovered none may count on it.
                    clients[index].base = base;
                    if let Some(last) = caught_up.publications.last() {
                        clients[index].base = Some(last.data.to_vec());
                    }
                }
            }
        }
    }
}

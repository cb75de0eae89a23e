//! Which other nodes there are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::OURS;
use super::message::Node;

/// How often a node says that it is there.
pub const INFO_INTERVAL: Duration = Duration::from_secs(3);

/// How often those are forgotten that have been silent.
pub const CLEAN_INTERVAL: Duration = Duration::from_secs(9);

/// Silence after which a node counts as gone.
const MAX_SILENCE: Duration = Duration::from_secs(7);

/// Nodes that are remembered: whoever can write to Redis could otherwise fill the memory of all.
const MAX_PEERS: usize = 10_000;

/// The other nodes of a cluster, by id.
#[derive(Debug, Default)]
pub struct Peers {
    nodes: BTreeMap<String, Peer>,
}

#[derive(Debug)]
struct Peer {
    info: Node,
    heard: Instant,
}

impl Peer {
    fn is_ours(&self) -> bool {
        self.info.version.ends_with(OURS)
    }
}

/// What a node's info has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was not known: it is to be told who we are.
    New,
    /// It is still there.
    Known,
    /// There are too many already.
    TooMany,
}

impl Peers {
    /// A node has said that it is there. Metrics come once in a while only: until then the last ones hold.
    pub fn saw(&mut self, mut info: Node, now: Instant) -> Seen {
        let known = self.nodes.len();
        match self.nodes.get_mut(&info.uid) {
            Some(peer) => {
                info.metrics = info.metrics.or_else(|| peer.info.metrics.take());
                *peer = Peer { info, heard: now };
                Seen::Known
            }
            None if known >= MAX_PEERS => Seen::TooMany,
            None => {
                self.nodes.insert(info.uid.clone(), Peer { info, heard: now });
                Seen::New
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether this node is alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a node is known.
    #[must_use]
    pub fn knows(&self, uid: &str) -> bool {
        self.nodes.contains_key(uid)
    }

    /// Whether a node is known to be one of ours, and not of the reference.
    #[must_use]
    pub fn is_ours(&self, uid: &str) -> bool {
        self.nodes.get(uid).is_some_and(Peer::is_ours)
    }

    /// Ids of all that are ours.
    #[must_use]
    pub fn ours(&self) -> Vec<String> {
        let ours = self.nodes.iter().filter(|(_, peer)| peer.is_ours());
        ours.map(|(uid, _)| uid.clone()).collect()
    }

    /// A node has left.
    pub fn remove(&mut self, uid: &str) {
        self.nodes.remove(uid);
    }

    /// Forgets those that have been silent for too long; who they were.
    pub fn clean(&mut self, now: Instant) -> Vec<String> {
        let mut gone = Vec::new();
        self.nodes.retain(|uid, peer| {
            let is_silent = now.saturating_duration_since(peer.heard) > MAX_SILENCE;
            if is_silent {
                gone.push(uid.clone());
            }
            !is_silent
        });
        gone
    }

    /// After an interruption silence says nothing: everybody gets another chance.
    pub fn hear_all(&mut self, now: Instant) {
        for peer in self.nodes.values_mut() {
            peer.heard = now;
        }
    }

    /// What the others have said of themselves.
    pub fn infos(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(|peer| &peer.info)
    }

    /// Their ids.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message::NodeMetrics;
    use super::*;

    fn node(uid: &str, clients: u32, interval: Option<f64>) -> Node {
        Node {
            uid: uid.to_owned(),
            num_clients: clients,
            metrics: interval.map(|interval| NodeMetrics {
                interval,
                ..NodeMetrics::default()
            }),
            ..Node::default()
        }
    }

    #[test]
    fn metrics_hold_until_the_next() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        assert_eq!(peers.saw(node("a", 1, Some(60.0)), now), Seen::New);
        assert_eq!(peers.saw(node("a", 2, None), now), Seen::Known);
        let info = peers.infos().next().expect("a node");
        assert_eq!(info.num_clients, 2);
        assert_eq!(info.metrics.as_ref().map(|metrics| metrics.interval), Some(60.0));
    }

    #[test]
    fn ours_are_known_by_their_version() {
        let mut peers = Peers::default();
        for (uid, version) in [("a", "0.1.0 Tidegate"), ("b", "6.9.1 OSS")] {
            let info = Node {
                uid: uid.to_owned(),
                version: version.to_owned(),
                ..Node::default()
            };
            peers.saw(info, Instant::now());
        }
        assert!(peers.is_ours("a") && !peers.is_ours("b") && !peers.is_ours("c"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Saw(usize),
        Remove(usize),
        Clean,
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_usize..4).prop_map(Step::Saw),
            1 => (0_usize..4).prop_map(Step::Remove),
            2 => Just(Step::Clean),
            4 => (0_u64..5).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// Known is who was heard and has not left, until a clean-up after too long a silence.
        #[test]
        fn peers_follow_what_is_heard(steps in prop::collection::vec(step(), 0..60)) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let (mut peers, mut now) = (Peers::default(), Instant::now());
            let mut model: [Option<Instant>; 4] = [None; 4];
            for step in steps {
                match step {
                    Step::Saw(name) => {
                        let seen = peers.saw(node(NAMES[name], 0, None), now);
                        prop_assert_eq!(seen == Seen::New, model[name].is_none());
                        model[name] = Some(now);
                    }
                    Step::Remove(name) => {
                        peers.remove(NAMES[name]);
                        model[name] = None;
                    }
                    Step::Clean => {
                        let gone = peers.clean(now);
                        for (name, heard) in NAMES.iter().zip(&mut model) {
                            let is_silent = heard.is_some_and(|heard| now - heard > MAX_SILENCE);
                            prop_assert_eq!(gone.contains(&(*name).to_owned()), is_silent);
                            if is_silent {
                                *heard = None;
                            }
                        }
                    }
                    Step::Pass(seconds) => now += Duration::from_secs(seconds),
                }
                for (name, heard) in NAMES.iter().zip(&model) {
                    prop_assert_eq!(peers.knows(name), heard.is_some());
                }
            }
        }
    }
}

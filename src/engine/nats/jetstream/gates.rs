//! The order of calls on one channel, and what is known of the channel from the last of them.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::record::Record;
use super::store::Stored;
use crate::engine::EngineError;

/// Channels that are remembered while nothing is asked of them.
const REMEMBERED: usize = 10_000;

/// The gates of all channels.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<Arc<str>, Arc<Gate>>>);

/// Lets calls on a channel pass in the order in which they come: one that writes alone, those that read together.
///
/// Not Tokio's lock: a task that has done much at once is turned away by it and loses its place.
#[derive(Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    readers: usize,
    is_writing: bool,
    waiting: VecDeque<(Kind, oneshot::Sender<Pass>)>,
    /// The newest message, if this node wrote it and no other has been seen since. A guess: the stream confirms it.
    known: Option<Known>,
}

/// What a call does to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// A call's turn, over when dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    kind: Kind,
}

/// The newest message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) time_ms: i64,
    pub(super) record: Record,
    pub(super) is_mark: bool,
}

impl Gates {
    /// A call's place is that of this call, not that of its first poll.
    pub(super) fn enter(
        &self,
        channel: &str,
        kind: Kind,
    ) -> impl Future<Output = Result<Pass, EngineError>> + use<> {
        let gate = self.of(channel);
        let turn = gate.enter(kind);
        async move {
            turn.await
                .map_err(|_| EngineError::Unavailable("NATS: shutting down".to_owned()))
        }
    }

    fn of(&self, channel: &str) -> Arc<Gate> {
        let mut gates = self.0.lock();
        if let Some(gate) = gates.get(channel) {
            return gate.clone();
        }
        if gates.len() >= REMEMBERED {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = Arc::new(Gate::default());
        gates.insert(channel.into(), gate.clone());
        gate
    }
}

impl Gate {
    fn enter(self: &Arc<Self>, kind: Kind) -> oneshot::Receiver<Pass> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.lock();
        state.waiting.push_back((kind, sender));
        let gone = self.admit(&mut state);
        drop(state);
        drop(gone);
        receiver
    }

    /// Lets pass who may. Answers with the turns of those that have given up: to be dropped without the lock.
    fn admit(self: &Arc<Self>, state: &mut State) -> Vec<Pass> {
        let mut gone = Vec::new();
        while let Some((kind, sender)) = state.waiting.pop_front() {
            let may_pass = match kind {
                Kind::Read => !state.is_writing,
                Kind::Write => !state.is_writing && state.readers == 0,
            };
            if !may_pass {
                state.waiting.push_front((kind, sender));
                break;
            }
            match kind {
                Kind::Read => state.readers += 1,
                Kind::Write => state.is_writing = true,
            }
            let pass = Pass {
                gate: self.clone(),
                kind,
            };
            gone.extend(sender.send(pass).err());
        }
        gone
    }
}

impl Pass {
    /// What the calls before know of the newest message. Gone after this, so that nobody believes it whose call was
    /// given up half-way.
    pub(super) fn take_known(&self) -> Option<Known> {
        self.gate.0.lock().known.take()
    }

    pub(super) fn know(&self, known: Option<Known>) {
        self.gate.0.lock().known = known;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.0.lock();
        match self.kind {
            Kind::Read => state.readers -= 1,
            Kind::Write => state.is_writing = false,
        }
        let gone = self.gate.admit(&mut state);
        drop(state);
        drop(gone);
    }
}

impl Known {
    pub(super) fn new(sequence: u64, time_ms: i64, record: Record, is_mark: bool) -> Self {
        Self {
            sequence,
            time_ms,
            record,
            is_mark,
        }
    }

    pub(super) fn of(stored: &Stored) -> Self {
        let is_mark = stored.publication.is_none();
        Self::new(stored.sequence, stored.time_ms, stored.record.clone(), is_mark)
    }

    /// Whether the position has outlived its time.
    pub(super) fn is_forgotten(&self, now_ms: i64) -> bool {
        self.age(now_ms) > self.record.meta_ttl_ms
    }

    pub(super) fn is_half_gone(&self, now_ms: i64) -> bool {
        self.age(now_ms) > self.record.meta_ttl_ms / 2
    }

    /// The sequences of the newest publications, newest first.
    pub(super) fn publications(&self) -> impl Iterator<Item = u64> {
        let own = (!self.is_mark).then_some(self.sequence);
        own.into_iter().chain(self.record.before.iter().copied())
    }

    fn age(&self, now_ms: i64) -> u64 {
        u64::try_from(now_ms.saturating_sub(self.time_ms)).unwrap_or_default()
    }
}

impl From<Stored> for Known {
    fn from(stored: Stored) -> Self {
        Self::of(&stored)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn turn(place: &mut oneshot::Receiver<Pass>) -> Option<Pass> {
        place.now_or_never().map(|turn| turn.expect("a turn"))
    }

    #[test]
    fn readers_pass_together_and_writers_alone() {
        let gate = Arc::new(Gate::default());
        let [mut a, mut b, mut c, mut d, mut e] =
            [Kind::Read, Kind::Read, Kind::Write, Kind::Read, Kind::Write].map(|kind| gate.enter(kind));
        let (first, second) = (turn(&mut a), turn(&mut b));
        assert!(first.is_some() && second.is_some() && turn(&mut c).is_none());
        drop(first);
        assert!(turn(&mut c).is_none());
        drop(second);
        let third = turn(&mut c);
        assert!(third.is_some() && turn(&mut d).is_none());
        drop(third);
        // Those that have given up, before or after it was their turn, hold up nobody.
        drop(d);
        assert!(turn(&mut e).is_some());
        drop(gate.enter(Kind::Write));
        assert!(turn(&mut gate.enter(Kind::Write)).is_some());
    }

    proptest! {
        /// Whoever may pass does, in the order of entering; nobody passes beside a writer.
        #[test]
        fn nobody_waits_for_nothing(steps in proptest::collection::vec((0..3_u8, any::<prop::sample::Index>()), 1..60)) {
            let gate = Arc::new(Gate::default());
            let mut waiting: VecDeque<(Kind, oneshot::Receiver<Pass>)> = VecDeque::new();
            let mut inside: Vec<Pass> = Vec::new();
            for (step, index) in steps {
                match step {
                    0 => waiting.push_back((Kind::Read, gate.enter(Kind::Read))),
                    1 => waiting.push_back((Kind::Write, gate.enter(Kind::Write))),
                    _ if !inside.is_empty() => drop(inside.swap_remove(index.index(inside.len()))),
                    _ => {}
                }
                while let Some((_, place)) = waiting.front_mut() && let Some(pass) = turn(place) {
                    waiting.pop_front();
                    inside.push(pass);
                }
                let writers = inside.iter().filter(|pass| pass.kind == Kind::Write).count();
                prop_assert!(writers == 0 || inside.len() == 1);
                let is_blocked = match waiting.front() {
                    None => true,
                    Some((Kind::Read, _)) => writers == 1,
                    Some((Kind::Write, _)) => !inside.is_empty(),
                };
                prop_assert!(is_blocked);
            }
        }
    }
}

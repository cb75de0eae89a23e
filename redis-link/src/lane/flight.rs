//! What was sent and is not answered yet.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::queue::{LARGE, Queued};

/// Commands that may wait for their answers.
const MAX_IN_FLIGHT: usize = 4096;

/// Bytes that their calls may hold.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Small commands that may wait for answers before calls wait for company.
const SMALL_COMMANDS: usize = 2;

/// What an answer will be to.
pub(super) enum Sent {
    /// A question of our own, whose answer matters to nobody.
    Ours,
    Call(Queued),
    Merged(Vec<Queued>),
}

impl Sent {
    fn is_small(&self) -> bool {
        matches!(self, Self::Merged(calls) if calls.len() < LARGE)
    }

    fn size(&self) -> usize {
        match self {
            Self::Ours => 0,
            Self::Call(queued) => queued.call.size(),
            Self::Merged(calls) => calls.iter().map(|queued| queued.call.size()).sum(),
        }
    }
}

/// Commands that wait for their answers, which come in the same order.
pub(super) struct Flight {
    sent: VecDeque<(Instant, Sent)>,
    /// What the calls hold.
    bytes: usize,
    /// Commands that could have been of more calls.
    small: usize,
    now: Instant,
    refused: Vec<Queued>,
}

impl Default for Flight {
    fn default() -> Self {
        Self {
            sent: VecDeque::new(),
            bytes: 0,
            small: 0,
            now: Instant::now(),
            refused: Vec::new(),
        }
    }
}

impl Flight {
    /// What is added from here on leaves now.
    pub(super) fn begin(&mut self) {
        self.now = Instant::now();
    }

    pub(super) fn push(&mut self, sent: Sent) {
        self.bytes += sent.size();
        self.small += usize::from(sent.is_small());
        self.sent.push_back((self.now, sent));
    }

    /// What the next answer is to, and whether with it the flight stops being full, or having small commands.
    pub(super) fn pop(&mut self) -> Option<(Sent, bool)> {
        let (was_full, had_small) = (self.is_full(), self.has_small());
        let (_, sent) = self.sent.pop_front()?;
        self.bytes = self.bytes.saturating_sub(sent.size());
        self.small = self.small.saturating_sub(usize::from(sent.is_small()));
        let frees = (was_full && !self.is_full()) || (had_small && !self.has_small());
        Some((sent, frees))
    }

    /// Whether enough merged commands wait for answers that could have been of more calls.
    pub(super) fn has_small(&self) -> bool {
        self.small >= SMALL_COMMANDS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether so much waits for answers that nothing more may be sent.
    pub(super) fn is_full(&self) -> bool {
        self.sent.len() >= MAX_IN_FLIGHT || self.bytes >= MAX_BYTES
    }

    /// When what waits for the longest time was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|(at, _)| *at)
    }

    /// Keeps calls that did nothing, until everything that was sent after them is answered.
    pub(super) fn refuse(&mut self, calls: Vec<Queued>) {
        self.refused.extend(calls);
    }

    /// Whether calls wait to be sent again: nothing may overtake them.
    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The calls to be sent again, as soon as nothing is under way.
    pub(super) fn take_refused(&mut self) -> Option<Vec<Queued>> {
        (self.sent.is_empty() && self.has_refused()).then(|| std::mem::take(&mut self.refused))
    }

    /// Everything that has no answer.
    pub(super) fn drain(&mut self) -> Vec<Queued> {
        self.bytes = 0;
        self.small = 0;
        let refused = std::mem::take(&mut self.refused);
        let sent = std::mem::take(&mut self.sent).into_iter();
        let sent = sent.flat_map(|(_, sent)| match sent {
            Sent::Ours => Vec::new(),
            Sent::Call(queued) => vec![queued],
            Sent::Merged(calls) => calls,
        });
        refused.into_iter().chain(sent).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call::Call;
    use crate::reply;

    proptest! {
        /// Small commands are counted as long as they wait, and nothing else is.
        #[test]
        fn small_commands_are_known(steps in prop::collection::vec(prop::option::weighted(0.6, 0..2 * LARGE), 0..60)) {
            let queued = || Queued::new(Call::command(0, None, redis::cmd("GET")), reply::pair().0);
            let mut flight = Flight::default();
            let mut model = VecDeque::new();
            for step in steps {
                match step {
                    Some(0) => flight.push(Sent::Ours),
                    Some(1) => flight.push(Sent::Call(queued())),
                    Some(calls) => flight.push(Sent::Merged((0..calls).map(|_| queued()).collect())),
                    None => prop_assert_eq!(flight.pop().is_some(), model.pop_front().is_some()),
                }
                model.extend(step);
                let small = model.iter().filter(|calls| (2..LARGE).contains(*calls)).count();
                prop_assert_eq!(flight.small, small);
            }
            flight.drain();
            prop_assert_eq!(flight.small, 0);
            prop_assert_eq!(flight.bytes, 0);
        }
    }

    /// Who waits for room is not kept waiting for the small commands, which are answered later.
    #[test]
    fn each_end_of_a_wait_is_told() {
        let queued = || Queued::new(Call::command(0, None, redis::cmd("GET")), reply::pair().0);
        let mut flight = Flight::default();
        for _ in 0..MAX_IN_FLIGHT - SMALL_COMMANDS {
            flight.push(Sent::Ours);
        }
        for _ in 0..SMALL_COMMANDS {
            flight.push(Sent::Merged(vec![queued()]));
        }
        assert!(flight.is_full() && flight.has_small());
        let told: Vec<_> = std::iter::from_fn(|| flight.pop())
            .enumerate()
            .filter_map(|(index, (_, frees))| frees.then_some(index))
            .collect();
        assert_eq!(told, [0, MAX_IN_FLIGHT - SMALL_COMMANDS]);
    }
}

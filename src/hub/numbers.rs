//! Numbers that stand for channels in pushes (channel compaction, history-and-recovery.md 12).
//!
//! A channel gets its number with the first subscriber that wants one and gives it back when its last subscriber
//! leaves, so numbers stay as small as the node's channels are few. A client is told the number of a channel before
//! it can see it in a push, and whoever had it before has left by then.

use parking_lot::Mutex;

/// The numbers of a node.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The highest number that was ever given; 0 is none and the same as absent on the wire.
    highest: u32,
    free: Vec<u32>,
}

impl Numbers {
    /// A number that no other channel has; none if there are no more.
    pub(super) fn take(&self) -> Option<u32> {
        let mut state = self.state.lock();
        if let Some(number) = state.free.pop() {
            return Some(number);
        }
        state.highest = state.highest.checked_add(1)?;
        Some(state.highest)
    }

    /// Frees a number.
    pub(super) fn give_back(&self, number: u32) {
        let mut state = self.state.lock();
        state.free.push(number);
        if state.free.len() == state.highest as usize {
            *state = State::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_one_and_are_used_again() {
        let numbers = Numbers::default();
        for _ in 0..2 {
            assert_eq!(
                [numbers.take(), numbers.take(), numbers.take()],
                [Some(1), Some(2), Some(3)]
            );
            numbers.give_back(2);
            assert_eq!([numbers.take(), numbers.take()], [Some(2), Some(4)]);
            for number in [1, 2, 3, 4] {
                numbers.give_back(number);
            }
        }
    }

    #[test]
    fn the_last_number_is_the_last() {
        let numbers = Numbers::default();
        numbers.state.lock().highest = u32::MAX - 1;
        assert_eq!([numbers.take(), numbers.take()], [Some(u32::MAX), None]);
    }
}

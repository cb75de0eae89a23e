//! The deadlines of all connections of an endpoint, behind one timer of the runtime.
//!
//! A connection moves its deadline with nearly every packet, nearly always to later. So an entry stays where it is
//! when the deadline moves away, and is put right when it comes up too early: entries move a few times per second
//! instead of with every packet.

use std::collections::BTreeSet;
use std::time::Instant;

/// Entries by time; at most one for each connection.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BTreeSet<(Instant, usize)>,
}

impl Timers {
    /// Sees to it that `connection` comes up no later than `deadline`. `armed` is what the connection keeps of its
    /// entry.
    pub(super) fn arm(&mut self, connection: usize, armed: &mut Option<Instant>, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if let Some(earlier) = *armed {
            if earlier <= deadline {
                return;
            }
            self.entries.remove(&(earlier, connection));
        }
        self.entries.insert((deadline, connection));
        *armed = Some(deadline);
    }

    /// Forgets a connection.
    pub(super) fn disarm(&mut self, connection: usize, armed: &mut Option<Instant>) {
        if let Some(at) = armed.take() {
            self.entries.remove(&(at, connection));
        }
    }

    /// Takes the next connection whose entry has come up. Its `armed` must be cleared and the entry made anew.
    pub(super) fn pop(&mut self, now: Instant) -> Option<usize> {
        let (at, connection) = *self.entries.first()?;
        if at > now {
            return None;
        }
        self.entries.pop_first();
        Some(connection)
    }

    /// When [`pop`](Self::pop) will have something.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Arm(usize, u64),
        Disarm(usize),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4usize, 0..100u64).prop_map(|(connection, after)| Step::Arm(connection, after)),
            (0..4usize).prop_map(Step::Disarm),
            (0..30u64).prop_map(Step::Advance),
        ]
    }

    proptest! {
        /// Nobody comes up later than asked, and nobody who asked for nothing.
        #[test]
        fn no_deadline_is_missed(steps in proptest::collection::vec(step(), 0..200)) {
            let mut now = Instant::now();
            let mut timers = Timers::default();
            let mut armed = [None; 4];
            let mut wanted: [Option<Instant>; 4] = [None; 4];
            for step in steps {
                match step {
                    Step::Arm(connection, after) => {
                        let deadline = now + Duration::from_millis(after);
                        wanted[connection] = Some(deadline);
                        timers.arm(connection, &mut armed[connection], Some(deadline));
                    }
                    Step::Disarm(connection) => {
                        wanted[connection] = None;
                        timers.disarm(connection, &mut armed[connection]);
                    }
                    Step::Advance(by) => now += Duration::from_millis(by),
                }
                while let Some(connection) = timers.pop(now) {
                    armed[connection] = None;
                    prop_assert!(wanted[connection].is_some());
                    if wanted[connection].is_some_and(|deadline| deadline <= now) {
                        wanted[connection] = None;
                    }
                    timers.arm(connection, &mut armed[connection], wanted[connection]);
                }
                for (connection, deadline) in wanted.iter().enumerate() {
                    prop_assert!(deadline.is_none_or(|deadline| deadline > now));
                    prop_assert_eq!(deadline.is_some(), armed[connection].is_some());
                }
                prop_assert!(timers.next().is_none_or(|next| next > now));
            }
        }
    }
}

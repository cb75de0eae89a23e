//! Log lines for what may happen very often.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one line pass a second.
#[derive(Debug)]
pub(in crate::engine) struct Rarely(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    skipped: u64,
}

impl Rarely {
    pub(in crate::engine) const fn new() -> Self {
        Self(Mutex::new(State {
            last: None,
            skipped: 0,
        }))
    }

    /// The number of events since the last line, if there may be one now; this event included.
    pub(in crate::engine) fn allow(&self) -> Option<u64> {
        let mut state = self.0.lock();
        state.skipped += 1;
        let now = Instant::now();
        if state
            .last
            .is_some_and(|last| now.duration_since(last) < Duration::from_secs(1))
        {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_rare_and_count_what_they_stand_for() {
        let rarely = Rarely::new();
        assert_eq!(rarely.allow(), Some(1));
        assert_eq!(rarely.allow(), None);
        assert_eq!(rarely.allow(), None);
        rarely.0.lock().last = Instant::now().checked_sub(Duration::from_secs(2));
        assert_eq!(rarely.allow(), Some(3));
    }
}

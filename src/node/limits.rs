//! Connection limits of a node (configuration.md 6).

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often a refusal for the total limit is logged.
const WARN_EVERY: Duration = Duration::from_secs(3);

/// Limits by total number and by rate.
pub struct ConnectionLimits {
    total: Option<usize>,
    /// New connections per second, which is also the burst.
    rate: Option<f64>,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    filled: Instant,
    warned: Option<Instant>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The total limit; `warn` asks for a line in the log.
    Total {
        /// Whether this refusal is to be logged.
        warn: bool,
    },
    /// Too many new connections in this second.
    Rate,
}

impl ConnectionLimits {
    /// `None` or zero switches a limit off.
    #[must_use]
    pub fn new(total: Option<usize>, rate: Option<usize>, now: Instant) -> Self {
        let rate = rate.filter(|rate| *rate > 0).map(|rate| rate as f64);
        Self {
            total: total.filter(|total| *total > 0),
            rate,
            state: Mutex::new(State {
                tokens: rate.unwrap_or_default(),
                filled: now,
                warned: None,
            }),
        }
    }

    /// The total limit.
    #[must_use]
    pub fn total(&self) -> Option<usize> {
        self.total
    }

    /// Asks for room for one more connection.
    ///
    /// # Errors
    /// [`Full`], answered with HTTP 503.
    pub fn admit(&self, connected: usize, now: Instant) -> Result<(), Full> {
        if self.total.is_none() && self.rate.is_none() {
            return Ok(());
        }
        let mut state = self.state.lock();
        if self.total.is_some_and(|total| connected >= total) {
            let warn = state
                .warned
                .is_none_or(|warned| now.saturating_duration_since(warned) >= WARN_EVERY);
            if warn {
                state.warned = Some(now);
            }
            return Err(Full::Total { warn });
        }
        let Some(rate) = self.rate else { return Ok(()) };
        let elapsed = now.saturating_duration_since(state.filled).as_secs_f64();
        state.filled = now;
        state.tokens = (state.tokens + elapsed * rate).min(rate);
        if state.tokens < 1.0 {
            return Err(Full::Rate);
        }
        state.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_refills_by_itself_each_second() {
        let start = Instant::now();
        let limits = ConnectionLimits::new(None, Some(3), start);
        let admitted = |at: Duration| (0..10).filter(|_| limits.admit(0, start + at).is_ok()).count();
        assert_eq!(admitted(Duration::ZERO), 3);
        assert_eq!(admitted(Duration::from_secs(1)), 3);
        assert_eq!(admitted(Duration::from_millis(1400)), 1);
    }

    #[test]
    fn the_total_is_logged_seldom() {
        let start = Instant::now();
        let limits = ConnectionLimits::new(Some(2), None, start);
        assert_eq!(limits.admit(1, start), Ok(()));
        assert_eq!(limits.admit(2, start), Err(Full::Total { warn: true }));
        assert_eq!(limits.admit(2, start), Err(Full::Total { warn: false }));
        assert_eq!(
            limits.admit(2, start + WARN_EVERY),
            Err(Full::Total { warn: true })
        );
    }
}

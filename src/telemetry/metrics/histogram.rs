//! Durations in buckets.

use std::time::Duration;

use super::table::Counter;

/// Upper bounds in seconds, as dashboards expect them (operations.md 2: B1, B2, BD).
pub(super) const COMMAND_BOUNDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
pub(super) const BROADCAST_BOUNDS: &[f64] = &[
    0.000_001, 0.000_005, 0.000_01, 0.000_05, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
pub(super) const API_BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A histogram whose counting is one search and two relaxed additions. It has no counter of all: a reading adds the
/// buckets up, so it never tells fewer in all than in a bucket.
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// The same in nanoseconds: what is counted is compared as the integer it is.
    limits: Box<[u64]>,
    /// One more than bounds: the last counts what exceeds them all.
    buckets: Box<[Counter]>,
    nanoseconds: Counter,
}

/// What a histogram counted up to a moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Distribution {
    /// Upper bounds, and how many did not exceed them.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    /// In seconds.
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            limits: bounds.iter().map(|bound| (bound * 1e9).round() as u64).collect(),
            buckets: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            nanoseconds: Counter::default(),
        }
    }

    pub(super) fn observe(&self, duration: Duration) {
        // Lasts for 584 years.
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let index = self.limits.partition_point(|limit| *limit < nanoseconds);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.add(1);
        }
        self.nanoseconds.add(nanoseconds);
    }

    pub(super) fn read(&self) -> Distribution {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        let mut bounds = self.bounds.iter();
        for bucket in &self.buckets {
            count += bucket.get();
            buckets.extend(bounds.next().map(|bound| (*bound, count)));
        }
        Distribution {
            buckets,
            count,
            sum: Duration::from_nanos(self.nanoseconds.get()).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_their_buckets() {
        let histogram = Histogram::new(&[0.001, 0.01]);
        for micros in [0, 1000, 1001, 10_000, 10_001, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!(
            histogram.read(),
            Distribution {
                buckets: vec![(0.001, 2), (0.01, 4)],
                count: 6,
                sum: 60.022_002,
            }
        );
    }
}

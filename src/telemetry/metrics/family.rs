//! Families of metrics, as they are read for a page or for `info`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::histogram::Distribution;

/// A value and how it changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue {
    /// Goes up and down.
    Gauge(f64),
    /// Only grows.
    Counter(f64),
}

impl MetricValue {
    /// The value inside `info`: gauges as they are, counters as the change since `before`. Without an earlier
    /// reading there is no change to tell; a counter that appeared since then counts from zero.
    #[must_use]
    pub fn change_since(self, before: Option<Option<Self>>) -> f64 {
        match (self, before) {
            (Self::Gauge(value), _) => value,
            (Self::Counter(_), None) => 0.0,
            (Self::Counter(value), Some(before)) => value - before.map_or(0.0, Self::get),
        }
    }

    pub(super) fn get(self) -> f64 {
        match self {
            Self::Gauge(value) | Self::Counter(value) => value,
        }
    }
}

/// Names and values of labels, in the order of names.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// All series of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) series: Series,
}

pub(super) enum Series {
    /// Gauges or counters, not both.
    Values(Vec<(Labels, MetricValue)>),
    /// Durations, shown as sum and count.
    Summaries(Vec<(Labels, Distribution)>),
    /// Durations, shown as buckets, sum and count.
    Histograms(Vec<(Labels, Distribution)>),
}

impl Family {
    /// Adds the family under flat keys: the name split at its first two underscores, then the labels that have a
    /// value (operations.md 4). Histograms have no flat form; their summaries do.
    pub(super) fn flatten(&self, into: &mut BTreeMap<String, MetricValue>) {
        match &self.series {
            Series::Values(values) => {
                for (labels, value) in values {
                    into.insert(flat_key(self.name, "", labels), *value);
                }
            }
            Series::Summaries(summaries) => {
                for (labels, Distribution { count, sum, .. }) in summaries {
                    let key = |suffix| flat_key(self.name, suffix, labels);
                    into.insert(key(".sum"), MetricValue::Counter(*sum));
                    into.insert(key(".count"), MetricValue::Counter(*count as f64));
                }
            }
            Series::Histograms(_) => {}
        }
    }
}

fn flat_key(name: &str, suffix: &str, labels: &Labels) -> String {
    let mut key = name.replacen('_', ".", 2);
    key.push_str(suffix);
    for (label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string does not fail.
        let _ = write!(key, ".{label}.{value}");
    }
    key
}

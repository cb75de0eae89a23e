//! Families of metrics, as they are read for a page or for `info`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

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

    fn get(self) -> f64 {
        match self {
            Self::Gauge(value) | Self::Counter(value) => value,
        }
    }
}

/// A histogram's reading: cumulative buckets by upper bound.
pub(super) struct Distribution {
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum: f64,
}

pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// All series of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) series: Series,
}

pub(super) enum Series {
    Values(Vec<(Labels, MetricValue)>),
    /// Sum and count.
    Summaries(Vec<(Labels, (MetricValue, MetricValue))>),
    Histograms(Vec<(Labels, Distribution)>),
}

impl Family {
    /// Appends the family in the text format 0.0.4; nothing if it has no series yet.
    pub(super) fn write_text(&self, out: &mut String) {
        let Self { name, help, series } = self;
        let kind = match series {
            Series::Values(values) => match values.first() {
                None => return,
                Some((_, MetricValue::Gauge(_))) => "gauge",
                Some((_, MetricValue::Counter(_))) => "counter",
            },
            Series::Summaries(of) if of.is_empty() => return,
            Series::Histograms(of) if of.is_empty() => return,
            Series::Summaries(_) => "summary",
            Series::Histograms(_) => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        match series {
            Series::Values(values) => {
                for (labels, value) in values {
                    line(out, name, "", labels, None, value.get());
                }
            }
            Series::Summaries(summaries) => {
                for (labels, (sum, count)) in summaries {
                    line(out, name, "_sum", labels, None, sum.get());
                    line(out, name, "_count", labels, None, count.get());
                }
            }
            Series::Histograms(histograms) => {
                for (labels, distribution) in histograms {
                    for (bound, count) in &distribution.buckets {
                        line(
                            out,
                            name,
                            "_bucket",
                            labels,
                            Some(&bound.to_string()),
                            *count as f64,
                        );
                    }
                    line(
                        out,
                        name,
                        "_bucket",
                        labels,
                        Some("+Inf"),
                        distribution.count as f64,
                    );
                    line(out, name, "_sum", labels, None, distribution.sum);
                    line(out, name, "_count", labels, None, distribution.count as f64);
                }
            }
        }
    }

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
                for (labels, (sum, count)) in summaries {
                    into.insert(flat_key(self.name, ".sum", labels), *sum);
                    into.insert(flat_key(self.name, ".count", labels), *count);
                }
            }
            Series::Histograms(_) => {}
        }
    }
}

fn line(out: &mut String, name: &str, suffix: &str, labels: &Labels, bound: Option<&str>, value: f64) {
    out.push_str(name);
    out.push_str(suffix);
    let bound = bound.map(|bound| ("le", Cow::Borrowed(bound)));
    let labels = labels
        .iter()
        .map(|(key, text)| (*key, Cow::Borrowed(text.as_ref())))
        .chain(bound);
    for (index, (key, text)) in labels.enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        let _ = write!(out, "{key}=\"");
        for char in text.chars() {
            match char {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                char => out.push(char),
            }
        }
        out.push('"');
    }
    let has_labels = out.ends_with('"');
    let _ = writeln!(out, "{} {value}", if has_labels { "}" } else { "" });
}

fn flat_key(name: &str, suffix: &str, labels: &Labels) -> String {
    let mut key = name.replacen('_', ".", 2);
    key.push_str(suffix);
    for (label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(key, ".{label}.{value}");
    }
    key
}

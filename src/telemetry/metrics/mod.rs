//! Metrics under the names that dashboards for Centrifugo query (operations.md 2).
//!
//! Our own registry and not `prometheus-client`: that crate appends `_total` to counters and serves OpenMetrics
//! only, which would rename what dashboards depend on. What is ours is small: atomics in arrays indexed by
//! enums, so that counting on the hot path neither hashes nor locks, and one list of families from which the text
//! page and the metrics inside `info` are made.

mod family;
mod histogram;
mod labels;
mod process;
mod registry;

#[cfg(test)]
mod tests;

pub use family::MetricValue;
pub use labels::{ClientLabel, CommandKind, FrameType};
pub use registry::Metrics;

/// Content type of [`Metrics::render`].
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

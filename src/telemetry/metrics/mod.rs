//! Metrics under the names that dashboards for Centrifugo query (operations.md 2).
//!
//! Our own registry and not `prometheus-client`: that crate appends `_total` to counters and serves OpenMetrics
//! only, which would rename what dashboards depend on. What is ours is small. Counters are relaxed atomics in
//! [tables](table) indexed by the values of their labels, so counting neither hashes nor locks; only codes outside
//! the protocol's own, errors of the server API and, where they are counted at all, HTTP requests go through a map.
//! [Families](families) are made from the tables when somebody asks: as a [page](text) for Prometheus, or
//! [flat](MetricValue) for `info`.
//!
//! Labels have closed sets of values. What a client sends is never a label; codes a backend invents are kept to a
//! bounded number of series. Empty labels (`channel_namespace`, `accept_protocol`) are there because queries name
//! them.
//!
//! Different from the reference: a page is never older than the request, where its gauges are refreshed every 10 s,
//! and summaries, which are deprecated in favour of their `_histogram` twins, have a sum and a count but no
//! quantiles. A quantile over a sliding window needs a lock or a sketch for each command, for a number that cannot be
//! added up over nodes.

mod codes;
mod families;
mod family;
mod histogram;
mod labels;
mod process;
mod registry;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use family::MetricValue;
pub use labels::{Action, ClientLabel, CommandKind, FrameType};
pub use registry::Metrics;

/// Content type of [`Metrics::render`].
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

//! What operators see: logs and metrics.

pub mod log;
mod metrics;

pub use metrics::{Action, ClientLabel, CommandKind, FrameType, MetricValue, Metrics, TEXT_FORMAT};

//! Levels: which events a level lets through, and how a line names its own.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;

use crate::config::LogLevel;

/// Whether an event is logged at a level.
///
/// Dependencies speak from WARN on: what they say below is about their insides. At `trace` one wants even that.
pub(super) fn allows(level: LogLevel, metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().starts_with("tidegate");
    let heard = ours || level == LogLevel::Trace || *metadata.level() <= tracing::Level::WARN;
    metadata.is_event() && heard && *metadata.level() <= filter(level)
}

/// The most verbose events that a level lets through. None at `fatal`, as no event is that grave.
pub(super) fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::None | LogLevel::Fatal => LevelFilter::OFF,
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

/// How a line names its level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    /// In JSON.
    pub(super) name: &'static str,
    /// Between the brackets of console text.
    pub(super) short: &'static str,
    /// Parameters of the escape sequence that colours it.
    pub(super) colour: &'static str,
}

impl Label {
    pub(super) const FATAL: Self = Self::new("fatal", "FTL", "1;31");

    pub(super) fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::new("trace", "TRC", "34"),
            tracing::Level::DEBUG => Self::new("debug", "DBG", "35"),
            tracing::Level::INFO => Self::new("info", "INF", "32"),
            tracing::Level::WARN => Self::new("warn", "WRN", "33"),
            tracing::Level::ERROR => Self::new("error", "ERR", "31"),
        }
    }

    const fn new(name: &'static str, short: &'static str, colour: &'static str) -> Self {
        Self { name, short, colour }
    }
}

//! The layer between `tracing` and a sink.

use std::fmt::{self, Display};
use std::sync::Arc;

use time::OffsetDateTime;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::level::{self, Label};
use super::record::Record;
use super::sink::Sink;
use crate::config::LogLevel;

/// Writes the events that its level lets through. Clones share the writer.
///
/// Whether an event passes depends on its level and target alone, hence `tracing` is told once per callsite, and
/// what is filtered out costs one atomic load.
#[derive(Clone)]
pub struct LogLayer {
    level: LogLevel,
    sink: Arc<Sink>,
    clock: fn() -> OffsetDateTime,
}

impl LogLayer {
    pub(super) fn new(level: LogLevel, sink: Sink) -> Self {
        Self {
            level,
            sink: Arc::new(sink),
            clock: OffsetDateTime::now_utc,
        }
    }

    /// The same layer with another source of time, which is UTC.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> OffsetDateTime) -> Self {
        Self { clock, ..self }
    }

    /// As [`fatal`](super::fatal), to the writer of this layer.
    pub fn fatal(&self, message: &str, error: &dyn Display) {
        if self.level != LogLevel::None {
            self.write(Label::FATAL, |record| {
                record.error(error);
                record.message(message);
            });
        }
    }

    fn write(&self, label: Label, fill: impl FnOnce(&mut Record)) {
        let mut record = Record::take(self.sink.form());
        fill(&mut record);
        self.sink.write(record.line(label, (self.clock)()));
        record.put_back();
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if level::allows(self.level, metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        level::allows(self.level, metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(level::filter(self.level))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.write(Label::of(*event.metadata().level()), |record| {
            event.record(record);
        });
    }
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LogLayer")
            .field("level", &self.level)
            .field("form", &self.sink.form())
            .finish_non_exhaustive()
    }
}

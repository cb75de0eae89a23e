//! Logs as operators and their tools expect them (configuration.md 5.1, operations.md 6): JSON lines on standard
//! error, or coloured text on a terminal.
//!
//! A line is built in memory and written with one call under a lock. A reader of our logs that blocks would block
//! us in that call, as it does every program that writes to a pipe; dropping lines silently instead would lose
//! exactly those of a storm.

mod line;

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogLevel;
use line::{Form, Line, Severity};

/// Where the process logs; set once by [`init`].
static SINK: OnceLock<Sink> = OnceLock::new();

/// The log could not be opened. The fault is the operator's.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.file` cannot be opened.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// Somebody else installed a subscriber before.
    #[error("logging is initialised twice")]
    Twice,
}

/// Starts logging for the whole process: to `file`, or to the standard streams.
///
/// # Errors
/// [`LogError`] if the file cannot be opened, or on a second call.
pub fn init(level: LogLevel, file: Option<&Path>) -> Result<(), LogError> {
    let sink = Sink::open(level, file)?;
    SINK.set(sink).map_err(|_| LogError::Twice)?;
    tracing_subscriber::registry()
        .with(LogLayer)
        .try_init()
        .map_err(|_| LogError::Twice)
}

/// Writes a line of the level `fatal`: the process is about to exit. Works before [`init`] as well.
pub fn fatal(message: &str, error: &dyn Display) {
    let write = |sink: &Sink| {
        if sink.level != LogLevel::None {
            let mut line = Line::new(Severity::Fatal);
            line.text("error", error.to_string());
            line.message = message.to_owned();
            sink.write(&line);
        }
    };
    match SINK.get() {
        Some(sink) => write(sink),
        // The standard streams cannot fail to open.
        None => {
            if let Ok(sink) = Sink::open(LogLevel::Info, None) {
                write(&sink);
            }
        }
    }
}

/// A writer of lines with its form and level.
struct Sink {
    level: LogLevel,
    form: Form,
    output: Mutex<Output>,
}

enum Output {
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    fn open(level: LogLevel, file: Option<&Path>) -> Result<Self, LogError> {
        let (form, output) = match file {
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let path = path.display().to_string();
                (
                    Form::Json,
                    Output::File(file.map_err(|error| LogError::File { path, error })?),
                )
            }
            None if io::stdout().is_terminal() => (Form::Console, Output::Stdout),
            None => (Form::Json, Output::Stderr),
        };
        Ok(Self {
            level,
            form,
            output: Mutex::new(output),
        })
    }

    fn write(&self, line: &Line) {
        let text = line.format(self.form, time::OffsetDateTime::now_utc());
        // Nobody can be told that the log is gone.
        let _ = match &mut *self.output.lock() {
            Output::Stdout => io::stdout().write_all(text.as_bytes()),
            Output::Stderr => io::stderr().write_all(text.as_bytes()),
            Output::File(file) => file.write_all(text.as_bytes()),
        };
    }
}

/// Hands events to the sink.
struct LogLayer;

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        SINK.get()
            .is_some_and(|sink| shows(sink.level, metadata.level(), metadata.target()))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(sink) = SINK.get() {
            sink.write(&Line::of(event));
        }
    }
}

/// Whether an event is logged. Libraries talk about their own affairs: below a warning they are heard at trace
/// only.
fn shows(configured: LogLevel, level: &Level, target: &str) -> bool {
    let limit = match configured {
        LogLevel::None | LogLevel::Fatal => return false,
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let is_ours = target.starts_with("tidegate");
    *level <= limit && (is_ours || *level <= Level::WARN || configured == LogLevel::Trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_heard_from_warnings_up() {
        assert!(shows(LogLevel::Info, &Level::INFO, "tidegate::node"));
        assert!(shows(LogLevel::Info, &Level::INFO, "tidegate_transports::tcp"));
        assert!(!shows(LogLevel::Debug, &Level::DEBUG, "hyper::proto"));
        assert!(shows(LogLevel::Info, &Level::WARN, "quinn"));
        assert!(shows(LogLevel::Trace, &Level::TRACE, "hyper::proto"));
        assert!(!shows(LogLevel::None, &Level::ERROR, "tidegate"));
        assert!(!shows(LogLevel::Error, &Level::WARN, "tidegate"));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let Err(error) = Sink::open(LogLevel::Info, Some(Path::new("/nonexistent/log"))) else {
            panic!("opened");
        };
        assert!(error.to_string().starts_with("/nonexistent/log: "));
    }
}

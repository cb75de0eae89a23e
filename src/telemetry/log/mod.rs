//! Logs: what a server tells its operator (configuration.md 5.1, operations.md 6).
//!
//! Code logs through the macros of `tracing`; this module decides where the lines go and what they look like:
//!
//! | Standard output | `log.file` | Lines |
//! |---|---|---|
//! | anything | set | JSON, appended to the file and written nowhere else |
//! | a terminal | empty | coloured text on standard output |
//! | anything else | empty | JSON on standard error |
//!
//! Operators feed these lines to collectors set up for Centrifugo, so the order of keys is part of the contract:
//! `level`, `error`, the other fields as the code names them, `time`, `message`. The stock formatters of
//! `tracing-subscriber` cannot produce it, hence a [layer](LogLayer) of our own. It knows events only: spans are
//! neither recorded nor printed.
//!
//! A line is built in a buffer of its thread and handed over whole by one write under a lock, so lines never mix
//! and the lock covers no formatting. There is no queue: a writer that stalls delays those who log, and no line is
//! dropped silently. A write that fails is ignored, as there is nobody left to tell.

mod error;
mod layer;
mod level;
mod record;
mod redacted;
mod sink;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;

use crate::config::LogLevel;

pub use error::LogError;
pub use layer::LogLayer;
pub use record::Form;
pub use redacted::Redacted;

use sink::Sink;

/// Starts logging for the whole process. Only the binary calls this, once; a library leaves the choice to its user.
///
/// Without `file`, or with an empty path, lines go to the standard streams. The file is created with mode 0644
/// and never reopened: rotate it by copying and truncating.
///
/// An unknown `log.level` never gets here: the configuration turns it into `info` and keeps a
/// [warning](crate::config::Warning), which the server logs once logging works.
///
/// # Errors
///
/// The file cannot be opened, or the process logs already. [`fatal`] works nevertheless.
pub fn init(level: LogLevel, file: Option<&Path>) -> Result<(), LogError> {
    let sink = match file.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Sink::file(path)?,
        None => Sink::standard(),
    };
    let layer = LogLayer::new(level, sink);
    let subscriber = tracing_subscriber::registry().with(layer.clone());
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadyStarted)?;
    // Lost only to another call of `init`, which cannot have got past the line above.
    let _ = PROCESS.set(layer);
    Ok(())
}

/// A layer that writes lines of a form to a writer, for tests and for embedders with a subscriber of their own.
pub fn layer(level: LogLevel, form: Form, writer: impl Write + Send + 'static) -> LogLayer {
    LogLayer::new(level, Sink::new(form, writer))
}

/// Logs why the process is about to end, at the level `fatal`, which `tracing` lacks. It returns: ending the
/// process, with a code, is up to `main`.
///
/// Works at every level but `none`, and before [`init`] too, on the standard streams. An `error` that displays as
/// nothing is left out.
pub fn fatal(message: &str, error: &dyn Display) {
    match PROCESS.get() {
        Some(layer) => layer.fatal(message, error),
        None => LogLayer::new(LogLevel::default(), Sink::standard()).fatal(message, error),
    }
}

/// What [`init`] installed.
static PROCESS: OnceLock<LogLayer> = OnceLock::new();

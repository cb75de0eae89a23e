//! Why logging cannot start.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why logging cannot start.
#[derive(Debug, Error)]
pub enum LogError {
    /// The operator named a file that cannot be created or appended to.
    #[error("error opening log file: open {}: {source}", .path.display())]
    OpenFile {
        /// The value of `log.file`.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The process has a subscriber of `tracing`: ours, or one of the program this crate is embedded in.
    #[error("error starting logs: logging has been started already")]
    AlreadyStarted,
}

impl LogError {
    /// The message of the line that reports this by [`fatal`](super::fatal); [`cause`](Self::cause) is its error.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::OpenFile { .. } => "error opening log file",
            Self::AlreadyStarted => "error starting logs",
        }
    }

    /// What is left to say when [`message`](Self::message) has been said.
    #[must_use]
    pub fn cause(&self) -> Box<dyn Display + '_> {
        match self {
            Self::OpenFile { path, source } => Box::new(format!("open {}: {source}", path.display())),
            Self::AlreadyStarted => Box::new("logging has been started already"),
        }
    }
}

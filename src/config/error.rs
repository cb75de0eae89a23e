//! What can be wrong with a configuration, in words for whoever wrote it.

use std::fmt;
use std::path::PathBuf;

use super::value::{Leaf, Source};

/// A configuration that cannot be used. The fault is the operator's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The file has contents that cannot be read at all.
    #[error("error reading config file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Values that cannot be understood.
    #[error("{}", list(.0))]
    Values(Vec<Problem>),
    /// Values that make no sense, alone or together.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

impl LoadError {
    /// The log message to which the error belongs as a field.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Values(_) => "error getting config",
            Self::Invalid(_) => "error validating config",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the value if it is no secret.
    pub message: String,
    /// The option's dotted key.
    pub key: String,
    /// Where its value was set.
    pub source: Source,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, key: impl Into<String>, source: Source) -> Self {
        Self {
            message: message.into(),
            key: key.into(),
            source,
        }
    }

    pub(crate) fn at(message: impl Into<String>, leaf: &Leaf) -> Self {
        Self::new(message, leaf.key.clone(), leaf.source.clone())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}, {})", self.message, self.key, self.source)
    }
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Something in a configuration that has no effect. To be logged once the server runs: the text is the message,
/// [`field`](Self::field) goes with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// A key of the file that is no option.
    UnknownKey(String),
    /// A variable of the environment that is no option.
    UnknownVariable(String),
    /// An option that other versions have, and that was set.
    Unsupported(String),
    /// A level of `log.level` that does not exist.
    LogLevel(String),
}

impl Warning {
    /// Name and value of the log field.
    #[must_use]
    pub fn field(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::UnknownKey(key) | Self::Unsupported(key) => Some(("key", key)),
            Self::UnknownVariable(name) => Some(("var", name)),
            Self::LogLevel(_) => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(_) => formatter.write_str("unknown key in configuration file"),
            Self::UnknownVariable(_) => formatter.write_str("unknown var in environment"),
            Self::Unsupported(_) => formatter.write_str("option is not supported by this version"),
            Self::LogLevel(level) => write!(formatter, "unknown log level {level}, defaulting to INFO"),
        }
    }
}

//! What can go wrong with a call.

use redis::{RedisError, ServerError};

/// Why a call has no result. The caller's peer is never at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no connection; what was asked of a lost one may have been done.
    #[error("no connection to Redis: {0}")]
    Disconnected(String),
    /// The server kept us waiting for too long; what was asked may be done yet.
    #[error("Redis did not answer in time")]
    Timeout,
    /// Too much waits already. Nothing was sent.
    #[error("too many calls wait for Redis")]
    Overloaded,
    /// The server refuses to speak with us.
    #[error("Redis refused the connection: {0}")]
    Refused(String),
    /// The server answered with an error; nothing was done unless a script failed half-way.
    #[error("Redis answered {code} {message}")]
    Server {
        /// First word of the answer, such as `OOM`.
        code: String,
        /// The rest.
        message: String,
    },
    /// The answer is none that the call can have.
    #[error("unexpected answer of Redis: {0}")]
    Unexpected(String),
}

impl LinkError {
    /// An answer of the server.
    pub(crate) fn server(error: &ServerError) -> Self {
        Self::Server {
            code: error.code().to_owned(),
            message: error.details().unwrap_or_default().to_owned(),
        }
    }

    /// Whether the server answered with this code.
    #[must_use]
    pub fn is_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Server { code, .. } if code == wanted)
    }

    /// A connection that broke.
    pub(crate) fn broken(error: &impl std::fmt::Display) -> Self {
        Self::Disconnected(error.to_string())
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        Self::broken(&error)
    }
}

impl From<std::io::Error> for LinkError {
    fn from(error: std::io::Error) -> Self {
        Self::broken(&error)
    }
}

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
        let (code, message) = (error.code(), error.details().unwrap_or_default());
        let (code, message) = inside_script(message).unwrap_or((code, message));
        Self::Server {
            code: code.to_owned(),
            message: message.to_owned(),
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

/// Before version 7, Redis hides what a command in a script was answered behind the lines where that happened.
fn inside_script(message: &str) -> Option<(&str, &str)> {
    let before = |line: &str| line.is_empty() || line.ends_with("@user_script: ");
    let (place, answer) = message.split_once(": -")?;
    let line = place.trim_end_matches(|last: char| last.is_ascii_digit());
    if !before(line) || line.len() == place.len() {
        return None;
    }
    Some(answer.split_once(' ').unwrap_or((answer, "")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_inside_of_a_script_is_found() {
        let found = Some(("READONLY", "You can't write"));
        // With `pcall`; the code is `@user_script:`.
        assert_eq!(inside_script("1: -READONLY You can't write"), found);
        // With `call`; the code is `ERR`.
        let called = "Error running script (call to f_91dc): @user_script:1: @user_script: 12: -READONLY You can't write";
        assert_eq!(inside_script(called), found);
        assert_eq!(inside_script("1: -NOCODE"), Some(("NOCODE", "")));
        for other in [
            "",
            "You can't write",
            ": -READONLY no",
            "a 1: -READONLY no",
            "Error running script (call to f_91dc): @user_script:1: @user_script: 1: Unknown Redis command",
        ] {
            assert_eq!(inside_script(other), None, "{other}");
        }
    }
}

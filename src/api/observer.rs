//! What telemetry gets to know of calls.

use std::borrow::Cow;
use std::time::Duration;

use super::{ApiError, Method, Protocol};

/// Counts calls; implemented by telemetry (operations.md 2, metrics `api_*`).
pub trait ApiObserver: Send + Sync + 'static {
    /// A method was carried out, with or without success. Commands of a batch are told one by one and then the
    /// batch; the channels of a broadcast are not.
    fn command(&self, protocol: Protocol, method: Method, duration: Duration);

    /// A method was answered with an error, or could not be answered at all. `method` is `None` when the fault
    /// lies before the method is known.
    fn error(&self, protocol: Protocol, method: Option<Method>, fault: Fault);
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It was answered with an error.
    Answered(ApiError),
    /// The body did not arrive.
    ReadBody,
    /// The body is not a request.
    Unmarshal,
    /// The result cannot be written in the caller's encoding.
    Marshal,
}

impl Fault {
    /// The label: a decimal code, or the name of the step that failed.
    #[must_use]
    pub fn label(self) -> Cow<'static, str> {
        match self {
            Self::Answered(error) => Cow::Owned(error.code().to_string()),
            Self::ReadBody => Cow::Borrowed("read_body"),
            Self::Unmarshal => Cow::Borrowed("unmarshal"),
            Self::Marshal => Cow::Borrowed("marshal"),
        }
    }
}

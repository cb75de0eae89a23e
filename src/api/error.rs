//! What a method answers when it does not succeed (server-api.md 2).

use http::StatusCode;

use super::message;

/// Why a method did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ApiError {
    /// The server, its engine or another node failed; or a pattern of channels is malformed.
    #[error("internal server error")]
    Internal,
    /// The channel's namespace is not configured.
    #[error("unknown channel")]
    UnknownChannel,
    /// There is no such method.
    #[error("not found")]
    NotFound,
    /// The request does not say what it must.
    #[error("bad request")]
    BadRequest,
    /// The feature is off for the channel.
    #[error("not available")]
    NotAvailable,
    /// The position belongs to another epoch of the stream.
    #[error("unrecoverable position")]
    UnrecoverablePosition,
    /// Somebody else owns what was to be changed.
    #[error("conflict")]
    Conflict,
}

impl ApiError {
    /// Number on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Internal => 100,
            Self::UnknownChannel => 102,
            Self::NotFound => 104,
            Self::BadRequest => 107,
            Self::NotAvailable => 108,
            Self::UnrecoverablePosition => 112,
            Self::Conflict => 113,
        }
    }

    /// Status of the HTTP response in the transport error mode.
    #[must_use]
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UnknownChannel | Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadRequest | Self::NotAvailable => StatusCode::BAD_REQUEST,
            Self::UnrecoverablePosition => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Conflict => StatusCode::CONFLICT,
        }
    }

    /// Number of the GRPC status in the transport error mode.
    #[must_use]
    pub fn grpc_status(self) -> u32 {
        match self {
            Self::BadRequest | Self::NotAvailable => 3, // INVALID_ARGUMENT
            Self::UnknownChannel | Self::NotFound => 5, // NOT_FOUND
            Self::Conflict => 6,                        // ALREADY_EXISTS
            Self::UnrecoverablePosition => 11,          // OUT_OF_RANGE
            Self::Internal => 13,                       // INTERNAL
        }
    }

    /// The wire form.
    #[must_use]
    pub fn to_message(self) -> message::Error {
        message::Error {
            code: self.code(),
            message: self.to_string(),
        }
    }
}

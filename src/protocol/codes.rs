//! Every error, disconnect and unsubscribe code: the one table (protocol.md 4).

use std::borrow::Cow;

use tidegate_transports::Close;

use super::message;

/// An error reply: the connection survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// Number on the wire; 0–399 are ours, 400–1999 the application's.
    pub code: u32,
    /// Text on the wire, never empty.
    pub message: &'static str,
    /// The client may retry.
    pub temporary: bool,
}

impl ErrorCode {
    /// The server failed.
    pub const INTERNAL: Self = Self::temporary(100, "internal server error");
    /// The channel's namespace is not configured.
    pub const UNKNOWN_CHANNEL: Self = Self::terminal(102, "unknown channel");
    /// The client may not do that.
    pub const PERMISSION_DENIED: Self = Self::terminal(103, "permission denied");
    /// No such RPC method.
    pub const METHOD_NOT_FOUND: Self = Self::terminal(104, "method not found");
    /// A subscription to that channel exists already.
    pub const ALREADY_SUBSCRIBED: Self = Self::terminal(105, "already subscribed");
    /// A limit of the connection is reached.
    pub const LIMIT_EXCEEDED: Self = Self::terminal(106, "limit exceeded");
    /// The request is malformed.
    pub const BAD_REQUEST: Self = Self::terminal(107, "bad request");
    /// The feature is off for that channel.
    pub const NOT_AVAILABLE: Self = Self::terminal(108, "not available");
    /// The token's time is over.
    pub const TOKEN_EXPIRED: Self = Self::terminal(109, "token expired");
    /// The token's time is over, but the client should fetch another and retry (sub_refresh).
    pub const TOKEN_EXPIRED_RETRY: Self = Self::temporary(109, "token expired");
    /// The granted expiry lies in the past.
    pub const EXPIRED: Self = Self::terminal(110, "expired");
    /// The position is not in the stream.
    pub const UNRECOVERABLE_POSITION: Self = Self::terminal(112, "unrecoverable position");

    const fn terminal(code: u32, message: &'static str) -> Self {
        Self {
            code,
            message,
            temporary: false,
        }
    }

    const fn temporary(code: u32, message: &'static str) -> Self {
        Self {
            code,
            message,
            temporary: true,
        }
    }

    /// The wire form.
    #[must_use]
    pub fn to_message(self) -> message::Error {
        message::Error {
            code: self.code,
            message: self.message.to_owned(),
            temporary: self.temporary,
        }
    }
}

/// A disconnect: the connection is closed with this code and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// 3000–3499 and 4000–4499 let the client reconnect, 3500–3999 and 4500–4999 do not.
    pub code: u32,
    /// At most 32 ASCII bytes by convention; never empty.
    pub reason: Cow<'static, str>,
}

impl Disconnect {
    /// The client went away; never written to it.
    pub const CONNECTION_CLOSED: Self = Self::new(3000, "connection closed");
    /// The node stops.
    pub const SHUTDOWN: Self = Self::new(3001, "shutdown");
    /// The server failed.
    pub const INTERNAL: Self = Self::new(3004, "internal server error");
    /// The connection's credentials are over.
    pub const EXPIRED: Self = Self::new(3005, "connection expired");
    /// A server-side subscription expired.
    pub const SUBSCRIPTION_EXPIRED: Self = Self::new(3006, "subscription expired");
    /// The outgoing queue overflowed.
    pub const SLOW: Self = Self::new(3008, "slow");
    /// A write was not finished in time.
    pub const WRITE_ERROR: Self = Self::new(3009, "write error");
    /// A server-side subscription lost its position.
    pub const INSUFFICIENT_STATE: Self = Self::new(3010, "insufficient state");
    /// A ping was not answered in time.
    pub const NO_PONG: Self = Self::new(3012, "no pong");
    /// The token is not valid.
    pub const INVALID_TOKEN: Self = Self::new(3500, "invalid token");
    /// The client broke the protocol.
    pub const BAD_REQUEST: Self = Self::new(3501, "bad request");
    /// The client did not connect in time.
    pub const STALE: Self = Self::new(3502, "stale");
    /// The server API's default.
    pub const FORCE: Self = Self::new(3503, "force disconnect");
    /// Too many connections of the user.
    pub const CONNECTION_LIMIT: Self = Self::new(3504, "connection limit");
    /// Too many server-side subscriptions.
    pub const CHANNEL_LIMIT: Self = Self::new(3505, "channel limit");
    /// A payload that the connection's encoding cannot carry.
    pub const INAPPROPRIATE_PROTOCOL: Self = Self::new(3506, "inappropriate protocol");
    /// Anonymous tokens are not allowed.
    pub const PERMISSION_DENIED: Self = Self::new(3507, "permission denied");
    /// Nothing handles that command.
    pub const NOT_AVAILABLE: Self = Self::new(3508, "not available");

    const fn new(code: u32, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    /// Whether what is queued is dropped instead of flushed before the close (protocol.md 4.4).
    #[must_use]
    pub fn drops_queue(&self) -> bool {
        matches!(self.code, 3000 | 3008)
    }

    /// What the transport is told.
    #[must_use]
    pub fn to_close(&self) -> Close {
        Close {
            code: self.code,
            reason: self.reason.clone(),
        }
    }
}

/// A subscription ended by the server, told by a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// 2000–2499 are terminal, 2500–2999 let the client resubscribe.
    pub code: u32,
    /// Never empty.
    pub reason: &'static str,
}

impl Unsubscribe {
    /// By the server API.
    pub const SERVER: Self = Self {
        code: 2000,
        reason: "server unsubscribe",
    };
    /// The position was lost: resubscribe with recovery.
    pub const INSUFFICIENT_STATE: Self = Self {
        code: 2500,
        reason: "insufficient state",
    };
    /// The subscription's time is over.
    pub const EXPIRED: Self = Self {
        code: 2501,
        reason: "subscription expired",
    };
}

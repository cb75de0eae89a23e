//! Every error, disconnect and unsubscribe code: the one table (protocol.md 4).
//!
//! A row is written once, as `NAME = number, "text on the wire"` under the sentence that tells when it is issued. Of
//! it come the constant that the code uses, the list that tests walk, and `docs/codes.md`. What a client does
//! about a code follows from its number, as SDKs decide it, except for errors: there the row says it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use tidegate_transports::Close;

use super::message;

/// A code and what there is to know of it.
#[derive(Clone, Debug)]
pub struct Row<T> {
    /// Name of the constant.
    pub name: &'static str,
    /// When it is issued: a sentence or two.
    pub issued: &'static str,
    /// What is sent.
    pub value: T,
}

/// Makes constants and the list of rows `ALL` of one kind of code.
macro_rules! table {
    (
        $Type:ident by $make:path;
        $( $(#[doc = $doc:literal])+ $NAME:ident = $($value:expr),+; )+
    ) => {
        impl $Type {
            $( $(#[doc = $doc])+ pub const $NAME: Self = $make($($value),+); )+

            /// Every row, in the order of numbers.
            pub const ALL: &'static [Row<Self>] = &[$(Row {
                name: stringify!($NAME),
                issued: concat!($($doc),+),
                value: Self::$NAME,
            }),+];
        }
    };
}

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

table! {
    ErrorCode by ErrorCode::new;
    /// The server failed, or what it depends on: an engine, a key set.
    INTERNAL = 100, "internal server error", true;
    /// Not issued by the server. SDKs report it themselves when their token source has no token to give.
    UNAUTHORIZED = 101, "unauthorized", false;
    /// The channel's namespace is not configured.
    UNKNOWN_CHANNEL = 102, "unknown channel", false;
    /// No option, token or capability allows the client to do that.
    PERMISSION_DENIED = 103, "permission denied", false;
    /// No such RPC method.
    METHOD_NOT_FOUND = 104, "method not found", false;
    /// A subscription of the connection to that channel exists already, perhaps one made by the server.
    ALREADY_SUBSCRIBED = 105, "already subscribed", false;
    /// The connection has as many subscriptions as `client.channel_limit` allows.
    LIMIT_EXCEEDED = 106, "limit exceeded", false;
    /// The request is malformed, or contradicts the channel's configuration: a name that is not allowed, data
    /// in another format, a filter where none is accepted.
    BAD_REQUEST = 107, "bad request", false;
    /// The feature is off for that channel.
    NOT_AVAILABLE = 108, "not available", false;
    /// The token's time is over, or it was revoked. SDKs fetch another and retry.
    TOKEN_EXPIRED = 109, "token expired", false;
    /// The same in answer to `sub_refresh`, where SDKs retry temporary errors only.
    TOKEN_EXPIRED_RETRY = 109, "token expired", true;
    /// What was granted ends in the past: a connection or subscription that would be over at once.
    EXPIRED = 110, "expired", false;
    /// An operation rate limit has no tokens left.
    TOO_MANY_REQUESTS = 111, "too many requests", true;
    /// The position is not in the stream, and the client asked for a refusal instead of an unrecovered subscription.
    UNRECOVERABLE_POSITION = 112, "unrecoverable position", false;
    /// Kept for map subscriptions: the state changed while it was read in pages.
    CONCURRENT_PAGINATION = 113, "concurrent pagination", true;
}

impl ErrorCode {
    const fn new(code: u32, message: &'static str, temporary: bool) -> Self {
        Self {
            code,
            message,
            temporary,
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

table! {
    Disconnect by Disconnect::new;
    /// The client went away. Counted in metrics, never written to the client.
    CONNECTION_CLOSED = 3000, "connection closed";
    /// The server stops.
    SHUTDOWN = 3001, "shutdown";
    /// The server failed.
    INTERNAL = 3004, "internal server error";
    /// The connection's token expired and was not refreshed within `client.expired_close_delay`, or the server API
    /// said so.
    EXPIRED = 3005, "connection expired";
    /// A subscription made by the server expired.
    SUBSCRIPTION_EXPIRED = 3006, "subscription expired";
    /// More than `client.queue_max_size` bytes waited to be sent.
    SLOW = 3008, "slow";
    /// A write was not finished in time.
    WRITE_ERROR = 3009, "write error";
    /// A subscription made by the server lost its position.
    INSUFFICIENT_STATE = 3010, "insufficient state";
    /// Kept for nodes that ask their clients to spread anew; not issued by this version.
    FORCE_RECONNECT = 3011, "force reconnect";
    /// A ping was not answered within `client.pong_timeout`.
    NO_PONG = 3012, "no pong";
    /// Kept for transports without error replies, in the place of error 111.
    TOO_MANY_REQUESTS = 3013, "too many requests";
    /// The token that the connection was opened with has been revoked: SDKs forget it, and their positions, before
    /// they reconnect.
    STATE_INVALIDATED = 3014, "state invalidated";
    /// The connection token is not valid.
    INVALID_TOKEN = 3500, "invalid token";
    /// The client broke the protocol, or has neither token nor another way in.
    BAD_REQUEST = 3501, "bad request";
    /// The client did not connect within `client.stale_close_delay`.
    STALE = 3502, "stale";
    /// By the server API, which may also choose another code.
    FORCE = 3503, "force disconnect";
    /// Above `client.user_connection_limit`, or replaced by a newer connection where users have one only.
    CONNECTION_LIMIT = 3504, "connection limit";
    /// More subscriptions made by the server than `client.channel_limit`.
    CHANNEL_LIMIT = 3505, "channel limit";
    /// A payload that is not JSON for a connection that speaks JSON.
    INAPPROPRIATE_PROTOCOL = 3506, "inappropriate protocol";
    /// The user is blocked, or anonymous with a token where those are not allowed.
    PERMISSION_DENIED = 3507, "permission denied";
    /// Nothing handles that command.
    NOT_AVAILABLE = 3508, "not available";
    /// The client was answered with more errors than `client.rate_limit.client_error` allows.
    TOO_MANY_ERRORS = 3509, "too many errors";
}

impl Disconnect {
    const fn new(code: u32, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    /// Whether clients come back by themselves after it.
    #[must_use]
    pub const fn lets_reconnect(&self) -> bool {
        !matches!(self.code, 3500..=3999 | 4500..=4999)
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
    pub reason: Cow<'static, str>,
}

table! {
    Unsubscribe by Unsubscribe::new;
    /// By the server API, or because the capabilities of a refreshed connection do not cover the channel any more.
    SERVER = 2000, "server unsubscribe";
    /// The position was lost; the subscription that follows recovers.
    INSUFFICIENT_STATE = 2500, "insufficient state";
    /// The subscription's token expired and was not refreshed within `client.expired_sub_close_delay`.
    EXPIRED = 2501, "subscription expired";
    /// The token that the subscription was made with has been revoked: SDKs forget it, and their position, before they
    /// subscribe again.
    STATE_INVALIDATED = 2502, "state invalidated";
}

impl Unsubscribe {
    const fn new(code: u32, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }

    /// Whether clients subscribe again by themselves after it.
    #[must_use]
    pub const fn lets_resubscribe(&self) -> bool {
        self.code >= 2500
    }
}

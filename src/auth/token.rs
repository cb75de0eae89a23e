//! What a verified token grants, and why another grants nothing (channels-and-auth.md 4.3, 4.4, 4.6).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::channels::{Capabilities, Operations, Overrides};
use crate::tags::{Filter, InvalidFilter};

/// The grant of a connection token (channels-and-auth.md 4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectToken {
    /// User ID; empty for an anonymous user.
    pub user: String,
    /// When the connection expires, in Unix seconds; 0 means never. May lie in the past (error 110): a claim
    /// `expire_at` replaces `exp` here, while `exp` has decided whether the token is still good.
    pub expire_at: i64,
    /// Connection info shown in presence, join, leave and publications: JSON of one line, or whatever bytes the
    /// claim `b64info` held.
    pub info: Option<Bytes>,
    /// JSON that stays on the server and is told to proxies.
    pub meta: Option<Bytes>,
    /// Server-side subscriptions by channel: from the claim `subs`, or without any there from `channels`. No
    /// name is empty; whether its namespace exists has not been looked at.
    pub subs: BTreeMap<String, SubscribeOptions>,
    /// What the connection may do beside what namespaces allow.
    pub capabilities: Option<Box<Capabilities>>,
    /// When the token was issued (`iat`), in Unix seconds.
    pub issued_at: Option<i64>,
    /// The token's identifier (`jti`).
    pub token_id: Option<String>,
}

/// How a server-side subscription differs from what its namespace says (channels-and-auth.md 4.4, `subs`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Channel info of the subscriber.
    pub info: Option<Bytes>,
    /// Data returned with the subscription.
    pub data: Option<Bytes>,
    /// Namespace options replaced for this subscription.
    pub overrides: Overrides,
    /// Which publications the subscriber may get at all.
    pub server_filter: Option<Arc<Filter>>,
}

/// The grant of a subscription token (channels-and-auth.md 4.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeToken {
    /// User ID that the token was issued to; empty for an anonymous user.
    pub user: String,
    /// The one channel that the token opens, never empty.
    pub channel: String,
    /// The one client that may use the token; empty for any.
    pub client: String,
    /// When the subscription expires, in Unix seconds; 0 means never. May lie in the past (error 110).
    pub expire_at: i64,
    /// Channel info of the subscriber.
    pub info: Option<Bytes>,
    /// Data returned with the subscription.
    pub data: Option<Bytes>,
    /// Namespace options replaced for this subscription.
    pub overrides: Overrides,
    /// Which publications the subscriber may get at all.
    pub server_filter: Option<Arc<Filter>>,
    /// What the subscriber may do in the channel beside what its namespace allows.
    pub allow: Operations,
    /// When the token was issued (`iat`), in Unix seconds.
    pub issued_at: Option<i64>,
    /// The token's identifier (`jti`).
    pub token_id: Option<String>,
}

impl SubscribeToken {
    /// Compares the token with the subscription it is used for. To be asked after the namespace of
    /// [`channel`](Self::channel) was found (channels-and-auth.md 4.6).
    ///
    /// # Errors
    ///
    /// The first thing that differs; the client is disconnected with 3500.
    pub fn check(&self, channel: &str, user: &str, client: &str) -> Result<(), TokenMismatch> {
        if self.channel != channel {
            return Err(TokenMismatch::Channel);
        }
        if self.user != user {
            return Err(TokenMismatch::User);
        }
        if !self.client.is_empty() && self.client != client {
            return Err(TokenMismatch::Client);
        }
        Ok(())
    }
}

/// A good subscription token, used for something else than it was issued for. The fault is the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenMismatch {
    /// Issued for another channel.
    #[error("token channel mismatch")]
    Channel,
    /// Issued to another user.
    #[error("token user mismatch")]
    User,
    /// Issued to another client.
    #[error("token client mismatch")]
    Client,
}

/// Why a token grants nothing. The text is for the log, peers are told a code only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not valid any more, or not valid yet. The client should fetch a new one.
    #[error("token expired")]
    Expired,
    /// Not to be trusted, and no retry will change that.
    #[error(transparent)]
    Invalid(#[from] InvalidReason),
    /// The connection's `b64info` is not base64: the issuer's fault, answered with error 100.
    #[error("connection info of the token is not base64")]
    InternalInfo,
    /// The keys could not be fetched, which was logged with its cause. The key server's fault or ours, answered
    /// with a temporary error 100.
    #[error("keys to verify the token are not available")]
    Unavailable,
}

/// Which rule an invalid token breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    /// Not a compact JWS whose parts are base64url of JSON objects.
    #[error("invalid token: token format is not valid")]
    Format,
    /// A known claim has the wrong type.
    #[error("invalid token: token claims are not valid")]
    Claims,
    /// No key for the token's algorithm is configured.
    #[error("invalid token: disabled JWT algorithm")]
    DisabledAlgorithm,
    /// An algorithm that is never accepted, `none` among them.
    #[error("invalid token: unsupported JWT algorithm")]
    UnsupportedAlgorithm,
    /// The signature was not made by the configured key.
    #[error("invalid token: signature is not valid")]
    Signature,
    /// `iss` is not the configured issuer.
    #[error("invalid token: issuer is not valid")]
    Issuer,
    /// `aud` does not contain the configured audience.
    #[error("invalid token: audience is not valid")]
    Audience,
    /// A connection token that names a channel, hence probably a subscription token.
    #[error("invalid token: connection JWT can not contain channel claim, only subscription JWT can")]
    UnexpectedChannel,
    /// A subscription token that names no channel.
    #[error("invalid token: channel claim is required for subscription JWT")]
    MissingChannel,
    /// `server_tags_filter` is no filter. To go on without it would show what was to be hidden.
    #[error("invalid token: server tags filter is not valid: {0}")]
    TagsFilter(InvalidFilter),
    /// `b64info` or `b64data` is not base64.
    #[error("invalid token: base64 claim is not valid")]
    Base64,
    /// The key set needs a `kid` to choose a key, and the header has none.
    #[error("invalid token: key id is required in token header")]
    MissingKeyId,
    /// The key set has no usable key of that `kid`.
    #[error("invalid token: public key not found")]
    UnknownKey,
    /// The key of that `kid` is for another algorithm.
    #[error("invalid token: key is for another algorithm")]
    KeyAlgorithm,
    /// Issuer or audience do not lead to a sound key set URL.
    #[error("invalid token: key set URL is not valid")]
    KeySetUrl,
}

//! Names and numbers of the methods.

/// A method of the server API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Several methods in one request.
    Batch,
    /// Publish to one channel.
    Publish,
    /// Publish the same to many channels.
    Broadcast,
    /// Subscribe a user's connections.
    Subscribe,
    /// Unsubscribe a user's connections.
    Unsubscribe,
    /// Close a user's connections.
    Disconnect,
    /// Move the deadline of a user's connections.
    Refresh,
    /// Who is in a channel.
    Presence,
    /// How many are in a channel.
    PresenceStats,
    /// Read a channel's stream.
    History,
    /// Empty a channel's stream.
    HistoryRemove,
    /// Channels with subscribers.
    Channels,
    /// Nodes of the cluster.
    Info,
    /// Remote procedure call.
    Rpc,
    /// Refuse a user.
    BlockUser,
    /// Let a user in again.
    UnblockUser,
    /// Refuse a token.
    RevokeToken,
    /// Refuse a user's older tokens.
    InvalidateUserTokens,
}

impl Method {
    const ALL: [Self; 18] = [
        Self::Publish,
        Self::Broadcast,
        Self::Batch,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Disconnect,
        Self::Refresh,
        Self::Presence,
        Self::PresenceStats,
        Self::History,
        Self::HistoryRemove,
        Self::Channels,
        Self::Info,
        Self::Rpc,
        Self::BlockUser,
        Self::UnblockUser,
        Self::RevokeToken,
        Self::InvalidateUserTokens,
    ];

    /// Name in paths, envelopes and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Publish => "publish",
            Self::Broadcast => "broadcast",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Disconnect => "disconnect",
            Self::Refresh => "refresh",
            Self::Presence => "presence",
            Self::PresenceStats => "presence_stats",
            Self::History => "history",
            Self::HistoryRemove => "history_remove",
            Self::Channels => "channels",
            Self::Info => "info",
            Self::Rpc => "rpc",
            Self::BlockUser => "block_user",
            Self::UnblockUser => "unblock_user",
            Self::RevokeToken => "revoke_token",
            Self::InvalidateUserTokens => "invalidate_user_tokens",
        }
    }

    /// The method of that exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// How a call came in; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP, including the legacy endpoint and the admin interface.
    Http,
    /// GRPC.
    Grpc,
    /// An asynchronous consumer.
    Consuming,
}

impl Protocol {
    /// The label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Consuming => "consuming",
        }
    }
}

//! What a session asks of the node, and what comes back. The session itself never waits.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::auth::{ConnectToken, SubscribeToken, TokenError};
use crate::engine::{
    ClientInfo, EngineError, History, HistoryQuery, Position, PresenceStats, PublishOptions,
};
use crate::hub::{Sighting, Subscriber};

/// Ties an answer to its call; unique per session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub(super) u32);

/// Something the node must do for a session. Every call is answered, unless the session has ended.
pub enum Call {
    /// Wait for something that began already (a token that needs a key from a URL).
    Await(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// Enter the connection into the registry of users.
    Register {
        /// The authenticated user; empty for anonymous.
        user: String,
        /// Personal channel by which other connections of the user are found and closed.
        single: Option<Arc<str>>,
    },
    /// Join channels and read their streams; all or nothing.
    Attach(Vec<Attach>),
    /// Leave a channel.
    Detach(Detach),
    /// Publish on behalf of the client.
    Publish {
        /// The channel.
        channel: Arc<str>,
        /// Payload.
        data: Bytes,
        /// The publisher.
        info: Arc<ClientInfo>,
        /// How it is kept.
        options: PublishOptions,
    },
    /// Read who is in a channel.
    Presence(Arc<str>),
    /// Count who is in a channel.
    PresenceStats(Arc<str>),
    /// Read a stream.
    History(Arc<str>, HistoryQuery),
    /// Tell a channel that the client joined.
    Join(Arc<str>, Arc<ClientInfo>),
    /// Keep presence entries alive.
    Renew(Vec<(Arc<str>, Arc<ClientInfo>)>),
    /// Look whether positions are still the tops of their streams.
    Look(Vec<Look>),
}

/// A position to look at.
#[derive(Debug)]
pub struct Look {
    /// The channel.
    pub channel: Arc<str>,
    /// Where the subscription stands.
    pub position: Position,
    /// A look of somebody else will do if it began then or later and found this top; Unix milliseconds.
    pub since_ms: i64,
    /// How long the stream's position is kept after the look.
    pub meta_ttl: Duration,
}

/// One channel to join.
pub struct Attach {
    /// The channel.
    pub channel: Arc<str>,
    /// The subscriber, holding back what arrives.
    pub subscriber: Arc<Subscriber>,
    /// Presence entry to add.
    pub presence: Option<Arc<ClientInfo>>,
    /// What to read from the stream after joining.
    pub read: Option<HistoryQuery>,
}

/// One channel to leave.
pub struct Detach {
    /// The channel.
    pub channel: Arc<str>,
    /// The subscriber that joined it.
    pub subscriber: Arc<Subscriber>,
    /// Presence entry to remove.
    pub presence: Option<Arc<ClientInfo>>,
    /// Whom to report as having left.
    pub leave: Option<Arc<ClientInfo>>,
}

/// Answer to a [`Call`].
#[derive(Debug)]
pub enum Answer {
    /// Nothing to report.
    Done,
    /// The engine failed where nothing but success was expected.
    Failed(EngineError),
    /// A connection token was checked.
    ConnectToken(Result<ConnectToken, TokenError>),
    /// A subscription token was checked.
    SubscribeToken(Result<SubscribeToken, TokenError>),
    /// The registry took the connection, or the user has too many.
    Registered(bool),
    /// Histories of joined channels, in the order of the call; `None` where nothing was to be read.
    Attached(Result<Vec<Option<History>>, EngineError>),
    /// The result of a publish.
    Published(Result<(), EngineError>),
    /// Who is in the channel.
    Presence(Result<BTreeMap<String, Arc<ClientInfo>>, EngineError>),
    /// How many are in the channel.
    PresenceStats(Result<PresenceStats, EngineError>),
    /// A part of a stream.
    History(Result<History, EngineError>),
    /// What looks have shown, in the order of the call; `None` where the read failed.
    Looked(Vec<(Look, Option<Sighting>)>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Await(_) => "Await",
            Self::Register { .. } => "Register",
            Self::Attach(_) => "Attach",
            Self::Detach(_) => "Detach",
            Self::Publish { .. } => "Publish",
            Self::Presence(_) => "Presence",
            Self::PresenceStats(_) => "PresenceStats",
            Self::History(..) => "History",
            Self::Join(..) => "Join",
            Self::Renew(_) => "Renew",
            Self::Look(_) => "Look",
        })
    }
}

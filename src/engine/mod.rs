//! Engines: where history, presence and publish/subscribe between nodes live.
//!
//! [`Broker`] and [`PresenceStore`] are separate traits and are selected separately. They know publications, not
//! clients: what arrives from a broker goes to the one [`Receiver`], which is the node.

pub mod lingering;
pub mod memory;
mod messages;
pub mod nats;
mod publication;
mod rarely;
pub mod redis;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use publication::{ClientInfo, Epoch, Origin, Position, Publication};

/// What an engine answers with: ready at once from memory, later from a network.
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// Why an engine could not do what was asked. The peer is never at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The storage did not answer in time or refused.
    #[error("engine unavailable: {0}")]
    Unavailable(String),
    /// The asked position belongs to another epoch of the stream (error 112).
    #[error("unrecoverable position")]
    UnrecoverablePosition,
    /// A reverse read before the first offset (client 107, API 100).
    #[error("reverse read from offset zero")]
    InvalidSince,
    /// The engine does not have what the operation needs, such as history (client 108, API 100).
    #[error("not available with this engine")]
    NotAvailable,
    /// The channel's name is none that the engine takes for this operation (client 107, API 100).
    #[error("bad channel name for this engine")]
    BadChannel,
}

/// Takes what a broker delivers. Called in the order in which the broker accepted it, per channel.
pub trait Receiver: Send + Sync + 'static {
    /// A publication for the local subscribers of a channel. `epoch` is set when it has an offset.
    fn handle_publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        previous: Previous<'_>,
    );

    /// A client joined a channel.
    fn handle_join(&self, channel: &str, info: &Arc<ClientInfo>);

    /// A client left a channel.
    fn handle_leave(&self, channel: &str, info: &Arc<ClientInfo>);

    /// Whether anybody here is subscribed to a channel: looked at before a delayed unsubscribe.
    fn has_subscribers(&self, channel: &str) -> bool;

    /// Delivery of these channels was interrupted and goes on from now: what was published in between did not
    /// come. The receiver looks at their positions at once. Returns without waiting for that.
    fn handle_restored(&self, channels: Vec<Arc<str>>);
}

/// What a publication may be delivered as the difference from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Previous<'a> {
    /// Its publisher did not ask for that ([`PublishOptions::delta`]).
    #[default]
    Unwanted,
    /// Its publisher asked, but the stream keeps nothing before it.
    Unknown,
    /// The publication before it in the stream.
    Known(&'a Arc<Publication>),
}

/// History and publish/subscribe.
///
/// # Order
/// Operations on one channel take effect in the order in which their futures are *first polled*: whoever needs an
/// order polls each future once before the next. Nothing but the caller's own waiting orders operations on
/// different channels. One exception: while a Redis Cluster moves the channel's slot, an operation that has not been
/// answered may be overtaken.
pub trait Broker: Send + Sync + 'static {
    /// Names the receiver and begins to work for it; called once, inside a Tokio runtime, before anything else.
    fn attach(&self, receiver: Arc<dyn Receiver>);

    /// Whether the engine can do its work now; an operator or a load balancer asks (`/ready`).
    ///
    /// # Errors
    /// What is in the way, as last seen: nothing is waited for.
    fn ready(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// What happened to messages on their way here, where it is counted.
    fn inbound(&self) -> Option<Inbound> {
        None
    }

    /// Has a channel delivered to this node: when it returns, nothing published later is missed. Called for every
    /// local subscriber, after it has joined the hub; costs nothing where the channel is delivered already.
    ///
    /// # Errors
    /// The channel is not delivered; the subscriber must leave again.
    fn subscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()>;

    /// The last local subscriber of a channel has left. Engines may stop delivering later, if
    /// [`Receiver::has_subscribers`] says no then.
    fn unsubscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()>;

    /// Appends to the channel's stream (if `options.retention` is set) and delivers.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the publication was accepted; repeat with an idempotency key.
    fn publish<'a>(
        &'a self,
        channel: &'a str,
        publication: Publication,
        options: PublishOptions,
    ) -> Wait<'a, Published>;

    /// Delivers a join to the channel's subscribers on every node.
    fn publish_join<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()>;

    /// Delivers a leave to the channel's subscribers on every node.
    fn publish_leave<'a>(&'a self, channel: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()>;

    /// Reads the channel's stream.
    ///
    /// # Errors
    /// [`EngineError::UnrecoverablePosition`] when `query.since` names another epoch,
    /// [`EngineError::InvalidSince`] for a reverse read from offset zero.
    fn history<'a>(&'a self, channel: &'a str, query: HistoryQuery) -> Wait<'a, History>;

    /// Drops the stream's publications, keeps its position.
    fn remove_history<'a>(&'a self, channel: &'a str) -> Wait<'a, ()>;
}

/// Who is in a channel. Entries vanish when they are not renewed within the time to live of the store. Ordered as
/// [`Broker`] is.
pub trait PresenceStore: Send + Sync + 'static {
    /// Whether the store can do its work now.
    ///
    /// # Errors
    /// What is in the way, as last seen: nothing is waited for.
    fn ready(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Adds or renews the entry of one client.
    fn add<'a>(&'a self, channel: &'a str, client: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()>;

    /// Removes the entry of one client.
    fn remove<'a>(&'a self, channel: &'a str, client: &'a str, user: &'a str) -> Wait<'a, ()>;

    /// All entries by client id.
    fn presence<'a>(&'a self, channel: &'a str) -> Wait<'a, BTreeMap<String, Arc<ClientInfo>>>;

    /// Number of clients and of distinct users.
    fn stats<'a>(&'a self, channel: &'a str) -> Wait<'a, PresenceStats>;
}

/// Carries messages between the nodes of a cluster (engines.md 8). Knows nothing of what is in them.
pub trait Controller: Send + Sync + 'static {
    /// Names the receiver and begins to deliver what is sent to all nodes and to the node `node` (its id). Called
    /// once, inside a Tokio runtime.
    fn attach(&self, node: &str, receiver: Arc<dyn ControlReceiver>);

    /// Whether messages can be sent and arrive now.
    ///
    /// # Errors
    /// What is in the way, as last seen: nothing is waited for.
    fn ready(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// What happened to messages on their way here, where it is counted.
    fn inbound(&self) -> Option<Inbound> {
        None
    }

    /// Sends to one node by its id, or to all of them, this one included. Messages to one destination arrive in the
    /// order in which the futures are first polled.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if it is not known to have been sent.
    fn send<'a>(&'a self, to: Option<&'a str>, message: Bytes) -> Wait<'a, ()>;
}

/// Takes what a [`Controller`] delivers.
pub trait ControlReceiver: Send + Sync + 'static {
    /// A message, in the order of arrival; whether it could be read. Must not wait.
    fn handle_control(&self, message: Bytes) -> bool;

    /// Messages may have been missed and arrive again from now.
    fn handle_control_restored(&self);
}

/// Connections of users over all nodes, for limits that hold for a cluster. Entries vanish when they are not renewed.
pub trait UserConnections: Send + Sync + 'static {
    /// Enters a connection; `false`, and nothing has changed, if the user has `limit` others.
    fn enter<'a>(&'a self, user: &'a str, client: &'a str, limit: usize) -> Wait<'a, bool>;

    /// Keeps connections entered, by user and client id.
    fn renew<'a>(&'a self, entries: &'a [(String, String)]) -> Wait<'a, ()>;

    /// Removes a connection.
    fn leave<'a>(&'a self, user: &'a str, client: &'a str) -> Wait<'a, ()>;
}

/// What has happened to messages on their way from other nodes to this one; for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbound {
    /// What failed.
    pub errors: InboundErrors,
    /// Messages for which there was no room, of which receivers are told.
    pub dropped: u64,
    /// Messages that wait now, for each of the tasks that work on them.
    pub waiting: Vec<usize>,
}

/// Failures on the way, by what failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboundErrors {
    /// A message could not be read.
    pub message: u64,
    /// A channel could not be subscribed to.
    pub subscribe: u64,
    /// A connection was lost, or could not be made.
    pub connection: u64,
}

/// How a publication is kept.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    /// Keep it in the stream; `None` delivers without an offset.
    pub retention: Option<Retention>,
    /// A repeat of the same key within [`IDEMPOTENCY_TTL`] returns the first result and delivers nothing.
    pub idempotency_key: Option<String>,
    /// Scope of the publication's version; empty matches any.
    pub version_epoch: String,
    /// Deliver it together with the publication before it in the stream, so that it can be sent as a difference.
    /// The two are taken in the step that appends: nothing may come between them.
    pub delta: bool,
}

/// How long results of idempotency keys are kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(300);

/// Limits of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Publications kept.
    pub size: usize,
    /// How long the newest publication keeps the stream's items.
    pub ttl: Duration,
    /// How long epoch and offset outlive the last use.
    pub meta_ttl: Duration,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Position of the publication, or the stored one if it was suppressed; `None` without history.
    pub position: Option<Position>,
    /// Why nothing was delivered.
    pub suppressed: Option<Suppressed>,
}

/// Why a publication was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// Its idempotency key was seen before.
    Idempotency,
    /// Its version is not newer than the stored one.
    Version,
}

impl Suppressed {
    /// Label in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idempotency => "idempotency",
            Self::Version => "version",
        }
    }
}

/// Which part of a stream to read.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// At most that many publications; `None` = all, `Some(0)` = position only.
    pub limit: Option<usize>,
    /// Exclusive start.
    pub since: Option<Since>,
    /// Newest first.
    pub reverse: bool,
    /// How long a read keeps epoch and offset alive.
    pub meta_ttl: Duration,
}

/// A position asked for by a peer; an empty epoch is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Offset before the first wanted publication (after it when reading in reverse).
    pub offset: u64,
    /// Epoch of that offset.
    pub epoch: String,
}

/// A part of a stream.
#[derive(Clone, Debug)]
pub struct History {
    /// Publications in reading order.
    pub publications: Vec<Arc<Publication>>,
    /// Top of the stream at the time of the read.
    pub top: Position,
}

/// Numbers of a channel's presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceStats {
    /// Connections.
    pub clients: u32,
    /// Distinct user ids.
    pub users: u32,
}

//! Engines: where history, presence and publish/subscribe between nodes live.
//!
//! [`Broker`] and [`PresenceStore`] are separate traits and are selected separately. They know publications, not
//! clients: what arrives from a broker goes to the one [`Receiver`], which is the node.

pub mod memory;
mod publication;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use publication::{ClientInfo, Epoch, Position, Publication};

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
pub trait Broker: Send + Sync + 'static {
    /// Starts delivering a channel to this node; called for its first local subscriber.
    fn subscribe<'a>(&'a self, channel: &'a str) -> Wait<'a, ()>;

    /// Stops delivering a channel to this node; called after its last local subscriber left.
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

/// Who is in a channel. Entries vanish when they are not renewed within the time to live of the store.
pub trait PresenceStore: Send + Sync + 'static {
    /// Adds or renews the entry of one client.
    fn add<'a>(&'a self, channel: &'a str, client: &'a str, info: Arc<ClientInfo>) -> Wait<'a, ()>;

    /// Removes the entry of one client.
    fn remove<'a>(&'a self, channel: &'a str, client: &'a str, user: &'a str) -> Wait<'a, ()>;

    /// All entries by client id.
    fn presence<'a>(&'a self, channel: &'a str) -> Wait<'a, BTreeMap<String, Arc<ClientInfo>>>;

    /// Number of clients and of distinct users.
    fn stats<'a>(&'a self, channel: &'a str) -> Wait<'a, PresenceStats>;
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

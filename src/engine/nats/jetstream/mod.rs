//! History in JetStream, beyond the reference.
//!
//! # Layout
//! One stream, `P_history`, takes the subjects `P.history.<channel>` and republishes what it has stored to
//! `P.client.<channel>`, where nodes listen anyway: so publications with and without history arrive over one
//! subscription, and nothing is delivered that was not stored.
//!
//! The stream numbers its messages over all channels. Offsets without gaps are made by publishers: each message says
//! in its headers ([`record`]) which offset of which epoch it is, and is only taken if the channel's newest message
//! is the one that its publisher knew (`Nats-Expected-Last-Subject-Sequence`). Whoever loses reads again and repeats.
//! One publication of a channel is under way per node; those of different channels do not wait for each other.
//!
//! Each message also names the sequences of the publications before it, so that history is read without consumers:
//! the newest message by its subject, the others by their sequences, many at once.
//!
//! A channel that was never published to gets a *mark* when it is read: a message without a publication, which makes
//! the epoch known to all nodes. Removing history is a mark that names nothing before it.
//!
//! Repeats are found by the stream (`Nats-Msg-Id`). Publications without history but with an idempotency key go
//! through a second stream, `P_once`, in memory, that keeps them for no longer than keys are remembered.

mod gates;
mod read;
pub mod record;
mod store;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;

use self::gates::{Gates, Kind, Known};
use self::record::Record;
pub use self::store::Lacking;
use self::store::{Appended, Store, Stored};
use super::link::Link;
use super::payload;
use crate::config::NatsHistory;
use crate::engine::{
    EngineError, History, HistoryQuery, Position, Publication, PublishOptions, Published, Retention,
    Suppressed,
};
use crate::node::unix_ms;

/// How often a publication is tried again that lost against one of another node.
const ATTEMPTS: u32 = 100;

/// Attempts that are made at once.
const AT_ONCE: u32 = 4;

/// History of the channels of a node.
pub struct JetStream {
    link: Arc<Link>,
    store: Store,
    gates: Gates,
}

impl JetStream {
    /// History over a connection. Nothing is asked for yet.
    #[must_use]
    pub fn new(link: Arc<Link>, options: &NatsHistory) -> Self {
        Self {
            store: Store::new(link.clone(), options),
            link,
            gates: Gates::default(),
        }
    }

    /// Whether history can be written and read, as last seen.
    ///
    /// # Errors
    /// What is in the way.
    pub fn ready(&self) -> Result<(), EngineError> {
        self.store.ready()
    }

    /// Makes the stream, if there is a connection.
    ///
    /// # Errors
    /// [`Lacking`] if the servers cannot keep history at all. What may pass is logged.
    pub async fn probe(&self) -> Result<(), Lacking> {
        self.store.probe().await
    }

    pub(super) async fn publish(
        &self,
        channel: &str,
        publication: Publication,
        options: &PublishOptions,
        retention: Retention,
    ) -> Result<Published, EngineError> {
        let turn = self.gates.enter(channel, Kind::Write).await?;
        let subject = self.link.subjects().kept(HISTORY, channel);
        let id = options
            .idempotency_key
            .as_deref()
            .map(|key| message_id(channel, key));
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let top = match turn.take_known() {
                Some(top) => Some(top),
                None => self
                    .store
                    .newest(&subject, retention.size)
                    .await?
                    .map(Known::from),
            };
            let expected = top.as_ref().map_or(0, |top| top.sequence);
            let alive = top.as_ref().filter(|top| !top.is_forgotten(unix_ms()));
            let is_old =
                alive.is_some_and(|top| !top.record.accepts(publication.version, &options.version_epoch));
            let record = Record::after(alive, &publication, &options.version_epoch, retention);
            let message = payload::encode_publication(channel, publication.clone(), options.delta);
            // What is too old must not be stored, but may be a repeat, which counts first: only the stream knows.
            let expected = if is_old { NEVER } else { expected };
            let appended = match &id {
                None if is_old => Appended::Outrun,
                id => {
                    self.store
                        .append(
                            &subject,
                            &record,
                            message,
                            expected,
                            id.as_deref(),
                            retention.size,
                        )
                        .await?
                }
            };
            match appended {
                Appended::At(sequence) => {
                    let position = record.position();
                    turn.know(Some(Known::new(sequence, unix_ms(), record, false)));
                    return Ok(published(position, None));
                }
                Appended::Before(sequence) => {
                    let first = self
                        .store
                        .at(sequence)
                        .await?
                        .map(|stored| stored.record.position());
                    let position = first.or_else(|| alive.map(|top| top.record.position()));
                    turn.know(top);
                    return Ok(Published {
                        position,
                        suppressed: Some(Suppressed::Idempotency),
                    });
                }
                Appended::Outrun if is_old => {
                    let position = alive.map_or_else(|| record.position(), |top| top.record.position());
                    turn.know(top);
                    return Ok(published(position, Some(Suppressed::Version)));
                }
                // Another node was faster.
                Appended::Outrun => {}
            }
        }
        Err(EngineError::Unavailable(
            "NATS: too many publishers of one channel".to_owned(),
        ))
    }

    /// Publishes without history, but once.
    pub(super) async fn publish_once(
        &self,
        channel: &str,
        publication: Publication,
        key: &str,
        delta: bool,
    ) -> Result<Published, EngineError> {
        let subject = self.link.subjects().kept(ONCE, channel);
        let message = payload::encode_publication(channel, publication, delta);
        let is_repeat = self
            .store
            .append_once(&subject, message, &message_id(channel, key))
            .await?;
        Ok(Published {
            position: None,
            suppressed: is_repeat.then_some(Suppressed::Idempotency),
        })
    }

    pub(super) async fn history(&self, channel: &str, query: &HistoryQuery) -> Result<History, EngineError> {
        let _turn = self.gates.enter(channel, Kind::Read).await?;
        let subject = self.link.subjects().kept(HISTORY, channel);
        let top = self.top(channel, &subject, query.meta_ttl).await?;
        read::read(&self.store, top, query).await
    }

    pub(super) async fn remove(&self, channel: &str) -> Result<(), EngineError> {
        let turn = self.gates.enter(channel, Kind::Write).await?;
        turn.know(None);
        let subject = self.link.subjects().kept(HISTORY, channel);
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(top) = self.store.newest(&subject, 0).await?.map(Known::from) else {
                return Ok(());
            };
            let record = Record::removing(&top.record);
            let message = payload::encode_mark(channel);
            match self
                .store
                .append(&subject, &record, message, top.sequence, None, 0)
                .await?
            {
                Appended::At(sequence) => return self.store.forget_before(&subject, sequence).await,
                Appended::Before(_) | Appended::Outrun => {}
            }
        }
        Err(EngineError::Unavailable(
            "NATS: too many publishers of one channel".to_owned(),
        ))
    }

    /// The newest message of a channel. Makes its epoch known if there is none, and lets it live on if half of its
    /// time has passed.
    async fn top(&self, channel: &str, subject: &str, meta_ttl: Duration) -> Result<Stored, EngineError> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let newest = self.store.newest(subject, 0).await?;
            let now = unix_ms();
            let (expected, record) = match newest {
                None => (0, Record::first(meta_ttl)),
                Some(stored) => {
                    let sequence = stored.sequence;
                    let known = Known::of(&stored);
                    if known.is_forgotten(now) {
                        (sequence, Record::first(meta_ttl))
                    } else if known.is_half_gone(now) {
                        (sequence, Record::renewing(&known))
                    } else {
                        return Ok(stored);
                    }
                }
            };
            let mark = payload::encode_mark(channel);
            // Whoever was faster did the same, or published.
            self.store
                .append(subject, &record, mark, expected, None, 0)
                .await?;
        }
        Err(EngineError::Unavailable(
            "NATS: too many publishers of one channel".to_owned(),
        ))
    }
}

/// A sequence that no message has.
const NEVER: u64 = u64::MAX >> 1;

const HISTORY: &str = "history";
const ONCE: &str = "once";

fn published(position: Position, suppressed: Option<Suppressed>) -> Published {
    Published {
        position: Some(position),
        suppressed,
    }
}

/// Keys are any text, headers are not.
fn message_id(channel: &str, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{channel}_{key}"))
}

/// Some publishers lose often: with different pauses each gets its turn.
async fn pause(attempt: u32) {
    if attempt >= AT_ONCE {
        let longest = 50 * u64::from(attempt.min(20));
        let pause = rand::rng().random_range(0..longest);
        tokio::time::sleep(Duration::from_micros(pause)).await;
    }
}

//! The streams: made when they are needed, written to and read from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    Config, DirectGetErrorKind, Info, LastRawMessageErrorKind, Republish, StorageType, Stream,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use bytes::Bytes;
use parking_lot::Mutex;

use super::super::link::{ANSWER_TIME, Link, unavailable};
use super::super::payload::{self, Message};
use super::record::Record;
use super::{HISTORY, ONCE};
use crate::config::NatsHistory;
use crate::engine::{EngineError, IDEMPOTENCY_TTL, Publication};

/// Publications under way to the servers.
const IN_FLIGHT: usize = 4096;

/// The servers cannot keep history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lacking {
    /// They run without JetStream.
    #[error("NATS has no JetStream, which broker.nats.jetstream needs: {0}")]
    JetStream(String),
    /// They are too old.
    #[error("NATS is too old: broker.nats.jetstream needs version 2.9 or later")]
    Version,
    /// A stream of this name is there and is another one's.
    #[error("the stream {0} of NATS does not belong to this prefix")]
    OtherStream(String),
}

/// The streams of one prefix.
pub(super) struct Store {
    link: Arc<Link>,
    context: Context,
    options: NatsHistory,
    /// Publications for each channel for which the stream of history has room; 0 if it may not be there.
    room: AtomicUsize,
    has_once: AtomicUsize,
    /// How many connections there had been when the streams were last known to be there.
    connections: AtomicU64,
    making: tokio::sync::Mutex<()>,
    trouble: Mutex<Option<EngineError>>,
}

/// A message of the stream of history.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    /// When the servers took it.
    pub(super) time_ms: i64,
    pub(super) record: Record,
    /// `None` for a mark.
    pub(super) publication: Option<Arc<Publication>>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It was taken.
    At(u64),
    /// One with its id was taken before.
    Before(u64),
    /// Another message was taken after the expected one.
    Outrun,
}

impl Store {
    pub(super) fn new(link: Arc<Link>, options: &NatsHistory) -> Self {
        let context = jetstream::context::ContextBuilder::new()
            .timeout(ANSWER_TIME)
            .ack_timeout(ANSWER_TIME)
            .max_ack_inflight(IN_FLIGHT)
            .build(link.client().clone());
        Self {
            link,
            context,
            options: options.clone(),
            room: AtomicUsize::new(0),
            has_once: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            making: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    pub(super) fn ready(&self) -> Result<(), EngineError> {
        self.link.ready()?;
        self.trouble.lock().clone().map_or(Ok(()), Err)
    }

    pub(super) async fn probe(&self) -> Result<(), Lacking> {
        if self.link.ready().is_err() {
            return Ok(());
        }
        if !self.link.client().is_server_compatible(2, 9, 0) {
            return Err(Lacking::Version);
        }
        match self.make_room(1).await {
            Ok(()) => Ok(()),
            Err(Failure::Lacking(lacking)) => Err(lacking),
            Err(Failure::Engine(error)) => {
                tracing::error!(%error, "error making the stream of history");
                Ok(())
            }
        }
    }

    /// The newest message of a channel. The stream is made if it is not there, with room for `size` publications.
    pub(super) async fn newest(&self, subject: &str, size: usize) -> Result<Option<Stored>, EngineError> {
        self.link.ready()?;
        self.have_room(size).await?;
        match self.last_message(subject).await {
            Err(Gone::Stream) => {
                self.have_room(size).await?;
                self.last_message(subject).await.map_err(EngineError::from)
            }
            result => result.map_err(EngineError::from),
        }
    }

    /// A message by its number; `None` if the stream has dropped it.
    pub(super) async fn at(&self, sequence: u64) -> Result<Option<Stored>, EngineError> {
        self.link.ready()?;
        let stream = self.stream().await?;
        if self.is_alone() {
            return match stream.direct_get(sequence).await {
                Ok(message) => Ok(stored(message)),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(unavailable(&error)),
            };
        }
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(stored(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Appends a message if the newest one of its channel is `expected` (0 for none).
    pub(super) async fn append(
        &self,
        subject: &str,
        record: &Record,
        message: Bytes,
        expected: u64,
        id: Option<&str>,
        size: usize,
    ) -> Result<Appended, EngineError> {
        self.have_room(size).await?;
        let mut message = PublishMessage::build()
            .headers(record.to_headers())
            .payload(message)
            .expected_last_subject_sequence(expected);
        if let Some(id) = id {
            message = message.message_id(id);
        }
        self.send(subject, message, &self.room).await
    }

    /// Publishes by way of the second stream. Answers whether it was a repeat.
    pub(super) async fn append_once(
        &self,
        subject: &str,
        message: Bytes,
        id: &str,
    ) -> Result<bool, EngineError> {
        self.link.ready()?;
        self.have_room(0).await?;
        if self.has_once.load(Ordering::Relaxed) == 0 {
            let _making = self.making.lock().await;
            self.make(self.once()).await?;
            self.has_once.store(1, Ordering::Relaxed);
        }
        let message = PublishMessage::build().payload(message).message_id(id);
        let appended = self.send(subject, message, &self.has_once).await?;
        Ok(matches!(appended, Appended::Before(_)))
    }

    /// Drops the messages of a channel before one.
    pub(super) async fn forget_before(&self, subject: &str, sequence: u64) -> Result<(), EngineError> {
        let stream = self.stream().await?;
        let purged = stream.purge().filter(subject).sequence(sequence).await;
        purged.map(drop).map_err(|error| unavailable(&error))
    }

    async fn send(
        &self,
        subject: &str,
        message: PublishMessage,
        there: &AtomicUsize,
    ) -> Result<Appended, EngineError> {
        self.link.ready()?;
        let sent = self.context.send_publish(subject.to_owned(), message).await;
        let acknowledged = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(ack) if ack.duplicate => Ok(Appended::Before(ack.sequence)),
            Ok(ack) => Ok(Appended::At(ack.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(Appended::Outrun),
            Err(error) => {
                if error.kind() == PublishErrorKind::StreamNotFound {
                    there.store(0, Ordering::Relaxed);
                }
                Err(unavailable(&error))
            }
        }
    }

    async fn last_message(&self, subject: &str) -> Result<Option<Stored>, Gone> {
        let stream = self.stream().await.map_err(Gone::Engine)?;
        let is_away = if self.is_alone() {
            match stream.direct_get_last_for_subject(subject).await {
                Ok(message) => return Ok(stored(message)),
                Err(error) => match error.kind() {
                    DirectGetErrorKind::NotFound => return Ok(None),
                    DirectGetErrorKind::ErrorResponse(..) => true,
                    _ => {
                        // Reads of a stream that is not there are not answered at all.
                        self.room.store(0, Ordering::Relaxed);
                        return Err(Gone::Engine(unavailable(&error)));
                    }
                },
            }
        } else {
            match stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => return Ok(stored(message)),
                Err(error) => match error.kind() {
                    LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                    LastRawMessageErrorKind::JetStream(error) => {
                        error.error_code() == ErrorCode::STREAM_NOT_FOUND
                    }
                    _ => return Err(Gone::Engine(unavailable(&error))),
                },
            }
        };
        if is_away {
            self.room.store(0, Ordering::Relaxed);
            return Err(Gone::Stream);
        }
        Err(Gone::Engine(EngineError::Unavailable(
            "NATS: JetStream refused a read".to_owned(),
        )))
    }

    async fn stream(&self) -> Result<Stream<()>, EngineError> {
        let name = self.link.subjects().stream(HISTORY);
        self.context
            .get_stream_no_info(name)
            .await
            .map_err(|error| unavailable(&error))
    }

    /// With replicas, only their leader knows what is newest.
    fn is_alone(&self) -> bool {
        self.options.replicas <= 1
    }

    /// Has the stream made if it is not known to be there, on this connection, with room for `size` publications of a
    /// channel.
    async fn have_room(&self, size: usize) -> Result<(), EngineError> {
        let connections = self.link.connections();
        if self.connections.swap(connections, Ordering::Relaxed) != connections {
            // Servers may have come back without what they had.
            self.room.store(0, Ordering::Relaxed);
            self.has_once.store(0, Ordering::Relaxed);
        }
        let room = self.room.load(Ordering::Relaxed);
        if room > 0 && room >= size {
            return Ok(());
        }
        let made = self.make_room(size.max(1)).await.map_err(EngineError::from);
        *self.trouble.lock() = made.clone().err();
        made
    }

    async fn make_room(&self, size: usize) -> Result<(), Failure> {
        let _making = self.making.lock().await;
        if self.room.load(Ordering::Relaxed) >= size {
            return Ok(());
        }
        let room = self.make(self.history(size)).await?;
        self.room.store(room, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a stream, or makes it larger. Answers for how many publications of a channel it has room.
    async fn make(&self, wanted: Config) -> Result<usize, Failure> {
        let mut found = self.context.get_or_create_stream(wanted.clone()).await;
        if found.as_ref().is_err_and(is_taken) {
            // Another node made it at the same time, with other limits.
            found = self.context.get_or_create_stream(wanted.clone()).await;
        }
        let found = found.map_err(|error| Failure::of(&error))?;
        let Info { config, .. } = found.cached_info();
        if config.subjects != wanted.subjects || config.republish != wanted.republish {
            return Err(Failure::Lacking(Lacking::OtherStream(wanted.name)));
        }
        let room = |config: &Config| {
            usize::try_from(config.max_messages_per_subject.saturating_sub(1)).unwrap_or_default()
        };
        if config.max_messages_per_subject >= wanted.max_messages_per_subject
            && config.max_age >= wanted.max_age
        {
            return Ok(room(config));
        }
        let larger = Config {
            max_messages_per_subject: wanted
                .max_messages_per_subject
                .max(config.max_messages_per_subject),
            max_age: wanted.max_age.max(config.max_age),
            ..config.clone()
        };
        let updated = self
            .context
            .update_stream(&larger)
            .await
            .map_err(|error| Failure::of(&error))?;
        Ok(room(&updated.config))
    }

    fn history(&self, size: usize) -> Config {
        let subjects = self.link.subjects();
        // A mark may be among them.
        let messages = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
        Config {
            name: subjects.stream(HISTORY),
            description: Some("History of channels".to_owned()),
            subjects: vec![subjects.kept(HISTORY, ">")],
            republish: Some(self.republish(HISTORY)),
            max_messages_per_subject: messages,
            max_age: self.options.max_age,
            duplicate_window: IDEMPOTENCY_TTL.min(self.options.max_age),
            storage: self.storage(),
            num_replicas: self.options.replicas.max(1),
            allow_direct: self.is_alone(),
            ..Config::default()
        }
    }

    fn once(&self) -> Config {
        let subjects = self.link.subjects();
        Config {
            name: subjects.stream(ONCE),
            description: Some("Publications without history that may be repeated".to_owned()),
            subjects: vec![subjects.kept(ONCE, ">")],
            republish: Some(self.republish(ONCE)),
            max_messages_per_subject: 1,
            max_age: IDEMPOTENCY_TTL,
            duplicate_window: IDEMPOTENCY_TTL,
            storage: StorageType::Memory,
            num_replicas: self.options.replicas.max(1),
            ..Config::default()
        }
    }

    fn republish(&self, kind: &str) -> Republish {
        let subjects = self.link.subjects();
        Republish {
            source: subjects.kept(kind, ">"),
            destination: subjects.client(">"),
            headers_only: false,
        }
    }

    fn storage(&self) -> StorageType {
        if self.options.storage == "memory" {
            StorageType::Memory
        } else {
            StorageType::File
        }
    }
}

/// Why a stream could not be made.
enum Failure {
    Lacking(Lacking),
    Engine(EngineError),
}

/// Why the newest message of a channel is not known.
enum Gone {
    Stream,
    Engine(EngineError),
}

fn is_taken(error: &CreateStreamError) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

impl Failure {
    fn of(error: &CreateStreamError) -> Self {
        let is_lacking = match error.kind() {
            CreateStreamErrorKind::JetStreamUnavailable => true,
            CreateStreamErrorKind::JetStream(error) => [
                ErrorCode::JETSTREAM_NOT_ENABLED,
                ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
            ]
            .contains(&error.error_code()),
            _ => false,
        };
        if is_lacking {
            Self::Lacking(Lacking::JetStream(error.to_string()))
        } else {
            Self::Engine(unavailable(error))
        }
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lacking(lacking) => unavailable(&lacking),
            Failure::Engine(error) => error,
        }
    }
}

impl From<Gone> for EngineError {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Stream => Self::Unavailable("NATS: the stream of history is gone".to_owned()),
            Gone::Engine(error) => error,
        }
    }
}

/// `None` for what no node has written.
fn stored(message: StreamMessage) -> Option<Stored> {
    let record = Record::of(&message.headers)?;
    let publication = match payload::parse(message.payload) {
        Ok(Message::Publication(arrived)) => {
            let publication = Publication {
                offset: record.offset,
                ..arrived.publication
            };
            Some(Arc::new(publication))
        }
        Ok(Message::Other) => None,
        _ => return None,
    };
    Some(Stored {
        sequence: message.sequence,
        time_ms: i64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX),
        record,
        publication,
    })
}

//! Publish/subscribe over a connection of its own.
//!
//! ```text
//!  absent ──subscribe──> Pending ──confirmed──> Active
//!     ^                     │ connection lost      │
//!     └─────────────────────┘                      │
//!     └──────────────── unsubscribe ───────────────┘
//! ```
//!
//! *Active* channels survive the connection: after the next one is made they are subscribed to again, all of them,
//! before anything new is let in, and then the sink is told that there was a gap. *Pending* ones do not: whoever
//! waits is told that it failed. So a subscriber is never told that a channel is delivered while it is not, and
//! never waits for longer than a connection may take to answer. (A channel that was *Active* is let in at once while
//! the connection is made again: whoever joins it is told of the gap with all others.)
//!
//! A subscription that Redis refuses (an ACL user without the channel) fails alone. Once it has been *Active*, it
//! belongs to what must be subscribed to again: no connection counts until all of it is.
//!
//! Messages are handed over before the next is read. A node that cannot keep up therefore fills Redis's output
//! buffer, at whose limit Redis ends the connection: that is a gap, of which the sink is told.

mod changes;
mod messages;
mod target;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::dial::{Reader, Wire, Writer};
use crate::error::LinkError;
use crate::nodes::is_well;
use crate::options::{Endpoint, Options};
use changes::{BATCH, Change, Refused, Unanswered};
use messages::Received;
use target::{Target, cut_off};

/// How often a server is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// After a connection that lasted for less, the next attempts come more and more slowly.
const LASTING: Duration = Duration::from_secs(1);

/// Takes what is published.
pub trait Sink: Send + Sync + 'static {
    /// A message, in the order of arrival. The next one is read when this returns.
    fn message(&self, channel: &[u8], payload: Bytes);

    /// There is a connection again. What was published to these channels since the last one was lost did not come;
    /// from now on everything does.
    fn restored(&self, channels: Vec<Bytes>);

    /// The connection was lost, or could not be made after that. Called once until the next one is there.
    fn lost(&self, error: &LinkError);
}

/// How channels find their servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// `SUBSCRIBE`: any server of the shard passes on what is published at the others.
    #[default]
    Plain,
    /// `SSUBSCRIBE`: the master of one slot of a cluster, in which all channels of the connection must be, the one
    /// that keeps it alive included.
    Sharded,
}

impl Kind {
    fn subscribe(self) -> &'static str {
        match self {
            Self::Plain => "SUBSCRIBE",
            Self::Sharded => "SSUBSCRIBE",
        }
    }

    fn unsubscribe(self) -> &'static str {
        match self {
            Self::Plain => "UNSUBSCRIBE",
            Self::Sharded => "SUNSUBSCRIBE",
        }
    }
}

/// Subscriptions to channels of one shard. The task that looks after them ends when this is dropped.
pub struct Subscriptions {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    state: Mutex<State>,
    filled: Notify,
    io_timeout: Duration,
    kind: Kind,
    /// Subscribed to on every connection before anything else, and never published to.
    keep_alive: Bytes,
    sink: Arc<dyn Sink>,
}

#[derive(Default)]
struct State {
    channels: HashMap<Bytes, Channel>,
    /// To be sent, in order.
    changes: Vec<Change>,
    unanswered: Unanswered,
    /// Ends that Redis has not confirmed, by channel. Until then, what it confirms of such a channel is older.
    ending: HashMap<Bytes, usize>,
    /// Why nothing new is let in; `None` while there is a connection.
    unusable: Option<LinkError>,
}

enum Channel {
    Pending(Vec<oneshot::Sender<Result<(), LinkError>>>),
    Active,
}

/// Waits until a channel is delivered.
///
/// # Cancel safety
/// Dropping it leaves the channel subscribed to.
#[must_use = "the channel may not be delivered"]
pub struct Confirmed(Outcome);

enum Outcome {
    Known(Option<Result<(), LinkError>>),
    Waits(oneshot::Receiver<Result<(), LinkError>>),
}

impl Future for Confirmed {
    type Output = Result<(), LinkError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Outcome::Known(result) => Poll::Ready(result.take().unwrap_or(Ok(()))),
            Outcome::Waits(waits) => Pin::new(waits)
                .poll(cx)
                .map(|received| received.unwrap_or_else(|_| Err(given_up()))),
        }
    }
}

impl Subscriptions {
    /// Begins to connect, and goes on for ever. Must be called inside a Tokio runtime. `keep_alive` is a channel that
    /// nobody publishes to.
    #[must_use]
    pub fn open(options: &Options, kind: Kind, keep_alive: Bytes, sink: Arc<dyn Sink>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                unusable: Some(LinkError::Disconnected("not connected yet".to_owned())),
                ..State::default()
            }),
            filled: Notify::new(),
            io_timeout: options.io_timeout,
            kind,
            keep_alive: keep_alive.clone(),
            sink,
        });
        let target = Target::new(options, kind, &keep_alive);
        let task = tokio::spawn(shared.clone().run(target)).abort_handle();
        Self { shared, task }
    }

    /// Has a channel delivered. The subscription is queued when this returns; many that are queued together become
    /// one command.
    ///
    /// # Errors
    /// Of the result: [`LinkError::Disconnected`] at once while there is no connection and the channel was not
    /// subscribed to before, or when the connection breaks before Redis has confirmed.
    pub fn subscribe(&self, channel: Bytes) -> Confirmed {
        let mut state = self.shared.state.lock();
        let State {
            channels,
            changes,
            unusable,
            ..
        } = &mut *state;
        match channels.get_mut(&channel) {
            Some(Channel::Active) => return Confirmed(Outcome::Known(Some(Ok(())))),
            Some(Channel::Pending(waiting)) => {
                let (told, waits) = oneshot::channel();
                waiting.push(told);
                return Confirmed(Outcome::Waits(waits));
            }
            None => {}
        }
        if let Some(error) = unusable {
            return Confirmed(Outcome::Known(Some(Err(error.clone()))));
        }
        let (told, waits) = oneshot::channel();
        channels.insert(channel.clone(), Channel::Pending(vec![told]));
        changes.push(Change::Subscribe(channel));
        drop(state);
        self.shared.filled.notify_one();
        Confirmed(Outcome::Waits(waits))
    }

    /// Ends a subscription. Whoever still waits for its confirmation is told that it was given up. Subscriptions and
    /// their ends reach Redis in the order of these calls.
    pub fn unsubscribe(&self, channel: &Bytes) {
        let mut state = self.shared.state.lock();
        if state.channels.remove(channel).is_none() {
            return;
        }
        if state.channels.len() < state.channels.capacity() / 4 {
            state.channels.shrink_to_fit();
        }
        if state.unusable.is_none() {
            state.end(channel.clone());
            drop(state);
            self.shared.filled.notify_one();
        }
    }

    /// Whether there is a connection on which everything is subscribed to.
    ///
    /// # Errors
    /// Why not, as last seen.
    pub fn ready(&self) -> Result<(), LinkError> {
        self.shared.state.lock().unusable.clone().map_or(Ok(()), Err)
    }

    /// Channels that are subscribed to, or about to be.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state.lock().channels.len()
    }

    /// Whether nothing is subscribed to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn end(&mut self, channel: Bytes) {
        *self.ending.entry(channel.clone()).or_default() += 1;
        self.changes.push(Change::Unsubscribe(channel));
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn run(self: Arc<Self>, target: Target) {
        let mut backoff = Backoff::default();
        let (mut was_connected, mut was_tried) = (false, false);
        loop {
            let error = match self.connect(&target).await {
                Ok((wire, endpoint, subscribed)) => {
                    tracing::info!(address = %endpoint, "subscribed at Redis");
                    let missed = self.let_in(subscribed);
                    if was_connected {
                        self.sink.restored(missed);
                    }
                    was_connected = true;
                    let since = Instant::now();
                    let error = self.serve(wire, &endpoint, &target).await;
                    tracing::warn!(address = %endpoint, %error, "subscriptions at Redis lost");
                    if since.elapsed() >= LASTING {
                        backoff = Backoff::default();
                    }
                    error
                }
                Err(error) => error,
            };
            self.lost(&error, was_tried);
            was_tried = true;
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// A connection on which everything is subscribed to, and what that is.
    async fn connect(&self, target: &Target) -> Result<(Wire, Endpoint, Vec<Bytes>), LinkError> {
        let (mut wire, endpoint) = target.dial().await?;
        let channels: Vec<Bytes> = self.state.lock().channels.keys().cloned().collect();
        let keep_alive = std::slice::from_ref(&self.keep_alive);
        for batch in std::iter::once(keep_alive).chain(channels.chunks(BATCH)) {
            let mut command = redis::cmd(self.kind.subscribe());
            for channel in batch {
                command.arg(&channel[..]);
            }
            let subscribing = self.subscribe_again(&mut wire, &command, batch.len());
            tokio::time::timeout(self.io_timeout, subscribing)
                .await
                .unwrap_or(Err(LinkError::Timeout))?;
        }
        Ok((wire, endpoint, channels))
    }

    async fn subscribe_again(
        &self,
        wire: &mut Wire,
        command: &redis::Cmd,
        count: usize,
    ) -> Result<(), LinkError> {
        wire.writer.write_all(&command.get_packed_command()).await?;
        wire.writer.flush().await?;
        let mut confirmed = 0;
        while confirmed < count {
            let value = wire.reader.next().await.ok_or_else(closed)??;
            match Received::of(value)? {
                Received::Subscribed(_) => confirmed += 1,
                Received::Message(channel, payload) => self.sink.message(&channel, payload),
                Received::Refused(error) => return Err(error),
                Received::Unsubscribed(_) | Received::Text(_) | Received::Pong | Received::Other => {}
            }
        }
        Ok(())
    }

    /// What was subscribed to before, and has been again. What nobody wants any more by now is ended.
    fn let_in(&self, mut subscribed: Vec<Bytes>) -> Vec<Bytes> {
        let mut state = self.state.lock();
        state.unusable = None;
        state.changes.clear();
        state.unanswered = Unanswered::default();
        state.ending.clear();
        if state.channels.len() < subscribed.len() {
            let unwanted = |channel: &mut Bytes| !state.channels.contains_key(channel);
            let unwanted: Vec<_> = subscribed.extract_if(.., unwanted).collect();
            for channel in unwanted {
                state.end(channel);
            }
        }
        subscribed
    }

    /// `was_tried`: an attempt has failed before, and was told.
    fn lost(&self, error: &LinkError, was_tried: bool) {
        let (is_news, waiting) = {
            let mut state = self.state.lock();
            let is_news = state.unusable.replace(error.clone()).is_none();
            state.changes = Vec::new();
            state.ending = HashMap::new();
            let pending = |_: &Bytes, channel: &mut Channel| matches!(channel, Channel::Pending(_));
            let waiting: Vec<_> = state.channels.extract_if(pending).collect();
            (is_news, waiting)
        };
        if is_news || !was_tried {
            self.sink.lost(error);
        }
        for (_, channel) in waiting {
            if let Channel::Pending(waiting) = channel {
                for told in waiting {
                    let _ = told.send(Err(error.clone()));
                }
            }
        }
    }

    async fn serve(&self, wire: Wire, endpoint: &Endpoint, target: &Target) -> LinkError {
        let Wire {
            reader,
            writer,
            is_resp3,
            ..
        } = wire;
        // A node may be cut off from its cluster without its connections noticing. Without RESP3 nothing can be asked
        // beside subscriptions: another connection does.
        let asks_health = is_resp3 && target.is_cluster();
        tokio::select! {
            error = self.write(writer, asks_health) => error,
            error = self.read(reader, endpoint) => error,
            error = target.replaced(endpoint) => error,
            error = target.cut_off(endpoint), if !is_resp3 => error,
        }
    }

    async fn write(&self, mut writer: Writer, asks_health: bool) -> LinkError {
        let mut next_question = Instant::now() + PING_INTERVAL;
        loop {
            let mut packed = Vec::new();
            {
                let mut state = self.state.lock();
                let changes = std::mem::take(&mut state.changes);
                // However much there is to change.
                if Instant::now() >= next_question {
                    next_question = Instant::now() + PING_INTERVAL;
                    state.unanswered.ask(&redis::cmd("PING"), &mut packed);
                    if asks_health {
                        let question = redis::cmd("CLUSTER").arg("INFO").to_owned();
                        state.unanswered.ask(&question, &mut packed);
                    }
                }
                state.unanswered.send(changes, self.kind, &mut packed);
            }
            if packed.is_empty() {
                let _ = tokio::time::timeout_at(next_question, self.filled.notified()).await;
                continue;
            }
            let writing = async {
                writer.write_all(&packed).await?;
                writer.flush().await
            };
            match tokio::time::timeout(self.io_timeout, writing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) => return LinkError::Timeout,
            }
        }
    }

    async fn read(&self, mut reader: Reader, endpoint: &Endpoint) -> LinkError {
        loop {
            let next = match reader.next().now_or_never() {
                Some(next) => next,
                // A ping is answered at least that often.
                None => match tokio::time::timeout(self.io_timeout + PING_INTERVAL, reader.next()).await {
                    Ok(next) => next,
                    Err(_) => return LinkError::Timeout,
                },
            };
            let received = match next {
                None => return closed(),
                Some(Err(error)) => return error.into(),
                Some(Ok(value)) => Received::of(value),
            };
            match received {
                Ok(Received::Message(channel, payload)) => self.sink.message(&channel, payload),
                Ok(Received::Subscribed(channel)) => self.confirm(&channel),
                // A cluster moved the slot: the channels are not served here any more.
                Ok(Received::Unsubscribed(channel)) if channel == self.keep_alive => {
                    return LinkError::Disconnected("the server ended the subscriptions".to_owned());
                }
                Ok(Received::Unsubscribed(channel)) => self.confirm_end(&channel),
                Ok(Received::Text(text)) => {
                    self.state.lock().unanswered.answered();
                    if !is_well(&text) {
                        return cut_off(endpoint);
                    }
                }
                Ok(Received::Pong) => self.state.lock().unanswered.answered(),
                Ok(Received::Refused(error)) => {
                    if let Err(error) = self.refuse(error) {
                        return error;
                    }
                }
                Ok(Received::Other) => {}
                Err(error) => return error,
            }
        }
    }

    fn confirm(&self, channel: &Bytes) {
        let mut state = self.state.lock();
        state.unanswered.subscribed();
        if state.ending.contains_key(channel) {
            // Of a subscription that was ended since; another one may be on its way.
            return;
        }
        let waiting = match state.channels.get_mut(channel) {
            Some(channel @ Channel::Pending(_)) => std::mem::replace(channel, Channel::Active),
            _ => return,
        };
        drop(state);
        if let Channel::Pending(waiting) = waiting {
            for told in waiting {
                let _ = told.send(Ok(()));
            }
        }
    }

    fn confirm_end(&self, channel: &Bytes) {
        let mut state = self.state.lock();
        state.unanswered.unsubscribed();
        if let Some(count) = state.ending.get_mut(channel) {
            *count -= 1;
            if *count == 0 {
                state.ending.remove(channel);
            }
        }
    }

    /// Nobody may subscribe to one of several channels: which, shows when they are asked for one by one. An error that
    /// is of no channel ends the connection.
    fn refuse(&self, error: LinkError) -> Result<(), LinkError> {
        let mut state = self.state.lock();
        let Refused::Subscribe(channels) = state.unanswered.refused() else {
            return Err(error);
        };
        if !error.is_code("NOPERM") && !error.is_code("ERR") {
            return Err(error);
        }
        let is_alone = channels.len() == 1;
        let mut refused = Vec::new();
        for channel in channels {
            // As in `confirm`: ended since.
            if state.ending.contains_key(&channel) {
                continue;
            }
            if !matches!(state.channels.get(&channel), Some(Channel::Pending(_))) {
                continue;
            }
            if !is_alone {
                state.changes.push(Change::SubscribeAlone(channel));
            } else if let Some(Channel::Pending(waiting)) = state.channels.remove(&channel) {
                refused.extend(waiting);
            }
        }
        drop(state);
        self.filled.notify_one();
        for told in refused {
            let _ = told.send(Err(error.clone()));
        }
        Ok(())
    }
}

/// Whether this is something published.
#[cfg(fuzzing)]
pub(crate) fn is_message(value: redis::Value) -> bool {
    matches!(Received::of(value), Ok(Received::Message(..)))
}

fn closed() -> LinkError {
    LinkError::Disconnected("the server closed the connection".to_owned())
}

fn given_up() -> LinkError {
    LinkError::Disconnected("the subscription was given up".to_owned())
}

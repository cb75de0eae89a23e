//! The connection to NATS: what goes out, and what is known of its state.
//!
//! The library connects and reconnects for ever by itself and subscribes again before anything else is sent. What it
//! does not tell is when the server has taken a subscription. So this node hears itself ([`Subjects::echo`]): the
//! server works off one connection in order, and when a message comes back that was sent after a subscription, that
//! subscription is in force.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Event, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use rand::Rng;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::address::{AddressError, Connecting};
use super::outgoing::Outgoing;
use super::subjects::Subjects;
use crate::config::Nats;
use crate::engine::{EngineError, Epoch};

/// How often a silent connection is asked whether it lives; it is given up when the third question is due.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long the server may take to answer.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The pause between attempts to connect grows to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Messages of one subscription that wait to be delivered; what comes on top is dropped, and told.
const SUBSCRIPTION_CAPACITY: usize = 16_384;

/// A connection. Its tasks end when it is dropped.
pub struct Link {
    client: Client,
    subjects: Subjects,
    dial_timeout: Duration,
    write_timeout: Duration,
    outgoing: Outgoing,
    shared: Arc<Shared>,
    _echo: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: watch::Sender<Seen>,
    error: Mutex<String>,
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
    asked: Notify,
}

/// What has happened to the connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often it was made.
    pub connections: u64,
    /// How often messages were dropped, because they came faster than they were delivered.
    pub overflows: u64,
    is_up: bool,
}

impl Link {
    /// Begins to connect. Must be called inside a Tokio runtime, on which its tasks run.
    ///
    /// # Errors
    /// [`AddressError`] for an address or a certificate that cannot be used.
    pub fn open(options: &Nats) -> Result<Arc<Self>, AddressError> {
        let connecting = Connecting::new(options)?;
        let shared = Arc::new(Shared::default());
        let telling = shared.clone();
        let connect = connecting
            .options()
            .name("tidegate")
            .connection_timeout(options.dial_timeout)
            .request_timeout(Some(ANSWER_TIME))
            .ping_interval(PING_INTERVAL)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .reconnect_delay_callback(pause)
            .retry_on_initial_connect()
            .event_callback(move |event| {
                telling.happened(&event);
                std::future::ready(())
            })
            .connect(connecting.servers.clone());
        // With retry_on_initial_connect nothing is waited for.
        let client = connect
            .now_or_never()
            .unwrap_or_else(|| Err(async_nats::ConnectErrorKind::TimedOut.into()))
            .map_err(|error| AddressError::of(&error))?;
        let subjects = Subjects::new(options);
        let echo = Echo {
            client: client.clone(),
            subject: subjects.echo(Epoch::random().as_str()),
            shared: shared.clone(),
        };
        Ok(Arc::new(Self {
            subjects,
            dial_timeout: options.dial_timeout,
            write_timeout: options.write_timeout,
            outgoing: Outgoing::start(client.clone(), options.write_timeout),
            client,
            _echo: AbortOnDropHandle::new(tokio::spawn(echo.run())),
            shared,
        }))
    }

    /// Names.
    #[must_use]
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether there is a connection.
    ///
    /// # Errors
    /// What is in the way, as last seen.
    pub fn ready(&self) -> Result<(), EngineError> {
        if self.client.connection_state() == State::Connected {
            return Ok(());
        }
        let error = self.shared.error.lock();
        let error = if error.is_empty() { "connecting" } else { &**error };
        Err(EngineError::Unavailable(format!("NATS: {error}")))
    }

    /// Waits for the first connection, for as long as making one may take. One that takes longer is named in the log.
    pub async fn connected(&self) {
        let mut state = self.shared.state.subscribe();
        let is_up = state.wait_for(|seen| seen.is_up);
        if tokio::time::timeout(self.dial_timeout, is_up).await.is_err()
            && let Err(error) = self.ready()
        {
            tracing::error!(%error, "error connecting to NATS, attempts go on");
        }
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Seen> {
        self.shared.state.subscribe()
    }

    /// How often it was connected.
    pub(super) fn connections(&self) -> u64 {
        self.shared.state.borrow().connections
    }

    /// Sends a message to whoever is there. Messages leave in the order in which the futures are first polled.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] without a connection, after the write time-out, if too much waits to be written,
    /// and for a message that is too large for the server.
    pub async fn publish(&self, subject: String, message: Bytes) -> Result<(), EngineError> {
        self.ready()?;
        self.outgoing.push(subject, message)?.await
    }

    /// Subscribes; whether the server has taken it is known after [`confirmed`](Self::confirmed).
    pub(super) async fn subscribe(&self, subject: String) -> Result<Subscriber, EngineError> {
        self.ready()?;
        match tokio::time::timeout(self.write_timeout, self.client.subscribe(subject)).await {
            Ok(sent) => sent.map_err(|error| unavailable(&error)),
            Err(_) => Err(EngineError::Unavailable(
                "NATS: timed out while writing".to_owned(),
            )),
        }
    }

    /// Returns when the server has worked off all that was sent before. Many at once cost one message.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if it did not answer, or the connection was lost.
    pub async fn confirmed(&self) -> Result<(), EngineError> {
        self.ready()?;
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting.lock().push(sender);
        self.shared.asked.notify_one();
        receiver
            .await
            .map_err(|_| EngineError::Unavailable("NATS: did not answer in time".to_owned()))
    }
}

impl Shared {
    fn happened(&self, event: &Event) {
        match event {
            Event::Connected => {
                tracing::info!("connected to NATS");
                self.error.lock().clear();
                self.state.send_modify(|seen| {
                    seen.connections += 1;
                    seen.is_up = true;
                });
            }
            Event::Disconnected | Event::Closed => {
                tracing::error!("connection to NATS lost");
                "disconnected".clone_into(&mut self.error.lock());
                self.state.send_modify(|seen| seen.is_up = false);
            }
            Event::SlowConsumer(_) => self.state.send_modify(|seen| seen.overflows += 1),
            Event::LameDuckMode => tracing::warn!("a server of NATS is about to end"),
            Event::Draining => {}
            Event::ServerError(error) => self.failed(error),
            Event::ClientError(error) => self.failed(error),
        }
    }

    /// Logs an error once, not with each attempt.
    fn failed(&self, error: &dyn std::fmt::Display) {
        let text = error.to_string();
        let mut last = self.error.lock();
        if *last != text {
            tracing::error!(error = %text, "error of NATS");
            *last = text;
        }
    }
}

/// The task that hears itself.
struct Echo {
    client: Client,
    subject: String,
    shared: Arc<Shared>,
}

impl Echo {
    async fn run(self) {
        let Ok(mut heard) = self.client.subscribe(self.subject.clone()).await else {
            return;
        };
        for number in 0_u64.. {
            self.shared.asked.notified().await;
            let waiting = std::mem::take(&mut *self.shared.waiting.lock());
            let is_back = tokio::time::timeout(ANSWER_TIME, self.is_back(number.to_string(), &mut heard));
            if is_back.await == Ok(true) {
                for waiting in waiting {
                    // Nobody may be waiting any more.
                    let _ = waiting.send(());
                }
            }
        }
    }

    /// Sends a message and waits for it, on one connection.
    async fn is_back(&self, message: String, heard: &mut Subscriber) -> bool {
        let mut state = self.shared.state.subscribe();
        // A connection may be in use before it has been told of.
        let Ok(connections) = state
            .wait_for(|seen| seen.is_up)
            .await
            .map(|seen| seen.connections)
        else {
            return false;
        };
        let is_back = async {
            self.client
                .publish(self.subject.clone(), message.clone().into())
                .await
                .ok()?;
            // Messages that were given up may still come.
            while heard.next().await?.payload != message {}
            Some(())
        };
        let is_lost = state.wait_for(|seen| !seen.is_up || seen.connections != connections);
        tokio::select! {
            is_back = is_back => is_back.is_some(),
            _ = is_lost => false,
        }
    }
}

/// The pause before an attempt to connect, with jitter, so that many nodes do not come back at once.
fn pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.min(8)).unwrap_or(8);
    let longest = (Duration::from_millis(20) * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.5..1.0))
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Unavailable(format!("NATS: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_made_soon_and_then_rarely() {
        assert!(pause(0) <= Duration::from_millis(20));
        for attempt in [7, 100, usize::MAX] {
            assert!((LONGEST_PAUSE / 2..LONGEST_PAUSE).contains(&pause(attempt)));
        }
    }
}

//! One connection for commands, and the task that looks after it.
//!
//! ```text
//!            dialled                      broken
//!  Trying ────────────> Serving ──────────────────> Trying
//!     │ failed             ^
//!     v                    │ dialled
//!    Shut ──(pause)────────┘
//! ```
//!
//! While *Trying* (at the start, and once after a connection broke that had lasted) calls wait; while *Shut* they fail
//! at once. A connection on which a command is not answered within the time-out is broken, and a command each second
//! makes sure that something is to be answered: half-open connections are found. A call that waited for longer than
//! the time-out is not sent any more. So every call ends within about twice the time-out, whatever the server does.
//!
//! Calls that come while the server is at work wait a moment for company (`Driver::take`), for a command of many calls
//! costs it little more than one of few. A call that finds nothing under way leaves at once.
//!
//! A server may forget scripts while it runs (`SCRIPT FLUSH`). It then refuses the calls, which did nothing: they are
//! sent again with the text of the script, in their order and before anything new, after all that was under way has
//! been answered.

mod encode;
mod flight;
mod plan;

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use redis::{RedisError, ServerError, ServerErrorKind, Value};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::dial::{Login, Reader, Wire, Writer};
use crate::error::LinkError;
use crate::options::Endpoint;
use crate::queue::{LARGE, Queue, Queued};
use crate::sentinel::Watched;
use crate::values::checked;
use encode::{Loaded, encode};
use flight::{Flight, Sent};

/// Calls that leave in one write.
const BATCH_CALLS: usize = 1024;

/// Bytes after which a write is not made larger.
const BATCH_BYTES: usize = 512 * 1024;

/// How long calls wait at most for company. Not in a cluster, where calls of different slots are none.
const COMPANY: Duration = Duration::from_millis(1);

/// How often a silent connection is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A connection that lasted for less is not made again at once: the server may refuse us by ending each of them.
const LASTING: Duration = Duration::from_secs(1);

/// Where a lane leads.
#[derive(Debug)]
pub(crate) enum Target {
    /// Always to the same server.
    Endpoint(Endpoint, Login),
    /// To whom sentinels name.
    Watched(Box<Watched>),
    /// To a replica of it.
    Replica(Box<Watched>),
}

/// Decides about errors by which a cluster sends calls elsewhere.
pub(crate) trait Redirect: Send + Sync {
    /// Takes over calls that `from` has refused with this error; gives them back if the error is the answer.
    fn redirect(
        &self,
        from: Option<&Endpoint>,
        error: &ServerError,
        calls: Vec<Queued>,
    ) -> Option<Vec<Queued>>;

    /// A connection broke or cannot be made.
    fn failed(&self);
}

/// A lane. Its task ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Lane {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    /// Whether there is a connection.
    is_up: AtomicBool,
    /// Whether calls wait for answers.
    is_busy: AtomicBool,
}

impl Lane {
    /// Begins to dial.
    pub(crate) fn open(target: Target, io_timeout: Duration, redirect: Option<Weak<dyn Redirect>>) -> Self {
        let shared = Arc::new(Shared::default());
        let driver = Driver {
            target,
            io_timeout,
            redirect,
            shared: shared.clone(),
            flight: Mutex::default(),
            answered: Notify::new(),
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                never = driver.run() => match never {},
                never = driver.shared.queue.expire(io_timeout) => match never {},
            }
        });
        Self {
            shared,
            task: task.abort_handle(),
        }
    }

    pub(crate) fn push(&self, queued: Queued) {
        self.shared.queue.push(queued);
    }

    /// Why calls would not be sent now.
    pub(crate) fn ready(&self) -> Result<(), LinkError> {
        if self.shared.is_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        let trying = || LinkError::Disconnected("connecting".to_owned());
        Err(self.shared.queue.why_shut().unwrap_or_else(trying))
    }

    /// Whether it has nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.queue.is_empty() && !self.shared.is_busy.load(Ordering::Relaxed)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
        self.shared
            .queue
            .shut(&LinkError::Disconnected("the connection was given up".to_owned()));
    }
}

struct Driver {
    target: Target,
    io_timeout: Duration,
    redirect: Option<Weak<dyn Redirect>>,
    shared: Arc<Shared>,
    flight: Mutex<Flight>,
    answered: Notify,
}

impl Target {
    async fn dial(&self) -> Result<(Wire, Endpoint), LinkError> {
        match self {
            Self::Endpoint(endpoint, login) => Ok((login.dial(endpoint).await?, endpoint.clone())),
            Self::Watched(watched) => watched.dial().await,
            Self::Replica(watched) => watched.dial_replica().await,
        }
    }

    /// Ends when `current` is not the server to ask any more.
    async fn replaced(&self, current: &Endpoint) -> LinkError {
        match self {
            Self::Endpoint(..) => std::future::pending().await,
            Self::Watched(watched) => watched.replaced(current).await,
            Self::Replica(watched) => watched.dismissed(current).await,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint, _) => endpoint.fmt(f),
            Self::Watched(watched) => watched.fmt(f),
            Self::Replica(watched) => write!(f, "replica of {watched}"),
        }
    }
}

impl Driver {
    async fn run(&self) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.target.dial().await {
                Ok((wire, endpoint)) => {
                    tracing::info!(address = %endpoint, "connected to Redis");
                    self.shared.queue.open();
                    self.shared.is_up.store(true, Ordering::Relaxed);
                    let since = Instant::now();
                    let error = self.serve(wire, &endpoint).await;
                    self.shared.is_up.store(false, Ordering::Relaxed);
                    tracing::warn!(address = %endpoint, %error, "connection to Redis lost");
                    self.fail_sent(&error);
                    if since.elapsed() >= LASTING {
                        backoff = Backoff::default();
                        if matches!(error, LinkError::Disconnected(_)) {
                            self.tell_failure();
                            continue;
                        }
                    }
                    error
                }
                Err(error) => error,
            };
            if self.shared.queue.why_shut().is_none() {
                tracing::error!(target = %self.target, %error, "Redis cannot be reached, retrying");
            }
            self.shared.queue.shut(&error);
            self.tell_failure();
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    fn redirect(&self) -> Option<Arc<dyn Redirect>> {
        self.redirect.as_ref().and_then(Weak::upgrade)
    }

    fn tell_failure(&self) {
        if let Some(redirect) = self.redirect() {
            redirect.failed();
        }
    }

    async fn serve(&self, wire: Wire, endpoint: &Endpoint) -> LinkError {
        let Wire { reader, writer, .. } = wire;
        tokio::select! {
            error = self.write(writer) => error,
            error = self.read(reader, endpoint) => error,
            error = self.target.replaced(endpoint) => error,
        }
    }

    async fn write(&self, mut writer: Writer) -> LinkError {
        let mut loaded = Loaded::default();
        let mut bytes = Vec::new();
        loop {
            while self.must_wait() {
                self.answered.notified().await;
            }
            let taken = tokio::time::timeout(PING_INTERVAL, self.take()).await;
            bytes.clear();
            {
                let mut flight = self.flight.lock();
                flight.begin();
                match taken {
                    // Refused while this waited for calls: these come after those.
                    Ok(calls) if flight.has_refused() => {
                        self.shared.queue.put_back(calls);
                        continue;
                    }
                    Err(_) => {
                        redis::cmd("PING").write_packed_command(&mut bytes);
                        flight.push(Sent::Ours);
                    }
                    Ok(calls) => {
                        self.shared.is_busy.store(true, Ordering::Relaxed);
                        for unit in plan::plan(calls, self.redirect.is_some()) {
                            encode(unit, &mut loaded, &mut bytes, &mut flight);
                        }
                    }
                }
            }
            let writing = async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            };
            match tokio::time::timeout(self.io_timeout, writing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) => return LinkError::Timeout,
            }
            if bytes.capacity() > 2 * BATCH_BYTES {
                bytes = Vec::new();
            }
        }
    }

    /// The next calls to be sent. As long as answers are awaited anyway, calls that come meanwhile become one command.
    async fn take(&self) -> Vec<Queued> {
        let queue = &self.shared.queue;
        queue.wait_for(1).await;
        let has_small = || self.flight.lock().has_small();
        if self.redirect.is_none() && has_small() {
            let company = async {
                while has_small() {
                    self.answered.notified().await;
                }
            };
            tokio::select! {
                _ = tokio::time::timeout(COMPANY, company) => {}
                () = queue.wait_for(LARGE) => {}
            }
        }
        queue.take(BATCH_CALLS, BATCH_BYTES).await
    }

    /// Whether nothing may be sent before something is answered.
    fn must_wait(&self) -> bool {
        let flight = self.flight.lock();
        flight.is_full() || flight.has_refused()
    }

    async fn read(&self, mut reader: Reader, endpoint: &Endpoint) -> LinkError {
        loop {
            // Most answers are here already: no timer for them.
            let next = match reader.next().now_or_never() {
                Some(next) => next,
                None => match self.next_in_time(&mut reader).await {
                    Some(next) => next,
                    None => return LinkError::Timeout,
                },
            };
            match next {
                None => return LinkError::Disconnected("the server closed the connection".to_owned()),
                Some(Err(error)) => return error.into(),
                // Nothing is subscribed to here.
                Some(Ok(Value::Push { .. })) => {}
                Some(Ok(value)) => {
                    let Some(sent) = self.next_sent() else {
                        return LinkError::Unexpected("an answer to nothing".to_owned());
                    };
                    if let Err(error) = self.answer(sent, value, endpoint) {
                        return error;
                    }
                    self.retry_refused();
                }
            }
        }
    }

    /// `None` if the server takes too long to answer.
    async fn next_in_time(&self, reader: &mut Reader) -> Option<Option<Result<Value, RedisError>>> {
        loop {
            let oldest = self.flight.lock().oldest();
            let deadline = oldest.unwrap_or_else(Instant::now) + self.io_timeout;
            if let Ok(next) = tokio::time::timeout_at(deadline, reader.next()).await {
                return Some(next);
            }
            // There may have been nothing to answer when this began.
            if oldest.is_some() {
                return None;
            }
        }
    }

    fn next_sent(&self) -> Option<Sent> {
        let mut flight = self.flight.lock();
        let (next, frees) = flight.pop().unzip();
        if flight.is_empty() {
            self.shared.is_busy.store(false, Ordering::Relaxed);
        }
        if frees == Some(true) {
            self.answered.notify_one();
        }
        next
    }

    /// An error ends the connection.
    fn answer(&self, sent: Sent, value: Value, endpoint: &Endpoint) -> Result<(), LinkError> {
        let calls = match sent {
            Sent::Ours => return Ok(()),
            Sent::Call(queued) => match value {
                Value::ServerError(error) => return self.answer_error(vec![queued], false, &error, endpoint),
                value => {
                    queued.answer(Ok(value));
                    return Ok(());
                }
            },
            Sent::Merged(calls) => calls,
        };
        match value {
            Value::ServerError(error) => self.answer_error(calls, true, &error, endpoint),
            Value::Array(results) if results.len() == calls.len() => {
                let mut ends = Ok(());
                for (queued, result) in calls.into_iter().zip(results) {
                    let result = checked(result);
                    if let Err(error) = &result
                        && is_demotion(error)
                    {
                        ends = Err(error.clone());
                    }
                    queued.answer(result);
                }
                ends
            }
            _ => {
                for queued in calls {
                    queued.fail(LinkError::Unexpected("not one result for each call".to_owned()));
                }
                Ok(())
            }
        }
    }

    fn answer_error(
        &self,
        mut calls: Vec<Queued>,
        is_merged: bool,
        error: &ServerError,
        endpoint: &Endpoint,
    ) -> Result<(), LinkError> {
        let is_forgotten = error.kind() == Some(ServerErrorKind::NoScript);
        if is_forgotten && is_merged && !calls.iter().any(|queued| queued.in_full) {
            for queued in &mut calls {
                queued.in_full = true;
            }
            self.flight.lock().refuse(calls);
            return Ok(());
        }
        let calls = match self.redirect() {
            None => calls,
            Some(redirect) => match redirect.redirect(Some(endpoint), error, calls) {
                None => return Ok(()),
                Some(calls) => calls,
            },
        };
        let answer = LinkError::server(error);
        for queued in calls {
            queued.fail(answer.clone());
        }
        if is_demotion(&answer) { Err(answer) } else { Ok(()) }
    }

    /// Has refused calls sent again, if nothing is under way any more.
    fn retry_refused(&self) {
        let refused = self.flight.lock().take_refused();
        if let Some(refused) = refused {
            self.shared.queue.put_back(refused);
            self.answered.notify_one();
        }
    }

    fn fail_sent(&self, error: &LinkError) {
        let unanswered = self.flight.lock().drain();
        for queued in unanswered {
            queued.fail(error.clone());
        }
        self.shared.is_busy.store(false, Ordering::Relaxed);
    }
}

/// A master became a replica. Whoever is master now is found by dialling again.
fn is_demotion(error: &LinkError) -> bool {
    error.is_code("READONLY")
}

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
//! While *Trying* (at the start, and once right after a connection broke) calls wait; while *Shut* they fail at once.
//! A connection that does not answer within the time-out is broken, and a command each second makes sure that
//! something is to be answered: half-open connections are found.

mod encode;
mod plan;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use redis::{ServerError, ServerErrorKind, Value};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::backoff::Backoff;
use crate::dial::{Login, Reader, Wire, Writer};
use crate::error::LinkError;
use crate::options::Endpoint;
use crate::queue::{Queue, Queued};
use crate::script::Script;
use crate::sentinel::Watched;
use crate::values::checked;
use encode::{Loaded, encode};

/// Calls that leave in one write.
const BATCH_CALLS: usize = 1024;

/// Bytes after which a write is not made larger.
const BATCH_BYTES: usize = 512 * 1024;

/// Commands that may wait for their answers.
const MAX_IN_FLIGHT: usize = 4096;

/// How often a silent connection is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Where a lane leads.
#[derive(Debug)]
pub(crate) enum Target {
    /// Always to the same server.
    Endpoint(Endpoint, Login),
    /// To whom sentinels name.
    Watched(Box<Watched>),
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
    queue: Arc<Queue>,
    task: AbortHandle,
}

impl Lane {
    /// Begins to dial.
    pub(crate) fn open(target: Target, io_timeout: Duration, redirect: Option<Arc<dyn Redirect>>) -> Self {
        let queue = Arc::new(Queue::default());
        let driver = Driver {
            target,
            io_timeout,
            redirect,
            queue: queue.clone(),
            sent: Mutex::default(),
            answered: Notify::new(),
        };
        let task = tokio::spawn(driver.run()).abort_handle();
        Self { queue, task }
    }

    pub(crate) fn push(&self, queued: Queued) {
        self.queue.push(queued);
    }

    /// Why calls fail at once, if they do.
    pub(crate) fn ready(&self) -> Result<(), LinkError> {
        self.queue.why_shut().map_or(Ok(()), Err)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
        self.queue
            .shut(&LinkError::Disconnected("the connection was given up".to_owned()));
    }
}

struct Driver {
    target: Target,
    io_timeout: Duration,
    redirect: Option<Arc<dyn Redirect>>,
    queue: Arc<Queue>,
    sent: Mutex<VecDeque<Sent>>,
    answered: Notify,
}

impl Target {
    async fn dial(&self) -> Result<(Wire, Endpoint), LinkError> {
        match self {
            Self::Endpoint(endpoint, login) => Ok((login.dial(endpoint).await?, endpoint.clone())),
            Self::Watched(watched) => watched.dial().await,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint, _) => endpoint.fmt(f),
            Self::Watched(watched) => watched.fmt(f),
        }
    }
}

/// What an answer will be to.
enum Sent {
    /// A question of our own, whose answer matters to nobody.
    Ours,
    Call(Queued),
    Merged(&'static Script, Vec<Queued>),
}

impl Driver {
    async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.target.dial().await {
                Ok((wire, endpoint)) => {
                    tracing::info!(address = %endpoint, "connected to Redis");
                    backoff = Backoff::default();
                    self.queue.open();
                    let error = self.serve(wire, &endpoint).await;
                    tracing::warn!(address = %endpoint, %error, "connection to Redis lost");
                    self.fail_sent(&error);
                    if let Some(redirect) = &self.redirect {
                        redirect.failed();
                    }
                    if error != LinkError::Timeout {
                        continue;
                    }
                    error
                }
                Err(error) => error,
            };
            if self.queue.why_shut().is_none() {
                tracing::error!(target = %self.target, %error, "Redis cannot be reached, retrying");
            }
            self.queue.shut(&error);
            if let Some(redirect) = &self.redirect {
                redirect.failed();
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn serve(&self, wire: Wire, endpoint: &Endpoint) -> LinkError {
        let Wire { reader, writer } = wire;
        tokio::select! {
            error = self.write(writer) => error,
            error = self.read(reader, endpoint) => error,
        }
    }

    async fn write(&self, mut writer: Writer) -> LinkError {
        let mut loaded = Loaded::default();
        let mut bytes = Vec::new();
        loop {
            while self.sent.lock().len() >= MAX_IN_FLIGHT {
                self.answered.notified().await;
            }
            let taken = tokio::time::timeout(PING_INTERVAL, self.queue.take(BATCH_CALLS, BATCH_BYTES)).await;
            bytes.clear();
            {
                let mut sent = self.sent.lock();
                match taken {
                    Err(_) => {
                        redis::cmd("PING").write_packed_command(&mut bytes);
                        sent.push_back(Sent::Ours);
                    }
                    Ok(calls) => {
                        for unit in plan::plan(calls, self.redirect.is_some()) {
                            encode(unit, &mut loaded, &mut bytes, &mut sent);
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

    async fn read(&self, mut reader: Reader, endpoint: &Endpoint) -> LinkError {
        loop {
            // Most answers are here already: no timer for them.
            let next = match reader.next().now_or_never() {
                Some(next) => next,
                None => match tokio::time::timeout(self.io_timeout, reader.next()).await {
                    Ok(next) => next,
                    Err(_) if self.sent.lock().is_empty() => continue,
                    Err(_) => return LinkError::Timeout,
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
                }
            }
        }
    }

    fn next_sent(&self) -> Option<Sent> {
        let mut sent = self.sent.lock();
        let next = sent.pop_front();
        if sent.len() == MAX_IN_FLIGHT - 1 {
            self.answered.notify_one();
        }
        next
    }

    /// An error ends the connection.
    fn answer(&self, sent: Sent, value: Value, endpoint: &Endpoint) -> Result<(), LinkError> {
        let (script, calls) = match sent {
            Sent::Ours => return Ok(()),
            Sent::Call(queued) => (None, vec![queued]),
            Sent::Merged(script, calls) => (Some(script), calls),
        };
        if let Value::ServerError(error) = &value {
            return self.answer_error(script, calls, error, endpoint);
        }
        match (script, calls) {
            (None, calls) => {
                for queued in calls {
                    let _ = queued.answer.send(checked(value.clone()));
                }
            }
            (Some(_), calls) => match value {
                Value::Array(results) if results.len() == calls.len() => {
                    for (queued, result) in calls.into_iter().zip(results) {
                        let _ = queued.answer.send(checked(result));
                    }
                }
                _ => {
                    for queued in calls {
                        queued.fail(LinkError::Unexpected("not one result for each call".to_owned()));
                    }
                }
            },
        }
        Ok(())
    }

    fn answer_error(
        &self,
        script: Option<&'static Script>,
        calls: Vec<Queued>,
        error: &ServerError,
        endpoint: &Endpoint,
    ) -> Result<(), LinkError> {
        if error.kind() == Some(ServerErrorKind::NoScript) && script.is_some() {
            // The server has forgotten its scripts: they are loaded again on the next connection. Calls that were
            // refused are asked again there, in front of all others; nothing was done.
            self.put_back(calls);
            return Err(LinkError::Disconnected(
                "the server has forgotten its scripts".to_owned(),
            ));
        }
        let calls = match &self.redirect {
            None => calls,
            Some(redirect) => match redirect.redirect(Some(endpoint), error, calls) {
                None => return Ok(()),
                Some(calls) => calls,
            },
        };
        let answer = LinkError::server(error);
        // A master that became a replica: whoever is master now is found by dialling again.
        let ends = answer.is_code("READONLY");
        for queued in calls {
            queued.fail(answer.clone());
        }
        if ends { Err(answer) } else { Ok(()) }
    }

    /// These, and what was sent after them of scripts, which the server will refuse as well.
    fn put_back(&self, mut calls: Vec<Queued>) {
        let mut sent = self.sent.lock();
        let (scripts, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut *sent)
            .into_iter()
            .partition(|sent| matches!(sent, Sent::Merged(..)));
        *sent = others;
        drop(sent);
        for sent in scripts {
            if let Sent::Merged(_, merged) = sent {
                calls.extend(merged);
            }
        }
        self.queue.put_back(calls);
    }

    fn fail_sent(&self, error: &LinkError) {
        let sent = std::mem::take(&mut *self.sent.lock());
        for sent in sent {
            match sent {
                Sent::Ours => {}
                Sent::Call(queued) => queued.fail(error.clone()),
                Sent::Merged(_, calls) => {
                    for queued in calls {
                        queued.fail(error.clone());
                    }
                }
            }
        }
    }
}

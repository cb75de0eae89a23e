//! What leaves, in order.
//!
//! The library takes messages into a queue of its own; a caller that finds it full waits for room, and one that has
//! done much at once is turned away (Tokio's cooperative scheduling), so that callers overtake each other. So they put
//! their messages here, without waiting, and one task hands them on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::link::unavailable;
use crate::engine::EngineError;

/// Messages that may wait.
const MAX_MESSAGES: usize = 16_384;

/// Bytes that they may hold; one message always fits.
const MAX_BYTES: usize = 64 << 20;

/// Messages on their way to the library.
pub(super) struct Outgoing {
    sender: mpsc::Sender<Message>,
    bytes: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

struct Message {
    subject: String,
    payload: Bytes,
    since: Instant,
    sent: oneshot::Sender<Result<(), EngineError>>,
}

impl Outgoing {
    /// `patience`: how long a message may wait.
    pub(super) fn start(client: Client, patience: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_MESSAGES);
        let bytes = Arc::default();
        let task = tokio::spawn(hand_on(receiver, client, patience, Arc::clone(&bytes)));
        Self {
            sender,
            bytes,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Queued when this returns. The future ends when the library has taken the message.
    pub(super) fn push(
        &self,
        subject: String,
        payload: Bytes,
    ) -> Result<impl Future<Output = Result<(), EngineError>> + use<>, EngineError> {
        let size = payload.len();
        let (sent, result) = oneshot::channel();
        let message = Message {
            subject,
            payload,
            since: Instant::now(),
            sent,
        };
        let waiting = self.bytes.fetch_add(size, Ordering::Relaxed);
        let is_full = waiting > 0 && waiting.saturating_add(size) > MAX_BYTES;
        if is_full || self.sender.try_send(message).is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return Err(EngineError::Unavailable(
                "NATS: too much waits to be written".to_owned(),
            ));
        }
        Ok(async move {
            let result = result.await;
            result.unwrap_or_else(|_| Err(EngineError::Unavailable("NATS: shutting down".to_owned())))
        })
    }
}

async fn hand_on(
    mut messages: mpsc::Receiver<Message>,
    client: Client,
    patience: Duration,
    bytes: Arc<AtomicUsize>,
) {
    while let Some(Message {
        subject,
        payload,
        since,
        sent,
    }) = messages.recv().await
    {
        bytes.fetch_sub(payload.len(), Ordering::Relaxed);
        let publishing = client.publish(subject, payload);
        let result = match tokio::time::timeout_at(since + patience, publishing).await {
            Ok(result) => result.map_err(|error| unavailable(&error)),
            Err(_) => Err(EngineError::Unavailable(
                "NATS: timed out while writing".to_owned(),
            )),
        };
        // Nobody may be waiting any more.
        let _ = sent.send(result);
    }
}

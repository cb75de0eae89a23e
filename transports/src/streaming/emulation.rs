//! Where emulation requests find their sessions.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{Encoding, Outbox};

/// Emulation requests that may wait for one session; further ones wait in their connections.
const INBOX: usize = 16;

/// The streaming sessions of this node by their secret session id.
#[derive(Default)]
pub struct EmulationRegistry {
    sessions: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    encoding: Encoding,
    inbox: mpsc::Sender<Incoming>,
    outbox: Arc<Outbox>,
    /// Never used: that it is gone tells the driver that its writer is stuck.
    _alive: oneshot::Sender<Infallible>,
    /// The writer's progress at the last look.
    progress: u32,
    waiting: bool,
}

/// What the registry tells the driver of a session.
pub(super) struct Inbox {
    pub(super) incoming: mpsc::Receiver<Incoming>,
    /// Ready when the writer was found stuck.
    pub(super) stuck: oneshot::Receiver<Infallible>,
}

/// A frame from an emulation request.
pub(super) struct Incoming {
    pub(super) frame: Bytes,
    /// Told when the batch was handled.
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// What became of an emulation request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The session has handled the batch.
    Handled,
    /// There is no such session on this node, or it ended meanwhile.
    UnknownSession,
}

/// Keeps a session findable; dropping it ends that.
pub(super) struct Registration {
    registry: Arc<EmulationRegistry>,
    session: String,
}

impl EmulationRegistry {
    /// The encoding of a session on this node.
    #[must_use]
    pub fn encoding(&self, session: &str) -> Option<Encoding> {
        self.sessions.lock().get(session).map(|entry| entry.encoding)
    }

    /// Gives a batch of commands to a session and waits until it was handled. Batches of one session are handled in
    /// the order in which the futures are first polled.
    ///
    /// # Cancel safety
    /// Dropping the future leaves open whether the batch is handled.
    pub async fn deliver(&self, session: &str, frame: Bytes) -> Delivered {
        let inbox = self.sessions.lock().get(session).map(|entry| entry.inbox.clone());
        let Some(inbox) = inbox else {
            return Delivered::UnknownSession;
        };
        let (done, handled) = oneshot::channel();
        if inbox
            .send(Incoming {
                frame,
                done: Some(done),
            })
            .await
            .is_err()
        {
            return Delivered::UnknownSession;
        }
        drop(inbox);
        match handled.await {
            Ok(()) => Delivered::Handled,
            Err(_) => Delivered::UnknownSession,
        }
    }

    /// Ends sessions whose writer made no progress since the last sweep although frames wait, or although the
    /// session has closed. Called once per write timeout, so a stuck writer is found within two of them: streaming
    /// bodies share one clock instead of a timer each.
    ///
    /// Only sessions end here. What becomes of the body, and of the connection that carries it, is the business of
    /// the HTTP stack.
    pub fn sweep(&self) {
        self.sessions.lock().retain(|_, entry| {
            let (has_frames, progress) = entry.outbox.writer_progress();
            let waiting = has_frames || entry.outbox.is_closed();
            let stuck = waiting && entry.waiting && progress == entry.progress;
            (entry.waiting, entry.progress) = (waiting, progress);
            !stuck
        });
    }

    pub(super) fn register(
        self: &Arc<Self>,
        session: String,
        encoding: Encoding,
        outbox: Arc<Outbox>,
    ) -> (Registration, Inbox) {
        let (inbox, incoming) = mpsc::channel(INBOX);
        let (alive, stuck) = oneshot::channel();
        let (_, progress) = outbox.writer_progress();
        self.sessions.lock().insert(
            session.clone(),
            Entry {
                encoding,
                inbox,
                outbox,
                _alive: alive,
                progress,
                waiting: false,
            },
        );
        (
            Registration {
                registry: self.clone(),
                session,
            },
            Inbox { incoming, stuck },
        )
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.session);
    }
}

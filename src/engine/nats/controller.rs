//! Messages between nodes: `P.control` for all of them, `P.node.<id>` for one (engines.md 8, 11).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::select;
use tokio_util::task::AbortOnDropHandle;

use super::link::{Link, Seen};
use crate::engine::{ControlReceiver, Controller, EngineError, Wait};

/// How long after a refused subscription the next attempt is made.
const RETRY: Duration = Duration::from_millis(50);

/// Controller over NATS.
pub struct NatsController {
    link: Arc<Link>,
    hears: Arc<AtomicBool>,
    listening: OnceLock<AbortOnDropHandle<()>>,
}

impl NatsController {
    /// A controller that listens as soon as it is attached.
    #[must_use]
    pub fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            hears: Arc::default(),
            listening: OnceLock::new(),
        }
    }
}

impl Controller for NatsController {
    fn attach(&self, node: &str, receiver: Arc<dyn ControlReceiver>) {
        let listening = Listening {
            subjects: [self.link.subjects().control(), self.link.subjects().node(node)],
            link: self.link.clone(),
            // The node owns the controller: it must not own the node in turn.
            receiver: Arc::downgrade(&receiver),
            hears: self.hears.clone(),
        };
        // A second receiver would be a second node on one controller, which does not happen.
        let _ = self
            .listening
            .set(AbortOnDropHandle::new(tokio::spawn(listening.run())));
    }

    fn ready(&self) -> Result<(), EngineError> {
        self.link.ready()?;
        if self.hears.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(EngineError::Unavailable("NATS: subscribing".to_owned()))
    }

    fn send<'a>(&'a self, to: Option<&'a str>, message: Bytes) -> Wait<'a, ()> {
        let subjects = self.link.subjects();
        let subject = to.map_or_else(|| subjects.control(), |node| subjects.node(node));
        Box::pin(self.link.publish(subject, message))
    }
}

struct Listening {
    link: Arc<Link>,
    subjects: [String; 2],
    receiver: Weak<dyn ControlReceiver>,
    hears: Arc<AtomicBool>,
}

impl Listening {
    async fn run(self) {
        let mut state = self.link.watch();
        let [all, one] = &self.subjects;
        let (all, one) = (self.subscribe(all).await, self.subscribe(one).await);
        let mut seen = *state.borrow_and_update();
        while self.link.confirmed().await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
        self.hears.store(true, Ordering::Relaxed);
        let mut messages = select(all, one);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let (Some(message), Some(receiver)) = (message, self.receiver.upgrade()) else { return };
                    receiver.handle_control(message.payload);
                }
                changed = state.changed() => {
                    let now = *state.borrow_and_update();
                    if changed.is_err() {
                        return;
                    }
                    self.tell_gap(&mut seen, now);
                }
            }
        }
    }

    async fn subscribe(&self, subject: &str) -> Subscriber {
        loop {
            match self.link.subscribe(subject.to_owned()).await {
                Ok(messages) => return messages,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// The library subscribes again before it sends anything else: what is asked for from now on is answered.
    fn tell_gap(&self, seen: &mut Seen, now: Seen) {
        let is_gap = now.connections != seen.connections || now.overflows != seen.overflows;
        *seen = now;
        if is_gap && let Some(receiver) = self.receiver.upgrade() {
            receiver.handle_control_restored();
        }
    }
}

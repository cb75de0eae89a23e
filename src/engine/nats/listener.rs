//! The channels that this node hears: one subscription and one task for each, which keeps the order within it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tidegate_transports::flush;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::jetstream::record;
use super::link::{Link, Seen};
use super::payload::{self, Arrived};
use super::subjects::is_pattern;
use crate::engine::lingering::{Lingering, Settled};
use crate::engine::rarely::Rarely;
use crate::engine::{EngineError, Epoch, Origin, Previous, Publication, Receiver};
use crate::node::unix_ms;

/// Messages delivered in one go; writers are woken once for all of them.
const BATCH: usize = 64;

/// Channels looked at under one hold of the lock.
const SETTLED_AT_ONCE: usize = 64;

/// All channels of a node.
pub(super) struct Listener {
    inner: Arc<Inner>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

struct Inner {
    link: Arc<Link>,
    channels: Mutex<Channels>,
    left: Notify,
    receiver: Weak<dyn Receiver>,
    runtime: Handle,
    unreadable: Rarely,
}

#[derive(Default)]
struct Channels {
    table: HashMap<Arc<str>, Channel>,
    lingering: Lingering,
}

struct Channel {
    state: State,
    /// Unset when the channel is given up: what its task still holds is not delivered, because a new subscription of
    /// the same channel may be there already.
    is_wanted: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

enum State {
    /// Who waits until the server has taken the subscription.
    Opening(Vec<oneshot::Sender<Result<(), EngineError>>>),
    Open,
}

impl Listener {
    pub(super) fn start(link: Arc<Link>, receiver: Weak<dyn Receiver>) -> Self {
        let inner = Arc::new(Inner {
            link,
            channels: Mutex::default(),
            left: Notify::new(),
            receiver,
            runtime: Handle::current(),
            unreadable: Rarely::new(),
        });
        let tasks = [
            AbortOnDropHandle::new(tokio::spawn(settle(inner.clone()))),
            AbortOnDropHandle::new(tokio::spawn(tell_gaps(inner.clone()))),
        ];
        Self { inner, _tasks: tasks }
    }

    /// Returns when the channel is delivered.
    pub(super) async fn subscribe(&self, channel: &str, subject: String) -> Result<(), EngineError> {
        self.inner.link.ready()?;
        let opened = {
            let mut channels = self.inner.channels.lock();
            match channels.table.get_mut(channel) {
                Some(Channel {
                    state: State::Open, ..
                }) => return Ok(()),
                Some(Channel {
                    state: State::Opening(waiting),
                    ..
                }) => {
                    let (sender, receiver) = oneshot::channel();
                    waiting.push(sender);
                    receiver
                }
                None => {
                    let (sender, receiver) = oneshot::channel();
                    let channel = self.inner.open(channel.into(), subject, sender);
                    channels.table.insert(channel.0, channel.1);
                    receiver
                }
            }
        };
        opened
            .await
            .unwrap_or_else(|_| Err(EngineError::Unavailable("NATS: subscription given up".to_owned())))
    }

    /// The last subscriber has left.
    pub(super) fn unsubscribe(&self, channel: &str) {
        let is_first = self
            .inner
            .channels
            .lock()
            .lingering
            .leave(channel, Instant::now());
        if is_first {
            self.inner.left.notify_one();
        }
    }
}

impl Inner {
    fn open(
        self: &Arc<Self>,
        name: Arc<str>,
        subject: String,
        waiting: oneshot::Sender<Result<(), EngineError>>,
    ) -> (Arc<str>, Channel) {
        let is_wanted = Arc::new(AtomicBool::new(true));
        let delivery = Delivery {
            channel: name.clone(),
            is_pattern: is_pattern(&name),
            is_wanted: is_wanted.clone(),
            last: Last::default(),
            inner: Arc::downgrade(self),
        };
        let opening = open(Arc::downgrade(self), subject, delivery);
        let channel = Channel {
            state: State::Opening(vec![waiting]),
            is_wanted,
            _task: AbortOnDropHandle::new(self.runtime.spawn(opening)),
        };
        (name, channel)
    }

    /// Tells those that wait for a channel. One that was refused is forgotten: the next one asks again.
    fn opened(&self, channel: &str, is_wanted: &Arc<AtomicBool>, result: &Result<(), EngineError>) {
        let waiting = {
            let mut channels = self.channels.lock();
            let Some(entry) = channels.table.get_mut(channel) else {
                return;
            };
            if !Arc::ptr_eq(&entry.is_wanted, is_wanted) {
                return;
            }
            let State::Opening(waiting) = std::mem::replace(&mut entry.state, State::Open) else {
                return;
            };
            if result.is_err() {
                channels.forget(channel);
            }
            waiting
        };
        for waiting in waiting {
            // Nobody may be waiting any more.
            let _ = waiting.send(result.clone());
        }
    }
}

impl Channels {
    fn forget(&mut self, channel: &str) {
        if let Some(channel) = self.table.remove(channel) {
            channel.is_wanted.store(false, Ordering::Release);
        }
        if self.table.capacity() > 64 && self.table.len() < self.table.capacity() / 4 {
            // After a crowd has left.
            self.table.shrink_to_fit();
        }
    }
}

/// The task of a channel.
async fn open(inner: Weak<Inner>, subject: String, mut delivery: Delivery) {
    let Some(link) = inner.upgrade().map(|inner| inner.link.clone()) else {
        return;
    };
    let opened = async {
        let messages = link.subscribe(subject).await?;
        link.confirmed().await?;
        Ok(messages)
    };
    let opened = opened.await;
    drop(link);
    let result = opened.as_ref().map(|_| ()).map_err(EngineError::clone);
    if let Some(inner) = inner.upgrade() {
        inner.opened(&delivery.channel, &delivery.is_wanted, &result);
    }
    drop(inner);
    if let Ok(mut messages) = opened {
        delivery.run(&mut messages).await;
    }
}

/// Gives up channels that nobody came back to.
async fn settle(inner: Arc<Inner>) {
    loop {
        let due = inner.channels.lock().lingering.next_due();
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => inner.left.notified().await,
        }
        // The node ends before its engine.
        let Some(receiver) = inner.receiver.upgrade() else {
            return;
        };
        let mut channels = inner.channels.lock();
        let now = Instant::now();
        for _ in 0..SETTLED_AT_ONCE {
            match channels
                .lingering
                .settle(now, |channel| receiver.has_subscribers(channel))
            {
                Some((channel, Settled::Removed)) => channels.forget(&channel),
                Some((_, Settled::Kept)) => {}
                None => break,
            }
        }
    }
}

/// Has positions looked at after an interruption.
async fn tell_gaps(inner: Arc<Inner>) {
    let mut state = inner.link.watch();
    let mut seen = Seen::default();
    while state.changed().await.is_ok() {
        let now = *state.borrow_and_update();
        let is_new = now.connections != seen.connections;
        if (!is_new && now.overflows == seen.overflows) || inner.link.ready().is_err() {
            continue;
        }
        // Whatever is missed from here on is missed after the look.
        if inner.link.confirmed().await.is_err() {
            // Lost again: that is told as well.
            continue;
        }
        seen = now;
        let Some(receiver) = inner.receiver.upgrade() else {
            return;
        };
        let channels: Vec<_> = inner.channels.lock().table.keys().cloned().collect();
        if channels.is_empty() {
            continue;
        }
        if is_new {
            tracing::info!(channels = channels.len(), "channels in NATS are delivered again");
        } else {
            tracing::warn!("messages from NATS arrive faster than they are delivered, dropped");
        }
        receiver.handle_restored(channels);
    }
}

/// Brings the messages of one channel to the node.
struct Delivery {
    channel: Arc<str>,
    is_pattern: bool,
    is_wanted: Arc<AtomicBool>,
    last: Last,
    inner: Weak<Inner>,
}

/// The newest publication that was delivered, once somebody wants differences.
#[derive(Default)]
struct Last {
    is_wanted: bool,
    publication: Option<(Arc<Publication>, Epoch)>,
}

impl Delivery {
    async fn run(&mut self, messages: &mut Subscriber) {
        while let Some(first) = messages.next().await {
            let Some(inner) = self.inner.upgrade() else {
                return;
            };
            // The node ends before its engine.
            let Some(receiver) = inner.receiver.upgrade() else {
                return;
            };
            flush::hold(|| {
                let mut next = Some(first);
                for _ in 0..BATCH {
                    let Some(message) = next else { break };
                    self.deliver(&inner, &*receiver, message);
                    next = messages.next().now_or_never().flatten();
                }
                if let Some(message) = next {
                    self.deliver(&inner, &*receiver, message);
                }
            });
            drop((inner, receiver));
            // Work without end must let others on this runtime run.
            tokio::task::yield_now().await;
        }
    }

    fn deliver(&mut self, inner: &Inner, receiver: &dyn Receiver, message: Message) {
        if !self.is_wanted.load(Ordering::Acquire) {
            return;
        }
        let subjects = inner.link.subjects();
        let origin = subjects
            .tells_origin()
            .then(|| subjects.channel_of(&message.subject))
            .flatten();
        let origin = origin.map(|channel| {
            Box::new(Origin {
                channel: channel.to_owned(),
            })
        });
        if subjects.is_raw() {
            let publication = Publication {
                data: message.payload,
                time_ms: unix_ms(),
                origin,
                ..Publication::default()
            };
            return receiver.handle_publication(
                &self.channel,
                &Arc::new(publication),
                None,
                Previous::Unwanted,
            );
        }
        let position = message.headers.as_ref().and_then(record::position);
        match payload::parse(message.payload) {
            Ok(payload::Message::Publication(mut arrived)) => {
                arrived.publication.origin = origin;
                self.deliver_publication(receiver, arrived, position);
            }
            Ok(payload::Message::Join(_, info)) => receiver.handle_join(&self.channel, &info),
            Ok(payload::Message::Leave(_, info)) => receiver.handle_leave(&self.channel, &info),
            Ok(payload::Message::Other) => {}
            Err(error) => {
                if let Some(count) = inner.unreadable.allow() {
                    tracing::error!(channel = %self.channel, count, %error, "error reading a message from NATS, dropped");
                }
            }
        }
    }

    fn deliver_publication(
        &mut self,
        receiver: &dyn Receiver,
        arrived: Arrived,
        position: Option<(u64, Epoch)>,
    ) {
        let Arrived {
            mut publication,
            delta,
        } = arrived;
        // Under a pattern publications of many channels arrive: they have no common offsets.
        let position = position.filter(|_| !self.is_pattern);
        let epoch = position.map(|(offset, epoch)| {
            publication.offset = offset;
            epoch
        });
        let Some(epoch) = epoch else {
            let previous = if delta {
                Previous::Unknown
            } else {
                Previous::Unwanted
            };
            return receiver.handle_publication(&self.channel, &Arc::new(publication), None, previous);
        };
        self.last.is_wanted |= delta;
        let before = self.last.publication.take();
        if self.last.is_wanted {
            // A copy of its own: what was received together is one piece of memory.
            publication.data = bytes::Bytes::copy_from_slice(&publication.data);
        }
        let publication = Arc::new(publication);
        let follows = |(before, of): &(Arc<Publication>, Epoch)| {
            before.offset + 1 == publication.offset && *of == epoch
        };
        let before = before.filter(follows);
        let previous = match &before {
            _ if !delta => Previous::Unwanted,
            None => Previous::Unknown,
            Some((before, _)) => Previous::Known(before),
        };
        receiver.handle_publication(&self.channel, &publication, Some(&epoch), previous);
        if self.last.is_wanted {
            self.last.publication = Some((publication, epoch));
        }
    }
}

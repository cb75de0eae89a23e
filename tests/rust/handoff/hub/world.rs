//! One stream, one channel and their clients.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate::hub::{Handle, Mailbox};
use tidegate_transports::{Drained, Encoding, Frame, Outbox, Pushed, TransportKind};

use super::{Channel, Left, Mutex, Numbers, Sighting, Subscriber, Tracking, broadcast};
use crate::engine::{HistoryQuery, Publication, Retention, Since};
use crate::stream::Stream;

/// Runs a model in every order in which its threads can run.
pub fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    loom::model(move || spawn(model.clone()).join().unwrap());
}

/// A thread of a model. loom gives its threads no more stack than 32 KiB, which is little to encode JSON on.
pub fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> loom::thread::JoinHandle<T> {
    let builder = loom::thread::Builder::new().stack_size(STACK_WORDS);
    builder.spawn(run).unwrap()
}

const STACK_WORDS: usize = 32 * 1024;

/// What the threads share.
#[derive(Clone)]
pub struct World {
    channel: Arc<Channel>,
    stream: Arc<Mutex<Stream>>,
    /// Subscribed before anything was published.
    pub bystander: Client,
}

impl World {
    pub fn new() -> Self {
        let name: Arc<str> = "ch".into();
        let stream = Stream::new();
        let handle = handle();
        let subscriber = subscriber(&handle);
        let channel = Arc::new(Channel::new(name, subscriber.clone(), &Numbers::default()));
        let caught_up = subscriber.catch_up(Vec::new(), stream.top(), false, 0);
        caught_up.expect("nothing was published");
        subscriber.release(&channel.name, 0);
        let stream = Arc::new(Mutex::new(stream));
        let bystander = Client {
            handle,
            subscriber,
            channel: channel.clone(),
            stream: stream.clone(),
        };
        Self {
            channel,
            stream,
            bystander,
        }
    }

    /// A client that is not subscribed yet.
    pub fn client(&self) -> Client {
        let handle = handle();
        Client {
            subscriber: subscriber(&handle),
            handle,
            channel: self.channel.clone(),
            stream: self.stream.clone(),
        }
    }

    /// Appends and delivers under the lock of the stream, as the memory engine does.
    pub fn publish(&self) {
        let mut stream = self.stream.lock();
        let publication = append(&mut stream);
        broadcast(&self.channel, &publication, &stream.top().epoch);
    }

    /// A publication that is lost on the way to this node.
    pub fn publish_unheard(&self) {
        append(&mut self.stream.lock());
    }

    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }
}

fn append(stream: &mut Stream) -> Arc<Publication> {
    let offset = stream.top().offset + 1;
    let publication = Publication {
        data: Bytes::from(offset.to_string()),
        offset,
        ..Publication::default()
    };
    let retention = Retention {
        size: 10,
        ttl: HOUR,
        meta_ttl: HOUR,
    };
    stream.append(publication, retention, "", Instant::now())
}

/// A subscriber with its connection.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
    subscriber: Arc<Subscriber>,
    channel: Arc<Channel>,
    stream: Arc<Mutex<Stream>>,
}

impl Client {
    /// Joins, reads, catches up, replies, goes live; the offset from which the client goes on.
    pub fn subscribe(&self, since: Option<u64>) -> u64 {
        assert!(self.join());
        self.go_live(since)
    }

    pub fn join(&self) -> bool {
        self.channel.join(&self.subscriber, &Numbers::default())
    }

    pub fn go_live(&self, since: Option<u64>) -> u64 {
        let query = HistoryQuery {
            limit: since.map_or(Some(0), |_| None),
            since: since.map(|offset| Since {
                offset,
                epoch: String::new(),
            }),
            reverse: false,
            meta_ttl: HOUR,
        };
        let history = self.stream.lock().read(&query).expect("readable");
        let recover = since.is_some();
        let caught_up = self
            .subscriber
            .catch_up(history.publications, history.top, recover, 0);
        let caught_up = caught_up.expect("no gap");
        let offsets: Vec<u64> = caught_up
            .publications
            .iter()
            .map(|publication| publication.offset)
            .collect();
        let reply = serde_json::json!({ "reply": offsets }).to_string();
        assert_eq!(
            self.handle.outbox.push(Frame::new(Bytes::from(reply))),
            Pushed::Queued
        );
        self.subscriber.release(&self.channel.name, 0);
        since.unwrap_or(caught_up.position.offset)
    }

    /// Unsubscribes; what had arrived until then.
    pub fn leave(&self, world: &World) -> Vec<u64> {
        self.subscriber.stop();
        let seen = self.seen();
        assert_ne!(world.channel.leave(&self.subscriber), Left::Nobody);
        seen
    }

    /// Compares the position with the stream, as the session does once in a while.
    pub fn check(&self, world: &World) -> bool {
        let Some((position, _)) = self.subscriber.position() else {
            return false;
        };
        let top = world.stream.lock().top();
        self.subscriber.confirm(&position, &Sighting { top, seen_ms: 0 })
    }

    /// Offsets in the order in which they reached the client; the reply comes before the first push.
    pub fn seen(&self) -> Vec<u64> {
        let mut frames = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Drained::Frames) = self.handle.outbox.poll_drain(&mut context, 16, &mut frames)
        {
        }
        let mut seen = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            let frame: serde_json::Value = serde_json::from_slice(frame.payload()).expect("JSON");
            match frame["reply"].as_array() {
                Some(reply) => {
                    assert_eq!(index, 0, "a push before the reply");
                    seen.extend(reply.iter().map(|offset| offset.as_u64().expect("an offset")));
                }
                None => seen.push(frame["push"]["pub"]["offset"].as_u64().expect("an offset")),
            }
        }
        seen
    }

    pub fn was_not_told_of_a_loss(&self) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(self.handle.mailbox.poll(&mut context).is_none());
    }
}

fn handle() -> Arc<Handle> {
    Arc::new(Handle {
        client: "c".to_owned(),
        encoding: Encoding::Json,
        transport: TransportKind::Websocket,
        outbox: Arc::new(Outbox::new(None)),
        mailbox: Mailbox::default(),
        batched: AtomicUsize::default(),
    })
}

fn subscriber(handle: &Arc<Handle>) -> Arc<Subscriber> {
    let tracking = Tracking {
        positioned: true,
        max_time_lag_ms: 0,
    };
    Arc::new(Subscriber::new(handle.clone(), tracking, false))
}

const HOUR: Duration = Duration::from_secs(3600);

//! The delivery to one positioned subscriber, by sequences of operations: a stream is published to while the
//! subscriber reads it, catches up, goes live and is checked; broadcasts are lost, repeated or from another epoch.
//!
//! Whatever happens, the client sees the stream from where it started, each publication once and in order, until
//! it is told that its position is lost. Without a fault it sees everything and is told nothing. The first byte says
//! whether publications collect in batches, which changes when they are seen and nothing else.

#![no_main]

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tidegate::channels::Batching;
use tidegate::engine::{Epoch, Position, Publication};
use tidegate::hub::{Event, Handle, Hub, Mailbox, Sighting, Subscriber, Tracking};
use tidegate::protocol::message::Reply;
use tidegate_transports::{Delays, Drained, Encoding, Outbox, TransportKind};
use tokio::time::Instant;

/// Fewer than a subscriber holds back: that limit is not what is tested here.
const MAX_OPERATIONS: usize = 1000;

fuzz_target!(|data: &[u8]| {
    let (first, data) = data.split_first().unwrap_or((&0, data));
    let mut run = Run::new(usize::from(first & 7));
    for operation in data.iter().take(MAX_OPERATIONS) {
        run.step(*operation);
        run.look();
    }
    run.end();
});

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Joined,
    /// The stream was read up to that offset.
    Read(u64),
    CaughtUp,
    Live,
    /// Stopped, or the position is lost.
    Over,
}

struct Run {
    hub: Hub,
    channel: Arc<str>,
    handle: Arc<Handle>,
    delays: Arc<Delays>,
    subscriber: Arc<Subscriber>,
    epoch: Epoch,
    phase: Phase,
    /// Newest offset of the stream.
    top: u64,
    /// Last offset that the client has.
    seen: u64,
    /// Publications without history, sent and seen.
    plain: (u64, u64),
    /// Broadcasts were lost or made up.
    is_faulty: bool,
    losses: u64,
}

impl Run {
    /// Batches of that size, or none.
    fn new(batch: usize) -> Self {
        let hub = Hub::default();
        let channel: Arc<str> = "ch".into();
        let handle = Arc::new(Handle {
            client: "c".to_owned(),
            encoding: Encoding::Protobuf,
            transport: TransportKind::Websocket,
            outbox: Arc::new(Outbox::new(None)),
            mailbox: Mailbox::default(),
            batched: AtomicUsize::default(),
        });
        let tracking = Tracking {
            positioned: true,
            max_time_lag_ms: 0,
        };
        let subscriber = Subscriber::new(handle.clone(), tracking, false);
        let delays = Arc::<Delays>::default();
        let subscriber = if batch < 2 {
            Arc::new(subscriber)
        } else {
            let batching = Batching {
                max_size: Some(batch),
                max_delay: Some(Duration::ZERO),
                latest: false,
            };
            subscriber.batched(batching, &delays)
        };
        hub.join(&channel, &subscriber);
        Self {
            hub,
            channel,
            handle,
            delays,
            subscriber,
            epoch: Epoch::new("E"),
            phase: Phase::Joined,
            top: 0,
            seen: 0,
            plain: (0, 0),
            is_faulty: false,
            losses: 0,
        }
    }

    fn step(&mut self, operation: u8) {
        let argument = u64::from(operation >> 4);
        match operation & 15 {
            // A broadcast is lost, repeated, or of a stream that was made anew.
            0 => {
                self.top += 1;
                self.is_faulty = true;
            }
            1 if self.top > 0 => {
                let offset = self.top.saturating_sub(argument).max(1);
                self.offer(offset, &self.epoch.clone());
            }
            1 => {}
            2 => {
                self.is_faulty = true;
                self.offer(argument + 1, &Epoch::new("F"));
            }
            3 => {
                self.plain.0 += u64::from(self.phase != Phase::Over);
                self.offer(0, &self.epoch.clone());
            }
            4 | 5 => {
                if self.phase == Phase::Joined {
                    self.phase = Phase::Read(self.top);
                }
            }
            6 | 7 => self.catch_up(argument & 1 == 0),
            8 | 9 => {
                if self.phase == Phase::CaughtUp {
                    self.phase = Phase::Live;
                    self.subscriber.release(&self.channel, 0);
                }
            }
            10 => self.confirm(),
            11 if argument == 15 => {
                self.subscriber.stop();
                self.look();
                self.phase = Phase::Over;
            }
            11 => self.settle(),
            _ => {
                self.top += 1;
                self.offer(self.top, &self.epoch.clone());
            }
        }
    }

    fn offer(&self, offset: u64, epoch: &Epoch) {
        self.hub
            .publication(&self.channel, &publication(offset), Some(epoch), 0);
    }

    fn catch_up(&mut self, recover: bool) {
        let Phase::Read(top) = self.phase else { return };
        let history = if recover {
            (1..=top).map(publication).collect()
        } else {
            Vec::new()
        };
        let position = Position {
            offset: top,
            epoch: self.epoch.clone(),
        };
        match self.subscriber.catch_up(history, position, recover, 0) {
            Ok(caught_up) => {
                if recover {
                    for publication in caught_up.publications {
                        self.see(publication.offset);
                    }
                } else {
                    assert!(caught_up.publications.is_empty());
                    self.seen = caught_up.position.offset;
                }
                assert_eq!(caught_up.position.offset, self.seen);
                assert!(self.seen <= self.top);
                self.phase = Phase::CaughtUp;
            }
            Err(_) => {
                assert!(self.is_faulty, "a gap out of nothing");
                self.subscriber.stop();
                self.phase = Phase::Over;
            }
        }
    }

    /// Lets batches come to their time.
    fn settle(&mut self) {
        while self.delays.fire(Instant::now()) {}
        self.look();
    }

    fn confirm(&mut self) {
        self.settle();
        let Some((captured, _)) = self.subscriber.position() else {
            return;
        };
        assert_eq!(captured.offset, self.seen);
        let seen = Sighting {
            top: Position {
                offset: self.top,
                epoch: self.epoch.clone(),
            },
            seen_ms: 0,
        };
        let is_right = self.subscriber.confirm(&captured, &seen);
        assert_eq!(is_right, self.seen == self.top);
        if !is_right {
            assert!(self.is_faulty, "lost out of nothing");
            self.phase = Phase::Over;
        }
    }

    /// Takes what reached the client.
    fn look(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut frames = Vec::new();
        while let Poll::Ready(Drained::Frames) = self.handle.outbox.poll_drain(&mut context, 16, &mut frames)
        {
        }
        for frame in frames {
            assert_eq!(self.phase, Phase::Live, "a push when none may come");
            let reply = Reply::decode(&frame.payload()[..]).expect("a reply");
            let offset = reply.push.expect("a push").r#pub.expect("a publication").offset;
            if offset == 0 {
                self.plain.1 += 1;
            } else {
                self.see(offset);
            }
        }
        while let Some(event) = self.handle.mailbox.poll(&mut context) {
            assert!(matches!(event, Event::InsufficientState(_)), "{event:?}");
            assert!(self.is_faulty, "lost out of nothing");
            self.losses += 1;
            self.phase = Phase::Over;
        }
        assert!(self.losses <= 1, "lost twice");
    }

    fn see(&mut self, offset: u64) {
        assert_eq!(offset, self.seen + 1, "missing, repeated or out of order");
        self.seen = offset;
    }

    fn end(&mut self) {
        self.settle();
        assert!(self.plain.1 <= self.plain.0);
        if self.phase == Phase::Live && !self.is_faulty {
            assert_eq!(
                (self.seen, self.plain.1),
                (self.top, self.plain.0),
                "something is missing"
            );
        }
    }
}

fn publication(offset: u64) -> Arc<Publication> {
    Arc::new(Publication {
        data: Bytes::from_static(b"{}"),
        offset,
        ..Publication::default()
    })
}

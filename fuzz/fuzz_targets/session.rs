//! The whole session: frames, answers, events and time in any order. It never panics, never says anything before it
//! was spoken to, and leaves nothing behind.
//!
//! The input is a program for a small node: what the client says next, which of the calls under way is answered and
//! with what, how far time moves.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::auth::{FetchError, KeyFetch, KeySource};
use tidegate::config::{self, Sources};
use tidegate::engine::{EngineError, Epoch, History, Position, PresenceStats, Publication};
use tidegate::hub::{Event, Handle, Hub, Mailbox, Sighting};
use tidegate::protocol::{Commands, Unsubscribe};
use tidegate::session::{Answer, Attach, Call, CallId, Context, Now, Opening, Session};
use tidegate_transports::{Drained, Encoding, EndCause, Frame, InputFault, Outbox, TransportKind};

/// What a client says, but for what the input itself says.
const FRAMES: [&str; 16] = [
    r#"{"id":1,"connect":{}}"#,
    r#"{"id":1,"connect":{"subs":{"st:a":{"recover":true,"offset":1,"epoch":"E"},"a":{}}}}"#,
    r#"{"id":2,"subscribe":{"channel":"a"}}"#,
    r#"{"id":2,"subscribe":{"channel":"st:a","recover":true,"offset":1,"epoch":"E","flag":3}}"#,
    r#"{"id":2,"subscribe":{"channel":"st:a","positioned":true,"join_leave":true}}"#,
    r#"{"id":3,"unsubscribe":{"channel":"a"}}"#,
    r#"{"id":3,"unsubscribe":{"channel":"st:a"}}"#,
    r#"{"id":4,"publish":{"channel":"a","data":{"a":1}}}"#,
    r#"{"id":5,"presence":{"channel":"st:a"}}"#,
    r#"{"id":6,"presence_stats":{"channel":"st:a"}}"#,
    r#"{"id":7,"history":{"channel":"st:a","limit":-1,"since":{"offset":1,"epoch":"E"}}}"#,
    r#"{"id":8,"refresh":{"token":"x"}}"#,
    r#"{"id":9,"sub_refresh":{"channel":"a","token":"x"}}"#,
    r#"{"id":10,"rpc":{"method":"ping"}}"#,
    "{}",
    "{\"id\":2,\"subscribe\":{\"channel\":\"b\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"b\"}}\n{\"id\":4}",
];

static CONTEXT: LazyLock<Arc<Context>> = LazyLock::new(|| {
    let channels = r#"[{"name":"st","history_size":10,"history_ttl":"60s","force_recovery":true,"presence":true,"join_leave":true,"force_push_join_leave":true}]"#;
    let sources = Sources {
        flags: [
            ("client.insecure", "true"),
            ("client.concurrency", "3"),
            ("client.channel_limit", "3"),
            ("rpc.ping.enabled", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        environment: BTreeMap::from([("TIDEGATE_CHANNEL_NAMESPACES".to_owned(), channels.to_owned())]),
        ..Sources::default()
    };
    let config = config::load(&sources).expect("a configuration").config;
    let source: Arc<dyn KeySource> = Arc::new(NoKeys);
    let context = tidegate::server::session_context(&config, "node".to_owned(), &source);
    Arc::new(context.expect("a context"))
});

struct NoKeys;

impl KeySource for NoKeys {
    fn fetch<'a>(&'a self, _: &'a str) -> KeyFetch<'a> {
        Box::pin(async { Err(FetchError::Url) })
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, program)) = data.split_first() else {
        return;
    };
    let mut run = Run::new(*first);
    let mut program = program.iter().copied();
    while let Some(operation) = program.next() {
        run.step(operation, &mut program);
        run.check();
    }
    run.end();
});

struct Run {
    session: Session,
    handle: Arc<Handle>,
    hub: Hub,
    flights: Vec<(CallId, Call)>,
    now: Now,
    was_spoken_to: bool,
}

impl Run {
    fn new(mode: u8) -> Self {
        let transports = [
            TransportKind::Websocket,
            TransportKind::Webtransport,
            TransportKind::HttpStream,
            TransportKind::Sse,
        ];
        let encoding = if mode & 4 == 0 {
            Encoding::Json
        } else {
            Encoding::Protobuf
        };
        let handle = Arc::new(Handle {
            client: "c".to_owned(),
            encoding,
            transport: transports[usize::from(mode & 3)],
            outbox: Arc::new(Outbox::new(Some(4000))),
            mailbox: Mailbox::default(),
            batched: std::sync::atomic::AtomicUsize::default(),
        });
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_700_000_000_000,
        };
        let opening = Opening {
            session: (mode & 2 != 0).then(|| "s".to_owned()),
            header_user: None,
            transport_pings: mode & 8 != 0,
        };
        Self {
            session: Session::new(CONTEXT.clone(), handle.clone(), opening, 0.5, now),
            handle,
            hub: Hub::default(),
            flights: Vec::new(),
            now,
            was_spoken_to: false,
        }
    }

    fn step(&mut self, operation: u8, program: &mut impl Iterator<Item = u8>) {
        let argument = usize::from(operation >> 4);
        match operation & 15 {
            0..=4 => self.say(FRAMES[argument]),
            5 => {
                // Anything, taken from the input.
                let frame: Bytes = program.take(argument * 4).collect();
                self.frame(frame);
            }
            6..=9 => self.answer(argument, program.next().unwrap_or_default()),
            10 => self.pass(Duration::from_millis(1 << argument)),
            11 => self.publish(argument as u64),
            12 => self.wake(),
            13 => self.event(argument),
            14 => drop(self.drain()),
            _ if argument == 0 => self.session.handle_fault(InputFault::Malformed),
            _ if argument == 1 => self.session.end(&EndCause::PeerClosed),
            _ => {}
        }
        while let Some(call) = self.session.poll_call() {
            self.begin(call);
        }
    }

    fn say(&mut self, text: &str) {
        let frame = match self.handle.encoding {
            Encoding::Json => Bytes::copy_from_slice(text.as_bytes()),
            Encoding::Protobuf => {
                let commands = Commands::new(Encoding::Json, Bytes::copy_from_slice(text.as_bytes()));
                let mut frame = Vec::new();
                for command in commands {
                    let command = command.expect("a command");
                    prost::Message::encode_length_delimited(&command, &mut frame).expect("room");
                }
                frame.into()
            }
        };
        self.frame(frame);
    }

    fn frame(&mut self, frame: Bytes) {
        if self.session.is_ready() {
            self.was_spoken_to = true;
            self.session.handle_frame(frame, self.now);
        }
    }

    /// Joining and leaving are done in the order in which they are asked for.
    fn begin(&mut self, (id, call): (CallId, Call)) {
        match &call {
            Call::Attach(attach) => {
                for Attach {
                    channel, subscriber, ..
                } in attach
                {
                    self.hub.join(channel, subscriber);
                }
            }
            Call::Detach(detach) => {
                self.hub.leave(&detach.channel, &detach.subscriber);
            }
            _ => {}
        }
        self.flights.push((id, call));
    }

    fn answer(&mut self, index: usize, how: u8) {
        if self.flights.is_empty() {
            return;
        }
        let (id, call) = self.flights.swap_remove(index % self.flights.len());
        let failed = || EngineError::Unavailable("by the fuzzer".into());
        let fails = how & 7 == 7;
        let answer = match call {
            Call::Await(_) | Call::Detach(_) | Call::Join(..) | Call::Renew(_) => Answer::Done,
            Call::Register { .. } => Answer::Registered(!fails),
            Call::Attach(attach) if fails => {
                for Attach {
                    channel, subscriber, ..
                } in attach
                {
                    self.hub.leave(&channel, &subscriber);
                }
                Answer::Attached(Err(failed()))
            }
            Call::Attach(attach) => {
                let histories = attach
                    .iter()
                    .map(|attach| attach.read.as_ref().map(|_| history(how)));
                Answer::Attached(Ok(histories.collect()))
            }
            Call::Publish { .. } => Answer::Published(if fails { Err(failed()) } else { Ok(()) }),
            Call::Presence(_) if fails => Answer::Presence(Err(failed())),
            Call::Presence(_) => Answer::Presence(Ok(BTreeMap::new())),
            Call::PresenceStats(_) => Answer::PresenceStats(Ok(PresenceStats { clients: 1, users: 1 })),
            Call::History(..) if fails => Answer::History(Err(EngineError::UnrecoverablePosition)),
            Call::History(..) => Answer::History(Ok(history(how))),
            Call::Look(looks) => {
                let seen = (!fails).then(|| Sighting {
                    top: history(how).top,
                    seen_ms: self.now.unix_ms,
                });
                Answer::Looked(looks.into_iter().map(|look| (look, seen.clone())).collect())
            }
        };
        self.session.handle_answer(id, answer, self.now);
    }

    fn publish(&self, offset: u64) {
        let epoch = Epoch::new("E");
        for channel in ["a", "st:a"] {
            self.hub
                .publication(channel, &publication(offset), Some(&epoch), self.now.unix_ms);
        }
    }

    fn event(&mut self, argument: usize) {
        let channel: Arc<str> = if argument & 1 == 0 { "a" } else { "st:a" }.into();
        let done = tokio::sync::oneshot::channel().0;
        let event = match argument >> 1 {
            0..=3 => Event::Unsubscribe {
                channel,
                unsubscribe: Unsubscribe::SERVER,
                done,
            },
            4 | 5 => Event::InsufficientState(channel),
            _ => Event::Refresh {
                expire_at: self.now.unix() + 5,
                info: Bytes::from_static(b"{}"),
                done,
            },
        };
        self.handle.mailbox.post(event);
    }

    fn wake(&mut self) {
        let mut cx = std::task::Context::from_waker(Waker::noop());
        while let Some(event) = self.handle.mailbox.poll(&mut cx) {
            self.session.handle_event(event, self.now);
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now.instant += duration;
        self.now.unix_ms += i64::try_from(duration.as_millis()).expect("short");
        let is_due = |deadline: Instant| deadline <= self.now.instant;
        if self.session.next_deadline().is_some_and(is_due) {
            self.session.handle_timeout(self.now);
        }
    }

    fn drain(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut cx = std::task::Context::from_waker(Waker::noop());
        while let Poll::Ready(Drained::Frames) = self.handle.outbox.poll_drain(&mut cx, 16, &mut frames) {}
        frames
    }

    fn check(&self) {
        let is_closed = self.session.disconnect().is_some();
        assert_eq!(
            self.session.next_deadline().is_none(),
            is_closed && !self.session.is_connected()
        );
        assert!(
            self.was_spoken_to || is_closed || self.drain().is_empty(),
            "an answer to nothing"
        );
    }

    fn end(&mut self) {
        self.session.end(&EndCause::PeerClosed);
        // What is under way comes to its end, and what the session holds is released by that.
        loop {
            while let Some(call) = self.session.poll_call() {
                self.begin(call);
            }
            if self.flights.is_empty() {
                break;
            }
            self.answer(0, 0);
        }
        assert_eq!(self.hub.counts(), (0, 0), "a subscription outlived its session");
    }
}

/// A stream that stands anywhere.
fn history(how: u8) -> History {
    let top = u64::from(how >> 3);
    let epoch = Epoch::new(if how & 4 == 0 { "E" } else { "F" });
    let first = if how & 1 == 0 { 2 } else { 1 };
    History {
        publications: (first..=top).map(publication).collect(),
        top: Position { offset: top, epoch },
    }
}

fn publication(offset: u64) -> Arc<Publication> {
    Arc::new(Publication {
        data: Bytes::from_static(b"{}"),
        offset,
        ..Publication::default()
    })
}

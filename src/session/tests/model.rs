//! Sessions, hub and memory engine together, against a model, in virtual time.
//!
//! Several clients subscribe to the same channels, leave, are thrown out and come back, while publications are
//! made, lost on the way, and expire, and while reads of the engine are answered late and in any order. The model
//! knows which publications a stream has accepted and which it still keeps. Whatever happens:
//!
//! - a client sees each stream from where it began, each publication once and in order;
//! - it is told `recovered` exactly when the stream still had all that it missed;
//! - it is told that its position is lost only if something was;
//! - once everything has settled, it has everything, or has been told.
//!
//! `TIDEGATE_MODEL_STEPS` sets how many steps are taken; a failing sequence is shrunk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config as RunnerConfig, TestRunner};
use serde_json::Value;

use super::*;
use crate::engine::{History, HistoryQuery};
use crate::hub::Sighting;

/// Steps of one sequence at most; what a bug needs is found in less, and shrinks faster.
const STEPS: usize = 300;
const PEERS: usize = 4;
/// Two streams, of which the second forgets soon, and a channel without history.
const CHANNELS: [&str; 3] = ["long:a", "short:a", "plain:a"];
const SIZES: [u64; 2] = [20, 3];
const PLAIN: usize = 2;
/// As much is recovered at once.
const LIMIT: u64 = 12;
/// A reader that lets more than that wait is slow.
const QUEUE: usize = 600;

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    /// The node never hears of this publication.
    Lose(usize),
    /// The peer's own commands.
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    /// The server ends a subscription.
    Expel(usize, usize),
    /// The transport breaks, with what it carried.
    Break(usize),
    Connect(usize),
    /// One of the calls under way goes on.
    Proceed(usize, usize),
    /// The peer reads what has arrived.
    Read(usize),
    /// The session hears what happened elsewhere.
    Wake(usize),
    /// Items expire; positions stay.
    Expire,
    /// Positions expire as well: streams begin anew.
    Forget,
    Remove(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, channel, stream) = (0..PEERS, 0..CHANNELS.len(), 0..SIZES.len());
    prop_oneof![
        72 => channel.clone().prop_map(Step::Publish),
        1 => stream.clone().prop_map(Step::Lose),
        48 => (peer.clone(), channel.clone()).prop_map(|(peer, channel)| Step::Subscribe(peer, channel)),
        12 => (peer.clone(), channel.clone()).prop_map(|(peer, channel)| Step::Unsubscribe(peer, channel)),
        6 => (peer.clone(), channel).prop_map(|(peer, channel)| Step::Expel(peer, channel)),
        3 => peer.clone().prop_map(Step::Break),
        18 => peer.clone().prop_map(Step::Connect),
        120 => (peer.clone(), 0_usize..4).prop_map(|(peer, call)| Step::Proceed(peer, call)),
        60 => peer.clone().prop_map(Step::Read),
        36 => peer.prop_map(Step::Wake),
        1 => Just(Step::Expire),
        1 => Just(Step::Forget),
        1 => stream.prop_map(Step::Remove),
        9 => (0_u64..20_000).prop_map(Step::Pass),
    ]
}

#[test]
fn sessions_hub_and_engine_keep_their_promises() {
    let steps =
        std::env::var("TIDEGATE_MODEL_STEPS").map_or(60_000, |steps| steps.parse().expect("a number"));
    let context = Client::new(json!({
        "client": { "insecure": true, "concurrency": 4, "recovery_max_publication_limit": LIMIT },
        "channel": { "namespaces": [
            { "name": "long", "history_size": SIZES[0], "history_ttl": "60s", "force_recovery": true },
            { "name": "short", "history_size": SIZES[1], "history_ttl": "60s", "force_recovery": true },
            { "name": "plain" }
        ] }
    }))
    .session
    .context
    .clone();
    // Sequences are half as long as they may be, on average.
    let cases = u32::try_from(1 + steps / (STEPS / 2)).expect("not that many");
    let mut runner = TestRunner::new(RunnerConfig {
        cases,
        ..RunnerConfig::default()
    });
    let sequence = proptest::collection::vec(step(), 1..=STEPS);
    let tally = std::cell::RefCell::new(Tally::default());
    runner
        .run(&sequence, |steps| {
            let mut world = World::new(&context);
            for step in steps {
                world.step(step);
            }
            world.settle();
            tally.borrow_mut().add(&world.tally);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    // A model in which nothing happens proves nothing.
    tally.into_inner().has_everything();
}

/// How often what has happened.
#[derive(Debug, Default)]
struct Tally(std::collections::BTreeMap<&'static str, u64>);

impl Tally {
    const ALL: [&str; 12] = [
        "publication",
        "subscribed",
        "recovered",
        "recovered by what was held",
        "nothing missed",
        "not recoverable",
        "lost",
        "unsubscribed",
        "expelled",
        "expelled while subscribing",
        "slow",
        "insufficient",
    ];

    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    fn has_everything(&self) {
        for what in Self::ALL {
            assert!(
                self.0.contains_key(what),
                "never seen: {what}; seen: {:#?}",
                self.0
            );
        }
    }
}

/// Everything that peers share.
struct World {
    context: Arc<Context>,
    hub: Arc<Hub>,
    broker: MemoryBroker,
    /// The node is deaf: broadcasts are lost.
    deaf: Arc<AtomicBool>,
    now: Now,
    peers: Vec<Peer>,
    truth: Truth,
    tally: Tally,
}

/// What really happened.
#[derive(Default)]
struct Truth {
    /// Payloads by channel and epoch; the offset is the place in the list, from 1.
    accepted: HashMap<(usize, String), Vec<u64>>,
    /// The epoch that was published to last, and the first offset that is kept.
    kept: [(String, u64); SIZES.len()],
    published: u64,
}

/// A client with its session and the calls that its node performs.
struct Peer {
    session: Session,
    handle: Arc<Handle>,
    flights: Vec<(CallId, Flight)>,
    /// Subscribes on connecting, as a client does that is subscribed by the server.
    is_server_side: bool,
    is_connected: bool,
    /// The end was heard.
    is_over: bool,
    next_id: u32,
    asked: HashMap<u64, Asked>,
    subscriptions: [Subscribed; CHANNELS.len()],
}

/// A call under way.
enum Flight {
    /// Joined the channels; the streams are not read yet.
    Joined(Vec<Attach>),
    Todo(Call),
    Done(Answer),
}

enum Asked {
    Connect(Vec<(usize, Option<Place>)>),
    Subscribe(usize, Option<Place>),
    Unsubscribe(usize),
}

/// What a client knows of one channel.
#[derive(Default)]
struct Subscribed {
    live: bool,
    /// Where it is in the stream.
    place: Option<Place>,
    /// Newest payload of a channel without history.
    newest: u64,
    /// Since it joined the hub something happened that may cost it its position.
    disturbed: bool,
    /// Whether the last read of the stream had all that was asked for.
    recoverable: bool,
    /// For each time that the server ended the subscription: the command by which it was being made just then.
    expelled: VecDeque<Option<u64>>,
    /// Where the stream stood at that read.
    top_when_read: u64,
}

/// A position as clients keep it.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    epoch: String,
    offset: u64,
}

struct Deaf(Arc<Hub>, Arc<AtomicBool>);

impl Receiver for Deaf {
    fn handle_publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        _: Previous<'_>,
    ) {
        if !self.1.load(Ordering::Relaxed) {
            self.0.publication(channel, publication, epoch, 0);
        }
    }
    fn handle_join(&self, _: &str, _: &Arc<ClientInfo>) {}
    fn handle_leave(&self, _: &str, _: &Arc<ClientInfo>) {}
    fn has_subscribers(&self, channel: &str) -> bool {
        self.0.has_subscribers(channel)
    }
    fn handle_restored(&self, _: Vec<Arc<str>>) {}
}

impl World {
    fn new(context: &Arc<Context>) -> Self {
        let (hub, deaf) = (Arc::new(Hub::default()), Arc::new(AtomicBool::new(false)));
        let broker = MemoryBroker::default();
        broker.attach(Arc::new(Deaf(hub.clone(), deaf.clone())));
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_700_000_000_000,
        };
        let peers = (0..PEERS)
            .map(|index| Peer::new(context, index + 1 == PEERS, now))
            .collect();
        Self {
            context: context.clone(),
            hub,
            broker,
            deaf,
            now,
            peers,
            truth: Truth::default(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(channel) => self.publish(channel),
            Step::Lose(channel) => {
                self.deaf.store(true, Ordering::Relaxed);
                self.publish(channel);
                self.deaf.store(false, Ordering::Relaxed);
                self.disturb(channel);
            }
            Step::Subscribe(peer, channel) => {
                self.connect(peer);
                self.act(peer, |peer, now| peer.subscribe(channel, now));
            }
            Step::Unsubscribe(peer, channel) => self.act(peer, |peer, now| peer.unsubscribe(channel, now)),
            Step::Expel(peer, channel) => {
                let (done, _) = tokio::sync::oneshot::channel();
                let event = Event::Unsubscribe {
                    channel: CHANNELS[channel].into(),
                    unsubscribe: protocol::Unsubscribe::SERVER,
                    done,
                };

                self.peers[peer].handle.mailbox.post(event);
            }
            Step::Break(peer) => {
                self.act(peer, |peer, _| peer.session.end(&EndCause::PeerClosed));
                self.act(peer, |peer, _| drop(peer.frames()));
            }
            Step::Connect(peer) => self.connect(peer),
            Step::Proceed(peer, call) => self.proceed(peer, call),
            Step::Read(peer) => self.read(peer),
            Step::Wake(peer) => self.wake(peer),
            Step::Expire => self.expire(RETENTION.ttl),
            Step::Forget => {
                self.expire(META);
                for channel in 0..SIZES.len() {
                    self.disturb(channel);
                }
            }
            Step::Remove(channel) => {
                let removing = self.broker.remove_history(CHANNELS[channel]).now_or_never();
                removing.expect("ready").expect("removed");
                self.truth.forget_items(channel);
            }
            Step::Pass(ms) => self.pass(Duration::from_millis(ms)),
        }
    }

    fn publish(&mut self, channel: usize) {
        self.truth.published += 1;
        let payload = self.truth.published;
        let publication = Publication {
            data: Bytes::from(payload.to_string()),
            ..Publication::default()
        };
        let retention = SIZES.get(channel).map(|size| Retention {
            size: *size as usize,
            ttl: RETENTION.ttl,
            meta_ttl: META,
        });
        let options = PublishOptions {
            retention,
            ..PublishOptions::default()
        };
        let published = self
            .broker
            .publish(CHANNELS[channel], publication, options)
            .now_or_never();
        if let Some(position) = published.expect("ready").expect("published").position {
            self.truth
                .accept(channel, position.epoch.as_str(), position.offset, payload);
        }
    }

    /// Items older than now vanish, and so does all that was last used `after` ago.
    fn expire(&mut self, after: Duration) {
        self.broker.sweep(Instant::now() + after + Duration::from_secs(1));
        for channel in 0..SIZES.len() {
            self.truth.forget_items(channel);
        }
    }

    fn disturb(&mut self, channel: usize) {
        for peer in &mut self.peers {
            peer.subscriptions[channel].disturbed = true;
        }
    }

    /// Has a peer do something, and the node begin what follows from it.
    fn act(&mut self, peer: usize, act: impl FnOnce(&mut Peer, Now)) {
        let now = self.now;
        act(&mut self.peers[peer], now);
        self.begin(peer);
    }

    /// Begins the calls of a session, in order, as the driver does: leaving is done at once, joining too.
    fn begin(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];
        while let Some((id, call)) = peer.session.poll_call() {
            let flight = match call {
                Call::Detach(detach) => {
                    self.hub.leave(&detach.channel, &detach.subscriber);
                    Flight::Done(Answer::Done)
                }
                Call::Attach(attach) => {
                    for attach in &attach {
                        self.hub.join(&attach.channel, &attach.subscriber);
                        peer.subscriptions[index_of(&attach.channel)].disturbed = false;
                    }
                    Flight::Joined(attach)
                }
                call => Flight::Todo(call),
            };
            peer.flights.push((id, flight));
        }
    }

    /// One call goes one step further: it is performed, or its answer arrives.
    fn proceed(&mut self, peer: usize, call: usize) {
        let flights = self.peers[peer].flights.len();
        if flights == 0 {
            return;
        }
        let (id, flight) = self.peers[peer].flights.swap_remove(call % flights);
        let flight = match flight {
            Flight::Joined(attach) => Flight::Done(self.read_streams(peer, attach)),
            Flight::Todo(Call::Register { .. }) => Flight::Done(Answer::Registered(true)),
            Flight::Todo(Call::Look(looks)) => {
                let looked = looks.into_iter().map(|look| {
                    let read = async || {
                        let history = self.history(&look.channel, position_only(look.meta_ttl));
                        Some(Sighting {
                            top: history.top,
                            seen_ms: self.now.unix_ms,
                        })
                    };
                    let looking = self.hub.look(&look.channel, &look.position, look.since_ms, read);
                    let seen = looking.now_or_never().expect("ready");
                    (look, seen)
                });
                Flight::Done(Answer::Looked(looked.collect()))
            }
            Flight::Todo(_) => Flight::Done(Answer::Done),
            Flight::Done(answer) => {
                self.act(peer, |peer, now| peer.session.handle_answer(id, answer, now));
                return;
            }
        };
        self.peers[peer].flights.push((id, flight));
    }

    fn read_streams(&mut self, peer: usize, attach: Vec<Attach>) -> Answer {
        let mut histories = Vec::new();
        for attach in attach {
            let channel = index_of(&attach.channel);
            let history = attach.read.map(|query| self.history(&attach.channel, query));
            if let Some(history) = &history {
                let asked = self.peers[peer].asked_for(channel);
                let recoverable =
                    asked.is_some_and(|place| self.truth.has_all_after(channel, place, &history.top));
                let subscribed = &mut self.peers[peer].subscriptions[channel];
                subscribed.recoverable = recoverable;
                subscribed.top_when_read = history.top.offset;
            }
            histories.push(history);
        }
        Answer::Attached(Ok(histories))
    }

    fn history(&self, channel: &str, query: HistoryQuery) -> History {
        let history = self.broker.history(channel, query).now_or_never();
        history.expect("ready").expect("read")
    }

    fn connect(&mut self, peer: usize) {
        if self.peers[peer].session.disconnect().is_none() {
            return;
        }
        // The old session's calls come to their end without it, as they do in the node.
        while !self.peers[peer].flights.is_empty() {
            self.proceed(peer, 0);
        }
        let (context, now) = (self.context.clone(), self.now);
        self.peers[peer].reopen(&context, now);
        self.begin(peer);
        // Being entered into the registry takes no time.
        self.proceed(peer, 0);
        self.proceed(peer, 0);
        self.read(peer);
    }

    fn wake(&mut self, peer: usize) {
        let mut cx = TaskContext::from_waker(Waker::noop());
        while let Some(event) = self.peers[peer].handle.mailbox.poll(&mut cx) {
            if let Event::Unsubscribe { channel, .. } = &event
                && self.peers[peer].session.is_connected()
            {
                let during = self.peers[peer].subscribing(channel);
                self.peers[peer].subscriptions[index_of(channel)]
                    .expelled
                    .push_back(during);
                if during.is_some() {
                    self.tally.count("expelled while subscribing");
                }
            }
            self.act(peer, |peer, now| peer.session.handle_event(event, now));
        }
    }

    fn read(&mut self, peer: usize) {
        let now = self.now;
        for text in self.peers[peer].frames() {
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            self.peers[peer].hear(&frame, &self.truth, &mut self.tally, now);
        }
        if let Some(disconnect) = self.peers[peer].session.disconnect() {
            let code = disconnect.code;
            self.peers[peer].hear_close(code, &mut self.tally);
        }
        self.begin(peer);
    }

    /// Moves time forward, stopping at every deadline on the way.
    fn pass(&mut self, duration: Duration) {
        let end = self.now.instant + duration;
        loop {
            let next = |(index, peer): (usize, &Peer)| Some((peer.session.next_deadline()?, index));
            let due = self.peers.iter().enumerate().filter_map(next).min();
            let Some((deadline, peer)) = due.filter(|(deadline, _)| *deadline <= end) else {
                break;
            };
            self.advance_to(deadline);
            self.act(peer, |peer, now| peer.session.handle_timeout(now));
        }
        self.advance_to(end);
    }

    fn advance_to(&mut self, instant: Instant) {
        let passed = instant.saturating_duration_since(self.now.instant);
        self.now.instant += passed;
        self.now.unix_ms += i64::try_from(passed.as_millis()).expect("short");
    }

    /// Nothing new happens any more; all that is under way comes to its end.
    fn settle(&mut self) {
        self.settle_once();
        // Losses that nothing has followed are found by the periodic check.
        for _ in 0..10 {
            self.pass(Duration::from_secs(10));
            self.settle_once();
        }
        self.publish(PLAIN);
        self.settle_once();
        for peer in &self.peers {
            if peer.session.disconnect().is_some() {
                continue;
            }
            for (channel, subscribed) in peer.subscriptions.iter().enumerate().filter(|(_, of)| of.live) {
                match &subscribed.place {
                    Some(place) => {
                        let top = self.history(CHANNELS[channel], position_only(META)).top;
                        assert_eq!(
                            place.epoch,
                            top.epoch.as_str(),
                            "an epoch has ended and nobody was told"
                        );
                        assert_eq!(
                            place.offset, top.offset,
                            "publications are missing and nobody was told"
                        );
                    }
                    None => assert_eq!(
                        subscribed.newest, self.truth.published,
                        "the last publication is missing"
                    ),
                }
            }
        }
        for peer in 0..PEERS {
            self.act(peer, |peer, _| peer.session.end(&EndCause::PeerClosed));
            while !self.peers[peer].flights.is_empty() {
                self.proceed(peer, 0);
            }
        }
        assert_eq!(self.hub.counts(), (0, 0), "a subscription outlived its session");
    }

    fn settle_once(&mut self) {
        for peer in 0..PEERS {
            loop {
                self.wake(peer);
                self.read(peer);
                if self.peers[peer].flights.is_empty() {
                    break;
                }
                self.proceed(peer, 0);
            }
        }
    }
}

impl Truth {
    fn accept(&mut self, channel: usize, epoch: &str, offset: u64, payload: u64) {
        let accepted = self.accepted.entry((channel, epoch.to_owned())).or_default();
        accepted.push(payload);
        assert_eq!(accepted.len() as u64, offset, "offsets follow one another");
        let (kept_epoch, first) = &mut self.kept[channel];
        if kept_epoch != epoch {
            (*kept_epoch, *first) = (epoch.to_owned(), 1);
        }
        *first = (*first).max((offset + 1).saturating_sub(SIZES[channel]));
    }

    fn forget_items(&mut self, channel: usize) {
        let (epoch, first) = &mut self.kept[channel];
        let top = self.accepted.get(&(channel, epoch.clone())).map_or(0, Vec::len);
        *first = top as u64 + 1;
    }

    /// Whether a stream that stands at `top` still has all that follows a place.
    fn has_all_after(&self, channel: usize, place: &Place, top: &crate::engine::Position) -> bool {
        let accepted = self.accepted.get(&(channel, top.epoch.as_str().to_owned()));
        assert_eq!(
            accepted.map_or(0, Vec::len) as u64,
            top.offset,
            "the engine's own top"
        );
        if place.epoch != top.epoch.as_str() || place.offset > top.offset {
            return false;
        }
        let (epoch, first) = &self.kept[channel];
        let is_kept = epoch == top.epoch.as_str() && place.offset + 1 >= *first;
        place.offset == top.offset || (is_kept && top.offset - place.offset <= LIMIT)
    }

    fn payload(&self, channel: usize, place: &Place) -> Option<u64> {
        let accepted = self.accepted.get(&(channel, place.epoch.clone()))?;
        accepted
            .get(usize::try_from(place.offset).ok()?.checked_sub(1)?)
            .copied()
    }
}

impl Peer {
    fn new(context: &Arc<Context>, is_server_side: bool, now: Now) -> Self {
        let (session, handle) = open(context, now);
        let mut peer = Self {
            session,
            handle,
            flights: Vec::new(),
            is_server_side,
            is_connected: false,
            is_over: true,
            next_id: 0,
            asked: HashMap::new(),
            subscriptions: Default::default(),
        };
        // Closed: the first step that concerns it connects it.
        peer.session.end(&EndCause::PeerClosed);
        peer
    }

    fn reopen(&mut self, context: &Arc<Context>, now: Now) {
        (self.session, self.handle) = open(context, now);
        self.is_connected = false;
        self.is_over = false;
        self.asked.clear();
        let mut subs = serde_json::Map::new();
        let mut asked = Vec::new();
        for (channel, subscribed) in self.subscriptions.iter_mut().enumerate() {
            subscribed.live = false;
            subscribed.expelled.clear();
            if self.is_server_side {
                asked.push((channel, subscribed.place.clone()));
                subs.insert(
                    CHANNELS[channel].to_owned(),
                    recovering(subscribed.place.as_ref()),
                );
            }
        }
        let connect = if subs.is_empty() {
            json!({})
        } else {
            json!({ "subs": subs })
        };
        self.say("connect", &connect, Asked::Connect(asked), now);
    }

    fn say(&mut self, command: &str, request: &Value, asked: Asked, now: Now) {
        self.next_id += 1;
        self.asked.insert(u64::from(self.next_id), asked);
        let frame = json!({ "id": self.next_id, command: request }).to_string();
        self.session.handle_frame(Bytes::from(frame), now);
    }

    fn can_speak(&self) -> bool {
        self.is_connected && self.session.disconnect().is_none() && self.session.is_ready()
    }

    fn subscribe(&mut self, channel: usize, now: Now) {
        let is_asked = |asked: &Asked| matches!(asked, Asked::Subscribe(other, _) if *other == channel);
        if self.is_server_side
            || !self.can_speak()
            || self.subscriptions[channel].live
            || self.asked.values().any(is_asked)
        {
            return;
        }
        let place = self.subscriptions[channel].place.clone();
        let mut request = recovering(place.as_ref());
        request["channel"] = json!(CHANNELS[channel]);
        self.say("subscribe", &request, Asked::Subscribe(channel, place), now);
    }

    /// Also where no subscription is, and where one is being made.
    fn unsubscribe(&mut self, channel: usize, now: Now) {
        if self.can_speak() {
            let request = json!({ "channel": CHANNELS[channel] });
            self.say("unsubscribe", &request, Asked::Unsubscribe(channel), now);
        }
    }

    /// The command by which the session is making a subscription.
    fn subscribing(&self, channel: &str) -> Option<u64> {
        let index = index_of(channel);
        let asked = self
            .asked
            .iter()
            .find(|(_, asked)| matches!(asked, Asked::Subscribe(of, _) if *of == index));
        asked
            .map(|(id, _)| *id)
            .filter(|_| self.session.is_subscribing(channel))
    }

    /// Where the subscription that is being made asked to go on.
    fn asked_for(&self, channel: usize) -> Option<&Place> {
        self.asked.values().find_map(|asked| match asked {
            Asked::Subscribe(of, place) if *of == channel => place.as_ref(),
            Asked::Connect(places) => places.iter().find(|(of, _)| *of == channel)?.1.as_ref(),
            _ => None,
        })
    }

    fn frames(&self) -> Vec<String> {
        let mut frames = Vec::new();
        let mut cx = TaskContext::from_waker(Waker::noop());
        while let Poll::Ready(Drained::Frames) = self.handle.outbox.poll_drain(&mut cx, 16, &mut frames) {}
        let text =
            |frame: &tidegate_transports::Frame| String::from_utf8(frame.payload().to_vec()).expect("UTF-8");
        frames.iter().map(text).collect()
    }

    fn hear(&mut self, frame: &Value, truth: &Truth, tally: &mut Tally, now: Now) {
        if frame == &json!({}) {
            if self.session.disconnect().is_none() && self.session.is_ready() {
                self.session.handle_frame(Bytes::from_static(b"{}"), now);
            }
            return;
        }
        if let Some(id) = frame["id"].as_u64() {
            let asked = self.asked.remove(&id).expect("an answer to something asked");
            return self.hear_reply(asked, frame, truth, tally);
        }
        let push = &frame["push"];
        let channel = index_of(push["channel"].as_str().expect("a channel"));
        if let Some(publication) = push.get("pub") {
            assert!(
                self.subscriptions[channel].live,
                "a publication without a subscription: {frame}"
            );
            tally.count("publication");
            self.take(channel, publication, truth);
        } else if let Some(unsubscribe) = push.get("unsubscribe") {
            let subscribed = &mut self.subscriptions[channel];
            if unsubscribe["code"] == 2500 {
                tally.count("lost");
                assert!(
                    subscribed.live && subscribed.disturbed,
                    "lost out of nothing: {frame}"
                );
            } else {
                assert_eq!(unsubscribe["code"], 2000, "{frame}");
                let during = subscribed.expelled.pop_front().expect("the server wanted it");
                let is_early = during.is_some_and(|id| self.asked.contains_key(&id));
                assert!(!is_early, "the end came before the beginning");
                tally.count("expelled");
            }
            subscribed.live = false;
        } else {
            panic!("not expected: {frame}");
        }
    }

    fn hear_reply(&mut self, asked: Asked, frame: &Value, truth: &Truth, tally: &mut Tally) {
        assert!(frame.get("error").is_none(), "{frame}");
        match asked {
            Asked::Connect(places) => {
                self.is_connected = true;
                for (channel, place) in places {
                    self.begin(
                        channel,
                        place,
                        &frame["connect"]["subs"][CHANNELS[channel]],
                        truth,
                        tally,
                    );
                }
            }
            Asked::Subscribe(channel, place) => self.begin(channel, place, &frame["subscribe"], truth, tally),
            Asked::Unsubscribe(channel) => {
                tally.count("unsubscribed");
                self.subscriptions[channel].live = false;
            }
        }
    }

    /// A subscription was made.
    fn begin(
        &mut self,
        channel: usize,
        asked: Option<Place>,
        result: &Value,
        truth: &Truth,
        tally: &mut Tally,
    ) {
        assert!(result.is_object(), "no result for {}", CHANNELS[channel]);
        let subscribed = &mut self.subscriptions[channel];
        assert!(!subscribed.live, "made twice");
        subscribed.live = true;
        tally.count("subscribed");
        if channel == PLAIN {
            assert_eq!(result, &json!({}));
            return;
        }
        let recovered = result.get("recovered").is_some();
        assert_eq!(result.get("was_recovering").is_some(), asked.is_some());
        assert_eq!(recovered, subscribed.recoverable, "{result} for {asked:?}");
        let epoch = result["epoch"].as_str().expect("an epoch").to_owned();
        let offset = result["offset"].as_u64().unwrap_or(0);
        let place = Place { epoch, offset };
        if recovered {
            assert_eq!(
                Some(&place),
                asked.as_ref(),
                "recovery goes on where it was asked to"
            );
        }
        subscribed.place = Some(place);
        let publications = result["publications"].as_array().cloned().unwrap_or_default();
        assert!(recovered || publications.is_empty());
        tally.count(match (asked.is_some(), recovered, publications.is_empty()) {
            (true, true, true) => "nothing missed",
            (true, true, false) => "recovered",
            (true, false, _) => "not recoverable",
            (false, ..) => "from the top",
        });
        if offset + publications.len() as u64 > subscribed.top_when_read {
            tally.count("recovered by what was held");
        }
        for publication in publications {
            self.take(channel, &publication, truth);
        }
    }

    fn take(&mut self, channel: usize, publication: &Value, truth: &Truth) {
        let subscribed = &mut self.subscriptions[channel];
        let payload = publication["data"].as_u64().expect("a number");
        if channel == PLAIN {
            assert!(payload > subscribed.newest, "repeated, or out of order");
            subscribed.newest = payload;
            return;
        }
        let place = subscribed.place.as_mut().expect("a position");
        place.offset += 1;
        assert_eq!(
            publication["offset"].as_u64(),
            Some(place.offset),
            "missing, repeated or out of order"
        );
        assert_eq!(
            truth.payload(channel, place),
            Some(payload),
            "something else was published there"
        );
    }

    /// The transport has ended; what it carried has been read.
    fn hear_close(&mut self, code: u32, tally: &mut Tally) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let disturbed = |subscribed: &Subscribed| subscribed.disturbed;
        match code {
            // Broken by the test, slow, or a ping that was not answered because nobody read it.
            3000 | 3012 => {}
            3008 => tally.count("slow"),
            // Connecting takes as long as the test lets it.
            3502 => {}
            3010 => {
                tally.count("insufficient");
                assert!(self.subscriptions.iter().any(disturbed), "lost out of nothing");
            }
            // An unsubscribe waited too long.
            3004 => {}
            other => panic!("closed with {other}"),
        }
        for subscribed in &mut self.subscriptions {
            subscribed.live = false;
            subscribed.expelled.clear();
        }
    }
}

/// A new session, with a client that has not said anything.
fn open(context: &Arc<Context>, now: Now) -> (Session, Arc<Handle>) {
    let handle = Arc::new(Handle {
        client: "C".to_owned(),
        encoding: Encoding::Json,
        transport: TransportKind::Websocket,
        outbox: Arc::new(Outbox::new(Some(QUEUE))),
        mailbox: Mailbox::default(),
        batched: std::sync::atomic::AtomicUsize::default(),
    });
    let session = Session::new(context.clone(), handle.clone(), Opening::default(), 0.5, now);
    (session, handle)
}

fn recovering(place: Option<&Place>) -> Value {
    match place {
        Some(Place { epoch, offset }) => json!({ "recover": true, "epoch": epoch, "offset": offset }),
        None => json!({}),
    }
}

fn position_only(meta_ttl: Duration) -> HistoryQuery {
    HistoryQuery {
        limit: Some(0),
        since: None,
        reverse: false,
        meta_ttl,
    }
}

fn index_of(channel: &str) -> usize {
    let index = CHANNELS.iter().position(|known| *known == channel);
    index.expect("one of the channels")
}

/// How long positions outlive their last use, in this model and by default.
const META: Duration = Duration::from_secs(720 * 3600);

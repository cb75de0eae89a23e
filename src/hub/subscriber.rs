//! One connection's subscription to one channel, as the hub sees it: what is delivered, held back or refused.
//!
//! ```text
//!            catch_up            release
//!  Held ──────────────> Held ─────────────> Live ──(position lost)──> Lost
//!   └──────────────────────── stop ───────────┴───────────────────────> Lost
//! ```
//!
//! A subscriber joins the hub *before* the session reads the stream, so nothing falls between the read and the
//! first live publication: what arrives meanwhile is held, merged by [`catch_up`](Subscriber::catch_up) and, for
//! what came after that, delivered by [`release`](Subscriber::release) once the reply is queued. The reply thus
//! always comes first.

use std::sync::Arc;

use tidegate_transports::{Delays, Due, Frame, Pushed};

use super::Sighting;
use super::batch::{Batch, Kind};
use super::encoded::{EncodedPublication, EncodedPush};
use super::sync::{AtomicUsize, Mutex, Ordering};
use super::tailored::{Form, Tailored, Tailoring};
use super::{Delivery, Event, Handle};
use crate::channels::Batching;
use crate::engine::{Epoch, Position, Publication};
use crate::protocol::{Disconnect, EncodeError};
use crate::tags::Filter;

/// Publications held for one subscription while it is being made. A stream that outruns its reader by that much
/// within one read of the engine is reported as a gap, not buffered without bound.
const MAX_HELD: usize = 4096;

/// Whether and how a subscription follows its stream's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Detect gaps and epoch changes.
    pub positioned: bool,
    /// Publications older than that on arrival count as a lost position, milliseconds (0 = off).
    pub max_time_lag_ms: i64,
}

/// The position was lost: publications are missing or belong to another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("publications are missing between history and live stream")]
pub struct Gap;

/// Result of merging history with what arrived meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// Recovered publications that pass the filters, ascending, continued by those that arrived meanwhile.
    pub publications: Vec<Arc<Publication>>,
    /// Position after the last of them.
    pub position: Position,
}

/// Where a subscription stands that follows its stream's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The stream is being read for it.
    Unread,
    /// Everything was delivered.
    AtTop,
    /// Behind, ahead, or in another epoch.
    Elsewhere,
}

/// A subscription in the hub. See the module documentation.
#[derive(Debug)]
pub struct Subscriber {
    handle: Arc<Handle>,
    tracking: Tracking,
    push_join_leave: bool,
    /// Wants its channel's number in place of the name.
    compacts: bool,
    keeps_latest: bool,
    slot: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    position: Option<Position>,
    /// The number of the channel, once it has joined and if pushes carry it; else 0.
    number: u32,
    /// When the position was last known to be right, Unix milliseconds.
    checked_ms: i64,
    /// Filters and deltas, for those that have them.
    tailored: Option<Box<Tailored>>,
    /// Where pushes collect, if they do.
    batch: Option<Box<Batch>>,
}

#[derive(Debug)]
enum Phase {
    Held(Vec<Held>),
    Live,
    Lost,
}

#[derive(Debug)]
enum Held {
    Publication(Arc<Publication>, Option<Epoch>),
    Push(Frame),
}

/// The delay of a batch has passed.
impl Due for Subscriber {
    fn due(self: Arc<Self>) {
        let mut state = self.state.lock();
        if let Some(batch) = &mut state.batch {
            batch.is_due();
            self.flush(batch);
        }
    }
}

impl Subscriber {
    /// A subscriber that holds everything back until [`release`](Self::release).
    #[must_use]
    pub fn new(handle: Arc<Handle>, tracking: Tracking, push_join_leave: bool) -> Self {
        let state = State {
            phase: Phase::Held(Vec::new()),
            position: None,
            number: 0,
            checked_ms: 0,
            tailored: None,
            batch: None,
        };
        Self {
            handle,
            tracking,
            push_join_leave,
            compacts: false,
            keeps_latest: false,
            slot: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    /// The same, with pushes that carry the channel's number in place of its name.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        self.compacts = true;
        self
    }

    /// The same, with pushes that collect before they are queued. Deltas need every publication: with them, the
    /// latest one does not stand for all.
    #[must_use]
    pub fn batched(self, options: Batching, delays: &Arc<Delays>) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let mut state = self.state.lock();
            let has_delta = state
                .tailored
                .as_ref()
                .is_some_and(|tailored| tailored.has_delta());
            let latest = options.latest && !has_delta;
            let batch = Batch::new(Batching { latest, ..options }, delays.clone(), me.clone());
            state.batch = Some(Box::new(batch));
            drop(state);
            self
        })
    }

    /// The same, with filters or deltas.
    #[must_use]
    pub fn tailored(mut self, tailoring: Tailoring) -> Self {
        self.keeps_latest = tailoring.delta && tailoring.keep_latest;
        self.state.lock().tailored = tailoring.tailored();
        self
    }

    /// Replaces the filter that the server imposes. Counts from the next publication on.
    pub fn set_server_filter(&self, filter: Option<Arc<Filter>>) {
        let mut state = self.state.lock();
        if filter.is_some() || state.tailored.is_some() {
            state.tailored.get_or_insert_default().server_filter = filter;
        }
    }

    /// Whether the filters let a publication pass.
    #[must_use]
    pub fn wants(&self, publication: &Publication) -> bool {
        let state = self.state.lock();
        state
            .tailored
            .as_ref()
            .is_none_or(|tailored| tailored.wants(publication))
    }

    /// Merges `recovered` (which ends at `top`) with the publications held since the subscriber joined the hub.
    /// With `recover` false the merge only moves the position: the client starts after it. Filters are asked last:
    /// what they drop is no gap.
    ///
    /// # Errors
    /// [`Gap`] if what was held does not continue `top`.
    pub fn catch_up(
        &self,
        mut recovered: Vec<Arc<Publication>>,
        top: Position,
        recover: bool,
        now_ms: i64,
    ) -> Result<CaughtUp, Gap> {
        let mut state = self.state.lock();
        let mut position = top;
        if self.tracking.positioned {
            let State { phase, .. } = &mut *state;
            let Phase::Held(held) = phase else { return Err(Gap) };
            for item in held.iter() {
                let Held::Publication(publication, epoch) = item else {
                    continue;
                };
                if publication.offset == 0 {
                    continue;
                }
                if epoch.as_ref() != Some(&position.epoch) {
                    return Err(Gap);
                }
                if publication.offset > position.offset + 1 {
                    return Err(Gap);
                }
                if publication.offset == position.offset + 1 {
                    position.offset += 1;
                    if recover {
                        recovered.push(publication.clone());
                    }
                }
            }
            held.retain(|item| !matches!(item, Held::Publication(publication, _) if publication.offset > 0));
        }
        if let Some(tailored) = &mut state.tailored {
            recovered.retain(|publication| tailored.wants(publication));
            // Without any the client may have nothing to apply a patch to: it gets the next one whole.
            if let Some(last) = recovered.last() {
                tailored.recovered(last.offset, &position.epoch);
            }
        }
        state.position = Some(position.clone());
        state.checked_ms = now_ms;
        Ok(CaughtUp {
            publications: recovered,
            position,
        })
    }

    /// Delivers what was held since [`catch_up`](Self::catch_up) and goes live. Call after the reply is queued.
    pub fn release(&self, channel: &Arc<str>, now_ms: i64) {
        let mut state = self.state.lock();
        let Phase::Held(held) = std::mem::replace(&mut state.phase, Phase::Live) else {
            state.phase = Phase::Lost;
            return;
        };
        for item in held {
            match item {
                Held::Push(frame) => {
                    self.send(&mut state, Kind::JoinOrLeave, frame, &mut Delivery::default());
                }
                Held::Publication(publication, epoch) => {
                    let mut encoded = EncodedPublication::new(channel, &publication, epoch.as_ref());
                    let delivery = &mut Delivery::default();
                    self.deliver(
                        &mut state,
                        &publication,
                        epoch.as_ref(),
                        now_ms,
                        &mut encoded,
                        delivery,
                    );
                }
            }
        }
    }

    /// Delivers nothing from now on but what has been collected, which is queued.
    pub fn stop(&self) {
        self.end(&mut self.state.lock());
    }

    /// Whether it was stopped or lost its position: nothing is delivered any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Lost)
    }

    /// The connection it belongs to.
    #[must_use]
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// Where a live, positioned subscription stands, and when that was last known to be right.
    #[must_use]
    pub fn position(&self) -> Option<(Position, i64)> {
        let state = self.state.lock();
        if !self.tracking.positioned || !matches!(state.phase, Phase::Live) {
            return None;
        }
        state
            .position
            .clone()
            .map(|position| (position, state.checked_ms))
    }

    /// Compares a position with what a look at the stream's top has shown. `false` = lost: the stream moved past what
    /// was delivered. A publication delivered since the position was captured proves that right.
    pub fn confirm(&self, captured: &Position, seen: &Sighting) -> bool {
        let mut state = self.state.lock();
        let Phase::Live = state.phase else { return true };
        if state.position.as_ref() != Some(captured) || *captured == seen.top {
            state.checked_ms = state.checked_ms.max(seen.seen_ms);
            return true;
        }
        self.end(&mut state);
        false
    }

    /// How its position compares with the stream's top; `None` for one that follows no offsets.
    pub(super) fn standing(&self, top: &Position) -> Option<Standing> {
        let state = self.state.lock();
        if !self.tracking.positioned || matches!(state.phase, Phase::Lost) {
            return None;
        }
        Some(match &state.position {
            None => Standing::Unread,
            Some(position) if position == top => Standing::AtTop,
            Some(_) => Standing::Elsewhere,
        })
    }

    /// Gives the position up unless it is one the stream had between two looks at its top.
    pub(super) fn lose_outside(&self, channel: &Arc<str>, first: &Position, second: &Position) {
        let mut state = self.state.lock();
        let Some(position) = &state.position else { return };
        if !self.tracking.positioned || matches!(state.phase, Phase::Lost) {
            return;
        }
        let is_behind = position.epoch == first.epoch && position.offset < first.offset;
        if position.epoch != second.epoch || position.offset > second.offset || is_behind {
            self.lose(&mut state, channel);
        }
    }

    /// The number by which pushes name the channel; 0 if they carry its name. Known once it has joined.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.state.lock().number
    }

    pub(super) fn compacts(&self) -> bool {
        self.compacts
    }

    /// Called before there is a push.
    pub(super) fn set_number(&self, number: Option<u32>) {
        self.state.lock().number = number.unwrap_or(0);
    }

    /// Whether its channel is to keep what it broadcast last.
    pub(super) fn keeps_latest(&self) -> bool {
        self.keeps_latest
    }

    pub(super) fn slot(&self) -> usize {
        self.slot.load(Ordering::Relaxed)
    }

    /// Written under the channel's lock only.
    pub(super) fn set_slot(&self, slot: usize) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    pub(super) fn offer(
        &self,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        now_ms: i64,
        encoded: &mut EncodedPublication<'_>,
        delivery: &mut Delivery,
    ) {
        let mut state = self.state.lock();
        match &mut state.phase {
            Phase::Lost => {}
            Phase::Held(held) if held.len() < MAX_HELD => {
                held.push(Held::Publication(publication.clone(), epoch.cloned()));
            }
            Phase::Held(_) => self.lose(&mut state, encoded.channel),
            Phase::Live => self.deliver(&mut state, publication, epoch, now_ms, encoded, delivery),
        }
    }

    pub(super) fn offer_push(&self, encoded: &mut EncodedPush<'_>, delivery: &mut Delivery) {
        if !self.push_join_leave {
            return;
        }
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Lost) {
            return;
        }
        let frame = match encoded.get(self.handle.encoding, state.number) {
            Ok(frame) => frame.clone(),
            Err(error) => return self.refuse(&error),
        };
        match &mut state.phase {
            Phase::Held(held) => {
                // Joins and leaves are at most once: beyond the bound they are dropped.
                if held.len() < MAX_HELD {
                    held.push(Held::Push(frame));
                }
            }
            _ => self.send(&mut state, Kind::JoinOrLeave, frame, delivery),
        }
    }

    /// The rules of history-and-recovery.md 6, in order.
    #[inline]
    fn deliver(
        &self,
        state: &mut State,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        now_ms: i64,
        encoded: &mut EncodedPublication<'_>,
        delivery: &mut Delivery,
    ) {
        if matches!(state.phase, Phase::Lost) {
            return;
        }
        if self.tracking.positioned && publication.offset > 0 {
            let lag = self.tracking.max_time_lag_ms;
            if lag > 0 && now_ms - publication.time_ms > lag {
                return self.lose(state, encoded.channel);
            }
            let Some(position) = &mut state.position else {
                return self.lose(state, encoded.channel);
            };
            if epoch != Some(&position.epoch) || publication.offset > position.offset + 1 {
                return self.lose(state, encoded.channel);
            }
            if publication.offset <= position.offset {
                return;
            }
            position.offset = publication.offset;
            state.checked_ms = now_ms;
        }
        let State { tailored, number, .. } = &mut *state;
        let form = match tailored {
            None => Form::Plain,
            Some(tailored) if tailored.wants(publication) => {
                tailored.send(publication, epoch, encoded.base.as_ref())
            }
            Some(_) => return,
        };
        match encoded.get(self.handle.encoding, form, *number) {
            Ok(frame) => self.send(state, Kind::Publication, frame.clone(), delivery),
            Err(error) => self.refuse(&error),
        }
    }

    fn lose(&self, state: &mut State, channel: &Arc<str>) {
        self.end(state);
        self.handle
            .mailbox
            .post(Event::InsufficientState(channel.clone()));
    }

    fn end(&self, state: &mut State) {
        if let Some(mut batch) = state.batch.take() {
            self.flush(&mut batch);
        }
        state.phase = Phase::Lost;
    }

    #[inline]
    fn send(&self, state: &mut State, kind: Kind, frame: Frame, delivery: &mut Delivery) {
        match &mut state.batch {
            None => self.push(frame, delivery),
            Some(batch) => self.collect(batch, kind, frame, delivery),
        }
    }

    #[cold]
    fn collect(&self, batch: &mut Batch, kind: Kind, frame: Frame, delivery: &mut Delivery) {
        let bytes = frame.payload().len();
        let Handle { outbox, batched, .. } = &*self.handle;
        let added = batch.add(kind, frame, batched, outbox.limit());
        if !added.supersedes {
            delivery.count(self.handle.transport, bytes);
        }
        if added.is_full {
            self.flush(batch);
        }
    }

    /// Queues what was collected, and was counted as delivered then.
    fn flush(&self, batch: &mut Batch) {
        for frame in batch.take(&self.handle.batched) {
            self.push(frame, &mut Delivery::default());
        }
    }

    #[inline]
    fn push(&self, frame: Frame, delivery: &mut Delivery) {
        let bytes = frame.payload().len();
        match self.handle.outbox.push(frame) {
            Pushed::Queued => delivery.count(self.handle.transport, bytes),
            Pushed::Overflow => self.handle.mailbox.post(Event::Disconnect(Disconnect::SLOW)),
            Pushed::Closed => {}
        }
    }

    /// The payload cannot be written in this connection's encoding.
    fn refuse(&self, _: &EncodeError) {
        self.handle
            .mailbox
            .post(Event::Disconnect(Disconnect::INAPPROPRIATE_PROTOCOL));
    }
}

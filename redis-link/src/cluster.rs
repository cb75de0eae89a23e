//! Commands to the nodes of a Redis Cluster: a lane to each master, or to a replica of each, and a map of the slots.
//!
//! The map is asked for at the start, when a node sends a call elsewhere, when a connection fails, and while there
//! is trouble a few times a second: so a promoted replica is found as soon as any node knows of it. A node that was
//! cut off from the others is believed only if there is no other. Until the first map is there, calls wait in a
//! bounded queue.
//!
//! A call that meets a slot on the move is sent where the node says, for as long as a call may take. It has done
//! nothing before it is sent again, so nothing is done twice; but it may be overtaken. Calls that no node can do yet
//! wait, in bounds, for a while that grows.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use rand::seq::IteratorRandom;
use redis::{ServerError, ServerErrorKind};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::backoff::Backoff;
use crate::dial::Login;
use crate::error::LinkError;
use crate::lane::{Lane, Redirect, Target};
use crate::nodes::View;
use crate::options::Endpoint;
use crate::queue::{Queue, Queued};
use crate::slot::{SLOTS, slot};
use crate::slots::Range;

/// How often a call is sent elsewhere at once. After that the nodes do not agree yet, and it waits in between.
const QUICK_REDIRECTS: u8 = 4;

/// Shortest and longest pause before a call is sent again that no node could do yet.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(320));

/// Calls that may wait for that, and bytes that they may hold.
const MAX_LATER: (usize, usize) = (50_000, 64 * 1024 * 1024);

/// The map is not asked for more often than that.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// A node of which nothing but calls without keys was refused is looked at again after that time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// The same where replicas are read: one that comes, or comes back, refuses nothing.
const REPLICAS_INTERVAL: Duration = Duration::from_secs(5);

/// A cluster. Its tasks end when it is dropped.
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    me: Weak<Shared>,
    login: Login,
    io_timeout: Duration,
    seeds: Vec<Endpoint>,
    state: Mutex<State>,
    /// What waits for the first map, and why nothing may.
    early: Queue,
    stale: Notify,
    later: Later,
}

/// What waits to be sent again.
#[derive(Default)]
struct Later {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct State {
    lanes: HashMap<Endpoint, Arc<Lane>>,
    /// By slot; empty until the first map is there.
    map: Vec<Option<Arc<Lane>>>,
    trouble: Option<LinkError>,
}

impl Cluster {
    pub(crate) fn open(seeds: &[Endpoint], login: Login, io_timeout: Duration) -> Self {
        let shared = Arc::new_cyclic(|me| Shared {
            me: me.clone(),
            login,
            io_timeout,
            seeds: seeds.to_vec(),
            state: Mutex::default(),
            early: Queue::default(),
            stale: Notify::new(),
            later: Later::default(),
        });
        let running = shared.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                never = running.run() => match never {},
                never = running.early.expire(io_timeout) => match never {},
            }
        });
        Self {
            shared,
            task: task.abort_handle(),
        }
    }

    pub(crate) fn push(&self, queued: Queued) {
        self.shared.push(queued);
    }

    pub(crate) fn ready(&self) -> Result<(), LinkError> {
        let state = self.shared.state.lock();
        if let Some(trouble) = &state.trouble {
            return Err(trouble.clone());
        }
        if state.map.is_empty() {
            return Err(LinkError::Disconnected("connecting".to_owned()));
        }
        let mut seen: Option<&Arc<Lane>> = None;
        for lane in &state.map {
            let Some(lane) = lane else {
                return Err(LinkError::Disconnected(
                    "a slot of the cluster has no node".to_owned(),
                ));
            };
            if seen.is_none_or(|seen| !Arc::ptr_eq(seen, lane)) {
                lane.ready()?;
                seen = Some(lane);
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("seeds", &self.shared.seeds)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn push(&self, queued: Queued) {
        let lane = {
            let state = self.state.lock();
            if state.map.is_empty() {
                // Under the lock: the first map takes what waits.
                return self.early.push(queued);
            }
            state.lane_of(&queued)
        };
        match lane {
            Some(lane) => lane.push(queued),
            None => self.fail_without_node(queued),
        }
    }

    fn fail_without_node(&self, queued: Queued) {
        self.stale.notify_one();
        queued.fail(LinkError::Disconnected(
            "a slot of the cluster has no node".to_owned(),
        ));
    }

    async fn run(&self) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            match self.ask_for_map().await {
                Ok(ranges) => {
                    backoff = Backoff::default();
                    let is_whole = self.take_map(ranges);
                    let pause = match is_whole {
                        false => REFRESH_PAUSE,
                        true if self.login.reads_replicas => REPLICAS_INTERVAL,
                        true => REFRESH_INTERVAL,
                    };
                    tokio::time::sleep(REFRESH_PAUSE).await;
                    // It does not matter which of the two it was.
                    let _ = tokio::time::timeout(pause, self.stale.notified()).await;
                }
                Err(error) => {
                    let is_news = self.state.lock().trouble.replace(error.clone()).is_none();
                    if is_news {
                        tracing::error!(%error, "no node of the Redis Cluster can be reached, retrying");
                    }
                    self.early.shut(&error);
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// What a node says that thinks the cluster is well; if there is none, what the one says that has learned most.
    async fn ask_for_map(&self) -> Result<Vec<Range>, LinkError> {
        let mut last = LinkError::Disconnected("no node of the cluster is known".to_owned());
        let mut best: Option<View> = None;
        for endpoint in self.candidates() {
            match self.ask_node(&endpoint).await {
                Ok(view) if view.ranges.is_empty() => {
                    last = LinkError::Disconnected(format!("{endpoint} knows no slots"));
                }
                Ok(view) if view.is_well => return Ok(view.ranges),
                Ok(view) => {
                    if best.as_ref().is_none_or(|best| view.epoch > best.epoch) {
                        best = Some(view);
                    }
                }
                Err(error) => last = error,
            }
        }
        best.map(|view| view.ranges).ok_or(last)
    }

    /// Nodes to ask, those first that are known to live.
    fn candidates(&self) -> Vec<Endpoint> {
        let state = self.state.lock();
        let (mut candidates, dead): (Vec<_>, Vec<_>) =
            state.lanes.iter().partition(|(_, lane)| lane.ready().is_ok());
        candidates.extend(dead);
        let mut candidates: Vec<_> = candidates
            .into_iter()
            .map(|(endpoint, _)| endpoint.clone())
            .collect();
        drop(state);
        for seed in &self.seeds {
            if !candidates.contains(seed) {
                candidates.push(seed.clone());
            }
        }
        candidates
    }

    async fn ask_node(&self, endpoint: &Endpoint) -> Result<View, LinkError> {
        let mut wire = self.login.dial(endpoint).await?;
        View::ask(&mut wire, endpoint, self.login.connect_timeout).await
    }

    /// Answers whether every slot has a node that can be reached.
    fn take_map(&self, ranges: Vec<Range>) -> bool {
        let mut state = self.state.lock();
        let mut map = vec![None; usize::from(SLOTS)];
        let mut used = HashMap::new();
        for range in ranges {
            let node = self.node_of(&state, &range);
            let lane = match used.get(node) {
                Some(lane) => Arc::clone(lane),
                None => {
                    let lane = self.lane(&mut state, node);
                    used.insert(node.clone(), lane.clone());
                    lane
                }
            };
            for slot in range.first..=range.last {
                if let Some(place) = map.get_mut(usize::from(slot)) {
                    *place = Some(lane.clone());
                }
            }
        }
        let is_whole = map.iter().all(Option::is_some) && used.values().all(|lane| lane.ready().is_ok());
        state.trouble = None;
        let was_empty = std::mem::replace(&mut state.map, map).is_empty();
        let mut before = std::mem::replace(&mut state.lanes, used);
        // A node may be about to own its first slot, or still have to answer.
        let busy: Vec<_> = before.extract_if(|_, lane| !lane.is_idle()).collect();
        for (endpoint, lane) in busy {
            state.lanes.entry(endpoint).or_insert(lane);
        }
        if was_empty {
            tracing::info!("Redis Cluster is known");
            // Under the lock: whoever sees the map comes after those that waited for it.
            for queued in self.early.drain() {
                match state.lane_of(&queued) {
                    Some(lane) => lane.push(queued),
                    None => self.fail_without_node(queued),
                }
            }
        }
        drop(state);
        drop(before);
        is_whole
    }

    /// Which node of a range its calls go to. A replica is kept as long as it answers, and chosen at random, so that
    /// many of us spread over all of them.
    fn node_of<'a>(&self, state: &State, range: &'a Range) -> &'a Endpoint {
        if !self.login.reads_replicas {
            return &range.master;
        }
        let lane = |node: &Endpoint| state.lanes.get(node);
        let replicas = || range.replicas.iter();
        let kept = replicas().find(|node| lane(node).is_some_and(|lane| lane.ready().is_ok()));
        let unknown = || {
            replicas()
                .filter(|node| lane(node).is_none())
                .choose(&mut rand::rng())
        };
        kept.or_else(unknown).unwrap_or(&range.master)
    }

    fn lane(&self, state: &mut State, endpoint: &Endpoint) -> Arc<Lane> {
        if let Some(lane) = state.lanes.get(endpoint) {
            return lane.clone();
        }
        let target = Target::Endpoint(endpoint.clone(), self.login.clone());
        let redirect: Weak<dyn Redirect> = self.me.clone();
        let lane = Arc::new(Lane::open(target, self.io_timeout, Some(redirect)));
        state.lanes.insert(endpoint.clone(), lane.clone());
        lane
    }

    fn send_to(&self, endpoint: &Endpoint, calls: Vec<Queued>) {
        let mut state = self.state.lock();
        let lane = self.lane(&mut state, endpoint);
        // Under the lock: a lane is not given up between the two.
        for queued in calls {
            lane.push(queued);
        }
    }

    fn send_later(&self, calls: Vec<Queued>) {
        let (count, bytes) = (calls.len(), calls.iter().map(|queued| queued.call.size()).sum());
        let waiting = self.later.calls.fetch_add(count, Ordering::Relaxed);
        let held = self.later.bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting >= MAX_LATER.0 || held >= MAX_LATER.1 {
            self.later.leave(count, bytes);
            for queued in calls {
                queued.fail(LinkError::Overloaded);
            }
            return;
        }
        let redirects = calls
            .iter()
            .map(|queued| queued.redirects)
            .max()
            .unwrap_or_default();
        let pause = TRY_AGAIN.0 * 2_u32.pow(u32::from(redirects.saturating_sub(1)).min(8));
        let me = self.me.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause.min(TRY_AGAIN.1)).await;
            // Dropped, the calls are told that the connection was given up.
            if let Some(me) = me.upgrade() {
                me.later.leave(count, bytes);
                for queued in calls {
                    me.push(queued);
                }
            }
        });
    }
}

impl Later {
    fn leave(&self, calls: usize, bytes: usize) {
        self.calls.fetch_sub(calls, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl State {
    fn lane_of(&self, queued: &Queued) -> Option<Arc<Lane>> {
        match &queued.call.key {
            Some(key) => self.map.get(usize::from(slot(key))).cloned().flatten(),
            None => self.any(),
        }
    }

    /// Always the same node while it lives, so that calls without keys keep their order as well.
    fn any(&self) -> Option<Arc<Lane>> {
        let mut lanes = self.map.iter().flatten();
        let first = lanes.next()?;
        if first.ready().is_ok() {
            return Some(first.clone());
        }
        let mut last = first;
        for lane in lanes {
            if !Arc::ptr_eq(last, lane) {
                if lane.ready().is_ok() {
                    return Some(lane.clone());
                }
                last = lane;
            }
        }
        Some(first.clone())
    }
}

impl Redirect for Shared {
    fn redirect(
        &self,
        from: Option<&Endpoint>,
        error: &ServerError,
        mut calls: Vec<Queued>,
    ) -> Option<Vec<Queued>> {
        let kind = error.kind();
        match kind {
            Some(ServerErrorKind::Moved | ServerErrorKind::ClusterDown) => self.stale.notify_one(),
            Some(ServerErrorKind::Ask | ServerErrorKind::TryAgain) => {}
            _ => return Some(calls),
        }
        if calls
            .iter()
            .any(|queued| queued.since.elapsed() > self.io_timeout)
        {
            return Some(calls);
        }
        for queued in &mut calls {
            queued.redirects = queued.redirects.saturating_add(1);
            queued.asking = kind == Some(ServerErrorKind::Ask);
        }
        if kind == Some(ServerErrorKind::TryAgain) {
            // The keys of one call may all be there, those of its neighbours not yet.
            for queued in &mut calls {
                queued.alone = true;
            }
            self.send_later(calls);
            return None;
        }
        let Some((slot, endpoint)) = elsewhere(error, from) else {
            return Some(calls);
        };
        if kind == Some(ServerErrorKind::Moved) {
            let mut state = self.state.lock();
            let lane = self.lane(&mut state, &endpoint);
            if let Some(place) = state.map.get_mut(usize::from(slot)) {
                *place = Some(lane);
            }
        }
        if calls.iter().any(|queued| queued.redirects > QUICK_REDIRECTS) {
            self.send_later(calls);
        } else {
            self.send_to(&endpoint, calls);
        }
        None
    }

    fn failed(&self) {
        self.stale.notify_one();
    }
}

/// Where an answer `MOVED slot host:port` or `ASK slot host:port` points to. Without a host it is that of the node
/// that answered.
pub(crate) fn elsewhere(error: &ServerError, from: Option<&Endpoint>) -> Option<(u16, Endpoint)> {
    let (slot, address) = error.details()?.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = match (host.trim_matches(['[', ']']), from) {
        ("", Some(Endpoint::Tcp { host, .. })) => host.clone(),
        (host, _) => host.to_owned(),
    };
    let port = port.parse().ok()?;
    Some((slot.parse().ok()?, Endpoint::Tcp { host, port }))
}

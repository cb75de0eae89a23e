//! Commands to the nodes of a Redis Cluster: a lane to each master, and a map of the slots.
//!
//! The map is asked for at the start, when a node sends a call elsewhere, when a connection fails, and while there
//! is trouble a few times a second: so a promoted replica is found as soon as any node knows of it. Until the first
//! map is there, calls wait in a bounded queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use redis::{ServerError, ServerErrorKind};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::backoff::Backoff;
use crate::dial::Login;
use crate::error::LinkError;
use crate::lane::{Lane, Redirect, Target};
use crate::options::Endpoint;
use crate::queue::{Queue, Queued};
use crate::slot::{SLOTS, slot};
use crate::slots::Range;

/// How often a call may be sent elsewhere.
const MAX_REDIRECTS: u8 = 8;

/// Pause before a call is repeated that met a slot on the move.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The map is not asked for more often than that.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// A node of which nothing but calls without keys was refused is looked at again after that time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// A cluster. Its tasks end when it is dropped.
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    me: std::sync::Weak<Shared>,
    login: Login,
    io_timeout: Duration,
    seeds: Vec<Endpoint>,
    state: Mutex<State>,
    /// What waits for the first map, and why nothing may.
    early: Queue,
    stale: Notify,
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
        });
        let task = tokio::spawn(shared.clone().run()).abort_handle();
        Self { shared, task }
    }

    pub(crate) fn push(&self, queued: Queued) {
        self.shared.push(queued);
    }

    pub(crate) fn ready(&self) -> Result<(), LinkError> {
        let state = self.shared.state.lock();
        if let Some(trouble) = &state.trouble {
            return Err(trouble.clone());
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
        // Lanes refer to what holds them.
        let mut state = self.shared.state.lock();
        let (lanes, map) = (std::mem::take(&mut state.lanes), std::mem::take(&mut state.map));
        drop(state);
        drop((lanes, map));
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
            match &queued.call.key {
                Some(key) => state.map.get(usize::from(slot(key))).cloned().flatten(),
                None => state.map.iter().flatten().next().cloned(),
            }
        };
        match lane {
            Some(lane) => lane.push(queued),
            None => {
                self.stale.notify_one();
                queued.fail(LinkError::Disconnected(
                    "a slot of the cluster has no node".to_owned(),
                ));
            }
        }
    }

    async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            match self.ask_for_map().await {
                Ok(ranges) => {
                    backoff = Backoff::default();
                    let is_whole = self.take_map(ranges);
                    let pause = if is_whole { REFRESH_INTERVAL } else { REFRESH_PAUSE };
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

    /// The first answer of a node that thinks the cluster is well, else of any.
    async fn ask_for_map(&self) -> Result<Vec<Range>, LinkError> {
        let mut known: Vec<Endpoint> = self.state.lock().lanes.keys().cloned().collect();
        for seed in &self.seeds {
            if !known.contains(seed) {
                known.push(seed.clone());
            }
        }
        let mut last = LinkError::Disconnected("no node of the cluster is known".to_owned());
        for endpoint in known {
            match self.ask_node(&endpoint).await {
                Ok(ranges) if !ranges.is_empty() => return Ok(ranges),
                Ok(_) => last = LinkError::Disconnected(format!("{endpoint} knows no slots")),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_node(&self, endpoint: &Endpoint) -> Result<Vec<Range>, LinkError> {
        let mut wire = self.login.dial(endpoint).await?;
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let answer = tokio::time::timeout(self.login.connect_timeout, wire.ask(&question))
            .await
            .unwrap_or(Err(LinkError::Timeout))?;
        Range::read_all(answer, endpoint)
    }

    /// Answers whether every slot has a node that can be reached.
    fn take_map(&self, ranges: Vec<Range>) -> bool {
        let mut state = self.state.lock();
        let mut map = vec![None; usize::from(SLOTS)];
        let mut used = HashMap::new();
        for range in ranges {
            let lane = match used.get(&range.master) {
                Some(lane) => Arc::clone(lane),
                None => {
                    let lane = self.lane(&mut state, &range.master);
                    used.insert(range.master.clone(), lane.clone());
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
        let before = std::mem::replace(&mut state.lanes, used);
        drop(state);
        // What still waits in lanes that lead nowhere now is failed.
        drop(before);
        self.early.open();
        if was_empty {
            tracing::info!("Redis Cluster is known");
        }
        for queued in self.early.drain() {
            self.push(queued);
        }
        is_whole
    }

    fn lane(&self, state: &mut State, endpoint: &Endpoint) -> Arc<Lane> {
        if let Some(lane) = state.lanes.get(endpoint) {
            return lane.clone();
        }
        let target = Target::Endpoint(endpoint.clone(), self.login.clone());
        let redirect = self.me.upgrade().map(|shared| shared as Arc<dyn Redirect>);
        let lane = Arc::new(Lane::open(target, self.io_timeout, redirect));
        state.lanes.insert(endpoint.clone(), lane.clone());
        lane
    }

    fn send_to(&self, endpoint: &Endpoint, calls: Vec<Queued>) {
        let lane = self.lane(&mut self.state.lock(), endpoint);
        for queued in calls {
            lane.push(queued);
        }
    }
}

impl Redirect for Shared {
    fn redirect(
        &self,
        from: Option<&Endpoint>,
        error: &ServerError,
        mut calls: Vec<Queued>,
    ) -> Option<Vec<Queued>> {
        if calls.iter().any(|queued| queued.redirects >= MAX_REDIRECTS) {
            return Some(calls);
        }
        for queued in &mut calls {
            queued.redirects += 1;
            queued.asking = false;
        }
        match error.kind() {
            Some(ServerErrorKind::Moved) => {
                self.stale.notify_one();
                let Some((slot, endpoint)) = elsewhere(error, from) else {
                    return Some(calls);
                };
                {
                    let mut state = self.state.lock();
                    let lane = self.lane(&mut state, &endpoint);
                    if let Some(place) = state.map.get_mut(usize::from(slot)) {
                        *place = Some(lane);
                    }
                }
                self.send_to(&endpoint, calls);
                None
            }
            Some(ServerErrorKind::Ask) => {
                let Some((_, endpoint)) = elsewhere(error, from) else {
                    return Some(calls);
                };
                for queued in &mut calls {
                    queued.asking = true;
                }
                self.send_to(&endpoint, calls);
                None
            }
            Some(ServerErrorKind::TryAgain) => {
                let Some(me) = self.me.upgrade() else {
                    return Some(calls);
                };
                tokio::spawn(async move {
                    tokio::time::sleep(TRY_AGAIN).await;
                    for queued in calls {
                        me.push(queued);
                    }
                });
                None
            }
            _ => Some(calls),
        }
    }

    fn failed(&self) {
        self.stale.notify_one();
    }
}

/// Where an answer `MOVED slot host:port` or `ASK slot host:port` points to. Without a host it is that of the node
/// that answered.
fn elsewhere(error: &ServerError, from: Option<&Endpoint>) -> Option<(u16, Endpoint)> {
    let (slot, address) = error.details()?.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = match (host.trim_matches(['[', ']']), from) {
        ("", Some(Endpoint::Tcp { host, .. })) => host.clone(),
        (host, _) => host.to_owned(),
    };
    let port = port.parse().ok()?;
    Some((slot.parse().ok()?, Endpoint::Tcp { host, port }))
}

//! The node among others: who is there, orders and questions to all, and commands for sessions elsewhere.

mod emulation;
mod refusals;
mod surveys;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{Node, saturate};
use crate::api::ApiError;
use crate::cluster::message;
use crate::cluster::{
    CLEAN_INTERVAL, Control, INFO_INTERVAL, Malformed, Peers, Seen, Surveys, decode, encode, op,
};
use crate::engine::{ControlReceiver, Controller, EngineError, Inbound};
pub use emulation::{EmulationTarget, Forwarded};
use refusals::Learning;

/// Questions and commands of other nodes that are worked on at once; more are refused.
const MAX_WORK: usize = 1024;

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a node that is one of several keeps for that.
pub(super) struct Cluster {
    controller: Arc<dyn Controller>,
    peers: Mutex<Peers>,
    surveys: Surveys,
    learning: Learning,
    /// Where commands from other nodes find their sessions.
    sessions: OnceLock<Arc<dyn EmulationTarget>>,
    work: Arc<Semaphore>,
    /// A message of an unknown kind was logged: one line is enough.
    warned: AtomicBool,
}

impl Cluster {
    pub(super) fn new(controller: Arc<dyn Controller>) -> Self {
        Self {
            controller,
            peers: Mutex::default(),
            surveys: Surveys::default(),
            learning: Learning::default(),
            sessions: OnceLock::new(),
            work: Arc::new(Semaphore::new(MAX_WORK)),
            warned: AtomicBool::new(false),
        }
    }
}

impl Cluster {
    pub(super) fn peer_count(&self) -> usize {
        self.peers.lock().len()
    }

    pub(super) fn inbound(&self) -> Option<Inbound> {
        self.controller.inbound()
    }

    pub(super) fn ready(&self) -> Result<(), EngineError> {
        self.controller.ready()
    }
}

impl Node {
    /// Joins the cluster, if there is one, and keeps its place until the future is dropped.
    pub async fn stay_in_cluster(self: Arc<Self>) {
        let Some(cluster) = &self.cluster else { return };
        cluster.controller.attach(&self.id, self.clone());
        let mut ticks = tokio::time::interval(INFO_INTERVAL);
        let mut cleaned = Instant::now();
        let mut told_metrics = None;
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let is_due = told_metrics.is_none_or(|told| now.duration_since(told) >= self.intervals.length());
            let info = self.own_info(is_due);
            if is_due {
                told_metrics = Some(now);
            }
            // The engine says itself that it is down.
            if let Err(error) = self.tell(None, Control::Node(info)).await {
                tracing::debug!(%error, "cannot tell other nodes that this one is there");
            }
            self.learn_refusals(cluster);
            if now.duration_since(cleaned) >= CLEAN_INTERVAL {
                cleaned = now;
                let gone = cluster.peers.lock().clean(now);
                for uid in gone {
                    tracing::info!(node = %uid, "node is silent and counts as gone");
                    cluster.surveys.left(&uid);
                }
            }
        }
    }

    /// Tells the others that this node leaves.
    pub(super) async fn leave_cluster(&self) {
        let telling = self.tell(None, Control::Shutdown);
        // They find out by themselves.
        let _ = tokio::time::timeout(GOODBYE, telling).await;
    }

    /// Sends to one node or to all. Without a cluster there is nobody to tell, which is success.
    pub(super) async fn tell(&self, to: Option<&str>, control: Control) -> Result<(), EngineError> {
        match &self.cluster {
            None => Ok(()),
            Some(cluster) => cluster.controller.send(to, encode(&self.id, control)).await,
        }
    }

    /// Sends an order to all; a failure is one of the API's request.
    pub(super) async fn order_others(&self, order: Control) -> Result<(), ApiError> {
        self.tell(None, order).await.map_err(|error| {
            tracing::error!(%error, "error sending an order to other nodes");
            ApiError::Internal
        })
    }

    /// What the other nodes say of themselves.
    pub(super) fn peer_infos(&self) -> Vec<message::Node> {
        let of = |cluster: &Cluster| cluster.peers.lock().infos().cloned().collect();
        self.cluster.as_ref().map(of).unwrap_or_default()
    }

    fn own_info(&self, with_metrics: bool) -> message::Node {
        let counts = self.counts();
        let metrics = with_metrics
            .then(|| self.intervals.current(|| self.context.metrics.flatten(&counts)))
            .flatten();
        message::Node {
            uid: self.id.clone(),
            name: self.name.clone(),
            version: self.context.settings.version.clone(),
            num_clients: saturate(counts.clients),
            num_users: saturate(counts.users),
            num_channels: saturate(counts.channels),
            uptime: self.uptime(),
            metrics: metrics.map(|metrics| message::NodeMetrics {
                interval: metrics.interval,
                items: metrics.items,
            }),
            data: Bytes::new(),
            num_subs: saturate(counts.subscriptions),
        }
    }

    fn saw(&self, cluster: &Cluster, sender: String, info: message::Node) {
        if info.uid != sender {
            return;
        }
        let name = info.name.clone();
        let seen = cluster.peers.lock().saw(info, Instant::now());
        match seen {
            Seen::Known => {}
            Seen::TooMany => tracing::error!(node = %sender, "too many nodes: one is not known here"),
            Seen::New => {
                tracing::info!(node = %sender, %name, "node joined");
                self.introduce(sender);
                self.learn_refusals(cluster);
            }
        }
    }

    /// Tells a node that is new here who this one is, or all of them.
    fn introduce(&self, to: impl Into<Option<String>>) {
        let to = to.into();
        let Some(node) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            let info = node.own_info(true);
            if let Err(error) = node.tell(to.as_deref(), Control::Node(info)).await {
                tracing::debug!(%error, "cannot tell another node that this one is there");
            }
        });
    }

    fn hear(&self, cluster: &Cluster, sender: String, control: Control) {
        match control {
            Control::Node(info) => self.saw(cluster, sender, info),
            Control::Shutdown => {
                tracing::info!(node = %sender, "node left");
                cluster.peers.lock().remove(&sender);
                cluster.surveys.left(&sender);
            }
            Control::SurveyRequest(request) => self.work_on(cluster, sender, request),
            Control::SurveyResponse(response) => {
                cluster.surveys.answered(
                    response.id,
                    crate::cluster::Answer {
                        uid: sender,
                        code: response.code,
                        data: response.data,
                    },
                );
            }
            Control::Notification(notice) => self.notice(cluster, notice),
            order => self.obey(order),
        }
    }

    fn notice(&self, cluster: &Cluster, notice: message::Notification) {
        match &*notice.op {
            op::EMULATION_NOTICE => self.deliver_notice(cluster, notice.data),
            op::REFUSALS => {
                self.hear_refusals(cluster, notice.data);
            }
            // The reference has some for its own bookkeeping.
            _ => {}
        }
    }
}

impl ControlReceiver for Node {
    fn handle_control(&self, bytes: Bytes) -> bool {
        let Some(cluster) = &self.cluster else { return true };
        match decode(bytes) {
            Ok((sender, control)) if sender != self.id => self.hear(cluster, sender, control),
            Ok(_) => {}
            Err(Malformed::Bytes) => {
                tracing::warn!("malformed control message ignored");
                return false;
            }
            Err(Malformed::Kind) => {
                if !cluster.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!("control messages of a kind that is unknown here are ignored");
                }
                return false;
            }
        }
        true
    }

    fn handle_control_restored(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.peers.lock().hear_all(Instant::now());
            self.introduce(None);
            cluster.learning.begin();
            self.learn_refusals(cluster);
        }
    }
}

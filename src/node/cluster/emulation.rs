//! Commands of clients whose stream is at another node than the one that a balancer chose for their requests
//! (protocol.md 5.4, engines.md 8).
//!
//! Between our nodes they travel as notifications: one message, no answer, in the order in which they were posted,
//! which the receiving node keeps for each session. With a node of the reference it is a survey, as there: the
//! client's request waits for an answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use prost::Message;

use super::super::Node;
use super::Cluster;
use crate::cluster::{Control, code, message, op};
use crate::protocol::message::EmulationRequest;

/// Finds the streaming sessions of this node.
pub trait EmulationTarget: Send + Sync + 'static {
    /// Gives commands to a session, as they were posted: for a JSON stream a JSON string. Batches of one session are
    /// handled in the order in which the futures are first polled. Answers whether there is such a session.
    fn deliver(&self, session: &str, posted: Bytes) -> Pin<Box<dyn Future<Output = bool> + Send>>;
}

/// What became of commands for another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// They were sent there, or handled there.
    Sent,
    /// There is no such node.
    UnknownNode,
    /// They are not known to have arrived.
    Failed,
}

impl Node {
    /// Says where sessions are found; the first call wins.
    pub fn serve_emulation(&self, sessions: Arc<dyn EmulationTarget>) {
        if let Some(cluster) = &self.cluster {
            let _ = cluster.sessions.set(sessions);
        }
    }

    /// Sends commands to the node that has their session. `request.data` is as it was posted.
    pub async fn forward_emulation(&self, request: EmulationRequest) -> Forwarded {
        let Some(cluster) = &self.cluster else {
            return Forwarded::UnknownNode;
        };
        let (is_known, is_ours) = {
            let peers = cluster.peers.lock();
            (peers.knows(&request.node), peers.is_ours(&request.node))
        };
        if !is_known {
            return Forwarded::UnknownNode;
        }
        let to = request.node.clone();
        let data: Bytes = request.encode_to_vec().into();
        let sent = if is_ours {
            let notice = message::Notification {
                op: op::EMULATION_NOTICE.to_owned(),
                data,
            };
            self.tell(Some(&to), Control::Notification(notice)).await.is_ok()
        } else {
            let nodes = vec![to.clone()];
            // What the answer says makes no difference to the client.
            self.ask(cluster, nodes, Some(&to), op::EMULATION, data)
                .await
                .is_ok()
        };
        if sent { Forwarded::Sent } else { Forwarded::Failed }
    }

    /// Delivers commands that another node has sent on.
    pub(super) fn deliver_notice(&self, cluster: &Cluster, data: Bytes) {
        let Ok(place) = Arc::clone(&cluster.work).try_acquire_owned() else {
            tracing::error!("too many commands from other nodes at once: some are lost");
            return;
        };
        let delivering = self.deliver_posted(cluster, data);
        tokio::spawn(async move {
            delivering.await;
            drop(place);
        });
    }

    /// Begins to deliver, so that what comes next stays behind it. The answer is a code of surveys.
    pub(super) fn deliver_posted(
        &self,
        cluster: &Cluster,
        data: Bytes,
    ) -> Pin<Box<dyn Future<Output = u32> + Send>> {
        let delivering = match (EmulationRequest::decode(data), cluster.sessions.get()) {
            (Ok(request), Some(sessions)) => sessions.deliver(&request.session, request.data),
            (Ok(_), None) => return Box::pin(std::future::ready(code::NO_SESSION)),
            (Err(_), _) => return Box::pin(std::future::ready(code::INTERNAL)),
        };
        begun(async move {
            if delivering.await {
                code::OK
            } else {
                code::NO_SESSION
            }
        })
    }
}

/// A future that has been polled once.
fn begun<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(output) => Box::pin(std::future::ready(output)),
        std::task::Poll::Pending => future,
    }
}

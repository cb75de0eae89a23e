//! Questions to other nodes, and answers to theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::super::{Node, saturate};
use super::Cluster;
use crate::api::ApiError;
use crate::api::message::{ChannelInfo, ChannelsRequest, ChannelsResult};
use crate::channels::Glob;
use crate::cluster::{Answer, Control, code, message, op};

/// How long answers are waited for.
pub(super) const SURVEY_TIMEOUT: Duration = Duration::from_secs(10);

impl Node {
    /// The channels that have subscribers on any node.
    pub(in crate::node) async fn channels_everywhere(
        &self,
        pattern: &str,
    ) -> Result<ChannelsResult, ApiError> {
        let mut channels = self.channels_here(pattern)?;
        let request = ChannelsRequest {
            pattern: pattern.to_owned(),
        };
        for answer in self.ask_all(op::CHANNELS, request.encode_to_vec().into()).await? {
            if answer.code != code::OK {
                tracing::error!(node = %answer.uid, code = answer.code, "a node could not list its channels");
                return Err(ApiError::Internal);
            }
            let theirs = ChannelsResult::decode(answer.data).map_err(|error| {
                tracing::error!(node = %answer.uid, %error, "a node listed its channels in another form");
                ApiError::Internal
            })?;
            for (channel, info) in theirs.channels {
                let sum = channels.entry(channel).or_default();
                sum.num_clients = sum.num_clients.saturating_add(info.num_clients);
            }
        }
        Ok(ChannelsResult { channels })
    }

    fn channels_here(&self, pattern: &str) -> Result<BTreeMap<String, ChannelInfo>, ApiError> {
        let glob = match pattern {
            "" => None,
            pattern => Some(Glob::new(pattern).map_err(|_| ApiError::Internal)?),
        };
        let channels = self
            .hub
            .channels()
            .into_iter()
            .filter(|(channel, _)| glob.as_ref().is_none_or(|glob| glob.is_match(channel)))
            .map(|(channel, clients)| {
                let num_clients = saturate(clients);
                (channel.to_string(), ChannelInfo { num_clients })
            })
            .collect();
        Ok(channels)
    }

    /// Asks all other nodes; with none there is nothing to wait for.
    async fn ask_all(&self, op: &str, data: Bytes) -> Result<Vec<Answer>, ApiError> {
        let Some(cluster) = &self.cluster else {
            return Ok(Vec::new());
        };
        let nodes = cluster.peers.lock().ids();
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(cluster, nodes, None, op, data).await
    }

    /// Asks some nodes by a message to all, or one by a message to it.
    pub(super) async fn ask(
        &self,
        cluster: &Cluster,
        nodes: Vec<String>,
        to: Option<&str>,
        op: &str,
        data: Bytes,
    ) -> Result<Vec<Answer>, ApiError> {
        let Some(mut asked) = cluster.surveys.open(nodes) else {
            tracing::error!("too many surveys are open");
            return Err(ApiError::Internal);
        };
        let request = message::SurveyRequest {
            id: asked.id,
            op: op.to_owned(),
            data,
        };
        self.tell(to, Control::SurveyRequest(request))
            .await
            .map_err(|error| {
                tracing::error!(%error, "error asking other nodes");
                ApiError::Internal
            })?;
        tokio::time::timeout(SURVEY_TIMEOUT, asked.answers())
            .await
            .map_err(|_| {
                tracing::error!(op, "a node did not answer in time");
                ApiError::Internal
            })
    }

    /// Answers another node. What keeps an order is begun here and only finished elsewhere.
    pub(super) fn work_on(&self, cluster: &Cluster, asker: String, request: message::SurveyRequest) {
        let Some(node) = self.me.upgrade() else { return };
        let message::SurveyRequest { id, op, data } = request;
        let Ok(place) = Arc::clone(&cluster.work).try_acquire_owned() else {
            tracing::warn!(node = %asker, "too many questions of other nodes at once: one is refused");
            tokio::spawn(async move { node.respond(&asker, id, code::INTERNAL, Bytes::new()).await });
            return;
        };
        match &*op {
            op::CHANNELS => {
                tokio::spawn(async move {
                    let (code, data) = node.answer_channels(data);
                    node.respond(&asker, id, code, data).await;
                    drop(place);
                });
            }
            op::EMULATION => {
                let delivering = self.deliver_posted(cluster, data);
                tokio::spawn(async move {
                    let code = delivering.await;
                    node.respond(&asker, id, code, Bytes::new()).await;
                    drop(place);
                });
            }
            op::REFUSALS => {
                let (code, data) = self.answer_refusals(cluster, data);
                tokio::spawn(async move {
                    node.respond(&asker, id, code, data).await;
                    drop(place);
                });
            }
            _ => {
                tokio::spawn(async move {
                    node.respond(&asker, id, code::METHOD_NOT_FOUND, Bytes::new())
                        .await;
                    drop(place);
                });
            }
        }
    }

    fn answer_channels(&self, data: Bytes) -> (u32, Bytes) {
        let Ok(request) = ChannelsRequest::decode(data) else {
            return (code::BAD_REQUEST, Bytes::new());
        };
        match self.channels_here(&request.pattern) {
            Ok(channels) => (code::OK, ChannelsResult { channels }.encode_to_vec().into()),
            Err(_) => (code::INTERNAL, Bytes::new()),
        }
    }

    async fn respond(&self, asker: &str, id: u64, code: u32, data: Bytes) {
        let response = message::SurveyResponse { id, code, data };
        if let Err(error) = self.tell(Some(asker), Control::SurveyResponse(response)).await {
            tracing::warn!(node = %asker, %error, "cannot answer another node");
        }
    }
}

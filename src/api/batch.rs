//! Several commands in one request (server-api.md 4.12).

use std::time::Instant;

use futures_util::{StreamExt, stream};
use serde::de::{Deserialize, Deserializer};

use super::calls::CONCURRENCY;
use super::message::{
    BatchRequest, BatchResponse, BlockUserRequest, BroadcastRequest, ChannelsRequest, Command,
    DisconnectRequest, HistoryRemoveRequest, HistoryRequest, InfoRequest, InvalidateUserTokensRequest,
    PresenceRequest, PresenceStatsRequest, PublishRequest, RefreshRequest, Reply, RevokeTokenRequest,
    RpcRequest, SubscribeRequest, UnblockUserRequest, UnsubscribeRequest,
};
use super::{Api, ApiError, Method, Operations};

impl<O: Operations> Api<O> {
    /// Carries out commands one by one, or up to 1024 at once without order. The replies stand in the order of
    /// the commands. As a whole it cannot fail: a command that does is answered with its error.
    pub async fn batch(&self, request: BatchRequest) -> BatchResponse {
        let requests = request.commands.into_iter().map(Request::from).collect();
        let mut response = BatchResponse::default();
        self.run_batch(requests, request.parallel, |reply| response.replies.push(reply))
            .await;
        response
    }

    /// Carries out commands and hands over the replies in the order of the commands, each as soon as it is there.
    pub(super) async fn run_batch(
        &self,
        requests: Vec<Request>,
        parallel: bool,
        mut take_reply: impl FnMut(Reply),
    ) {
        let started = Instant::now();
        let concurrency = if parallel { CONCURRENCY } else { 1 };
        let running = requests
            .into_iter()
            .map(|request| Box::pin(self.run_request(request)));
        let mut replies = stream::iter(running).buffered(concurrency);
        while let Some(reply) = replies.next().await {
            take_reply(reply);
        }
        self.count(Method::Batch, started, Ok(()));
    }

    async fn run_request(&self, request: Request) -> Reply {
        let mut reply = Reply::default();
        let outcome = match request {
            Request::Null => Err(ApiError::BadRequest),
            Request::Unsupported => Err(ApiError::NotFound),
            Request::Publish(request) => self
                .publish(*request)
                .await
                .map(|done| reply.publish = Some(done)),
            Request::Broadcast(request) => self
                .broadcast(*request)
                .await
                .map(|done| reply.broadcast = Some(done)),
            Request::Subscribe(request) => self
                .subscribe(*request)
                .await
                .map(|done| reply.subscribe = Some(done)),
            Request::Unsubscribe(request) => self
                .unsubscribe(*request)
                .await
                .map(|done| reply.unsubscribe = Some(done)),
            Request::Disconnect(request) => self
                .disconnect(*request)
                .await
                .map(|done| reply.disconnect = Some(done)),
            Request::History(request) => self
                .history(*request)
                .await
                .map(|done| reply.history = Some(done)),
            Request::HistoryRemove(request) => self
                .history_remove(*request)
                .await
                .map(|done| reply.history_remove = Some(done)),
            Request::Presence(request) => self
                .presence(*request)
                .await
                .map(|done| reply.presence = Some(done)),
            Request::PresenceStats(request) => self
                .presence_stats(*request)
                .await
                .map(|done| reply.presence_stats = Some(done)),
            Request::Info(request) => self.info(request).await.map(|done| reply.info = Some(done)),
            Request::Rpc(request) => self.rpc(*request).await.map(|done| reply.rpc = Some(done)),
            Request::Refresh(request) => self
                .refresh(*request)
                .await
                .map(|done| reply.refresh = Some(done)),
            Request::Channels(request) => self
                .channels(*request)
                .await
                .map(|done| reply.channels = Some(done)),
            Request::BlockUser(request) => self
                .block_user(*request)
                .await
                .map(|done| reply.block_user = Some(done)),
            Request::UnblockUser(request) => self
                .unblock_user(*request)
                .await
                .map(|done| reply.unblock_user = Some(done)),
            Request::RevokeToken(request) => self
                .revoke_token(*request)
                .await
                .map(|done| reply.revoke_token = Some(done)),
            Request::InvalidateUserTokens(request) => self
                .invalidate_user_tokens(*request)
                .await
                .map(|done| reply.invalidate_user_tokens = Some(done)),
        };
        reply.error = outcome.err().map(ApiError::to_message);
        reply
    }
}

/// One command, reduced to what will be answered. A [`Command`] has room for every method and is hundreds of times
/// larger than the `{}` that a careless caller may send by the million; this is two words.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// `null` stood in place of a command; JSON only.
    Null,
    /// No method, or none that is answered here.
    Unsupported,
    Publish(Box<PublishRequest>),
    Broadcast(Box<BroadcastRequest>),
    Subscribe(Box<SubscribeRequest>),
    Unsubscribe(Box<UnsubscribeRequest>),
    Disconnect(Box<DisconnectRequest>),
    History(Box<HistoryRequest>),
    HistoryRemove(Box<HistoryRemoveRequest>),
    Presence(Box<PresenceRequest>),
    PresenceStats(Box<PresenceStatsRequest>),
    Info(InfoRequest),
    Rpc(Box<RpcRequest>),
    Refresh(Box<RefreshRequest>),
    Channels(Box<ChannelsRequest>),
    BlockUser(Box<BlockUserRequest>),
    UnblockUser(Box<UnblockUserRequest>),
    RevokeToken(Box<RevokeTokenRequest>),
    InvalidateUserTokens(Box<InvalidateUserTokensRequest>),
}

/// If several methods are set, the first in this order is taken.
impl From<Command> for Request {
    fn from(command: Command) -> Self {
        let first = None
            .or_else(|| command.publish.map(|request| Self::Publish(request.into())))
            .or_else(|| command.broadcast.map(|request| Self::Broadcast(request.into())))
            .or_else(|| command.subscribe.map(|request| Self::Subscribe(request.into())))
            .or_else(|| {
                command
                    .unsubscribe
                    .map(|request| Self::Unsubscribe(request.into()))
            })
            .or_else(|| command.disconnect.map(|request| Self::Disconnect(request.into())))
            .or_else(|| command.history.map(|request| Self::History(request.into())))
            .or_else(|| {
                command
                    .history_remove
                    .map(|request| Self::HistoryRemove(request.into()))
            })
            .or_else(|| command.presence.map(|request| Self::Presence(request.into())))
            .or_else(|| {
                command
                    .presence_stats
                    .map(|request| Self::PresenceStats(request.into()))
            })
            .or_else(|| command.info.map(Self::Info))
            .or_else(|| command.rpc.map(|request| Self::Rpc(request.into())))
            .or_else(|| command.refresh.map(|request| Self::Refresh(request.into())))
            .or_else(|| command.channels.map(|request| Self::Channels(request.into())))
            .or_else(|| command.block_user.map(|request| Self::BlockUser(request.into())))
            .or_else(|| {
                command
                    .unblock_user
                    .map(|request| Self::UnblockUser(request.into()))
            })
            .or_else(|| {
                command
                    .revoke_token
                    .map(|request| Self::RevokeToken(request.into()))
            })
            .or_else(|| {
                command
                    .invalidate_user_tokens
                    .map(|request| Self::InvalidateUserTokens(request.into()))
            });
        first.unwrap_or(Self::Unsupported)
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let command: Option<Command> = Deserialize::deserialize(deserializer)?;
        Ok(command.map_or(Self::Null, Self::from))
    }
}

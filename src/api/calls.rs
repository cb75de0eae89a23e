//! The methods, whichever way they are called.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt, stream};

use super::message::{
    BlockUserRequest, BlockUserResult, BroadcastRequest, BroadcastResult, ChannelsRequest, ChannelsResult,
    DisconnectRequest, DisconnectResult, HistoryRemoveRequest, HistoryRemoveResult, HistoryRequest,
    HistoryResult, InfoRequest, InfoResult, InvalidateUserTokensRequest, InvalidateUserTokensResult,
    PresenceRequest, PresenceResult, PresenceStatsRequest, PresenceStatsResult, PublishRequest,
    PublishResponse, PublishResult, RefreshRequest, RefreshResult, RevokeTokenRequest, RevokeTokenResult,
    RpcRequest, RpcResult, SubscribeRequest, SubscribeResult, UnblockUserRequest, UnblockUserResult,
    UnsubscribeRequest, UnsubscribeResult,
};
use super::observer::{ApiObserver, Fault};
use super::{ApiError, Method, Operations, Protocol, PublishOrigin, prepare};

/// Publications of a broadcast, and commands of a parallel batch, that are under way at once.
pub(super) const CONCURRENCY: usize = 1024;

/// The server API over a node, as one protocol sees it.
pub struct Api<O> {
    operations: Arc<O>,
    observer: Arc<dyn ApiObserver>,
    protocol: Protocol,
}

impl<O> Clone for Api<O> {
    fn clone(&self) -> Self {
        Self {
            operations: self.operations.clone(),
            observer: self.observer.clone(),
            protocol: self.protocol,
        }
    }
}

/// Every method takes a request as it came, prepares it, and tells the observer how it went. Errors are those
/// that the caller is to be answered with.
impl<O: Operations> Api<O> {
    /// The API for calls that come in by `protocol`.
    #[must_use]
    pub fn new(operations: Arc<O>, observer: Arc<dyn ApiObserver>, protocol: Protocol) -> Self {
        Self {
            operations,
            observer,
            protocol,
        }
    }

    /// Publishes to one channel (4.1).
    pub async fn publish(&self, mut request: PublishRequest) -> Result<PublishResult, ApiError> {
        // Written out and not by `observe`, which would hold what waits here twice: this is the call that counts.
        let started = Instant::now();
        let outcome = match prepare::publish(&mut request) {
            Ok(()) => self.operations.publish(request, PublishOrigin::Publish).await,
            Err(error) => Err(error),
        };
        self.count(Method::Publish, started, outcome_of(&outcome));
        outcome
    }

    /// Publishes the same to many channels (4.2). Channels are taken in order, so that one named twice gets its
    /// publications in that order, but not one after the other.
    pub async fn broadcast(&self, mut request: BroadcastRequest) -> Result<BroadcastResult, ApiError> {
        let call = async {
            prepare::broadcast(&mut request)?;
            let channels = std::mem::take(&mut request.channels);
            let publishing = channels
                .into_iter()
                .map(|channel| self.publish_one_of_many(channel, &request));
            let responses = stream::iter(publishing).buffered(CONCURRENCY).collect().await;
            Ok(BroadcastResult { responses })
        };
        self.observe(Method::Broadcast, call).await
    }

    /// Subscribes a user's live connections (4.3).
    pub async fn subscribe(&self, mut request: SubscribeRequest) -> Result<SubscribeResult, ApiError> {
        let call = async {
            prepare::subscribe(&mut request)?;
            self.operations
                .subscribe(request)
                .await
                .map(|()| SubscribeResult {})
        };
        self.observe(Method::Subscribe, call).await
    }

    /// Unsubscribes a user's live connections (4.4).
    pub async fn unsubscribe(&self, request: UnsubscribeRequest) -> Result<UnsubscribeResult, ApiError> {
        let call = async {
            self.operations
                .unsubscribe(request)
                .await
                .map(|()| UnsubscribeResult {})
        };
        self.observe(Method::Unsubscribe, call).await
    }

    /// Closes a user's connections (4.5).
    pub async fn disconnect(&self, request: DisconnectRequest) -> Result<DisconnectResult, ApiError> {
        let call = async {
            self.operations
                .disconnect(request)
                .await
                .map(|()| DisconnectResult {})
        };
        self.observe(Method::Disconnect, call).await
    }

    /// Moves or removes the deadline of a user's connections (4.6).
    pub async fn refresh(&self, request: RefreshRequest) -> Result<RefreshResult, ApiError> {
        let call = async { self.operations.refresh(request).await.map(|()| RefreshResult {}) };
        self.observe(Method::Refresh, call).await
    }

    /// Who is in a channel (4.7).
    pub async fn presence(&self, request: PresenceRequest) -> Result<PresenceResult, ApiError> {
        let call = async {
            prepare::channel(&request.channel)?;
            self.operations.presence(request).await
        };
        self.observe(Method::Presence, call).await
    }

    /// How many are in a channel (4.7).
    pub async fn presence_stats(
        &self,
        request: PresenceStatsRequest,
    ) -> Result<PresenceStatsResult, ApiError> {
        let call = async {
            prepare::channel(&request.channel)?;
            self.operations.presence_stats(request).await
        };
        self.observe(Method::PresenceStats, call).await
    }

    /// Reads a channel's stream (4.8).
    pub async fn history(&self, request: HistoryRequest) -> Result<HistoryResult, ApiError> {
        let call = async {
            prepare::channel(&request.channel)?;
            self.operations.history(request).await
        };
        self.observe(Method::History, call).await
    }

    /// Empties a channel's stream (4.8).
    pub async fn history_remove(
        &self,
        request: HistoryRemoveRequest,
    ) -> Result<HistoryRemoveResult, ApiError> {
        let call = async {
            prepare::channel(&request.channel)?;
            self.operations
                .history_remove(request)
                .await
                .map(|()| HistoryRemoveResult {})
        };
        self.observe(Method::HistoryRemove, call).await
    }

    /// Channels with subscribers (4.9).
    pub async fn channels(&self, request: ChannelsRequest) -> Result<ChannelsResult, ApiError> {
        self.observe(Method::Channels, self.operations.channels(request))
            .await
    }

    /// Nodes of the cluster (4.10).
    pub async fn info(&self, InfoRequest {}: InfoRequest) -> Result<InfoResult, ApiError> {
        self.observe(Method::Info, self.operations.info()).await
    }

    /// Calls a procedure of the server (4.11). None is registered, so the error says which mistake was made.
    pub async fn rpc(&self, request: RpcRequest) -> Result<RpcResult, ApiError> {
        let call = async {
            Err(if request.method.is_empty() {
                ApiError::BadRequest
            } else {
                ApiError::NotFound
            })
        };
        self.observe(Method::Rpc, call).await
    }

    /// Refuses a user (5).
    pub async fn block_user(&self, request: BlockUserRequest) -> Result<BlockUserResult, ApiError> {
        let call = async {
            prepare::block_user(&request)?;
            self.operations
                .block_user(request)
                .await
                .map(|()| BlockUserResult {})
        };
        self.observe(Method::BlockUser, call).await
    }

    /// Lets a user in again (5).
    pub async fn unblock_user(&self, request: UnblockUserRequest) -> Result<UnblockUserResult, ApiError> {
        let call = async {
            prepare::unblock_user(&request)?;
            self.operations
                .unblock_user(request)
                .await
                .map(|()| UnblockUserResult {})
        };
        self.observe(Method::UnblockUser, call).await
    }

    /// Refuses a token (5).
    pub async fn revoke_token(&self, request: RevokeTokenRequest) -> Result<RevokeTokenResult, ApiError> {
        let call = async {
            prepare::revoke_token(&request)?;
            self.operations
                .revoke_token(request)
                .await
                .map(|()| RevokeTokenResult {})
        };
        self.observe(Method::RevokeToken, call).await
    }

    /// Refuses a user's older tokens (5).
    pub async fn invalidate_user_tokens(
        &self,
        request: InvalidateUserTokensRequest,
    ) -> Result<InvalidateUserTokensResult, ApiError> {
        let call = async {
            prepare::invalidate_user_tokens(&request)?;
            self.operations
                .invalidate_user_tokens(request)
                .await
                .map(|()| InvalidateUserTokensResult {})
        };
        self.observe(Method::InvalidateUserTokens, call).await
    }

    /// Whether the node is about to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.operations.is_stopping()
    }

    /// Tells the observer of a call that did not come as far as a method.
    pub(super) fn fault(&self, method: Option<Method>, fault: Fault) {
        self.observer.error(self.protocol, method, fault);
    }

    /// Tells the observer of a method that ended.
    pub(super) fn count(&self, method: Method, started: Instant, outcome: Result<(), ApiError>) {
        self.observer.command(self.protocol, method, started.elapsed());
        if let Err(error) = outcome {
            self.observer
                .error(self.protocol, Some(method), Fault::Answered(error));
        }
    }

    async fn observe<T>(
        &self,
        method: Method,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let started = Instant::now();
        let outcome = call.await;
        self.count(method, started, outcome_of(&outcome));
        outcome
    }

    async fn publish_one_of_many(&self, channel: String, request: &BroadcastRequest) -> PublishResponse {
        if let Err(error) = prepare::channel(&channel) {
            return PublishResponse {
                error: Some(error.to_message()),
                result: None,
            };
        }
        let request = PublishRequest {
            channel,
            data: request.data.clone(),
            b64data: String::new(),
            skip_history: request.skip_history,
            tags: request.tags.clone(),
            idempotency_key: request.idempotency_key.clone(),
            delta: request.delta,
            version: request.version,
            version_epoch: request.version_epoch.clone(),
        };
        match self.operations.publish(request, PublishOrigin::Broadcast).await {
            Ok(result) => PublishResponse {
                error: None,
                result: Some(result),
            },
            Err(error) => PublishResponse {
                error: Some(error.to_message()),
                result: None,
            },
        }
    }
}

fn outcome_of<T>(outcome: &Result<T, ApiError>) -> Result<(), ApiError> {
    outcome.as_ref().map(|_| ()).map_err(|error| *error)
}

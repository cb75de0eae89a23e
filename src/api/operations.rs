//! The list of operations: what the server API asks of a node.
//!
//! Requests arrive *prepared* (see [`super::Api`]): a `channel` that must not be empty is not, and every `b64…`
//! field has been decoded into its twin and emptied. What depends on the channel's namespace (does it exist, is
//! the feature on, does it take such data) is left to the node, in the order "unknown channel", then "bad
//! request", then "not available".
//!
//! Not in the list, because they need nothing of a node: `batch` and `broadcast`, which are composed of other
//! methods, and `rpc`, for which no methods are registered.

use std::future::Future;

use super::error::ApiError;
use super::message::{
    BlockUserRequest, ChannelsRequest, ChannelsResult, DisconnectRequest, HistoryRemoveRequest,
    HistoryRequest, HistoryResult, InfoResult, InvalidateUserTokensRequest, PresenceRequest, PresenceResult,
    PresenceStatsRequest, PresenceStatsResult, PublishRequest, PublishResult, RefreshRequest,
    RevokeTokenRequest, SubscribeRequest, UnblockUserRequest, UnsubscribeRequest,
};

/// Where a publication to a channel comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishOrigin {
    /// From `publish`: only channels of the subscription type "stream" take it, others are a bad request.
    Publish,
    /// From `broadcast`, which asks no channel for its subscription type (server-api.md 4.2).
    Broadcast,
}

/// What a node does for the server API. Section numbers are those of server-api.md.
///
/// # Cancel safety
/// A future that is dropped (its caller closed the connection) leaves open whether the operation took effect, but
/// never takes effect by half: a publication is delivered to everybody or to nobody.
pub trait Operations: Send + Sync + 'static {
    /// Publishes to one channel (4.1). The result is zero when nothing was written to history.
    fn publish(
        &self,
        request: PublishRequest,
        origin: PublishOrigin,
    ) -> impl Future<Output = Result<PublishResult, ApiError>> + Send;

    /// Subscribes live connections of a user on every node (4.3). No match is success.
    fn subscribe(&self, request: SubscribeRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Unsubscribes live connections of a user on every node (4.4). The channel may be empty.
    fn unsubscribe(&self, request: UnsubscribeRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Closes connections of a user on every node (4.5). No `disconnect` in the request means 3503.
    fn disconnect(&self, request: DisconnectRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Moves or removes the deadline of a user's connections on every node (4.6).
    fn refresh(&self, request: RefreshRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Who is in a channel (4.7).
    fn presence(
        &self,
        request: PresenceRequest,
    ) -> impl Future<Output = Result<PresenceResult, ApiError>> + Send;

    /// How many are in a channel (4.7).
    fn presence_stats(
        &self,
        request: PresenceStatsRequest,
    ) -> impl Future<Output = Result<PresenceStatsResult, ApiError>> + Send;

    /// Reads a channel's stream (4.8).
    fn history(
        &self,
        request: HistoryRequest,
    ) -> impl Future<Output = Result<HistoryResult, ApiError>> + Send;

    /// Drops a channel's publications, keeps its position (4.8).
    fn history_remove(
        &self,
        request: HistoryRemoveRequest,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Channels that have subscribers anywhere in the cluster (4.9). A malformed pattern is
    /// [`ApiError::Internal`].
    fn channels(
        &self,
        request: ChannelsRequest,
    ) -> impl Future<Output = Result<ChannelsResult, ApiError>> + Send;

    /// The cluster's nodes and their numbers (4.10).
    fn info(&self) -> impl Future<Output = Result<InfoResult, ApiError>> + Send;

    /// Disconnects a user and refuses its connections until the entry expires (5). One that expired is no entry.
    fn block_user(&self, request: BlockUserRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Takes a block back (5). A user who is not blocked is success.
    fn unblock_user(&self, request: UnblockUserRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Refuses the token of an id, and ends what lives on it (5). An unknown id is success.
    fn revoke_token(&self, request: RevokeTokenRequest) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Refuses a user's tokens issued before a time, 0 for now, and ends what lives on them (5).
    fn invalidate_user_tokens(
        &self,
        request: InvalidateUserTokensRequest,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Whether the node is about to stop. The legacy endpoint then answers 503 (section 6).
    fn is_stopping(&self) -> bool;
}

//! The server API in JSON, over a node that repeats what it is asked: every answer is JSON.

#![no_main]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tidegate::api::message::{
    BlockUserRequest, ChannelInfo, ChannelsRequest, ChannelsResult, ClientInfo, DisconnectRequest,
    HistoryRemoveRequest, HistoryRequest, HistoryResult, InfoResult, InvalidateUserTokensRequest,
    PresenceRequest, PresenceResult, PresenceStatsRequest, PresenceStatsResult, PublishRequest,
    PublishResult, RefreshRequest, RevokeTokenRequest, SubscribeRequest, UnblockUserRequest,
    UnsubscribeRequest,
};
use tidegate::api::{Api, ApiError, ApiObserver, Fault, Method, Operations, Protocol, PublishOrigin};
use tidegate::protocol::json::JsonWriter;
use tidegate_fuzz::choice;

const METHODS: [Method; 14] = [
    Method::Batch,
    Method::Publish,
    Method::Broadcast,
    Method::Subscribe,
    Method::Unsubscribe,
    Method::Disconnect,
    Method::Refresh,
    Method::Presence,
    Method::PresenceStats,
    Method::History,
    Method::HistoryRemove,
    Method::Channels,
    Method::Info,
    Method::Rpc,
];

static API: LazyLock<Api<Echo>> =
    LazyLock::new(|| Api::new(Arc::new(Echo), Arc::new(Ignore), Protocol::Http));

fuzz_target!(|data: &[u8]| {
    let Some((method, request)) = choice(data) else {
        return;
    };
    let method = METHODS[usize::from(method) % METHODS.len()];
    let mut out = Vec::new();
    let mut json = JsonWriter::new(&mut out);
    json.begin_object();
    let answered = wait(API.call_json(method, request, &mut json)).is_ok();
    json.end_object();
    if answered {
        serde_json::from_slice::<serde_json::Value>(&out).expect("an answer in JSON");
    }
});

/// The futures of a node that never waits are ready after a few polls; batches yield in between.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

struct Ignore;

impl ApiObserver for Ignore {
    fn command(&self, _: Protocol, _: Method, _: Duration) {}
    fn error(&self, _: Protocol, _: Option<Method>, _: Fault) {}
}

struct Echo;

impl Operations for Echo {
    async fn publish(&self, request: PublishRequest, _: PublishOrigin) -> Result<PublishResult, ApiError> {
        Ok(PublishResult {
            offset: request.data.len() as u64,
            epoch: request.channel,
        })
    }

    async fn subscribe(&self, _: SubscribeRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn disconnect(&self, _: DisconnectRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn refresh(&self, _: RefreshRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn presence(&self, request: PresenceRequest) -> Result<PresenceResult, ApiError> {
        let client = ClientInfo {
            user: request.channel.clone(),
            client: request.channel.clone(),
            ..ClientInfo::default()
        };
        Ok(PresenceResult {
            presence: BTreeMap::from([(request.channel, client)]),
        })
    }

    async fn presence_stats(&self, _: PresenceStatsRequest) -> Result<PresenceStatsResult, ApiError> {
        Ok(PresenceStatsResult::default())
    }

    async fn history(&self, request: HistoryRequest) -> Result<HistoryResult, ApiError> {
        Ok(HistoryResult {
            epoch: request.channel,
            ..HistoryResult::default()
        })
    }

    async fn history_remove(&self, _: HistoryRemoveRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn channels(&self, request: ChannelsRequest) -> Result<ChannelsResult, ApiError> {
        Ok(ChannelsResult {
            channels: BTreeMap::from([(request.pattern, ChannelInfo { num_clients: 1 })]),
        })
    }

    async fn info(&self) -> Result<InfoResult, ApiError> {
        Ok(InfoResult::default())
    }

    async fn block_user(&self, _: BlockUserRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn unblock_user(&self, _: UnblockUserRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn revoke_token(&self, _: RevokeTokenRequest) -> Result<(), ApiError> {
        Ok(())
    }

    async fn invalidate_user_tokens(&self, _: InvalidateUserTokensRequest) -> Result<(), ApiError> {
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        false
    }
}

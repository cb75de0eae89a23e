//! What a session keeps of one subscription, and how subscriptions end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::call::{Call, Detach};
use crate::channels::{Operations, Source};
use crate::engine::ClientInfo;
use crate::hub::Subscriber;

/// One established subscription.
pub(super) struct Subscription {
    pub(super) subscriber: Arc<Subscriber>,
    /// The client as others see it in this channel.
    pub(super) info: Arc<ClientInfo>,
    /// The presence entry must be renewed and removed.
    pub(super) presence: bool,
    /// Others are told of join and leave.
    pub(super) join_leave: bool,
    /// Who granted it: what the server made ends with the connection, not by a push; what a connection token made
    /// or allowed is compared on refresh.
    pub(super) source: Source,
    /// What the subscriber may do beside what the namespace allows.
    pub(super) allow: Operations,
    /// Unix seconds; 0 = never.
    pub(super) expire_at: i64,
    /// How long reads keep the stream's position alive.
    pub(super) meta_ttl: Duration,
}

impl Session {
    /// Replaces what others are told of the connection, in all its channels. Presence entries follow when they are
    /// renewed.
    pub(super) fn set_conn_info(&mut self, info: Bytes) {
        for subscription in self.subscriptions.iter_mut() {
            let told = ClientInfo {
                conn_info: info.clone(),
                ..ClientInfo::clone(&subscription.info)
            };
            subscription.info = Arc::new(told);
        }
        self.conn_info = info;
    }

    /// Releases a subscription that was taken out of the table.
    pub(super) fn leave(&mut self, channel: Arc<str>, subscription: Subscription) {
        let Subscription {
            subscriber,
            info,
            presence,
            join_leave,
            ..
        } = subscription;
        self.forget_subscription_token(&channel);
        subscriber.stop();
        if let Some(label) = self.counted {
            self.context.metrics.unsubscribed(label);
        }
        self.call(Call::Detach(Detach {
            channel,
            subscriber,
            presence: presence.then(|| info.clone()),
            leave: join_leave.then_some(info),
        }));
    }
}

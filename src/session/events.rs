//! What happens to a session from elsewhere: the hub's findings and the server API.

use std::sync::Arc;

use super::subscription::Subscription;
use super::{Now, Phase, Session, push_reply, ttl};
use crate::hub::Event;
use crate::protocol::{Disconnect, message};
use crate::telemetry::FrameType;

impl Session {
    /// Acts on an event.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        if self.phase == Phase::Closed {
            return;
        }
        let Some(event) = self.defer(event) else { return };
        match event {
            Event::Disconnect(disconnect) => self.close(disconnect),
            Event::TokensRevoked => self.tokens_revoked(now),
            Event::InsufficientState(channel) => {
                // The finding may be about a subscription that the client has left and made anew since.
                let is_lost = |subscription: &Subscription| subscription.subscriber.is_lost();
                if self.subscriptions.get(&channel).is_some_and(is_lost) {
                    self.lose_position(&channel);
                }
            }
            Event::Subscribe {
                channel,
                grant,
                since,
                done,
            } => {
                // Before the connect reply there is nothing to subscribe; the API's caller is not kept waiting.
                if self.phase == Phase::Connected {
                    self.subscribe_by_api(channel, *grant, since, done);
                }
            }
            Event::Unsubscribe {
                channel,
                unsubscribe,
                done,
            } => {
                if self.phase == Phase::Connected {
                    self.unsubscribe_with_push(&channel, &unsubscribe);
                }
                // The API request may have been aborted.
                let _ = done.send(());
            }
            Event::Refresh {
                expire_at,
                info,
                done,
            } => {
                if self.phase == Phase::Connected {
                    self.refresh_by_api(expire_at, info, now);
                }
                let _ = done.send(());
            }
        }
    }

    /// Keeps what concerns a channel to which a subscription is being made: it takes effect after that, as an
    /// unsubscribe of the client does (protocol.md 3.1). Gives everything else back.
    fn defer(&mut self, event: Event) -> Option<Event> {
        let waits = match &event {
            Event::Subscribe { channel, .. } | Event::Unsubscribe { channel, .. } => {
                self.is_subscribing(channel)
            }
            _ => false,
        };
        if !waits {
            return Some(event);
        }
        self.deferred.get_or_insert_default().push_back(event);
        None
    }

    /// Acts on what was kept by [`defer`](Self::defer), in order; what must wait longer is kept again.
    pub(super) fn handle_deferred(&mut self, now: Now) {
        for event in self.deferred.take().into_iter().flat_map(|events| *events) {
            self.handle_event(event, now);
        }
    }

    fn refresh_by_api(&mut self, expire_at: i64, info: bytes::Bytes, now: Now) {
        if expire_at > 0 && expire_at <= now.unix() {
            return self.close(Disconnect::EXPIRED);
        }
        if expire_at > 0 && !info.is_empty() {
            self.set_conn_info(info);
        }
        self.set_expiry(expire_at, now);
        let body = message::Refresh {
            expires: expire_at > 0,
            ttl: ttl(expire_at, now),
        };
        let push = message::Push {
            refresh: Some(body),
            ..message::Push::default()
        };
        self.send(&push_reply(push), FrameType::PushRefresh);
    }

    pub(super) fn push_subscribe(&mut self, channel: &Arc<str>, result: message::SubscribeResult) {
        let body = message::Subscribe {
            recoverable: result.recoverable,
            epoch: result.epoch,
            offset: result.offset,
            positioned: result.positioned,
            data: result.data,
        };
        let push = message::Push {
            channel: channel.to_string(),
            subscribe: Some(body),
            ..message::Push::default()
        };
        self.send(&push_reply(push), FrameType::PushSubscribe);
    }
}

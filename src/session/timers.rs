//! The deadlines of a session, and what happens when they pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::{Continuation, Pending};
use super::{Call, Look, Now, Session, push_reply};
use crate::hub::Sighting;
use crate::protocol::{Disconnect, Unsubscribe, message};
use crate::telemetry::FrameType;

/// How long a WebSocket that got an error reply to its connect may stay to close by itself.
const UNUSABLE_WAIT: Duration = Duration::from_secs(5);

/// How long an unsubscribe waits for the subscribe before it (protocol.md 3.1).
const UNSUBSCRIBE_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// No successful connect: 3502.
    stale: Option<Instant>,
    /// A connect was answered with an error and the client has not left.
    unusable: Option<Instant>,
    /// Send a ping.
    ping: Option<Instant>,
    /// A ping is unanswered: 3012.
    pong: Option<Instant>,
    /// When the unanswered ping was sent.
    pinged: Option<Instant>,
    /// An unsubscribe has waited too long for the subscribe before it: 3004.
    unsubscribe: Option<Instant>,
    /// The credentials are over: 3005.
    expiry: Option<Instant>,
    /// Renew presence, look at subscription expiry and positions.
    presence: Option<Instant>,
}

impl Timers {
    pub(super) fn new(stale: Instant) -> Self {
        Self {
            stale: Some(stale),
            ..Self::default()
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        [
            self.stale,
            self.unusable,
            self.ping,
            self.pong,
            self.unsubscribe,
            self.expiry,
            self.presence,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Session {
    /// Connected: the stale timer ends, the periodic ones begin at spread times.
    pub(super) fn start_timers(&mut self, now: Now) {
        let settings = &self.context.settings;
        self.timers.stale = None;
        let spread = |interval: Duration| now.instant + interval.mul_f64(0.5 + self.jitter / 2.0);
        self.timers.presence = Some(spread(settings.presence_update_interval));
        if !self.opening.transport_pings {
            self.timers.ping = settings.ping_interval.map(spread);
        }
    }

    /// The connect was answered with an error.
    pub(super) fn start_unusable_timer(&mut self, now: Now) {
        if !self.is_emulated() && !self.handle.transport.has_disconnect_push() {
            self.timers.unusable = Some(now.instant + UNUSABLE_WAIT);
        }
    }

    /// An unsubscribe began to wait for a subscribe, or went on.
    pub(super) fn set_unsubscribe_wait(&mut self, waits: bool, now: Now) {
        let deadline = &mut self.timers.unsubscribe;
        *deadline = waits.then(|| deadline.unwrap_or(now.instant + UNSUBSCRIBE_WAIT));
    }

    /// Moves the connection's expiry; 0 = never.
    pub(super) fn set_expiry(&mut self, expire_at: i64, now: Now) {
        self.timers.expiry = (expire_at > 0).then(|| {
            let left = u64::try_from(expire_at.saturating_sub(now.unix())).unwrap_or(0);
            let left = Duration::from_secs(left.min(u64::from(u32::MAX)));
            now.instant + left + self.context.settings.expired_close_delay
        });
    }

    /// Answers whether a ping was outstanding.
    pub(super) fn take_pong(&mut self, now: Now) -> bool {
        let Some(pinged) = self.timers.pinged.take() else {
            return false;
        };
        self.timers.pong = None;
        self.context.metrics.ping_pong(
            self.handle.transport,
            now.instant.saturating_duration_since(pinged),
        );
        true
    }

    pub(super) fn run_timers(&mut self, now: Now) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now.instant);
        if due(self.timers.stale) {
            return self.close(Disconnect::STALE);
        }
        if due(self.timers.unusable) {
            // The client had its error reply: no code is owed.
            return self.close(Disconnect::CONNECTION_CLOSED);
        }
        if due(self.timers.pong) {
            return self.close(Disconnect::NO_PONG);
        }
        if due(self.timers.unsubscribe) {
            return self.close(Disconnect::INTERNAL);
        }
        if due(self.timers.expiry) {
            return self.close(Disconnect::EXPIRED);
        }
        if due(self.timers.ping) {
            self.ping(now);
        }
        if due(self.timers.presence) {
            self.timers.presence = Some(now.instant + self.context.settings.presence_update_interval);
            self.expire_subscriptions(now);
            self.renew_presence();
            self.check_positions(now);
        }
    }

    fn ping(&mut self, now: Now) {
        let settings = &self.context.settings;
        self.timers.ping = settings.ping_interval.map(|interval| now.instant + interval);
        if let Some(timeout) = settings.pong_timeout {
            self.timers.pong = Some(now.instant + timeout);
        }
        self.timers.pinged = Some(now.instant);
        self.send(&message::Reply::default(), FrameType::ServerPing);
    }

    fn expire_subscriptions(&mut self, now: Now) {
        let grace =
            i64::try_from(self.context.settings.expired_sub_close_delay.as_secs()).unwrap_or(i64::MAX);
        let expired: Vec<Arc<str>> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| {
                subscription.expire_at > 0 && now.unix() > subscription.expire_at.saturating_add(grace)
            })
            .map(|(channel, _)| channel.clone())
            .collect();
        for channel in expired {
            self.end_subscription(&channel, Unsubscribe::EXPIRED, Disconnect::SUBSCRIPTION_EXPIRED);
        }
    }

    fn renew_presence(&mut self) {
        let renew: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.presence)
            .map(|(channel, subscription)| (channel.clone(), subscription.info.clone()))
            .collect();
        if !renew.is_empty() {
            self.call(Call::Renew(renew));
        }
    }

    fn check_positions(&mut self, now: Now) {
        let delay = i64::try_from(self.context.settings.position_check_delay.as_millis()).unwrap_or(i64::MAX);
        let since_ms = now.unix_ms.saturating_sub(delay);
        let mut looks = Vec::new();
        for (channel, subscription) in self.subscriptions.iter() {
            if let Some((position, checked_ms)) = subscription.subscriber.position()
                && checked_ms < since_ms
            {
                looks.push(Look {
                    channel: channel.clone(),
                    position,
                    since_ms,
                    meta_ttl: subscription.meta_ttl,
                });
            }
        }
        if !looks.is_empty() {
            let call = self.call(Call::Look(looks));
            self.expect(Pending {
                call,
                channel: None,
                then: Continuation::PositionCheck,
            });
        }
    }

    pub(super) fn positions_checked(&mut self, looks: Vec<(Look, Option<Sighting>)>) {
        for (look, seen) in looks {
            let (Some(seen), Some(subscription)) = (seen, self.subscriptions.get(&look.channel)) else {
                continue;
            };
            if !subscription.subscriber.confirm(&look.position, &seen) {
                self.lose_position(&look.channel);
            }
        }
    }

    /// A positioned subscription missed something: the client resubscribes with recovery.
    pub(super) fn lose_position(&mut self, channel: &Arc<str>) {
        tracing::debug!(client = %self.handle.client, user = %self.user, %channel, "client insufficient state");
        self.end_subscription(
            channel,
            Unsubscribe::INSUFFICIENT_STATE,
            Disconnect::INSUFFICIENT_STATE,
        );
    }

    /// Ends a client-side subscription with a push, or the connection if the server made the subscription.
    pub(super) fn end_subscription(
        &mut self,
        channel: &Arc<str>,
        unsubscribe: Unsubscribe,
        otherwise: Disconnect,
    ) {
        let Some(subscription) = self.subscriptions.get(channel) else {
            return;
        };
        if subscription.source.is_server_side() {
            return self.close(otherwise);
        }
        self.unsubscribe_with_push(channel, &unsubscribe);
    }

    pub(super) fn unsubscribe_with_push(&mut self, channel: &Arc<str>, unsubscribe: &Unsubscribe) {
        self.context.metrics.server_unsubscribe(unsubscribe.code);
        if let Some((channel, subscription)) = self.subscriptions.remove(channel) {
            self.leave(channel, subscription);
        }
        let body = message::Unsubscribe {
            code: unsubscribe.code,
            reason: unsubscribe.reason.to_string(),
        };
        let push = message::Push {
            channel: channel.to_string(),
            unsubscribe: Some(body),
            ..message::Push::default()
        };
        self.send(&push_reply(push), FrameType::PushUnsubscribe);
    }
}

//! From a grant to a live subscription: the algorithm of history-and-recovery.md 4.
//!
//! A subscription is *prepared* (subscriber made, read planned), *attached* by the node (joined to the hub, present,
//! stream read), *established* (history and live stream merged, entered into the table), told to the client, and
//! only then *live*. Whatever fails before it is established releases what was attached.

use std::sync::Arc;

use super::call::{Answer, Attach, Call, Detach};
use super::command::Refusal;
use super::compaction;
use super::recovery;
use super::subscription::Subscription;
use super::{Now, Session, remaining};
use crate::channels::{Namespace, RecoveryMode, SubscriptionGrant};
use crate::engine::{ClientInfo, EngineError, History, HistoryQuery, Position, Since};
use crate::hub::{Subscriber, Tailoring, Tracking};
use crate::protocol::{self, Disconnect, ErrorCode, message};
use crate::tags::Filter;

/// What a client asks for beside the channel.
#[derive(Default)]
pub(super) struct Asked {
    /// The position to recover from.
    since: Option<Since>,
    /// Deltas, of the one type that exists.
    delta: bool,
    filter: Option<Filter>,
    /// Pushes may carry the channel's number.
    compaction: bool,
}

impl Asked {
    /// Nothing but a position.
    pub(super) fn since(since: Option<Since>) -> Self {
        Self {
            since,
            ..Self::default()
        }
    }

    /// What a request asks for. Its delta type was checked, its filter is given.
    pub(super) fn by(request: &message::SubscribeRequest, filter: Option<Filter>) -> Self {
        let since = request.recover.then(|| Since {
            offset: request.offset,
            epoch: request.epoch.clone(),
        });
        Self {
            since,
            delta: !request.delta.is_empty(),
            filter,
            compaction: request.flag & compaction::OFFER != 0,
        }
    }
}

/// A subscription whose channel is being joined.
pub(super) struct Attaching {
    pub(super) channel: Arc<str>,
    pub(super) grant: SubscriptionGrant,
    subscriber: Arc<Subscriber>,
    info: Arc<ClientInfo>,
    meta_ttl: std::time::Duration,
    /// The position that the client names, if it asked for recovery.
    asked: Option<Since>,
    has_delta: bool,
    has_filter: bool,
}

impl Attaching {
    /// Whether the stream is read from the client's position.
    fn is_recovering(&self) -> bool {
        self.grant.recover && (self.asked.is_some() || self.grant.auto_recover)
    }

    fn query(&self, limit: usize) -> Option<HistoryQuery> {
        if !self.grant.position {
            return None;
        }
        let mut query = HistoryQuery {
            limit: Some(0),
            since: None,
            reverse: false,
            meta_ttl: self.meta_ttl,
        };
        if self.is_recovering() {
            match self.grant.recovery_mode {
                RecoveryMode::Stream => {
                    // The epoch is compared by the decision, not by the read: a mismatch is no error.
                    let offset = self.asked.as_ref().map_or(0, |since| since.offset);
                    query.since = Some(Since {
                        offset,
                        epoch: String::new(),
                    });
                    query.limit = Some(limit);
                }
                RecoveryMode::Cache => {
                    // With a filter, the newest publication may be none that is wanted.
                    query.limit = Some(if self.has_filter { limit } else { 1 });
                    query.reverse = true;
                }
            }
        }
        Some(query)
    }
}

impl Session {
    pub(super) fn prepare(
        &self,
        channel: Arc<str>,
        grant: SubscriptionGrant,
        namespace: &Namespace,
        asked: Asked,
    ) -> Attaching {
        let tailoring = Tailoring {
            server_filter: grant.server_filter.clone(),
            filter: asked.filter,
            delta: asked.delta && grant.delta,
            keep_latest: grant.keep_latest,
        };
        let has_delta = tailoring.delta;
        let has_filter = tailoring.filter.is_some() || tailoring.server_filter.is_some();
        let lag = self.context.settings.position_max_time_lag.unwrap_or_default();
        let tracking = Tracking {
            positioned: grant.position,
            max_time_lag_ms: i64::try_from(lag.as_millis()).unwrap_or(i64::MAX),
        };
        let info = Arc::new(ClientInfo {
            user: self.user.clone(),
            client: self.handle.client.clone(),
            conn_info: self.conn_info.clone(),
            chan_info: grant.info.clone().unwrap_or_default(),
        });
        let mut subscriber =
            Subscriber::new(self.handle.clone(), tracking, grant.push_join_leave).tailored(tailoring);
        // SDKs know subscriptions of the server by name only.
        let compacts = asked.compaction && self.reads_numbers && !grant.source.is_server_side();
        if compacts && namespace.allow_channel_compaction {
            subscriber = subscriber.compacted();
        }
        let subscriber = match namespace.batching {
            None => Arc::new(subscriber),
            Some(batching) => subscriber.batched(batching, &self.context.delays),
        };
        Attaching {
            channel,
            grant,
            subscriber,
            info,
            meta_ttl: namespace.history_meta_ttl,
            asked: asked.since,
            has_delta,
            has_filter,
        }
    }

    pub(super) fn attach_of(&self, attaching: &Attaching) -> Attach {
        Attach {
            channel: attaching.channel.clone(),
            subscriber: attaching.subscriber.clone(),
            presence: attaching.grant.presence.then(|| attaching.info.clone()),
            read: attaching.query(self.context.settings.recovery_max_publications),
        }
    }

    /// Merges history and live stream and enters the subscription into the table; still nothing is delivered.
    pub(super) fn establish(
        &mut self,
        attaching: Attaching,
        history: Option<History>,
        reject_unrecovered: bool,
        now: Now,
    ) -> Result<message::SubscribeResult, Refusal> {
        let is_recovering = attaching.is_recovering();
        let since = attaching.asked.clone().unwrap_or_default();
        let mut result = message::SubscribeResult {
            recoverable: attaching.grant.recover,
            positioned: attaching.grant.position,
            was_recovering: attaching.asked.is_some() || attaching.grant.auto_recover,
            data: attaching.grant.data.clone().unwrap_or_default(),
            delta: attaching.has_delta,
            id: attaching.subscriber.number().into(),
            ..message::SubscribeResult::default()
        };
        if let Some(history) = history {
            let mode = attaching.grant.recovery_mode;
            let (recovered, publications) = if is_recovering {
                let recovery =
                    recovery::decide(mode, &since, &history, |item| attaching.subscriber.wants(item));
                (recovery.recovered, recovery.publications)
            } else {
                (false, Vec::new())
            };
            if is_recovering {
                self.context.metrics.recover(recovered, !publications.is_empty());
            }
            if is_recovering && !recovered && reject_unrecovered {
                self.release_attached(vec![attaching]);
                return Err(ErrorCode::UNRECOVERABLE_POSITION.into());
            }
            let caught_up = match attaching.subscriber.catch_up(
                publications,
                history.top,
                recovered,
                now.unix_ms,
            ) {
                Ok(caught_up) => caught_up,
                Err(gap) => {
                    tracing::info!(client = %self.handle.client, user = %self.user, channel = %attaching.channel, error = %gap, "insufficient state");
                    self.release_attached(vec![attaching]);
                    return Err(Disconnect::INSUFFICIENT_STATE.into());
                }
            };
            let Position { offset, epoch } = caught_up.position;
            epoch.as_str().clone_into(&mut result.epoch);
            result.recovered = recovered;
            // A client that recovered advances by the publications it is given.
            result.offset = if recovered { since.offset } else { offset };
            let publications = caught_up.publications.as_slice();
            result.publications = match (mode, publications) {
                (_, publications) if attaching.has_delta => {
                    protocol::delta_messages(publications, self.handle.encoding)
                }
                (RecoveryMode::Cache, [.., newest]) => vec![protocol::publication_message(newest)],
                _ => publications
                    .iter()
                    .map(|publication| protocol::publication_message(publication))
                    .collect(),
            };
        }
        if attaching.grant.expire_at > 0 && !attaching.grant.source.is_server_side() {
            result.expires = true;
            // Not capped, other than a connection's.
            result.ttl = remaining(attaching.grant.expire_at, now);
        }
        let subscription = Subscription {
            subscriber: attaching.subscriber,
            info: attaching.info,
            presence: attaching.grant.presence,
            join_leave: attaching.grant.join_leave,
            source: attaching.grant.source,
            allow: attaching.grant.allow,
            expire_at: attaching.grant.expire_at,
            meta_ttl: attaching.meta_ttl,
        };
        if let Some(label) = self.counted {
            self.context.metrics.subscribed(label);
        }
        self.subscriptions.insert(attaching.channel, subscription);
        Ok(result)
    }

    /// The reply is queued: deliver what was held, then tell others.
    pub(super) fn go_live(&mut self, channel: &Arc<str>, now: Now) {
        let Some(subscription) = self.subscriptions.get(channel) else {
            return;
        };
        subscription.subscriber.release(channel, now.unix_ms);
        tracing::debug!(client = %self.handle.client, user = %self.user, %channel, "client subscribed to channel");
        if subscription.join_leave {
            let info = subscription.info.clone();
            self.call(Call::Join(channel.clone(), info));
        }
    }

    /// Undoes what the node attached.
    pub(super) fn release_attached(&mut self, attached: Vec<Attaching>) {
        for Attaching {
            channel,
            subscriber,
            info,
            grant,
            ..
        } in attached
        {
            self.forget_subscription_token(&channel);
            subscriber.stop();
            let presence = grant.presence.then_some(info);
            self.call(Call::Detach(Detach {
                channel,
                subscriber,
                presence,
                leave: None,
            }));
        }
    }
}

/// The histories of joined channels; an engine that failed ends the connection (protocol.md 3.4), one that cannot do
/// what the channel needs does not (engines.md 11).
pub(super) fn attached(answer: Answer) -> Result<Vec<Option<History>>, Refusal> {
    match answer {
        Answer::Attached(Ok(histories)) => Ok(histories),
        Answer::Attached(Err(EngineError::NotAvailable)) => Err(ErrorCode::NOT_AVAILABLE.into()),
        Answer::Attached(Err(EngineError::BadChannel)) => Err(ErrorCode::BAD_REQUEST.into()),
        Answer::Attached(Err(error)) => {
            tracing::error!(%error, "error subscribing on channel");
            Err(Disconnect::INTERNAL.into())
        }
        _ => Err(Disconnect::INTERNAL.into()),
    }
}

//! The server API's operations on a node (server-api.md 4). Requests arrive prepared; what is decided here
//! depends on the channel's namespace or on the connections of this node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::orders::{Target, acted, expire, is_past, order_each, subscribe_each, subscribe_order};
use super::{Node, saturate, unix_ms};
use crate::api::message::{
    BlockUserRequest, ChannelsRequest, ChannelsResult, ClientInfo as ApiClientInfo, DisconnectRequest,
    HistoryRemoveRequest, HistoryRequest, HistoryResult, InfoResult, InvalidateUserTokensRequest,
    Metrics as ApiMetrics, NodeResult, PresenceRequest, PresenceResult, PresenceStatsRequest,
    PresenceStatsResult, Publication as ApiPublication, PublishRequest, PublishResult, RefreshRequest,
    RevokeTokenRequest, SubscribeOptionOverride, SubscribeRequest, UnblockUserRequest, UnsubscribeRequest,
};
use crate::api::{ApiError, Operations, PublishOrigin};
use crate::channels::{Namespace, Overrides, Source, SubscriptionExtras, SubscriptionType, Wishes};
use crate::cluster::{Control, message};
use crate::engine::{ClientInfo, EngineError, HistoryQuery, Publication, PublishOptions, Since};
use crate::hub::Event;
use crate::protocol::{Disconnect, Unsubscribe};
use crate::session::retention;
use crate::telemetry::{Action, FrameType};

impl Operations for Node {
    async fn publish(
        &self,
        request: PublishRequest,
        origin: PublishOrigin,
    ) -> Result<PublishResult, ApiError> {
        let (channel, publication, options) = self.accept(request, origin)?;
        self.context.metrics.broker_sent(FrameType::PushPublication);
        let published = self
            .broker
            .publish(&channel, publication, options)
            .await
            .map_err(|error| {
                tracing::error!(%channel, %error, "error publishing data to channel");
                engine_error(&error)
            })?;
        if let Some(suppressed) = published.suppressed {
            self.context.metrics.publish_suppressed(suppressed);
        }
        Ok(published
            .position
            .map_or_else(PublishResult::default, |position| PublishResult {
                offset: position.offset,
                epoch: position.epoch.as_str().to_owned(),
            }))
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<(), ApiError> {
        let rules = self.context.rules.load_full();
        let namespace = namespace_of(&rules.channels, &request.channel)?;
        let target = Target {
            user: &request.user,
            client: &request.client,
            session: &request.session,
            ..Target::default()
        };
        let members = self.members(target);
        if members.is_empty() && self.cluster.is_none() {
            return Ok(());
        }
        let extras = SubscriptionExtras {
            expire_at: request.expire_at,
            info: Some(request.info).filter(|info| !info.is_empty()),
            data: Some(request.data).filter(|data| !data.is_empty()),
            overrides: request.r#override.map(overrides).unwrap_or_default(),
            ..SubscriptionExtras::default()
        };
        let grant = rules.channels.grant(
            namespace,
            Source::ServerApi,
            &request.user,
            Wishes::default(),
            extras,
        );
        if grant.is_expired(unix_ms().div_euclid(1000)) {
            return if members.is_empty() {
                Ok(())
            } else {
                Err(ApiError::Internal)
            };
        }
        let since = request.recover_since.map(|since| Since {
            offset: since.offset,
            epoch: since.epoch,
        });
        let acting = subscribe_each(members, &request.channel, &grant, since.as_ref());
        let order = subscribe_order(target, &request.channel, &grant, since.as_ref());
        let (told, ()) = tokio::join!(self.order_others(order), acted(acting));
        told
    }

    async fn unsubscribe(&self, request: UnsubscribeRequest) -> Result<(), ApiError> {
        if request.channel.is_empty() {
            // The reference sends a push without a channel and unsubscribes from nothing.
            return Ok(());
        }
        namespace_of(&self.context.rules.load_full().channels, &request.channel)?;
        let target = Target {
            user: &request.user,
            client: &request.client,
            session: &request.session,
            ..Target::default()
        };
        let acting = order_each(self.members(target), |done| Event::Unsubscribe {
            channel: request.channel.as_str().into(),
            unsubscribe: Unsubscribe::SERVER,
            done,
        });
        let order = Control::Unsubscribe(message::Unsubscribe {
            channel: request.channel.clone(),
            user: request.user.clone(),
            client: request.client.clone(),
            session: request.session.clone(),
            code: Unsubscribe::SERVER.code,
            reason: Unsubscribe::SERVER.reason.into_owned(),
            ..message::Unsubscribe::default()
        });
        let (told, ()) = tokio::join!(self.order_others(order), acted(acting));
        told
    }

    async fn disconnect(&self, request: DisconnectRequest) -> Result<(), ApiError> {
        let mut disconnect = Disconnect::FORCE;
        if let Some(asked) = request.disconnect {
            // Clients need both (protocol.md 6).
            if asked.code != 0 {
                disconnect.code = asked.code;
            }
            if !asked.reason.is_empty() {
                disconnect.reason = asked.reason.into();
            }
        }
        let target = Target {
            user: &request.user,
            client: &request.client,
            session: &request.session,
            ..Target::default()
        };
        self.disconnect_here(target, &request.whitelist, &disconnect);
        let order = Control::Disconnect(message::Disconnect {
            user: request.user,
            whitelist: request.whitelist,
            code: disconnect.code,
            reason: disconnect.reason.into_owned(),
            client: request.client,
            session: request.session,
            ..message::Disconnect::default()
        });
        self.order_others(order).await
    }

    async fn refresh(&self, request: RefreshRequest) -> Result<(), ApiError> {
        let target = Target {
            user: &request.user,
            client: &request.client,
            session: &request.session,
            ..Target::default()
        };
        let members = self.members(target);
        let acting = if request.expired || is_past(request.expire_at) {
            expire(members);
            Vec::new()
        } else {
            order_each(members, |done| Event::Refresh {
                expire_at: request.expire_at,
                info: request.info.clone(),
                done,
            })
        };
        let order = Control::Refresh(message::Refresh {
            user: request.user.clone(),
            client: request.client.clone(),
            expired: request.expired,
            expire_at: request.expire_at,
            info: request.info.clone(),
            session: request.session.clone(),
            ..message::Refresh::default()
        });
        let (told, ()) = tokio::join!(self.order_others(order), acted(acting));
        told
    }

    async fn block_user(&self, request: BlockUserRequest) -> Result<(), ApiError> {
        self.block(&request).await
    }

    async fn unblock_user(&self, request: UnblockUserRequest) -> Result<(), ApiError> {
        self.unblock(&request).await
    }

    async fn revoke_token(&self, request: RevokeTokenRequest) -> Result<(), ApiError> {
        self.revoke(request).await
    }

    async fn invalidate_user_tokens(&self, request: InvalidateUserTokensRequest) -> Result<(), ApiError> {
        self.invalidate(request).await
    }

    async fn presence(&self, request: PresenceRequest) -> Result<PresenceResult, ApiError> {
        self.require_presence(&request.channel)?;
        self.context.metrics.action(Action::Presence);
        let entries = self
            .presence
            .presence(&request.channel)
            .await
            .map_err(|error| engine_error(&error))?;
        let presence = entries
            .iter()
            .map(|(client, info)| (client.clone(), api_client_info(info)))
            .collect();
        Ok(PresenceResult { presence })
    }

    async fn presence_stats(&self, request: PresenceStatsRequest) -> Result<PresenceStatsResult, ApiError> {
        self.require_presence(&request.channel)?;
        self.context.metrics.action(Action::PresenceStats);
        let stats = self
            .presence
            .stats(&request.channel)
            .await
            .map_err(|error| engine_error(&error))?;
        Ok(PresenceStatsResult {
            num_clients: stats.clients,
            num_users: stats.users,
        })
    }

    async fn history(&self, request: HistoryRequest) -> Result<HistoryResult, ApiError> {
        let meta_ttl = self.require_history(&request.channel)?;
        let query = HistoryQuery {
            // A negative limit asks for everything.
            limit: usize::try_from(request.limit).ok(),
            since: request.since.map(|since| Since {
                offset: since.offset,
                epoch: since.epoch,
            }),
            reverse: request.reverse,
            meta_ttl,
        };
        self.context.metrics.action(Action::History);
        let history = self
            .broker
            .history(&request.channel, query)
            .await
            .map_err(|error| engine_error(&error))?;
        Ok(HistoryResult {
            publications: history
                .publications
                .iter()
                .map(|publication| api_publication(publication))
                .collect(),
            epoch: history.top.epoch.as_str().to_owned(),
            offset: history.top.offset,
        })
    }

    async fn history_remove(&self, request: HistoryRemoveRequest) -> Result<(), ApiError> {
        self.require_history(&request.channel)?;
        self.context.metrics.action(Action::HistoryRemove);
        self.broker
            .remove_history(&request.channel)
            .await
            .map_err(|error| engine_error(&error))
    }

    async fn channels(&self, request: ChannelsRequest) -> Result<ChannelsResult, ApiError> {
        self.channels_everywhere(&request.pattern).await
    }

    async fn info(&self) -> Result<InfoResult, ApiError> {
        let counts = self.counts();
        let node = NodeResult {
            uid: self.id.clone(),
            name: self.name.clone(),
            version: self.context.settings.version.clone(),
            num_clients: saturate(counts.clients),
            num_users: saturate(counts.users),
            num_channels: saturate(counts.channels),
            num_subs: saturate(counts.subscriptions),
            uptime: self.uptime(),
            metrics: self.intervals.current(|| self.context.metrics.flatten(&counts)),
            ..NodeResult::default()
        };
        let others = self.peer_infos().into_iter().map(|info| NodeResult {
            uid: info.uid,
            name: info.name,
            version: info.version,
            num_clients: info.num_clients,
            num_users: info.num_users,
            num_channels: info.num_channels,
            num_subs: info.num_subs,
            uptime: info.uptime,
            metrics: info.metrics.map(|metrics| ApiMetrics {
                interval: metrics.interval,
                items: metrics.items,
            }),
            ..NodeResult::default()
        });
        Ok(InfoResult {
            nodes: std::iter::once(node).chain(others).collect(),
        })
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

impl Node {
    /// What the channel's namespace makes of a publication. Apart from `publish`, so that what waits there is small.
    fn accept(
        &self,
        request: PublishRequest,
        origin: PublishOrigin,
    ) -> Result<(String, Publication, PublishOptions), ApiError> {
        let rules = self.context.rules.load();
        let namespace = namespace_of(&rules.channels, &request.channel)?;
        if origin == PublishOrigin::Publish && namespace.subscription_type != SubscriptionType::Stream {
            return Err(ApiError::BadRequest);
        }
        if !namespace.data_format.accepts(&request.data) {
            return Err(ApiError::BadRequest);
        }
        let publication = Publication {
            data: request.data,
            tags: request.tags,
            version: request.version,
            time_ms: unix_ms(),
            ..Publication::default()
        };
        let options = PublishOptions {
            retention: retention(namespace).filter(|_| !request.skip_history),
            idempotency_key: Some(request.idempotency_key).filter(|key| !key.is_empty()),
            version_epoch: request.version_epoch,
            delta: request.delta || namespace.delta_publish,
        };
        Ok((request.channel, publication, options))
    }

    fn require_presence(&self, channel: &str) -> Result<(), ApiError> {
        let rules = self.context.rules.load_full();
        if namespace_of(&rules.channels, channel)?.presence {
            Ok(())
        } else {
            Err(ApiError::NotAvailable)
        }
    }

    /// Answers how long a read keeps the stream's position.
    fn require_history(&self, channel: &str) -> Result<Duration, ApiError> {
        let rules = self.context.rules.load_full();
        let namespace = namespace_of(&rules.channels, channel)?;
        if namespace.has_history() {
            Ok(namespace.history_meta_ttl)
        } else {
            Err(ApiError::NotAvailable)
        }
    }
}

/// Metrics inside `info`: the change of each counter over the last whole interval.
pub(super) struct Intervals {
    interval: Duration,
    state: Mutex<Option<IntervalState>>,
}

struct IntervalState {
    began: Instant,
    base: BTreeMap<String, MetricValue>,
    shown: BTreeMap<String, f64>,
}

pub(super) use crate::telemetry::MetricValue;

impl Intervals {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::new(None),
        }
    }

    /// How long each lasts.
    pub(super) fn length(&self) -> Duration {
        self.interval
    }

    /// The metrics of the last whole interval; zeros in the first one, `None` if switched off.
    pub(super) fn current(&self, read: impl FnOnce() -> BTreeMap<String, MetricValue>) -> Option<ApiMetrics> {
        if self.interval.is_zero() {
            return None;
        }
        let now = Instant::now();
        let mut state = self.state.lock();
        let is_due = state
            .as_ref()
            .is_none_or(|state| now.duration_since(state.began) >= self.interval);
        if is_due {
            let values = read();
            let shown = values
                .iter()
                .map(|(name, value)| {
                    let before = state.as_ref().map(|state| state.base.get(name).copied());
                    (name.clone(), value.change_since(before))
                })
                .collect();
            *state = Some(IntervalState {
                began: now,
                base: values,
                shown,
            });
        }
        let items = state
            .as_ref()
            .map(|state| state.shown.clone())
            .unwrap_or_default();
        Some(ApiMetrics {
            interval: self.interval.as_secs_f64(),
            items,
        })
    }
}

fn namespace_of<'a>(
    rules: &'a crate::channels::ChannelRules,
    channel: &str,
) -> Result<&'a Namespace, ApiError> {
    rules
        .resolve(channel)
        .map(AsRef::as_ref)
        .map_err(|_| ApiError::UnknownChannel)
}

fn engine_error(error: &EngineError) -> ApiError {
    match error {
        EngineError::UnrecoverablePosition => ApiError::UnrecoverablePosition,
        EngineError::InvalidSince
        | EngineError::Unavailable(_)
        | EngineError::NotAvailable
        | EngineError::BadChannel => ApiError::Internal,
    }
}

fn overrides(asked: SubscribeOptionOverride) -> Overrides {
    Overrides {
        presence: asked.presence.map(|of| of.value),
        join_leave: asked.join_leave.map(|of| of.value),
        force_push_join_leave: asked.force_push_join_leave.map(|of| of.value),
        force_positioning: asked.force_positioning.map(|of| of.value),
        force_recovery: asked.force_recovery.map(|of| of.value),
    }
}

fn api_client_info(info: &ClientInfo) -> ApiClientInfo {
    ApiClientInfo {
        user: info.user.clone(),
        client: info.client.clone(),
        conn_info: info.conn_info.clone(),
        chan_info: info.chan_info.clone(),
    }
}

fn api_publication(publication: &Publication) -> ApiPublication {
    ApiPublication {
        data: publication.data.clone(),
        info: publication.info.as_deref().map(api_client_info),
        offset: publication.offset,
        tags: publication.tags.clone(),
    }
}

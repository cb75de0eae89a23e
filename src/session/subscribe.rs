//! Subscriptions: the checks of protocol.md 3.4 in order, then the algorithm of history-and-recovery.md 4.
//!
//! A subscription is *prepared* (subscriber made, read planned), *attached* by the node (joined to the hub, present,
//! stream read), *established* (history and live stream merged, entered into the table), told to the client, and
//! only then *live*. Whatever fails before it is established releases what was attached.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::call::{Answer, Attach, Call, Detach};
use super::command::{Continuation, Pending, Refusal, Ticket};
use super::compaction;
use super::recovery;
use super::subscription::Subscription;
use super::{Now, Session, remaining};
use crate::auth::{SubscribeToken, TokenError, Verification};
use crate::channels::{
    Namespace, RecoveryMode, Route, Source, SubscribeQuery, SubscriptionExtras, SubscriptionGrant, Wishes,
};
use crate::engine::{ClientInfo, History, HistoryQuery, Position, Since};
use crate::hub::{Subscriber, Tailoring, Tracking};
use crate::protocol::{self, Disconnect, ErrorCode, message};
use crate::tags::Filter;

/// The only delta type that clients may name.
const FOSSIL: &str = "fossil";
/// `SubscribeRequest.flag`: answer error 112 instead of an unrecovered subscription.
const REJECT_UNRECOVERED: i64 = 2;

/// A subscription being made outside a connect.
pub(super) struct Subscribing {
    /// The command to answer; `None` for the server API.
    pub(super) ticket: Option<Ticket>,
    request: message::SubscribeRequest,
    attaching: Option<Attaching>,
    /// Told when the server API's request was acted upon.
    done: Option<oneshot::Sender<()>>,
}

impl Subscribing {
    pub(super) fn into_attaching(self: Box<Self>) -> Vec<Attaching> {
        self.attaching.into_iter().collect()
    }
}

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
    pub(super) fn subscribe(
        &mut self,
        request: message::SubscribeRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        let channel = request.channel.as_str();
        if channel.is_empty() {
            tracing::info!(client = %self.handle.client, user = %self.user, "channel required for subscribe");
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let rules = self.context.rules.load_full();
        rules
            .channels
            .check_type(channel, request.r#type)
            .map_err(|denial| self.deny(channel, denial))?;
        self.check_delta(&request.delta)?;
        rules
            .channels
            .check_length(channel)
            .map_err(|denial| self.deny(channel, denial))?;
        if self.subscriptions.contains(channel) {
            tracing::info!(client = %self.handle.client, user = %self.user, channel, "client already subscribed on channel");
            return Err(ErrorCode::ALREADY_SUBSCRIBED.into());
        }
        if self
            .context
            .settings
            .channel_limit
            .is_some_and(|limit| self.channels_in_use() >= limit)
        {
            tracing::info!(
                client = %self.handle.client, user = %self.user, limit = self.context.settings.channel_limit,
                "maximum limit of channels per client reached"
            );
            return Err(ErrorCode::LIMIT_EXCEEDED.into());
        }
        let query = SubscribeQuery {
            channel,
            user: &self.user,
            has_token: !request.token.is_empty(),
            subscription_type: request.r#type,
            capabilities: self.capabilities.as_deref(),
        };
        let decision = rules
            .channels
            .subscribe(query)
            .map_err(|denial| self.deny(channel, denial))?;
        match decision.route {
            Route::Token => self.check_subscribe_token(request, ticket, now),
            Route::Granted(source) => {
                let namespace = decision.namespace.clone();
                self.granted(
                    request,
                    ticket,
                    &namespace,
                    source,
                    SubscriptionExtras::default(),
                    now,
                )
            }
            // The configuration refuses proxies of this version: none can be enabled.
            Route::Proxy(_) | Route::StreamProxy(_) => Err(ErrorCode::NOT_AVAILABLE.into()),
        }
    }

    fn check_subscribe_token(
        &mut self,
        request: message::SubscribeRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        let rules = self.context.rules.load_full();
        let channel: Arc<str> = request.channel.as_str().into();
        match rules
            .subscription_tokens
            .verify_subscribe(&request.token, now.unix())
        {
            Verification::Ready(result) => self.subscribe_token_checked(request, ticket, result, now),
            Verification::Pending(wait) => {
                let call = self.call(Call::Await(Box::pin(async {
                    Answer::SubscribeToken(wait.await)
                })));
                let subscribing = Subscribing {
                    ticket: Some(ticket),
                    request,
                    attaching: None,
                    done: None,
                };
                let then = Continuation::Subscribe(Box::new(subscribing));
                self.expect(Pending {
                    call,
                    channel: Some(channel),
                    then,
                });
                Ok(())
            }
        }
    }

    fn subscribe_token_checked(
        &mut self,
        request: message::SubscribeRequest,
        ticket: Ticket,
        result: Result<SubscribeToken, TokenError>,
        now: Now,
    ) -> Result<(), Refusal> {
        let token = result.map_err(|error| match error {
            TokenError::Expired => ErrorCode::TOKEN_EXPIRED,
            TokenError::Unavailable => ErrorCode::INTERNAL,
            other => {
                tracing::info!(client = %self.handle.client, user = %self.user, error = %other, "invalid subscription token");
                ErrorCode::PERMISSION_DENIED
            }
        })?;
        let rules = self.context.rules.load_full();
        if rules.channels.resolve(&token.channel).is_err() {
            return Err(ErrorCode::UNKNOWN_CHANNEL.into());
        }
        if let Err(mismatch) = token.check(&request.channel, &self.user, &self.handle.client) {
            tracing::info!(client = %self.handle.client, user = %self.user, "{mismatch}");
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        let namespace = rules
            .channels
            .resolve(&request.channel)
            .map_err(|_| ErrorCode::UNKNOWN_CHANNEL)?
            .clone();
        let channel: Arc<str> = request.channel.as_str().into();
        let trace = self.trace(token.token_id, token.issued_at);
        self.keep_subscription_token(&channel, trace);
        let extras = SubscriptionExtras {
            expire_at: token.expire_at,
            info: token.info,
            data: token.data,
            overrides: token.overrides,
            allow: token.allow,
            cache_recover: false,
            server_filter: token.server_filter,
        };
        let granted = if self.is_subscription_revoked(&channel, now) {
            Err(ErrorCode::TOKEN_EXPIRED.into())
        } else {
            self.granted(
                request,
                ticket,
                &namespace,
                Source::SubscriptionToken,
                extras,
                now,
            )
        };
        if granted.is_err() {
            self.forget_subscription_token(&channel);
        }
        granted
    }

    /// Stage C of channels-and-auth.md 3.2.
    fn granted(
        &mut self,
        mut request: message::SubscribeRequest,
        ticket: Ticket,
        namespace: &Namespace,
        source: Source,
        extras: SubscriptionExtras,
        now: Now,
    ) -> Result<(), Refusal> {
        let rules = self.context.rules.load();
        let mut wishes = Wishes {
            positioned: request.positioned,
            recoverable: request.recoverable,
            join_leave: request.join_leave,
            ..Wishes::default()
        };
        if wishes.any() {
            let capabilities = self.capabilities.as_deref();
            wishes.capable = rules.channels.readable(&request.channel, capabilities);
        }
        let grant = rules
            .channels
            .grant(namespace, source, &self.user, wishes, extras);
        if grant.is_expired(now.unix()) {
            return Err(ErrorCode::EXPIRED.into());
        }
        let filter = request
            .tf
            .take()
            .map(|node| self.tags_filter(&request.channel, &grant, node));
        let filter = filter.transpose()?;
        let channel: Arc<str> = request.channel.as_str().into();
        let attaching = self.prepare(channel.clone(), grant, namespace, Asked::by(&request, filter));
        let attach = self.attach_of(&attaching);
        let call = self.call(Call::Attach(vec![attach]));
        let subscribing = Subscribing {
            ticket: Some(ticket),
            request,
            attaching: Some(attaching),
            done: None,
        };
        let then = Continuation::Subscribe(Box::new(subscribing));
        self.expect(Pending {
            call,
            channel: Some(channel),
            then,
        });
        Ok(())
    }

    /// The server API subscribes this connection.
    pub(super) fn subscribe_by_api(
        &mut self,
        channel: Arc<str>,
        grant: SubscriptionGrant,
        since: Option<Since>,
        done: oneshot::Sender<()>,
    ) {
        let is_known = self.subscriptions.contains(&channel);
        if !is_known
            && self
                .context
                .settings
                .channel_limit
                .is_some_and(|limit| self.channels_in_use() >= limit)
        {
            return self.close(Disconnect::CHANNEL_LIMIT);
        }
        let rules = self.context.rules.load_full();
        // The API has looked the namespace up; a reload in between may have removed it.
        let Ok(namespace) = rules.channels.resolve(&channel) else {
            return;
        };
        if let Some((_, old)) = self.subscriptions.remove(&channel) {
            self.leave(channel.clone(), old);
        }
        let asked = Asked {
            since,
            ..Asked::default()
        };
        let attaching = self.prepare(channel.clone(), grant, namespace, asked);
        let attach = self.attach_of(&attaching);
        let call = self.call(Call::Attach(vec![attach]));
        let subscribing = Subscribing {
            ticket: None,
            request: message::SubscribeRequest::default(),
            attaching: Some(attaching),
            done: Some(done),
        };
        let then = Continuation::Subscribe(Box::new(subscribing));
        self.expect(Pending {
            call,
            channel: Some(channel),
            then,
        });
    }

    pub(super) fn resume_subscribe(
        &mut self,
        mut subscribing: Box<Subscribing>,
        answer: Answer,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(attaching) = subscribing.attaching.take() else {
            let (Answer::SubscribeToken(result), Some(ticket)) = (answer, subscribing.ticket) else {
                return Err(Disconnect::INTERNAL.into());
            };
            return self.subscribe_token_checked(subscribing.request, ticket, result, now);
        };
        let history = attached(answer)?.pop().flatten();
        let channel = attaching.channel.clone();
        if !self.is_covered(attaching.grant.source, &channel) {
            self.release_attached(vec![attaching]);
            return Err(ErrorCode::PERMISSION_DENIED.into());
        }
        if self.is_subscription_revoked(&channel, now) {
            self.release_attached(vec![attaching]);
            return Err(ErrorCode::TOKEN_EXPIRED.into());
        }
        let reject_unrecovered = subscribing.request.flag & REJECT_UNRECOVERED != 0;
        let result = self.establish(attaching, history, reject_unrecovered, now)?;
        match subscribing.ticket {
            Some(ticket) => {
                self.reply(
                    ticket,
                    message::Reply {
                        subscribe: Some(result),
                        ..message::Reply::default()
                    },
                    now,
                );
            }
            None => self.push_subscribe(&channel, result),
        }
        self.go_live(&channel, now);
        if let Some(done) = subscribing.done {
            // The API request may have been aborted.
            let _ = done.send(());
        }
        Ok(())
    }

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

    /// Refuses deltas of types that do not exist.
    pub(super) fn check_delta(&self, delta: &str) -> Result<(), Refusal> {
        if delta.is_empty() || delta == FOSSIL {
            return Ok(());
        }
        tracing::info!(
            client = %self.handle.client, user = %self.user, delta, "unknown delta type in subscribe request"
        );
        Err(Disconnect::BAD_REQUEST.into())
    }

    /// The filter that a client asked for.
    fn tags_filter(
        &self,
        channel: &str,
        grant: &SubscriptionGrant,
        node: message::FilterNode,
    ) -> Result<Filter, Refusal> {
        let (client, user) = (&self.handle.client, &self.user);
        if !grant.tags_filter {
            tracing::info!(%client, %user, channel, "tags filter not allowed");
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        Filter::new(node).map_err(|error| {
            tracing::info!(%client, %user, channel, %error, "invalid tags filter");
            ErrorCode::BAD_REQUEST.into()
        })
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

    pub(super) fn unsubscribe(
        &mut self,
        request: &message::UnsubscribeRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        if request.channel.is_empty() {
            tracing::info!(client = %self.handle.client, user = %self.user, "channel required for unsubscribe");
            return Err(Disconnect::BAD_REQUEST.into());
        }
        if let Some((channel, subscription)) = self.subscriptions.remove(&request.channel) {
            self.leave(channel, subscription);
        }
        let body = message::UnsubscribeResult::default();
        self.reply(
            ticket,
            message::Reply {
                unsubscribe: Some(body),
                ..message::Reply::default()
            },
            now,
        );
        Ok(())
    }

    /// Subscriptions established or under way.
    fn channels_in_use(&self) -> usize {
        let under_way = self
            .pending
            .iter()
            .filter(|pending| matches!(pending.then, Continuation::Subscribe(_)))
            .count();
        self.subscriptions.len() + under_way
    }
}

/// The histories of joined channels; an engine that failed ends the connection (protocol.md 3.4).
pub(super) fn attached(answer: Answer) -> Result<Vec<Option<History>>, Refusal> {
    match answer {
        Answer::Attached(Ok(histories)) => Ok(histories),
        Answer::Attached(Err(error)) => {
            tracing::error!(%error, "error subscribing on channel");
            Err(Disconnect::INTERNAL.into())
        }
        _ => Err(Disconnect::INTERNAL.into()),
    }
}

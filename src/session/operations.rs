//! Commands of a connected client other than connect and subscribe (protocol.md 3.5).

use std::sync::Arc;

use super::call::{Answer, Call};
use super::command::{Continuation, Pending, Refusal, Ticket};
use super::{Now, Session, ttl};
use crate::auth::{SubscribeToken, TokenError, Verification};
use crate::channels::{Denial, Namespace, Operations, PublishDecision, PublishQuery, ReadQuery};
use crate::engine::{ClientInfo, EngineError, HistoryQuery, PublishOptions, Retention, Since};
use crate::protocol::{self, Disconnect, ErrorCode, message};

/// `PublishRequest.type` of a regular publication.
const REGULAR: i32 = 0;
/// `PublishRequest.type` of a map publication or removal.
const MAP: i32 = 1;
/// `SubRefreshRequest.type`: a new token.
const TOKEN_REFRESH: i32 = 0;
/// `SubRefreshRequest.type`: keys of a shared poll channel to follow.
const TRACK: i32 = 1;
/// `SubRefreshRequest.type`: keys of a shared poll channel to follow no longer.
const UNTRACK: i32 = 2;

impl Session {
    pub(super) fn publish(
        &mut self,
        request: message::PublishRequest,
        ticket: Ticket,
    ) -> Result<(), Refusal> {
        let channel = request.channel.as_str();
        self.require_channel(channel, "publish")?;
        let rules = self.context.rules.load_full();
        let query = PublishQuery {
            channel,
            user: &self.user,
            subscription: self.allowed_in(channel),
            capabilities: self.capabilities.as_deref(),
            data: &request.data,
        };
        match request.r#type {
            REGULAR => {}
            MAP => return Err(self.refuse_map_publish(&request)),
            _ => return Err(ErrorCode::BAD_REQUEST.into()),
        }
        let decision = rules
            .channels
            .publish(query)
            .map_err(|denial| self.deny(channel, denial))?;
        let PublishDecision::Granted(namespace) = decision else {
            return Err(ErrorCode::NOT_AVAILABLE.into());
        };
        let options = PublishOptions {
            retention: retention(namespace),
            delta: namespace.delta_publish,
            ..PublishOptions::default()
        };
        let info = self.info_in(channel);
        let channel: Arc<str> = channel.into();
        let call = Call::Publish {
            channel: channel.clone(),
            data: request.data,
            info,
            options,
        };
        self.reply_with(ticket, Some(channel), call);
        Ok(())
    }

    /// There are no map namespaces in this version, so nothing permits this but an insecure server, which then
    /// finds no map (channels-and-auth.md 3.7).
    fn refuse_map_publish(&self, request: &message::PublishRequest) -> Refusal {
        let rules = self.context.rules.load();
        match rules.channels.check_name(&request.channel) {
            Err(denial) => self.deny(&request.channel, denial),
            Ok(()) if !rules.insecure => ErrorCode::PERMISSION_DENIED.into(),
            Ok(()) if request.key.is_empty() => ErrorCode::BAD_REQUEST.into(),
            Ok(()) => ErrorCode::INTERNAL.into(),
        }
    }

    pub(super) fn presence(
        &mut self,
        request: &message::PresenceRequest,
        ticket: Ticket,
    ) -> Result<(), Refusal> {
        let channel = self.readable_presence(&request.channel, "presence")?;
        self.reply_with(ticket, Some(channel.clone()), Call::Presence(channel));
        Ok(())
    }

    pub(super) fn presence_stats(
        &mut self,
        request: &message::PresenceStatsRequest,
        ticket: Ticket,
    ) -> Result<(), Refusal> {
        let channel = self.readable_presence(&request.channel, "presence stats")?;
        self.reply_with(ticket, Some(channel.clone()), Call::PresenceStats(channel));
        Ok(())
    }

    fn readable_presence(&self, channel: &str, what: &str) -> Result<Arc<str>, Refusal> {
        self.require_channel(channel, what)?;
        let rules = self.context.rules.load();
        rules
            .channels
            .presence(self.read_query(channel))
            .map_err(|denial| self.deny(channel, denial))?;
        Ok(channel.into())
    }

    pub(super) fn history(
        &mut self,
        request: message::HistoryRequest,
        ticket: Ticket,
    ) -> Result<(), Refusal> {
        let channel = request.channel.as_str();
        self.require_channel(channel, "history")?;
        let rules = self.context.rules.load_full();
        let namespace = rules
            .channels
            .history(self.read_query(channel))
            .map_err(|denial| self.deny(channel, denial))?;
        let max = self.context.settings.history_max_publications;
        // A negative limit asks for everything, which is the maximum for clients.
        let limit = usize::try_from(request.limit).map_or(max, |limit| limit.min(max));
        let since = request.since.map(|since| Since {
            offset: since.offset,
            epoch: since.epoch,
        });
        let query = HistoryQuery {
            limit: Some(limit),
            since,
            reverse: request.reverse,
            meta_ttl: namespace.history_meta_ttl,
        };
        let channel: Arc<str> = channel.into();
        self.reply_with(ticket, Some(channel.clone()), Call::History(channel, query));
        Ok(())
    }

    pub(super) fn rpc(
        &mut self,
        request: &message::RpcRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        let settings = &self.context.settings;
        if settings.rpc_ping.as_ref() == Some(&request.method) {
            let body = message::RpcResult::default();
            let reply = message::Reply {
                rpc: Some(body),
                ..message::Reply::default()
            };
            self.reply(ticket, reply, now);
            return Ok(());
        }
        let namespace = request
            .method
            .split_once(&settings.rpc_namespace_boundary)
            .map(|(namespace, _)| namespace);
        let is_foreign = namespace.is_some_and(|of| !settings.rpc_namespaces.iter().any(|known| known == of));
        if is_foreign || settings.rpc_ping.is_some() {
            return Err(ErrorCode::METHOD_NOT_FOUND.into());
        }
        Err(ErrorCode::NOT_AVAILABLE.into())
    }

    pub(super) fn sub_refresh(
        &mut self,
        request: &message::SubRefreshRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        let channel = request.channel.as_str();
        self.require_channel(channel, "sub refresh")?;
        let Some((channel, subscription)) = self.subscriptions.entry(channel) else {
            return Err(ErrorCode::PERMISSION_DENIED.into());
        };
        match request.r#type {
            TOKEN_REFRESH => {}
            // Keys are tracked in shared poll channels, and there are none in this version.
            TRACK | UNTRACK => return Err(ErrorCode::PERMISSION_DENIED.into()),
            _ => return Err(ErrorCode::BAD_REQUEST.into()),
        }
        if subscription.source.is_server_side() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        if request.token.is_empty() {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        let channel = channel.clone();
        let rules = self.context.rules.load_full();
        match rules
            .subscription_tokens
            .verify_subscribe(&request.token, now.unix())
        {
            Verification::Ready(result) => self.sub_refresh_token_checked(ticket, &channel, result, now),
            Verification::Pending(wait) => {
                let call = self.call(Call::Await(Box::pin(async {
                    Answer::SubscribeToken(wait.await)
                })));
                let then = Continuation::SubRefresh(ticket, channel.clone());
                self.expect(Pending {
                    call,
                    channel: Some(channel),
                    then,
                });
                Ok(())
            }
        }
    }

    pub(super) fn resume_sub_refresh(
        &mut self,
        ticket: Ticket,
        channel: &Arc<str>,
        answer: Answer,
        now: Now,
    ) -> Result<(), Refusal> {
        match answer {
            Answer::SubscribeToken(result) => self.sub_refresh_token_checked(ticket, channel, result, now),
            _ => Err(Disconnect::INTERNAL.into()),
        }
    }

    fn sub_refresh_token_checked(
        &mut self,
        ticket: Ticket,
        channel: &Arc<str>,
        result: Result<SubscribeToken, TokenError>,
        now: Now,
    ) -> Result<(), Refusal> {
        let token = result.map_err(|error| -> Refusal {
            match error {
                // The old expiry stays; the SDK comes back with a new token (protocol.md 3.4).
                TokenError::Expired => ErrorCode::TOKEN_EXPIRED_RETRY.into(),
                TokenError::Unavailable => ErrorCode::INTERNAL.into(),
                other => {
                    tracing::info!(client = %self.handle.client, user = %self.user, error = %other, "invalid subscription token");
                    Disconnect::INVALID_TOKEN.into()
                }
            }
        })?;
        let rules = self.context.rules.load();
        rules
            .channels
            .resolve(&token.channel)
            .map_err(|_| ErrorCode::UNKNOWN_CHANNEL)?;
        drop(rules);
        if let Err(mismatch) = token.check(channel, &self.user, &self.handle.client) {
            tracing::info!(client = %self.handle.client, user = %self.user, "{mismatch}");
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        if token.expire_at > 0 && token.expire_at <= now.unix() {
            return Err(ErrorCode::EXPIRED.into());
        }
        let trace = self.trace(token.token_id, token.issued_at);
        if self.has_revoked(&trace, Some(channel), now) {
            return Err(ErrorCode::TOKEN_EXPIRED_RETRY.into());
        }
        let Some(subscription) = self.subscriptions.get_mut(channel) else {
            return Err(ErrorCode::PERMISSION_DENIED.into());
        };
        subscription.expire_at = token.expire_at;
        subscription.subscriber.set_server_filter(token.server_filter);
        subscription.allow = token.allow;
        let mut info = ClientInfo::clone(&subscription.info);
        info.chan_info = token.info.unwrap_or_default();
        subscription.info = Arc::new(info);
        self.keep_subscription_token(channel, trace);
        let body = message::SubRefreshResult {
            expires: token.expire_at > 0,
            ttl: ttl(token.expire_at, now),
            items: Vec::new(),
        };
        self.reply(
            ticket,
            message::Reply {
                sub_refresh: Some(body),
                ..message::Reply::default()
            },
            now,
        );
        Ok(())
    }

    pub(super) fn resume_reply(&mut self, ticket: Ticket, answer: Answer, now: Now) -> Result<(), Refusal> {
        let mut body = message::Reply::default();
        match answer {
            Answer::Published(result) => {
                result.map_err(|error| self.engine_failed("publish", &error))?;
                body.publish = Some(message::PublishResult::default());
            }
            Answer::Presence(result) => {
                let entries = result.map_err(|error| self.engine_failed("presence", &error))?;
                let presence = entries
                    .iter()
                    .map(|(client, info)| (client.clone(), protocol::client_info_message(info)))
                    .collect();
                body.presence = Some(message::PresenceResult { presence });
            }
            Answer::PresenceStats(result) => {
                let stats = result.map_err(|error| self.engine_failed("presence stats", &error))?;
                body.presence_stats = Some(message::PresenceStatsResult {
                    num_clients: stats.clients,
                    num_users: stats.users,
                });
            }
            Answer::History(result) => {
                let history = result.map_err(|error| self.engine_failed("history", &error))?;
                body.history = Some(message::HistoryResult {
                    publications: history
                        .publications
                        .iter()
                        .map(|publication| protocol::publication_message(publication))
                        .collect(),
                    epoch: history.top.epoch.as_str().to_owned(),
                    offset: history.top.offset,
                });
            }
            _ => return Err(Disconnect::INTERNAL.into()),
        }
        self.reply(ticket, body, now);
        Ok(())
    }

    /// The error of a denied operation, with its line in the log.
    pub(super) fn deny(&self, channel: &str, denial: Denial) -> Refusal {
        let (client, user) = (&self.handle.client, &self.user);
        match denial {
            Denial::PrivateWithoutToken => tracing::warn!(%client, %user, channel, "{denial}"),
            _ => tracing::info!(%client, %user, channel, "{denial}"),
        }
        Refusal::Error(match denial.code() {
            102 => ErrorCode::UNKNOWN_CHANNEL,
            103 => ErrorCode::PERMISSION_DENIED,
            107 => ErrorCode::BAD_REQUEST,
            108 => ErrorCode::NOT_AVAILABLE,
            _ => ErrorCode::INTERNAL,
        })
    }

    fn engine_failed(&self, what: &'static str, error: &EngineError) -> Refusal {
        Refusal::Error(match error {
            EngineError::UnrecoverablePosition => ErrorCode::UNRECOVERABLE_POSITION,
            EngineError::InvalidSince | EngineError::BadChannel => ErrorCode::BAD_REQUEST,
            EngineError::NotAvailable => ErrorCode::NOT_AVAILABLE,
            EngineError::Unavailable(_) => {
                tracing::error!(client = %self.handle.client, user = %self.user, operation = what, %error, "engine error");
                ErrorCode::INTERNAL
            }
        })
    }

    fn require_channel(&self, channel: &str, what: &str) -> Result<(), Refusal> {
        if channel.is_empty() {
            tracing::info!(client = %self.handle.client, user = %self.user, "channel required for {what}");
            return Err(Disconnect::BAD_REQUEST.into());
        }
        Ok(())
    }

    fn read_query<'a>(&'a self, channel: &'a str) -> ReadQuery<'a> {
        ReadQuery {
            channel,
            user: &self.user,
            subscription: self.allowed_in(channel),
            capabilities: self.capabilities.as_deref(),
        }
    }

    /// What the subscription to a channel allows beside the namespace; `None` without one.
    fn allowed_in(&self, channel: &str) -> Option<Operations> {
        self.subscriptions
            .get(channel)
            .map(|subscription| subscription.allow)
    }

    /// The client as publisher: with its channel info if it is subscribed.
    fn info_in(&self, channel: &str) -> Arc<ClientInfo> {
        self.subscriptions.get(channel).map_or_else(
            || {
                Arc::new(ClientInfo {
                    user: self.user.clone(),
                    client: self.handle.client.clone(),
                    conn_info: self.conn_info.clone(),
                    chan_info: bytes::Bytes::new(),
                })
            },
            |subscription| subscription.info.clone(),
        )
    }

    fn reply_with(&mut self, ticket: Ticket, channel: Option<Arc<str>>, call: Call) {
        let call = self.call(call);
        self.expect(Pending {
            call,
            channel,
            then: Continuation::Reply(ticket),
        });
    }
}

/// How a namespace keeps publications; `None` without history.
pub(crate) fn retention(namespace: &Namespace) -> Option<Retention> {
    namespace.has_history().then_some(Retention {
        size: namespace.history_size,
        ttl: namespace.history_ttl,
        meta_ttl: namespace.history_meta_ttl,
    })
}

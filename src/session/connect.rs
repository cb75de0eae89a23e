//! The connect command (protocol.md 3.2, channels-and-auth.md 5) and the connection's refresh.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::attaching::{Asked, Attaching, attached};
use super::call::{Answer, Call};
use super::command::{Continuation, Pending, Refusal, Ticket};
use super::compaction;
use super::subscription::Subscription;
use super::{Now, Phase, Rules, Session, ttl};
use crate::auth::{ConnectToken, SubscribeOptions, TokenError, Verification};
use crate::channels::{Capabilities, Source, SubscriptionExtras, Wishes};
use crate::protocol::{Disconnect, ErrorCode, message};
use crate::telemetry::ClientLabel;

/// A connect command under way.
pub(super) struct Connecting {
    pub(super) ticket: Ticket,
    request: message::ConnectRequest,
    expire_at: i64,
    attaching: Vec<Attaching>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Token,
    Registering,
    Attaching,
}

impl Connecting {
    pub(super) fn into_attaching(self: Box<Self>) -> Vec<Attaching> {
        self.attaching
    }
}

/// Who the client turned out to be.
struct Credentials {
    user: String,
    info: Bytes,
    expire_at: i64,
    subs: BTreeMap<String, SubscribeOptions>,
    capabilities: Option<Box<Capabilities>>,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Token,
    Anonymous,
    Header,
}

impl Session {
    pub(super) fn connect(
        &mut self,
        request: message::ConnectRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        if self.phase != Phase::Fresh {
            tracing::info!(client = %self.handle.client, user = %self.user, "client already authenticated");
            return Err(Disconnect::BAD_REQUEST.into());
        }
        self.phase = Phase::Connecting;
        let rules = self.context.rules.load_full();
        let connecting = Connecting {
            ticket,
            request,
            expire_at: 0,
            attaching: Vec::new(),
            stage: Stage::Token,
        };
        if !connecting.request.token.is_empty() {
            return match rules.tokens.verify_connect(&connecting.request.token, now.unix()) {
                Verification::Ready(result) => self.connect_token_checked(connecting, result, now),
                Verification::Pending(wait) => {
                    let wait = Box::pin(async { Answer::ConnectToken(wait.await) });
                    self.connect_call(connecting, Call::Await(wait));
                    Ok(())
                }
            };
        }
        let mut credentials = Credentials {
            user: String::new(),
            info: Bytes::new(),
            expire_at: 0,
            subs: BTreeMap::new(),
            capabilities: None,
            origin: Origin::Anonymous,
        };
        if !rules.allow_anonymous_connect && !rules.insecure {
            match &self.opening.header_user {
                Some(user) => (credentials.user, credentials.origin) = (user.clone(), Origin::Header),
                None => {
                    tracing::info!(client = %self.handle.client, user = "", "client credentials not found");
                    return Err(Disconnect::BAD_REQUEST.into());
                }
            }
        }
        self.authenticated(connecting, credentials, now)
    }

    fn connect_token_checked(
        &mut self,
        connecting: Connecting,
        result: Result<ConnectToken, TokenError>,
        now: Now,
    ) -> Result<(), Refusal> {
        let mut token = result.map_err(|error| self.refuse_token(&error, ErrorCode::TOKEN_EXPIRED.into()))?;
        let trace = self.trace(token.token_id.take(), token.issued_at);
        self.keep_connection_token(trace);
        let rules = self.context.rules.load();
        check_channels(&rules, &token)?;
        if token.user.is_empty() && rules.disallow_anonymous_tokens {
            return Err(Disconnect::PERMISSION_DENIED.into());
        }
        let credentials = Credentials {
            user: token.user,
            info: token.info.unwrap_or_default(),
            // An insecure server lets tokens open connections but not end them.
            expire_at: if rules.insecure { 0 } else { token.expire_at },
            subs: token.subs,
            capabilities: token.capabilities,
            origin: Origin::Token,
        };
        drop(rules);
        self.authenticated(connecting, credentials, now)
    }

    /// Why a connection token is no good; only for an expired one connect and refresh differ.
    fn refuse_token(&self, error: &TokenError, expired: Refusal) -> Refusal {
        match error {
            TokenError::Expired => expired,
            TokenError::InternalInfo | TokenError::Unavailable => ErrorCode::INTERNAL.into(),
            TokenError::Invalid(reason) => {
                tracing::info!(
                    client = %self.handle.client, user = %self.user, error = %reason, "invalid connection token"
                );
                Disconnect::INVALID_TOKEN.into()
            }
        }
    }

    fn authenticated(
        &mut self,
        mut connecting: Connecting,
        credentials: Credentials,
        now: Now,
    ) -> Result<(), Refusal> {
        self.user = credentials.user;
        self.conn_info = credentials.info;
        self.capabilities = credentials.capabilities;
        connecting.expire_at = credentials.expire_at;
        tracing::debug!(client = %self.handle.client, user = %self.user, "client authenticated");
        self.check_revoked_connection(now)?;
        self.check_connect_limit(now)?;
        self.plan_subscriptions(&mut connecting, credentials.subs, credentials.origin)?;
        if self
            .context
            .settings
            .channel_limit
            .is_some_and(|limit| connecting.attaching.len() > limit)
        {
            return Err(Disconnect::CHANNEL_LIMIT.into());
        }
        let rules = self.context.rules.load();
        let single = rules
            .personal
            .as_ref()
            .filter(|personal| {
                personal.single_connection && !self.user.is_empty() && credentials.origin != Origin::Header
            })
            .map(|personal| {
                rules
                    .channels
                    .syntax()
                    .personal_channel(&personal.namespace, &self.user)
                    .into()
            });
        drop(rules);
        connecting.stage = Stage::Registering;
        let call = Call::Register {
            user: self.user.clone(),
            single,
        };
        self.connect_call(connecting, call);
        Ok(())
    }

    /// The server-side subscriptions of this connection (channels-and-auth.md 6).
    fn plan_subscriptions(
        &self,
        connecting: &mut Connecting,
        subs: BTreeMap<String, SubscribeOptions>,
        origin: Origin,
    ) -> Result<(), Refusal> {
        let rules = self.context.rules.load();
        let channels = &rules.channels;
        let mut planned = Vec::new();
        for (channel, options) in subs {
            let namespace = channels
                .resolve(&channel)
                .map_err(|_| ErrorCode::UNKNOWN_CHANNEL)?;
            let extras = SubscriptionExtras {
                info: options.info,
                data: options.data,
                overrides: options.overrides,
                server_filter: options.server_filter,
                ..SubscriptionExtras::default()
            };
            planned.push((channel, namespace, Source::ConnectionToken, extras));
        }
        if let Some(personal) = &rules.personal
            && !self.user.is_empty()
            && origin != Origin::Header
        {
            let channel = channels
                .syntax()
                .personal_channel(&personal.namespace, &self.user);
            let namespace = channels
                .resolve(&channel)
                .map_err(|_| ErrorCode::UNKNOWN_CHANNEL)?;
            planned.push((
                channel,
                namespace,
                Source::Personal,
                SubscriptionExtras::default(),
            ));
        }
        if origin != Origin::Header {
            for channel in connecting.request.subs.keys() {
                let permitted = channels
                    .connect_sub(channel, &self.user)
                    .map_err(|_| Disconnect::BAD_REQUEST)?;
                if let Some(namespace) = permitted {
                    let extras = SubscriptionExtras::default();
                    planned.push((channel.clone(), namespace, Source::ConnectCommand, extras));
                }
            }
        }
        for (channel, namespace, source, extras) in planned {
            if connecting
                .attaching
                .iter()
                .any(|known| *known.channel == *channel)
            {
                continue;
            }
            let asked = match connecting.request.subs.get(&channel) {
                Some(sub) => {
                    self.check_delta(&sub.delta)?;
                    // Filters are for subscriptions that the client makes.
                    Asked::by(sub, None)
                }
                None => Asked::default(),
            };
            let grant = channels.grant(namespace, source, &self.user, Wishes::default(), extras);
            connecting
                .attaching
                .push(self.prepare(channel.into(), grant, namespace, asked));
        }
        Ok(())
    }

    pub(super) fn resume_connect(
        &mut self,
        mut connecting: Box<Connecting>,
        answer: Answer,
        now: Now,
    ) -> Result<(), Refusal> {
        match (connecting.stage, answer) {
            (Stage::Token, Answer::ConnectToken(result)) => {
                self.connect_token_checked(*connecting, result, now)
            }
            (Stage::Registering, Answer::Registered(true)) => {
                // From now on the node tells this session of what is revoked.
                self.check_revoked_connection(now)?;
                if connecting.expire_at > 0 && connecting.expire_at <= now.unix() {
                    return Err(ErrorCode::EXPIRED.into());
                }
                if connecting.attaching.is_empty() {
                    return self.connected(*connecting, Vec::new(), now);
                }
                connecting.stage = Stage::Attaching;
                let attach = connecting
                    .attaching
                    .iter()
                    .map(|attaching| self.attach_of(attaching))
                    .collect();
                self.connect_call(*connecting, Call::Attach(attach));
                Ok(())
            }
            (Stage::Registering, Answer::Registered(false)) => {
                tracing::info!(client = %self.handle.client, user = %self.user, "limit of connections for user reached");
                Err(Disconnect::CONNECTION_LIMIT.into())
            }
            (Stage::Attaching, answer) => {
                let histories = attached(answer)?;
                self.connected(*connecting, histories, now)
            }
            _ => Err(Disconnect::INTERNAL.into()),
        }
    }

    fn connected(
        &mut self,
        connecting: Connecting,
        histories: Vec<Option<crate::engine::History>>,
        now: Now,
    ) -> Result<(), Refusal> {
        let Connecting {
            ticket,
            request,
            expire_at,
            attaching,
            ..
        } = connecting;
        let label = ClientLabel::new(&request.name, &request.version);
        self.context
            .metrics
            .connection_opened(self.handle.transport, label);
        self.counted = Some(label);
        self.reads_numbers = compaction::is_understood(self.handle.encoding, &request.name);
        let mut subs = BTreeMap::new();
        let mut channels: Vec<Arc<str>> = Vec::new();
        let mut attaching = attaching.into_iter();
        for (attached, history) in attaching.by_ref().zip(histories) {
            let channel = attached.channel.clone();
            match self.establish(attached, history, false, now) {
                Ok(result) => {
                    subs.insert(channel.to_string(), result);
                    channels.push(channel);
                }
                Err(refusal) => {
                    let rest = attaching.collect();
                    self.release_attached(rest);
                    return Err(refusal);
                }
            }
        }
        self.phase = Phase::Connected;
        self.set_expiry(expire_at, now);
        self.start_timers(now);
        let result = self.connect_result(subs, expire_at, now);
        self.reply(
            ticket,
            message::Reply {
                connect: Some(result),
                ..message::Reply::default()
            },
            now,
        );
        for channel in &channels {
            self.go_live(channel, now);
        }
        Ok(())
    }

    fn connect_result(
        &self,
        subs: BTreeMap<String, message::SubscribeResult>,
        expire_at: i64,
        now: Now,
    ) -> message::ConnectResult {
        let settings = &self.context.settings;
        let interval = settings.ping_interval.filter(|_| !self.opening.transport_pings);
        message::ConnectResult {
            client: self.handle.client.clone(),
            version: settings.version.clone(),
            expires: expire_at > 0,
            ttl: ttl(expire_at, now),
            data: Bytes::new(),
            subs,
            ping: interval.map_or(0, |interval| {
                u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)
            }),
            pong: interval.is_some() && settings.pong_timeout.is_some(),
            session: self.opening.session.clone().unwrap_or_default(),
            node: self
                .opening
                .session
                .as_ref()
                .map_or_else(String::new, |_| settings.node.clone()),
            time: if settings.include_server_time {
                now.unix_ms
            } else {
                0
            },
        }
    }

    fn connect_call(&mut self, connecting: Connecting, call: Call) {
        let call = self.call(call);
        self.expect(Pending {
            call,
            channel: None,
            then: Continuation::Connect(Box::new(connecting)),
        });
    }

    pub(super) fn refresh(
        &mut self,
        request: &message::RefreshRequest,
        ticket: Ticket,
        now: Now,
    ) -> Result<(), Refusal> {
        if request.token.is_empty() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let rules = self.context.rules.load_full();
        match rules.tokens.verify_connect(&request.token, now.unix()) {
            Verification::Ready(result) => self.refresh_token_checked(ticket, result, now),
            Verification::Pending(wait) => {
                let call = self.call(Call::Await(Box::pin(async { Answer::ConnectToken(wait.await) })));
                self.expect(Pending {
                    call,
                    channel: None,
                    then: Continuation::Refresh(ticket),
                });
                Ok(())
            }
        }
    }

    pub(super) fn resume_refresh(&mut self, ticket: Ticket, answer: Answer, now: Now) -> Result<(), Refusal> {
        match answer {
            Answer::ConnectToken(result) => self.refresh_token_checked(ticket, result, now),
            _ => Err(Disconnect::INTERNAL.into()),
        }
    }

    fn refresh_token_checked(
        &mut self,
        ticket: Ticket,
        result: Result<ConnectToken, TokenError>,
        now: Now,
    ) -> Result<(), Refusal> {
        let mut token = result.map_err(|error| self.refuse_token(&error, Disconnect::EXPIRED.into()))?;
        let rules = self.context.rules.load_full();
        check_channels(&rules, &token)?;
        if token.user != self.user {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        let trace = self.trace(token.token_id.take(), token.issued_at);
        if self.has_revoked(&trace, None, now) {
            return Err(Disconnect::STATE_INVALIDATED.into());
        }
        let expire_at = if rules.insecure { 0 } else { token.expire_at };
        if expire_at > 0 && expire_at <= now.unix() {
            return Err(ErrorCode::EXPIRED.into());
        }
        let lacks = self.subscriptions.iter().any(|(channel, subscription)| {
            subscription.source == Source::ConnectionToken && !token.subs.contains_key(&**channel)
        });
        let adds = token
            .subs
            .keys()
            .any(|channel| !self.subscriptions.contains(channel));
        if lacks || adds {
            return Err(Disconnect::INSUFFICIENT_STATE.into());
        }
        if let Some(info) = token.info.filter(|info| !info.is_empty()) {
            self.set_conn_info(info);
        }
        for (channel, options) in token.subs {
            let made_by_token = |of: &&Subscription| of.source == Source::ConnectionToken;
            if let Some(subscription) = self.subscriptions.get(&channel).filter(made_by_token) {
                subscription.subscriber.set_server_filter(options.server_filter);
            }
        }
        self.capabilities = token.capabilities;
        self.keep_connection_token(trace);
        self.set_expiry(expire_at, now);
        let body = message::RefreshResult {
            expires: expire_at > 0,
            ttl: ttl(expire_at, now),
            ..message::RefreshResult::default()
        };
        self.reply(
            ticket,
            message::Reply {
                refresh: Some(body),
                ..message::Reply::default()
            },
            now,
        );
        self.leave_uncovered();
        Ok(())
    }
}

/// The last step of a connection token's verification: what it subscribes to must have a namespace
/// (channels-and-auth.md 4.3).
fn check_channels(rules: &Rules, token: &ConnectToken) -> Result<(), ErrorCode> {
    let mut channels = token.subs.keys();
    if channels.all(|channel| rules.channels.resolve(channel).is_ok()) {
        Ok(())
    } else {
        Err(ErrorCode::UNKNOWN_CHANNEL)
    }
}

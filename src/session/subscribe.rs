//! Subscribing and unsubscribing, by the client and by the server API: the checks of protocol.md 3.4 in order. What
//! follows a grant is in `attaching`.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::attaching::{Asked, Attaching, attached};
use super::call::{Answer, Call};
use super::command::{Continuation, Pending, Refusal, Ticket};
use super::{Now, Session};
use crate::auth::{SubscribeToken, TokenError, Verification};
use crate::channels::{
    Namespace, Route, Source, SubscribeQuery, SubscriptionExtras, SubscriptionGrant, Wishes,
};
use crate::engine::Since;
use crate::protocol::{Disconnect, ErrorCode, message};
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
        let attaching = self.prepare(channel.clone(), grant, namespace, Asked::since(since));
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

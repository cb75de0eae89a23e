//! The tokens this session lives on, and what becomes of it when one is revoked (channels-and-auth.md 7.3; the
//! codes are argued in [`crate::revocation`]).

use std::sync::Arc;

use super::command::Refusal;
use super::{Now, Session};
use crate::protocol::{Disconnect, ErrorCode, Unsubscribe};
use crate::revocation::TokenTrace;

/// Traces of tokens. Made for a connection with the first token that leaves one.
#[derive(Default)]
pub(super) struct Traces {
    connection: TokenTrace,
    /// By channel, in no order; seldom more than a few.
    subscriptions: Vec<(Arc<str>, TokenTrace)>,
}

impl Session {
    /// What there is to keep of a token.
    pub(super) fn trace(&self, id: Option<String>, issued_at: Option<i64>) -> TokenTrace {
        let revocations = &self.context.guards.revocations;
        revocations.trace(id, issued_at, &self.handle)
    }

    /// Keeps the trace of the token that the connection is opened or refreshed with, in place of an earlier one.
    pub(super) fn keep_connection_token(&mut self, token: TokenTrace) {
        if !token.is_empty() || self.traces.is_some() {
            self.traces.get_or_insert_default().connection = token;
        }
    }

    /// Keeps the trace of the token of a subscription that is made or refreshed, in place of an earlier one.
    pub(super) fn keep_subscription_token(&mut self, channel: &Arc<str>, token: TokenTrace) {
        self.forget_subscription_token(channel);
        if !token.is_empty() {
            let traces = self.traces.get_or_insert_default();
            traces.subscriptions.push((channel.clone(), token));
        }
    }

    /// The subscription is over, or was not made after all.
    pub(super) fn forget_subscription_token(&mut self, channel: &str) {
        if let Some(traces) = &mut self.traces {
            traces.subscriptions.retain(|(of, _)| **of != *channel);
        }
    }

    /// Whether this connection may be opened by who wants to open it. Asked as soon as the user is known, and again
    /// once the node can tell this connection of what is revoked from then on.
    pub(super) fn check_revoked_connection(&self, now: Now) -> Result<(), Refusal> {
        let revocations = &self.context.guards.revocations;
        if revocations.is_blocked(&self.user, now.unix()) {
            tracing::info!(client = %self.handle.client, user = %self.user, "user is blocked");
            return Err(Disconnect::PERMISSION_DENIED.into());
        }
        if self.is_connection_revoked(now) {
            tracing::info!(client = %self.handle.client, user = %self.user, "connection token is revoked");
            return Err(ErrorCode::TOKEN_EXPIRED.into());
        }
        Ok(())
    }

    /// Whether the token of a subscription that is being made has been revoked.
    pub(super) fn is_subscription_revoked(&self, channel: &str, now: Now) -> bool {
        let subscriptions = self.traces.iter().flat_map(|traces| &traces.subscriptions);
        let mut tokens = subscriptions.filter(|(of, _)| **of == *channel);
        let is_revoked = tokens.any(|(channel, token)| self.has_revoked(token, Some(channel), now));
        if is_revoked {
            self.log_revoked_subscription(channel);
        }
        is_revoked
    }

    /// Whether a token is revoked that nothing was made of yet.
    pub(super) fn has_revoked(&self, token: &TokenTrace, channel: Option<&str>, now: Now) -> bool {
        let revocations = &self.context.guards.revocations;
        revocations.has_revoked(token, &self.user, channel, now.unix())
    }

    /// Something was revoked that may concern this session.
    pub(super) fn tokens_revoked(&mut self, now: Now) {
        if self.is_connection_revoked(now) {
            tracing::info!(client = %self.handle.client, user = %self.user, "connection token is revoked");
            return self.close(Disconnect::STATE_INVALIDATED);
        }
        let subscriptions = self.traces.iter().flat_map(|traces| &traces.subscriptions);
        let revoked: Vec<_> = subscriptions
            .filter(|(channel, token)| self.has_revoked(token, Some(channel), now))
            // One that is still being made is looked at once more before it is.
            .filter(|(channel, _)| self.subscriptions.contains(channel))
            .map(|(channel, _)| channel.clone())
            .collect();
        for channel in revoked {
            self.log_revoked_subscription(&channel);
            self.context
                .metrics
                .server_unsubscribe(Unsubscribe::STATE_INVALIDATED.code);
            self.unsubscribe_with_push(&channel, &Unsubscribe::STATE_INVALIDATED);
        }
    }

    fn is_connection_revoked(&self, now: Now) -> bool {
        let token = self.traces.as_ref().map(|traces| &traces.connection);
        token.is_some_and(|token| self.has_revoked(token, None, now))
    }

    fn log_revoked_subscription(&self, channel: &str) {
        tracing::info!(client = %self.handle.client, user = %self.user, channel, "subscription token is revoked");
    }
}

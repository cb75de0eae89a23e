//! How often this connection may do what (channels-and-auth.md 7.5): asks the limits, and acts on what they say.
//!
//! A command is looked at as it starts, before anything else of it is; a connect once the user is known. What the
//! limits remember is made with the first command that they concern.

use super::command::{Refusal, channel_of};
use super::{Now, Session};
use crate::limits::{Attempt, LimitLayer, Operation};
use crate::protocol::{Disconnect, ErrorCode, message};
use crate::telemetry::CommandKind;

impl Session {
    /// Asks for a command other than connect.
    pub(super) fn check_limits(
        &mut self,
        command: &message::Command,
        kind: CommandKind,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(operation) = operation_of(kind).filter(|_| self.context.guards.limits.is_some()) else {
            return Ok(());
        };
        let context = self.context.clone();
        let rules = context.rules.load();
        let name = match &command.rpc {
            Some(request) if operation == Operation::Rpc => request.method.as_str(),
            _ => channel_of(command)
                .and_then(|channel| rules.channels.resolve(channel).ok())
                .map_or("", |namespace| &namespace.name),
        };
        self.attempt(operation, name, kind, now)
    }

    /// Asks for the connect command, once the user is known.
    pub(super) fn check_connect_limit(&mut self, now: Now) -> Result<(), Refusal> {
        self.attempt(Operation::Connect, "", CommandKind::Connect, now)
    }

    /// Counts an error reply; too many of them end the connection.
    pub(super) fn check_error_limit(
        &mut self,
        error: ErrorCode,
        kind: CommandKind,
        now: Now,
    ) -> Result<(), Disconnect> {
        let Some(limits) = &self.context.guards.limits else {
            return Ok(());
        };
        // What fails inside is not the client's fault.
        if error.code == ErrorCode::INTERNAL.code {
            return Ok(());
        }
        let tokens = self.tokens.get_or_insert_default();
        limits.error(tokens, now.instant).map_err(|_| {
            self.context.metrics.over_limit(LimitLayer::ClientError, kind);
            Disconnect::TOO_MANY_ERRORS
        })
    }

    fn attempt(
        &mut self,
        operation: Operation,
        name: &str,
        kind: CommandKind,
        now: Now,
    ) -> Result<(), Refusal> {
        let Some(limits) = &self.context.guards.limits else {
            return Ok(());
        };
        let attempt = Attempt {
            operation,
            name,
            user: &self.user,
        };
        let tokens = self.tokens.get_or_insert_default();
        match limits.attempt(tokens, attempt, now.instant) {
            Ok(()) => Ok(()),
            Err(over) => {
                self.context.metrics.over_limit(over.layer, kind);
                tracing::debug!(
                    client = %self.handle.client, user = %self.user, command = kind.name(), limit = over.layer.name(),
                    "operation rate limit reached"
                );
                if over.refused {
                    Err(ErrorCode::TOO_MANY_REQUESTS.into())
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// `None` for what is not limited: connect is asked for elsewhere, and nothing handles the rest.
fn operation_of(kind: CommandKind) -> Option<Operation> {
    Some(match kind {
        CommandKind::Subscribe => Operation::Subscribe,
        CommandKind::Unsubscribe => Operation::Unsubscribe,
        CommandKind::Publish => Operation::Publish,
        CommandKind::Presence => Operation::Presence,
        CommandKind::PresenceStats => Operation::PresenceStats,
        CommandKind::History => Operation::History,
        CommandKind::Rpc => Operation::Rpc,
        CommandKind::Refresh => Operation::Refresh,
        CommandKind::SubRefresh => Operation::SubRefresh,
        CommandKind::Connect | CommandKind::Send | CommandKind::Unknown => return None,
    })
}

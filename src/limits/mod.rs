//! How often who may do what: limits on the commands of connections and users, and on the errors of connections
//! (channels-and-auth.md 7.5).
//!
//! A limit is a set of token buckets that must all have a token. A command is looked at by the layers in order,
//! first the connection's limits, then the user's on this node; in a layer first by the limit of the command (that
//! of its namespace or method, if there is one, in place of it), then by that of all commands together.
//!
//! What is refused costs nothing: a command takes its tokens, from all buckets of all layers, only once none of
//! them objects. So a client that is refused by one limit does not use up another one by trying on, and the order
//! of layers shows in nothing but which limit a refusal is counted for.
//!
//! Unsubscribe is the exception: it takes what tokens there are and is never refused. An SDK answers an error to
//! it by connecting anew, which costs more than what was refused.
//!
//! Nothing here reads a clock. What a limit remembers is at most a number per bucket, and nothing at all for a
//! bucket that is full: an idle connection or user costs no memory ([`bucket`]).
//!
//! Not a crate such as `governor`: its limiters take a token as they look, each for itself, so several that must
//! agree cannot be asked without some of them paying for the refusal of another.

mod bucket;
mod layer;
#[cfg(test)]
mod tests;
mod users;

use std::time::Instant;

use crate::config::RateLimit;
use bucket::{Limit, Tokens};
use layer::Layer;
pub use layer::Operation;
use users::Users;

/// All limits of a server.
pub struct OperationLimits {
    /// What the times in [`Tokens`] count from.
    origin: Instant,
    client: Option<Layer>,
    user: Option<(Layer, Users)>,
    errors: Option<Limit>,
}

/// What the limits remember of one connection.
#[derive(Debug, Default)]
pub struct ConnectionTokens {
    commands: Tokens,
    errors: Tokens,
}

/// A command was refused, or would have been but for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitLayer {
    /// By the limits of the connection.
    ClientCommand,
    /// By the limits of the user.
    UserCommand,
    /// The connection caused too many errors.
    ClientError,
}

impl LimitLayer {
    /// The option's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientCommand => "client_command",
            Self::UserCommand => "user_command",
            Self::ClientError => "client_error",
        }
    }
}

/// Why a command is above its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Which limit objects.
    pub layer: LimitLayer,
    /// Whether the command is to be refused for it.
    pub refused: bool,
}

/// Who does what.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What is done.
    pub operation: Operation,
    /// Namespace of the channel, or name of the method; empty for neither.
    pub name: &'a str,
    /// The authenticated user; empty for anonymous, who has no limits as a user.
    pub user: &'a str,
}

impl OperationLimits {
    /// The limits that `client.rate_limit` describes; `None` if it describes none.
    #[must_use]
    pub fn from_config(options: &RateLimit, now: Instant) -> Option<Self> {
        let client = &options.client_command;
        let client = client
            .enabled
            .then(|| Layer::new(&client.options.commands(), &client.options));
        let user = &options.user_command;
        let user = user
            .enabled
            .then(|| Layer::new(&user.options.commands(), &user.options.commands));
        let total = &options.client_error.options.total;
        let errors = (options.client_error.enabled && total.enabled && !total.buckets.is_empty())
            .then(|| Limit::new(&total.buckets, &mut 0));
        if client.is_none() && user.is_none() && errors.is_none() {
            return None;
        }
        Some(Self {
            origin: now,
            client,
            user: user.map(|layer| (layer, Users::default())),
            errors,
        })
    }

    /// Asks for a command.
    ///
    /// # Errors
    /// Which limit objects. Nothing was taken, unless the command is not to be refused.
    pub fn attempt(
        &self,
        tokens: &mut ConnectionTokens,
        attempt: Attempt<'_>,
        now: Instant,
    ) -> Result<(), OverLimit> {
        let now = self.time(now);
        let Attempt {
            operation,
            name,
            user,
        } = attempt;
        let client = self.client.as_ref().map(|layer| layer.limits(operation, name));
        let user = self
            .user
            .as_ref()
            .filter(|_| !user.is_empty())
            .map(|(layer, users)| (layer.limits(operation, name), users, user));
        let client_agrees = client.is_none_or(|limits| tokens.commands.suffice(&limits, now));
        if operation.is_refusable() {
            if !client_agrees {
                return Err(OverLimit::new(LimitLayer::ClientCommand, true));
            }
            if let Some((limits, users, user)) = user
                && !users.take(user, &limits, now)
            {
                return Err(OverLimit::new(LimitLayer::UserCommand, true));
            }
            if let Some(limits) = client {
                tokens.commands.take(&limits, now);
            }
            return Ok(());
        }
        if let Some(limits) = client {
            tokens.commands.take_what_is_there(&limits, now);
        }
        let user_agrees =
            user.is_none_or(|(limits, users, user)| users.take_what_is_there(user, &limits, now));
        match (client_agrees, user_agrees) {
            (true, true) => Ok(()),
            (false, _) => Err(OverLimit::new(LimitLayer::ClientCommand, false)),
            (true, false) => Err(OverLimit::new(LimitLayer::UserCommand, false)),
        }
    }

    /// Counts an error that a connection caused.
    ///
    /// # Errors
    /// There were too many.
    pub fn error(&self, tokens: &mut ConnectionTokens, now: Instant) -> Result<(), OverLimit> {
        let now = self.time(now);
        let Some(limit) = &self.errors else { return Ok(()) };
        if !tokens.errors.suffice(&[Some(limit), None], now) {
            return Err(OverLimit::new(LimitLayer::ClientError, true));
        }
        tokens.errors.take(&[Some(limit), None], now);
        Ok(())
    }

    /// Forgets users whose buckets are full again.
    pub fn sweep(&self, now: Instant) {
        if let Some((_, users)) = &self.user {
            users.sweep(self.time(now));
        }
    }

    /// Nanoseconds since the limits were made.
    fn time(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl OverLimit {
    fn new(layer: LimitLayer, refused: bool) -> Self {
        Self { layer, refused }
    }
}

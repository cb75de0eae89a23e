//! Who may do what: the decision procedures of channels-and-auth.md 3.2 to 3.6 and 6.

use std::fmt;
use std::sync::Arc;

use super::capability::{Capabilities, Operations};
use super::grant::Source;
use super::options::{Access, Namespace, SubscriptionType};
use super::rules::{ChannelRules, UnknownNamespace};

/// A subscribe command, as far as authorization depends on it.
#[derive(Clone, Copy, Debug)]
pub struct SubscribeQuery<'a> {
    /// The requested channel, not empty.
    pub channel: &'a str,
    /// The connection's user, empty if anonymous.
    pub user: &'a str,
    /// Whether the command carries a token.
    pub has_token: bool,
    /// `type` of the command.
    pub subscription_type: i32,
    /// The connection's capabilities.
    pub capabilities: Option<&'a Capabilities>,
}

/// A subscription that is not refused, yet.
#[derive(Clone, Debug)]
pub struct SubscribeDecision<'r> {
    /// The options that apply.
    pub namespace: &'r Arc<Namespace>,
    /// What is to be done.
    pub route: Route<'r>,
}

/// Who decides about a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'r> {
    /// The token alone, with [`Source::SubscriptionToken`].
    Token,
    /// The subscribe proxy of this name.
    Proxy(&'r str),
    /// The subscribe stream proxy of this name.
    StreamProxy(&'r str),
    /// Granted already.
    Granted(Source),
}

/// A publish command, as far as its permission depends on it.
#[derive(Clone, Copy, Debug)]
pub struct PublishQuery<'a> {
    /// The channel, not empty.
    pub channel: &'a str,
    /// The connection's user, empty if anonymous.
    pub user: &'a str,
    /// What this connection's live subscription to the exact channel allows beside the namespace; `None` without
    /// one.
    pub subscription: Option<Operations>,
    /// The connection's capabilities.
    pub capabilities: Option<&'a Capabilities>,
    /// What is to be published.
    pub data: &'a [u8],
}

/// A publication that is not refused, yet.
#[derive(Clone, Copy, Debug)]
pub enum PublishDecision<'r> {
    /// The publish proxy of this name decides alone.
    Proxy(&'r Arc<Namespace>, &'r str),
    /// The data goes into the subscription's proxy stream; without an open stream the answer is
    /// [`Denial::NotAvailable`].
    Stream(&'r Arc<Namespace>),
    /// Granted.
    Granted(&'r Arc<Namespace>),
}

/// A presence, presence stats or history command, as far as its permission depends on it.
#[derive(Clone, Copy, Debug)]
pub struct ReadQuery<'a> {
    /// The channel, not empty.
    pub channel: &'a str,
    /// The connection's user, empty if anonymous.
    pub user: &'a str,
    /// What this connection's live subscription to the exact channel allows beside the namespace; `None` without
    /// one.
    pub subscription: Option<Operations>,
    /// The connection's capabilities.
    pub capabilities: Option<&'a Capabilities>,
}

/// Why something is refused. The text is for the log; clients are told [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    /// The name's namespace is not configured.
    #[error("unknown channel")]
    UnknownNamespace,
    /// The name is not ASCII, or does not match `channel_regex`.
    #[error("invalid channel name")]
    InvalidName,
    /// The name exceeds `channel.max_length`.
    #[error("channel too long")]
    NameTooLong,
    /// A shared poll channel was asked for with another `type`.
    #[error("invalid subscription type")]
    InvalidType,
    /// A shared poll subscription to another channel.
    #[error("channel is not a shared poll channel")]
    NotSharedPoll,
    /// The namespace is of another subscription type, or the command's `type` is none that exists.
    #[error("subscription type mismatch")]
    TypeMismatch,
    /// A private channel, and no token.
    #[error("attempt to subscribe on private channel without token")]
    PrivateWithoutToken,
    /// No rule grants it.
    #[error("attempt to {0} without sufficient permission")]
    NotPermitted(Operation),
    /// The data is not in the namespace's `publication_data_format`.
    #[error("invalid publication data format")]
    DataFormat,
    /// The namespace keeps no presence or history, or its proxy stream takes no publications.
    #[error("not available in channel")]
    NotAvailable,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `subscribe`
    Subscribe,
    /// `publish`
    Publish,
    /// `presence` or `presence_stats`
    Presence,
    /// `history`
    History,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
            Self::Presence => "call presence",
            Self::History => "call history",
        })
    }
}

impl Denial {
    /// Code of the error reply.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::UnknownNamespace => 102,
            Self::TypeMismatch | Self::PrivateWithoutToken | Self::NotPermitted(_) => 103,
            Self::InvalidName | Self::NameTooLong | Self::InvalidType | Self::DataFormat => 107,
            Self::NotSharedPoll | Self::NotAvailable => 108,
        }
    }
}

impl From<UnknownNamespace> for Denial {
    fn from(_: UnknownNamespace) -> Self {
        Self::UnknownNamespace
    }
}

impl ChannelRules {
    /// Stage A, step 2 of a subscribe command: shared poll channels and types belong together. The next steps
    /// of stage A look at the command and the connection, and at [`check_length`](Self::check_length).
    ///
    /// # Errors
    ///
    /// [`Denial::InvalidType`] or [`Denial::NotSharedPoll`].
    pub fn check_type(&self, channel: &str, subscription_type: i32) -> Result<(), Denial> {
        let wants_poll = subscription_type == SubscriptionType::SharedPoll.number();
        let is_poll = self
            .resolve(channel)
            .is_ok_and(|of| of.subscription_type == SubscriptionType::SharedPoll);
        match (is_poll, wants_poll) {
            (true, false) => Err(Denial::InvalidType),
            (false, true) => Err(Denial::NotSharedPoll),
            _ => Ok(()),
        }
    }

    /// Stage A, step 4 of a subscribe command: the name's length in bytes.
    ///
    /// # Errors
    ///
    /// [`Denial::NameTooLong`].
    pub fn check_length(&self, channel: &str) -> Result<(), Denial> {
        match self.max_length() {
            Some(max) if channel.len() > max => Err(Denial::NameTooLong),
            _ => Ok(()),
        }
    }

    /// Stage B of a subscribe command, steps 7 to 17.
    ///
    /// # Errors
    ///
    /// Why nobody needs to be asked.
    pub fn subscribe(&self, query: SubscribeQuery<'_>) -> Result<SubscribeDecision<'_>, Denial> {
        let SubscribeQuery {
            channel,
            has_token,
            subscription_type,
            ..
        } = query;
        let namespace = self.checked(channel)?;
        if subscription_type != namespace.subscription_type.number() {
            return Err(Denial::TypeMismatch);
        }
        if !has_token && self.is_private(channel) {
            return Err(Denial::PrivateWithoutToken);
        }
        let route = if has_token {
            Some(Route::Token)
        } else {
            self.route(namespace, query)
        };
        let route = route.ok_or(Denial::NotPermitted(Operation::Subscribe))?;
        Ok(SubscribeDecision { namespace, route })
    }

    /// Steps 12 to 17, with the connection's capabilities between 14 and 15 (3.9).
    fn route<'r>(&self, namespace: &'r Namespace, query: SubscribeQuery<'_>) -> Option<Route<'r>> {
        let SubscribeQuery { channel, user, .. } = query;
        let insecure = || self.insecure().then_some(Route::Granted(Source::Insecure));
        let is_capable = || self.is_capable(query.capabilities, Operation::Subscribe, channel);
        let capability = || is_capable().then_some(Route::Granted(Source::ConnectionCapability));
        if let Some(users) = self.user_list(namespace, channel) {
            // The name itself says who may enter: proxies and general permissions have no say.
            let listed = self.syntax().lists_user(users, user);
            let listed = listed.then_some(Route::Granted(Source::UserLimited));
            return listed.or_else(capability).or_else(insecure);
        }
        if let Some(proxy) = &namespace.subscribe_proxy {
            return Some(Route::Proxy(proxy));
        }
        if let Some(proxy) = &namespace.subscribe_stream_proxy {
            return Some(Route::StreamProxy(&proxy.name));
        }
        let admitted = || namespace.subscribe_access.admits(user, false);
        let allowed = || admitted().then_some(Route::Granted(Source::ClientAllowed));
        capability().or_else(allowed).or_else(insecure)
    }

    /// Whether a key of the connect command's `subs` is granted (section 6). `None` is skipped silently. Only to
    /// be asked if the credentials came from a token, or if the user is anonymous without one.
    ///
    /// # Errors
    ///
    /// The namespace is unknown; the client is disconnected with 3501.
    pub fn connect_sub(
        &self,
        channel: &str,
        user: &str,
    ) -> Result<Option<&Arc<Namespace>>, UnknownNamespace> {
        let (namespace, rest) = self.lookup(channel)?;
        if namespace.subscribe_proxy.is_some()
            || self.is_private(channel)
            || !namespace.accepts_name(rest, channel)
        {
            return Ok(None);
        }
        let granted = self.insecure()
            || match self.user_list(namespace, channel) {
                Some(users) => self.syntax().lists_user(users, user),
                None => namespace.subscribe_access.admits(user, false),
            };
        Ok(granted.then_some(namespace))
    }

    /// A publish command (3.4, steps 2 to 10).
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn publish(&self, query: PublishQuery<'_>) -> Result<PublishDecision<'_>, Denial> {
        let PublishQuery {
            channel,
            user,
            data,
            subscription,
            capabilities,
        } = query;
        let namespace = self.checked(channel)?;
        if !namespace.data_format.accepts(data) {
            return Err(Denial::DataFormat);
        }
        if let Some(proxy) = &namespace.publish_proxy {
            return Ok(PublishDecision::Proxy(namespace, proxy));
        }
        match &namespace.subscribe_stream_proxy {
            Some(proxy) if proxy.bidirectional => return Ok(PublishDecision::Stream(namespace)),
            Some(_) => return Err(Denial::NotAvailable),
            None => {}
        }
        let asker = ReadQuery {
            channel,
            user,
            subscription,
            capabilities,
        };
        self.permit(Operation::Publish, namespace.publish_access, asker)
            .map(|()| PublishDecision::Granted(namespace))
    }

    /// A presence or presence stats command (3.5, steps 2 to 8).
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn presence(&self, query: ReadQuery<'_>) -> Result<&Arc<Namespace>, Denial> {
        let namespace = self.checked(query.channel)?;
        if !namespace.presence {
            return Err(Denial::NotAvailable);
        }
        self.permit(Operation::Presence, namespace.presence_access, query)
            .map(|()| namespace)
    }

    /// A history command (3.6), before its position and limit are looked at.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn history(&self, query: ReadQuery<'_>) -> Result<&Arc<Namespace>, Denial> {
        let namespace = self.checked(query.channel)?;
        if !namespace.has_history() {
            return Err(Denial::NotAvailable);
        }
        self.permit(Operation::History, namespace.history_access, query)
            .map(|()| namespace)
    }

    /// What the connection's capabilities allow in a channel of the operations that a wish can depend on.
    #[must_use]
    pub fn readable(&self, channel: &str, capabilities: Option<&Capabilities>) -> Operations {
        [Operation::History, Operation::Presence]
            .into_iter()
            .filter(|operation| self.is_capable(capabilities, *operation, channel))
            .fold(Operations::default(), Operations::with)
    }

    /// Whether capabilities allow an operation in a channel. Names and subscription types have been checked by
    /// then, or were when the question came up first.
    #[must_use]
    pub fn is_capable(
        &self,
        capabilities: Option<&Capabilities>,
        operation: Operation,
        channel: &str,
    ) -> bool {
        capabilities.is_some_and(|of| of.allow(operation, channel, self.expressions()))
    }

    /// The last steps of every operation but subscribing: the namespace's options, then the connection's
    /// capabilities, then the subscription's, then `client.insecure` (3.4 to 3.6 and 3.9).
    fn permit(&self, operation: Operation, access: Access, query: ReadQuery<'_>) -> Result<(), Denial> {
        let ReadQuery {
            channel,
            user,
            subscription,
            capabilities,
        } = query;
        let granted = access.admits(user, subscription.is_some())
            || self.is_capable(capabilities, operation, channel)
            || subscription.is_some_and(|allowed| allowed.contains(operation))
            || self.insecure();
        if granted {
            Ok(())
        } else {
            Err(Denial::NotPermitted(operation))
        }
    }

    /// Whether a channel's namespace exists and admits its name.
    ///
    /// # Errors
    /// The [`Denial`] to answer with.
    pub fn check_name(&self, channel: &str) -> Result<(), Denial> {
        self.checked(channel).map(|_| ())
    }

    /// The namespace of a channel whose name is good.
    fn checked(&self, channel: &str) -> Result<&Arc<Namespace>, Denial> {
        let (namespace, rest) = self.lookup(channel)?;
        if namespace.accepts_name(rest, channel) {
            Ok(namespace)
        } else {
            Err(Denial::InvalidName)
        }
    }

    fn is_private(&self, channel: &str) -> bool {
        self.syntax().parse(channel).is_private
    }

    /// The list of allowed users, if the namespace has such lists and the name one.
    fn user_list<'a>(&self, namespace: &Namespace, channel: &'a str) -> Option<&'a str> {
        if namespace.user_limited {
            self.syntax().user_list(channel)
        } else {
            None
        }
    }
}

//! `client.rate_limit`: how often clients may do what.

use std::time::Duration;

use super::super::definition::{Described, Field, Kind, Object, Resolve, Section, Status, section};
use super::super::error::Problem;
use super::super::types::Switched;
use super::super::value::Node;
use super::redis;

section! {
    /// Limits on how often clients may do what. A command above its limit is answered with error 111, which is
    /// temporary, and costs nothing: it takes no token from any bucket.
    pub struct RateLimit {
        /// Limits of each connection.
        client_command: Switched<CommandLimits>;
        /// Limits of each user on this node, all of its connections together. Anonymous users have none. Looked at
        /// after those of the connection.
        user_command: Switched<UserCommandLimits>;
        /// How many errors a connection may cause before it is disconnected (3509). Internal errors do not count.
        client_error: Switched<ErrorLimits>;
    }
    unsupported {
        /// Limits of each user in the whole cluster, kept in Redis.
        redis_user_command: RedisUserCommand;
    }
}

section! {
    /// Limits by command.
    pub struct CommandLimits {
        /// All commands together; looked at last. A connect of a connection is not counted.
        total: Limit;
        /// Limit of each command that has none of its own. Each of them has its own tokens: for the sum there is
        /// `total`.
        default: Limit;
        /// Limit of subscribe commands.
        subscribe: ChannelLimit;
        /// Limit of unsubscribe commands. They take tokens but are never refused: an SDK answers such an error by
        /// connecting anew, which costs more than the command.
        unsubscribe: ChannelLimit;
        /// Limit of publish commands.
        publish: ChannelLimit;
        /// Limit of history commands.
        history: ChannelLimit;
        /// Limit of presence commands.
        presence: ChannelLimit;
        /// Limit of presence_stats commands.
        presence_stats: ChannelLimit;
        /// Limit of sub_refresh commands.
        sub_refresh: ChannelLimit;
        /// Limit of refresh commands.
        refresh: Limit;
        /// Limit of rpc commands.
        rpc: RpcLimit;
    }
    unsupported {
        /// Limit of publications into maps.
        map_publish: ChannelLimit;
        /// Limit of removals from maps.
        map_remove: ChannelLimit;
        /// Limit of track requests.
        track: ChannelLimit;
        /// Limit of untrack requests.
        untrack: ChannelLimit;
    }
}

/// Limits by command for users, who also connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCommandLimits {
    /// Limit of connect commands.
    pub connect: Limit,
    /// Limits of all other commands.
    pub commands: CommandLimits,
}

impl Object for UserCommandLimits {
    const SECTION: &'static Section = &Section {
        name: "UserCommandLimits",
        doc: CommandLimits::SECTION.doc,
        fields: &[Field {
            name: "connect",
            kind: <Limit as Described>::KIND,
            default: "",
            doc: "Limit of connect commands.",
            status: Status::Supported,
        }],
        rest: Some(CommandLimits::SECTION),
    };
}

impl Described for UserCommandLimits {
    const KIND: Kind = Kind::Object(Self::SECTION);
}

impl Resolve for UserCommandLimits {
    fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self {
        Self {
            connect: Limit::resolve(node.and_then(|node| node.get("connect")), problems),
            commands: CommandLimits::resolve(node, problems),
        }
    }
}

section! {
    /// Limits of errors.
    pub struct ErrorLimits {
        /// All errors together.
        total: Limit;
    }
}

section! {
    /// A token bucket.
    pub struct Bucket {
        /// Time in which an empty bucket is full again. Between one second and one hour.
        interval: Duration;
        /// Tokens that a full bucket holds. At least 1. A command takes one.
        rate: usize;
    }
}

section! {
    /// Limit of a command.
    pub struct Limit {
        /// Whether the limit counts. If not, it is as if it were not there.
        enabled: bool;
        /// Token buckets that must all have a token. Empty for those of `default`.
        buckets: Vec<Bucket>;
    }
}

section! {
    /// Limit of a command that names a channel.
    pub struct ChannelLimit {
        /// Whether the limit counts. If not, it is as if it were not there.
        enabled: bool;
        /// Token buckets that must all have a token. Empty for those of `default`.
        buckets: Vec<Bucket>;
        /// Limits that take the place of this one in the channels of a namespace.
        namespace_overrides: Vec<NamespaceLimit>;
    }
}

section! {
    /// Limit of a command in the channels of a namespace.
    pub struct NamespaceLimit {
        /// Name of the namespace.
        namespace_name: String;
        /// Whether the limit counts. If not, it is as if it were not there.
        enabled: bool;
        /// Token buckets that must all have a token. Empty for those of `default`.
        buckets: Vec<Bucket>;
    }
}

section! {
    /// Limit of rpc commands.
    pub struct RpcLimit {
        /// Whether the limit counts. If not, it is as if it were not there.
        enabled: bool;
        /// Token buckets that must all have a token. Empty for those of `default`.
        buckets: Vec<Bucket>;
        /// Limits that take the place of this one for calls of a method.
        method_overrides: Vec<MethodLimit>;
    }
    refused {
        /// The form that `method_overrides` had before: an object by method.
        method_override: Vec<MethodLimit>;
    }
}

section! {
    /// Limit of calls of a method.
    pub struct MethodLimit {
        /// Name of the method.
        method: String;
        /// Whether the limit counts. If not, it is as if it were not there.
        enabled: bool;
        /// Token buckets that must all have a token. Empty for those of `default`.
        buckets: Vec<Bucket>;
    }
}

section! {
    /// Limits that this version cannot keep: to ignore them would leave a cluster without the limits it counts on.
    pub(crate) struct RedisUserCommand: UserCommandLimits {}
    unsupported {
        /// Redis.
        redis: LimitRedis;
    }
    refused {
        /// Whether the limits count.
        enabled: bool;
    }
}

section! {
    /// Redis for limits.
    pub(crate) struct LimitRedis: redis::RedisWith<redis::EngineRedis> {}
    unsupported {
        /// Use that of the engine.
        reuse_from_engine: bool;
    }
}

/// One limit, wherever it stands.
#[derive(Clone, Copy, Debug)]
pub struct LimitOptions<'a> {
    /// Whether it counts.
    pub enabled: bool,
    /// Its buckets.
    pub buckets: &'a [Bucket],
}

/// A command's limit, with what takes its place where.
#[derive(Clone, Debug)]
pub struct CommandLimit<'a> {
    /// Name of the option, which is that of the command.
    pub name: &'static str,
    /// The limit itself.
    pub base: LimitOptions<'a>,
    /// Name of the list of overrides, and of the option in it that says where an override counts.
    pub list: [&'static str; 2],
    /// Overrides by namespace or method.
    pub overrides: Vec<(&'a str, LimitOptions<'a>)>,
}

macro_rules! options {
    ($($limit:ty),*) => {$(
        impl $limit {
            /// The limit without what surrounds it.
            #[must_use]
            pub fn options(&self) -> LimitOptions<'_> {
                LimitOptions {
                    enabled: self.enabled,
                    buckets: &self.buckets,
                }
            }
        }
    )*};
}

options!(Limit, ChannelLimit, NamespaceLimit, RpcLimit, MethodLimit);

impl CommandLimits {
    /// The limits of all commands, in no particular order.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandLimit<'_>> {
        let channels = [
            ("subscribe", &self.subscribe),
            ("unsubscribe", &self.unsubscribe),
            ("publish", &self.publish),
            ("history", &self.history),
            ("presence", &self.presence),
            ("presence_stats", &self.presence_stats),
            ("sub_refresh", &self.sub_refresh),
        ];
        let in_channels = channels.into_iter().map(|(name, limit)| CommandLimit {
            name,
            base: limit.options(),
            list: ["namespace_overrides", "namespace_name"],
            overrides: limit
                .namespace_overrides
                .iter()
                .map(|of| (of.namespace_name.as_str(), of.options()))
                .collect(),
        });
        let rpc = CommandLimit {
            name: "rpc",
            base: self.rpc.options(),
            list: ["method_overrides", "method"],
            overrides: self
                .rpc
                .method_overrides
                .iter()
                .map(|of| (of.method.as_str(), of.options()))
                .collect(),
        };
        in_channels
            .chain([plain("refresh", &self.refresh), rpc])
            .collect()
    }
}

impl UserCommandLimits {
    /// The limits of all commands, in no particular order.
    #[must_use]
    pub fn commands(&self) -> Vec<CommandLimit<'_>> {
        let mut commands = self.commands.commands();
        commands.push(plain("connect", &self.connect));
        commands
    }
}

fn plain<'a>(name: &'static str, limit: &'a Limit) -> CommandLimit<'a> {
    CommandLimit {
        name,
        base: limit.options(),
        list: [""; 2],
        overrides: Vec::new(),
    }
}

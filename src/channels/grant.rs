//! What a granted subscription may do: the namespace's options, then overrides, then the client's wishes
//! (channels-and-auth.md 3.2 stage C, 4.4, 6).

use std::sync::Arc;

use bytes::Bytes;

use super::capability::Operations;
use super::options::{Access, Namespace};
use super::permission::Operation;
use crate::config::RecoveryMode;
use crate::tags::Filter;

/// Who granted a subscription. The numbers appear in the server API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Source {
    /// Claim `subs` or `channels` of a connection token.
    ConnectionToken = 1,
    /// Answer of the connect proxy.
    ConnectProxy = 2,
    /// A subscription token.
    SubscriptionToken = 3,
    /// Answer of the subscribe proxy.
    SubscribeProxy = 4,
    /// The user is listed in the channel's name.
    UserLimited = 5,
    /// `allow_subscribe_for_client`.
    ClientAllowed = 6,
    /// `client.insecure`.
    Insecure = 7,
    /// `subs` of the connect command.
    ConnectCommand = 8,
    /// The user's personal channel.
    Personal = 9,
    /// Server API.
    ServerApi = 10,
    /// A capability of the connection.
    ConnectionCapability = 11,
    /// First message of the subscribe stream proxy.
    StreamProxy = 13,
}

impl Source {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether the server made the subscription, not a subscribe command of the client.
    #[must_use]
    pub fn is_server_side(self) -> bool {
        match self {
            Self::ConnectionToken
            | Self::ConnectProxy
            | Self::ConnectCommand
            | Self::Personal
            | Self::ServerApi => true,
            Self::SubscriptionToken
            | Self::SubscribeProxy
            | Self::UserLimited
            | Self::ClientAllowed
            | Self::Insecure
            | Self::ConnectionCapability
            | Self::StreamProxy => false,
        }
    }

    /// Whether the client's wishes count. A proxy that grants also says how.
    fn honours_wishes(self) -> bool {
        matches!(
            self,
            Self::SubscriptionToken
                | Self::UserLimited
                | Self::ClientAllowed
                | Self::Insecure
                | Self::ConnectionCapability
        )
    }
}

/// Namespace options that a token, a proxy or the server API replaces for one subscription. `None` leaves what
/// the namespace says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Overrides {
    /// Store the subscriber in the channel's presence.
    pub presence: Option<bool>,
    /// Tell others that the subscriber joins and leaves.
    pub join_leave: Option<bool>,
    /// Tell the subscriber that others join and leave.
    pub force_push_join_leave: Option<bool>,
    /// Track the position.
    pub force_positioning: Option<bool>,
    /// Allow recovery.
    pub force_recovery: Option<bool>,
}

/// What the client asked for in its subscribe command. Wishes that are not permitted are ignored silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wishes {
    /// `positioned`
    pub positioned: bool,
    /// `recoverable`
    pub recoverable: bool,
    /// `join_leave`
    pub join_leave: bool,
    /// What capabilities of the connection add to the permissions that wishes depend on:
    /// [`ChannelRules::readable`](super::ChannelRules::readable).
    pub capable: Operations,
}

impl Wishes {
    /// Whether there is one.
    #[must_use]
    pub fn any(self) -> bool {
        self.positioned || self.recoverable || self.join_leave
    }
}

/// What the granting side adds to a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionExtras {
    /// When the subscription expires, in Unix seconds; 0 means never.
    pub expire_at: i64,
    /// Channel info of the subscriber.
    pub info: Option<Bytes>,
    /// Data returned with the subscription.
    pub data: Option<Bytes>,
    /// Replaced namespace options.
    pub overrides: Overrides,
    /// What the subscriber may do in the channel beside what the namespace allows.
    pub allow: Operations,
    /// `cache_recover` of the connect proxy: recover the latest publication without a request of the client,
    /// if the namespace recovers in cache mode.
    pub cache_recover: bool,
    /// Which publications the subscriber may get at all (`server_tags_filter`).
    pub server_filter: Option<Arc<Filter>>,
}

/// A subscription that was granted, with everything that was decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionGrant {
    /// Who granted it.
    pub source: Source,
    /// Store the subscriber in the channel's presence.
    pub presence: bool,
    /// Tell others that the subscriber joins and leaves.
    pub join_leave: bool,
    /// Tell the subscriber that others join and leave.
    pub push_join_leave: bool,
    /// Track the position: `positioned` in the result.
    pub position: bool,
    /// The subscriber may recover: `recoverable` in the result. Implies [`position`](Self::position).
    pub recover: bool,
    /// How.
    pub recovery_mode: RecoveryMode,
    /// Recover on every subscribe, as if the client had asked. Only in cache mode.
    pub auto_recover: bool,
    /// Fossil deltas may be negotiated.
    pub delta: bool,
    /// The hub keeps the latest publication as the base of deltas.
    pub keep_latest: bool,
    /// A tags filter is accepted; without that it is a bad request (107).
    pub tags_filter: bool,
    /// Which publications the subscriber may get at all.
    pub server_filter: Option<Arc<Filter>>,
    /// What the subscriber may do in the channel beside what the namespace allows.
    pub allow: Operations,
    /// When the subscription expires, in Unix seconds; 0 means never.
    pub expire_at: i64,
    /// Channel info of the subscriber.
    pub info: Option<Bytes>,
    /// Data returned with the subscription.
    pub data: Option<Bytes>,
}

impl SubscriptionGrant {
    /// Merges what the namespace says with `extras` and with the wishes of `user`, as far as `source` honours
    /// them. `insecure` is `client.insecure`.
    pub(super) fn merge(
        namespace: &Namespace,
        source: Source,
        extras: SubscriptionExtras,
        wishes: Wishes,
        user: &str,
        insecure: bool,
    ) -> Self {
        let overrides = extras.overrides;
        let wishes = if source.honours_wishes() {
            wishes
        } else {
            Wishes::default()
        };
        let allowed = extras.allow.union(wishes.capable);
        let may =
            |operation, access: Access| insecure || access.admits(user, true) || allowed.contains(operation);
        let reads_history = may(Operation::History, namespace.history_access);
        let sees_presence = may(Operation::Presence, namespace.presence_access);

        let wished_push = wishes.join_leave && namespace.join_leave && sees_presence;
        let wished_position = wishes.positioned && (namespace.allow_positioning || reads_history);
        let wished_recovery = wishes.recoverable && (namespace.allow_recovery || reads_history);

        // The stream proxy carries the publications itself: there is no history to have a position in.
        let has_stream = source != Source::StreamProxy;
        let is_tuned = has_stream && source != Source::ServerApi;
        let forced_recovery = overrides.force_recovery.unwrap_or(namespace.force_recovery);
        let forced_position = overrides.force_positioning.unwrap_or(namespace.force_positioning);
        let recover = has_stream && (forced_recovery || wished_recovery);
        let recovery_mode = if is_tuned {
            namespace.recovery_mode
        } else {
            RecoveryMode::Stream
        };
        let wants_cache = namespace.auto_cache_recover || extras.cache_recover;
        Self {
            source,
            presence: overrides.presence.unwrap_or(namespace.presence),
            join_leave: overrides.join_leave.unwrap_or(namespace.join_leave),
            push_join_leave: overrides
                .force_push_join_leave
                .unwrap_or(namespace.force_push_join_leave)
                || wished_push,
            position: has_stream && (forced_position || wished_position || recover),
            recover,
            recovery_mode,
            auto_recover: recover && wants_cache && recovery_mode == RecoveryMode::Cache,
            delta: is_tuned && namespace.allows_fossil,
            keep_latest: namespace.keep_latest_publication,
            tags_filter: is_tuned && namespace.allow_tags_filter,
            server_filter: extras.server_filter,
            allow: extras.allow,
            expire_at: extras.expire_at,
            info: extras.info,
            data: extras.data,
        }
    }

    /// Whether the subscription is over before it began (error 110).
    #[must_use]
    pub fn is_expired(&self, now_unix: i64) -> bool {
        self.expire_at > 0 && self.expire_at <= now_unix
    }
}

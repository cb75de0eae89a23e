//! The options of one namespace, ready to be asked.

use std::time::Duration;

use regex::Regex;

use super::format::DataFormat;
use crate::config::RecoveryMode;

/// The options that apply to the channels of one namespace (channels-and-auth.md 2), resolved: references to
/// global options followed, names of modes parsed, disabled proxies gone.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Its name; empty for channels without a namespace.
    pub name: String,
    /// Keep who is subscribed.
    pub presence: bool,
    /// Tell who subscribes and unsubscribes.
    pub join_leave: bool,
    /// Tell it to every subscriber.
    pub force_push_join_leave: bool,
    /// Publications kept per channel; 0 for none.
    pub history_size: usize,
    /// How long they are kept; zero for not at all.
    pub history_ttl: Duration,
    /// How long a stream's position outlives its use. Never zero: the global value stands in.
    pub history_meta_ttl: Duration,
    /// Track the position of every subscriber.
    pub force_positioning: bool,
    /// Track it for those who wish.
    pub allow_positioning: bool,
    /// Let every subscriber recover.
    pub force_recovery: bool,
    /// Let those recover who wish.
    pub allow_recovery: bool,
    /// How recovery fills the gap.
    pub recovery_mode: RecoveryMode,
    /// Recover on every subscribe; only in cache mode.
    pub auto_cache_recover: bool,
    /// Fossil deltas may be negotiated.
    pub allows_fossil: bool,
    /// Publications of clients and of the server API are meant for deltas.
    pub delta_publish: bool,
    /// The hub keeps the latest publication as the base of deltas.
    pub keep_latest_publication: bool,
    /// Tags filters are accepted.
    pub allow_tags_filter: bool,
    /// Pushes to subscribers that offer it carry a number in place of the channel's name.
    pub allow_channel_compaction: bool,
    /// How pushes to a subscriber collect; `None` if they do not.
    pub batching: Option<Batching>,
    /// Who may subscribe; nobody is subscribed before, so `subscriber` means nothing here.
    pub subscribe_access: Access,
    /// Who may publish.
    pub publish_access: Access,
    /// Who may see presence.
    pub presence_access: Access,
    /// Who may read history.
    pub history_access: Access,
    /// A list of users in a channel's name says who may subscribe.
    pub user_limited: bool,
    /// What the name after the namespace must contain. Without it the whole name must be ASCII.
    pub channel_regex: Option<Regex>,
    /// What publications may contain.
    pub data_format: DataFormat,
    /// What `type` a subscribe command must have.
    pub subscription_type: SubscriptionType,
    /// Name of the proxy that decides about subscriptions.
    pub subscribe_proxy: Option<String>,
    /// Name of the proxy that decides about publications.
    pub publish_proxy: Option<String>,
    /// Name of the proxy that prolongs subscriptions.
    pub sub_refresh_proxy: Option<String>,
    /// The proxy that supplies a subscription's publications.
    pub subscribe_stream_proxy: Option<StreamProxy>,
}

/// A subscribe stream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamProxy {
    /// Its name.
    pub name: String,
    /// Publications of the subscriber go into the stream.
    pub bidirectional: bool,
}

/// How the pushes of a channel to one connection collect before they are sent. At least one of the bounds is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Pushes after which a batch is sent, at least 2.
    pub max_size: Option<usize>,
    /// Time after which it is.
    pub max_delay: Option<Duration>,
    /// Send only the latest publication of a batch.
    pub latest: bool,
}

/// The `allow_*_for_*` options of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// Every client.
    pub client: bool,
    /// Every subscriber of the channel.
    pub subscriber: bool,
    /// Extends the other two to anonymous users; grants nothing alone.
    pub anonymous: bool,
}

impl Access {
    /// Whether `user` may, being subscribed or not.
    #[must_use]
    pub fn admits(self, user: &str, subscribed: bool) -> bool {
        (self.client || (self.subscriber && subscribed)) && (self.anonymous || !user.is_empty())
    }
}

/// What kind of subscription a namespace offers (`subscription_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubscriptionType {
    /// Publications as they come.
    #[default]
    Stream,
    /// A map of keys.
    Map,
    /// A map of connected clients.
    MapClients,
    /// A map of connected users.
    MapUsers,
    /// Keys polled from a backend.
    SharedPoll,
}

impl SubscriptionType {
    /// `type` of the subscribe command.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }
}

impl Namespace {
    /// Whether publications are kept.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }

    /// Whether clients may use a name, given whole and without its namespace.
    pub(super) fn accepts_name(&self, rest: &str, channel: &str) -> bool {
        match &self.channel_regex {
            Some(regex) => regex.is_match(rest),
            None => channel.is_ascii(),
        }
    }
}

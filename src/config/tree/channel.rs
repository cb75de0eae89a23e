//! `channel` and `rpc`: namespaces and their options.

use std::time::Duration;

use super::super::definition::section;
use super::super::types::{DeltaType, Named, PublicationDataFormat, RecoveryMode, SubscriptionType};
use super::others::{ChannelProxies, MapOptions, SharedPollOptions};
use super::proxies::Proxy;

/// A namespace of channels. Its name matches `^[-a-zA-Z0-9_.]{2,}$` and is unique.
pub type Namespace = Named<ChannelOptions>;

/// A namespace of remote procedure calls. Its name matches `^[-a-zA-Z0-9_.]{2,}$` and is unique.
pub type RpcNamespace = Named<RpcOptions>;

section! {
    /// Channels: how names are read and what may be done in them.
    pub struct Channels {
        /// Options of channels whose name has no namespace.
        without_namespace: ChannelOptions;
        /// Namespaces: a `name` of at least two letters, digits, dashes, underscores and dots, and channel options.
        namespaces: Vec<Namespace>;
        /// How long the position of a stream is kept after its last use. Whole seconds. Longer than clients may be
        /// offline and still recover.
        history_meta_ttl: Duration = "720h";
        /// What publications may contain, unless the namespace says otherwise. Empty for anything but nothing;
        /// `json` for one JSON value, `json_object` for one JSON object, `binary` for anything, nothing included.
        publication_data_format: PublicationDataFormat;
        /// Length of the name of a channel to which a client subscribes, in bytes (error 107). Negative for no
        /// limit.
        max_length: Option<usize> = 255;
        /// Channels whose name starts with this can be subscribed to with a token only.
        private_prefix: String = "$";
        /// What ends the name of the namespace.
        namespace_boundary: String = ":";
        /// What starts the list of users who may subscribe.
        user_boundary: String = "#";
        /// What separates the users in that list.
        user_separator: String = ",";
        /// Channels whose name starts with `/` belong to the namespace whose `pattern` matches them, and to none
        /// without a match (error 102).
        patterns: bool;
    }
    unsupported {
        /// Proxies of channel events.
        proxy: ChannelProxies;
    }
}

section! {
    /// What may be done in the channels of a namespace, and what is kept of them.
    ///
    /// `allow_…_for_anonymous` alone permits nothing: it extends the permissions beside it to users whose ID is
    /// empty.
    pub struct ChannelOptions {
        /// Keep who is subscribed. Needed to ask for presence.
        presence: bool;
        /// Tell who subscribes and unsubscribes, to those who wish and may see presence.
        join_leave: bool;
        /// Tell it to every subscriber. Needs `join_leave`.
        force_push_join_leave: bool;
        /// Publications kept per channel. Only together with `history_ttl`; both bound the memory of a channel.
        history_size: usize;
        /// How long publications are kept. Whole seconds.
        history_ttl: Duration;
        /// How long the position of a stream is kept after its last use; at least `history_ttl`. Whole seconds. 0
        /// for `channel.history_meta_ttl`.
        history_meta_ttl: Option<Duration>;
        /// Track the position of every subscriber, so that lost publications are noticed.
        force_positioning: bool;
        /// Track the position of subscribers that wish it.
        allow_positioning: bool;
        /// Bring every subscriber what it missed after a disconnect. Needs history.
        force_recovery: bool;
        /// Bring subscribers that wish it what they missed.
        allow_recovery: bool;
        /// What a recovering subscriber is given: all publications it missed (`stream`, also if empty), or the
        /// latest (`cache`).
        force_recovery_mode: RecoveryMode;
        /// Give every new subscriber the latest publication, without being asked. Needs `force_recovery` in mode
        /// `cache`.
        auto_cache_recover: bool;
        /// Deltas that subscribers may ask for, to be sent the difference from the publication before; the only one
        /// is `fossil`. The difference is from what history keeps; without history see `keep_latest_publication`.
        allowed_delta_types: Vec<DeltaType>;
        /// Compute deltas of all publications, not only of those whose publisher asks for it.
        delta_publish: bool;
        /// Keep the latest publication of a channel while it has subscribers with deltas, so that there are deltas
        /// without history.
        keep_latest_publication: bool;
        /// Subscribers may filter publications by their tags (error 107 without this).
        allow_tags_filter: bool;
        /// Clients may subscribe.
        allow_subscribe_for_client: bool;
        /// Anonymous users are among those who may subscribe.
        allow_subscribe_for_anonymous: bool;
        /// Clients may publish.
        allow_publish_for_client: bool;
        /// Subscribers may publish.
        allow_publish_for_subscriber: bool;
        /// Anonymous users are among those who may publish.
        allow_publish_for_anonymous: bool;
        /// Clients may ask for presence.
        allow_presence_for_client: bool;
        /// Subscribers may ask for presence.
        allow_presence_for_subscriber: bool;
        /// Anonymous users are among those who may ask for presence.
        allow_presence_for_anonymous: bool;
        /// Clients may read history.
        allow_history_for_client: bool;
        /// Subscribers may read history.
        allow_history_for_subscriber: bool;
        /// Anonymous users are among those who may read history.
        allow_history_for_anonymous: bool;
        /// Pushes of a channel to one connection (publications, joins and leaves) that are collected before they are
        /// sent together: fewer writes, at the price of latency. 0 for as many as come in `batch_max_delay`; without
        /// that, the last ones wait for the next, or for the end of the subscription.
        batch_max_size: Option<usize>;
        /// How long pushes of a channel to one connection are collected. 0 for as long as it takes to have
        /// `batch_max_size` of them. Both 0: nothing is collected.
        batch_max_delay: Option<Duration>;
        /// Send only the latest publication of what was collected, after the joins and leaves: for channels whose
        /// publications carry their whole state. Needs one of the two options above. Subscriptions with delta
        /// compression are sent every publication.
        batch_flush_latest: bool;
        /// Publications, joins and leaves carry a number in place of the channel's name, for clients that offer to
        /// understand it and subscribe by themselves: less to send where names are long.
        allow_channel_compaction: bool;
        /// A list of users at the end of a channel's name, after `channel.user_boundary`, says who may subscribe.
        allow_user_limited_channels: bool;
        /// Expression that the name must match, without its namespace and not anchored. Empty: the name must be
        /// ASCII.
        channel_regex: String;
        /// What publications may contain. Empty for what `channel.publication_data_format` says.
        publication_data_format: PublicationDataFormat;
        /// What the names of the namespace's channels look like, as a path: `/users/:name`. A variable, `:` and a
        /// name, stands for what is there up to the next `/`. Such a namespace has no other channels. Needs
        /// `channel.patterns`; only for namespaces.
        pattern: String;
        /// What subscriptions are. Other types than `stream` are not supported by this version.
        subscription_type: SubscriptionType;
    }
    unsupported {
        /// Presence by client as a map channel.
        map_clients_presence_channel_prefix: String;
        /// Presence by user as a map channel.
        map_users_presence_channel_prefix: String;
        /// Name of the proxy for subscriptions.
        subscribe_proxy_name: String = "default";
        /// Name of the proxy for publications.
        publish_proxy_name: String = "default";
        /// Name of the proxy for refreshed subscriptions.
        sub_refresh_proxy_name: String = "default";
        /// Name of the proxy for subscription streams.
        subscribe_stream_proxy_name: String = "default";
        /// Publications of clients go into the stream.
        subscribe_stream_proxy_bidirectional: bool;
        /// Map channels.
        map: MapOptions;
        /// Channels that poll the backend.
        shared_poll: SharedPollOptions;
    }
    refused {
        /// Ask the proxy about subscriptions.
        subscribe_proxy_enabled: bool;
        /// Ask the proxy about publications.
        publish_proxy_enabled: bool;
        /// Ask the proxy about refreshed subscriptions.
        sub_refresh_proxy_enabled: bool;
        /// Let the proxy supply the subscription.
        subscribe_stream_proxy_enabled: bool;
    }
}

section! {
    /// Remote procedure calls of clients.
    pub struct Rpc {
        /// Options of methods whose name has no namespace.
        without_namespace: RpcOptions;
        /// Namespaces of methods, each a `name`. A call into a namespace that is not here is answered with error
        /// 104.
        namespaces: Vec<RpcNamespace>;
        /// What ends the name of the namespace.
        namespace_boundary: String = ":";
        /// A method that answers with nothing.
        ping: RpcPing;
    }
    unsupported {
        /// The proxy to which calls go.
        proxy: Proxy;
    }
}

section! {
    /// Options of the methods of a namespace.
    pub struct RpcOptions {}
    unsupported {
        /// Whether calls go to a proxy.
        proxy_enabled: bool;
        /// Its name.
        proxy_name: String = "default";
    }
}

section! {
    /// A method that answers with nothing, to measure the way to the server and back.
    pub struct RpcPing {
        /// Answer the method.
        enabled: bool;
        /// Name of the method.
        method: String = "ping";
    }
}

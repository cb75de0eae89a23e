//! The closed sets of values that labels have.

use tidegate_transports::TransportKind;

use crate::api::{Method, Protocol};
use crate::engine::Suppressed;
use crate::limits::LimitLayer;

/// A label with a closed set of values.
pub(super) trait Label: Copy + 'static {
    /// Every value once.
    const ALL: &'static [Self];

    /// Its position in [`ALL`](Self::ALL).
    fn index(self) -> usize;

    /// How it reads on a page.
    fn text(self) -> &'static str;
}

/// Defines labels that only metrics have.
macro_rules! labels {
    ($($(#[$doc:meta])* $vis:vis $name:ident { $($variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "named as on the wire")]
        $vis enum $name { $($variant,)* }

        impl $name {
            /// The label in metrics.
            #[must_use]
            $vis fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        labelled! { $name: $($variant)*; }
    )*};
}

/// Makes labels of enums. The match is exhaustive: a value that is added elsewhere does not compile here.
macro_rules! labelled {
    ($($name:ident: $($variant:ident)*;)*) => {$(
        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn index(self) -> usize {
                enum Position { $($variant,)* }
                match self { $(Self::$variant => Position::$variant as usize,)* }
            }

            fn text(self) -> &'static str {
                self.name()
            }
        }
    )*};
}

labels! {
    /// Commands of clients.
    pub CommandKind {
        Connect = "connect",
        Subscribe = "subscribe",
        Unsubscribe = "unsubscribe",
        Publish = "publish",
        Presence = "presence",
        PresenceStats = "presence_stats",
        History = "history",
        Send = "send",
        Rpc = "rpc",
        Refresh = "refresh",
        SubRefresh = "sub_refresh",
        Unknown = "unknown",
    }

    /// Messages in both directions.
    pub FrameType {
        Connect = "connect",
        Subscribe = "subscribe",
        Unsubscribe = "unsubscribe",
        Publish = "publish",
        Presence = "presence",
        PresenceStats = "presence_stats",
        History = "history",
        Send = "send",
        Rpc = "rpc",
        Refresh = "refresh",
        SubRefresh = "sub_refresh",
        Unknown = "unknown",
        ServerPing = "server_ping",
        ClientPong = "client_pong",
        PushSubscribe = "push_subscribe",
        PushPublication = "push_publication",
        PushJoin = "push_join",
        PushLeave = "push_leave",
        PushUnsubscribe = "push_unsubscribe",
        PushRefresh = "push_refresh",
        PushDisconnect = "push_disconnect",
    }

    /// What a node does for clients and backends. Those of clients and subscriptions are counted along with their
    /// gauges.
    pub Action {
        AddClient = "add_client",
        RemoveClient = "remove_client",
        AddSubscription = "add_subscription",
        RemoveSubscription = "remove_subscription",
        BrokerSubscribe = "broker_subscribe",
        BrokerUnsubscribe = "broker_unsubscribe",
        AddPresence = "add_presence",
        RemovePresence = "remove_presence",
        Presence = "presence",
        PresenceStats = "presence_stats",
        History = "history",
        HistoryRecover = "history_recover",
        HistoryStreamTop = "history_stream_top",
        HistoryRemove = "history_remove",
    }

    /// What passes between a node and its broker.
    pub(super) BrokerMessage {
        Control = "control",
        Join = "join",
        Leave = "leave",
        Publication = "publication",
    }
}

labelled! {
    TransportKind: Websocket Webtransport HttpStream Sse;
    Protocol: Http Grpc Consuming;
    Method: Publish Broadcast Batch Subscribe Unsubscribe Disconnect Refresh Presence PresenceStats History
        HistoryRemove Channels Info Rpc BlockUser UnblockUser RevokeToken InvalidateUserTokens;
    Suppressed: Idempotency Version;
    LimitLayer: ClientCommand UserCommand ClientError;
}

impl Label for bool {
    const ALL: &'static [Self] = &[false, true];

    fn index(self) -> usize {
        usize::from(self)
    }

    fn text(self) -> &'static str {
        if self { "yes" } else { "no" }
    }
}

impl CommandKind {
    /// The frame that carries the command, or its reply.
    #[must_use]
    pub fn frame_type(self) -> FrameType {
        match self {
            Self::Connect => FrameType::Connect,
            Self::Subscribe => FrameType::Subscribe,
            Self::Unsubscribe => FrameType::Unsubscribe,
            Self::Publish => FrameType::Publish,
            Self::Presence => FrameType::Presence,
            Self::PresenceStats => FrameType::PresenceStats,
            Self::History => FrameType::History,
            Self::Send => FrameType::Send,
            Self::Rpc => FrameType::Rpc,
            Self::Refresh => FrameType::Refresh,
            Self::SubRefresh => FrameType::SubRefresh,
            Self::Unknown => FrameType::Unknown,
        }
    }
}

impl From<FrameType> for BrokerMessage {
    /// Whatever is not for the subscribers of a channel is for nodes.
    fn from(kind: FrameType) -> Self {
        match kind {
            FrameType::PushPublication => Self::Publication,
            FrameType::PushJoin => Self::Join,
            FrameType::PushLeave => Self::Leave,
            _ => Self::Control,
        }
    }
}

/// What metrics tell of a client: whether it named itself and its version. Names as such would be unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientLabel {
    is_named: bool,
    is_versioned: bool,
}

impl ClientLabel {
    /// The label of a client that sent these in its connect command.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            is_named: !name.is_empty(),
            is_versioned: !version.is_empty(),
        }
    }

    pub(super) fn version(self) -> &'static str {
        if self.is_versioned {
            "unregistered"
        } else {
            "unversioned"
        }
    }

    const fn of(is_named: bool, is_versioned: bool) -> Self {
        Self {
            is_named,
            is_versioned,
        }
    }
}

impl Label for ClientLabel {
    const ALL: &'static [Self] = &[
        Self::of(false, false),
        Self::of(false, true),
        Self::of(true, false),
        Self::of(true, true),
    ];

    fn index(self) -> usize {
        usize::from(self.is_named) * 2 + usize::from(self.is_versioned)
    }

    /// The name; see [`version`](Self::version).
    fn text(self) -> &'static str {
        if self.is_named { "unregistered" } else { "unnamed" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_is_label<L: Label>() {
        for (position, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), position, "{}", label.text());
        }
    }

    #[test]
    fn an_index_is_a_position() {
        assert_is_label::<CommandKind>();
        assert_is_label::<FrameType>();
        assert_is_label::<Action>();
        assert_is_label::<BrokerMessage>();
        assert_is_label::<TransportKind>();
        assert_is_label::<Protocol>();
        assert_is_label::<Method>();
        assert_is_label::<Suppressed>();
        assert_is_label::<LimitLayer>();
        assert_is_label::<ClientLabel>();
        assert_is_label::<bool>();
    }

    #[test]
    fn frames_are_named_after_their_commands() {
        for kind in CommandKind::ALL {
            assert_eq!(kind.name(), kind.frame_type().name());
        }
    }

    #[test]
    fn clients_are_told_apart_by_what_they_sent() {
        let read = |label: ClientLabel| (label.text(), label.version());
        assert_eq!(read(ClientLabel::new("", "")), ("unnamed", "unversioned"));
        assert_eq!(read(ClientLabel::new("js", "")), ("unregistered", "unversioned"));
        assert_eq!(read(ClientLabel::new("", "1")), ("unnamed", "unregistered"));
        assert_eq!(
            read(ClientLabel::new("js", "1")),
            ("unregistered", "unregistered")
        );
    }
}

//! The bounded label sets: each enum is also the index of its counters.

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The label in metrics.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub(super) fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// Commands of clients.
    #[allow(missing_docs, reason = "named as on the wire")]
    CommandKind {
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
}

labels! {
    /// Messages in both directions.
    #[allow(missing_docs, reason = "named as on the wire")]
    FrameType {
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
}

impl CommandKind {
    /// The frame that carries the command, or its reply.
    #[must_use]
    pub fn frame_type(self) -> FrameType {
        // Frame types begin with the commands, in the same order.
        FrameType::ALL
            .get(self.index())
            .copied()
            .unwrap_or(FrameType::Unknown)
    }
}

/// What metrics tell of a client: whether it named itself and its version. Names as such would be unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientLabel(u8);

impl ClientLabel {
    pub(super) const ALL: [Self; 4] = [Self(0), Self(1), Self(2), Self(3)];

    /// The label of a client that sent these in its connect command.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self(u8::from(!name.is_empty()) | u8::from(!version.is_empty()) << 1)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn name(self) -> &'static str {
        if self.0 & 1 == 0 {
            "unnamed"
        } else {
            "unregistered"
        }
    }

    pub(super) fn version(self) -> &'static str {
        if self.0 & 2 == 0 {
            "unversioned"
        } else {
            "unregistered"
        }
    }
}

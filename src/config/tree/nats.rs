//! How NATS is reached, and what is kept there (engines.md 11).

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::definition::section;
use super::redis::ClientTls;

section! {
    /// NATS as broker. Publications go to whoever is there; history and recovery need `jetstream`.
    pub struct Nats {
        /// Servers, separated by commas: `host:port`, or a URL with the scheme `nats` or `tls`. A URL may carry
        /// `user:password@` or `token@`.
        url: String = "nats://localhost:4222";
        /// Beginning of every subject.
        prefix: String = "centrifugo";
        /// How long it may take to connect to one server.
        dial_timeout: Duration = "1s";
        /// How long a message may wait to be sent.
        write_timeout: Duration = "1s";
        /// TLS to the servers.
        tls: ClientTls;
        /// Let clients subscribe to names with the wildcards of NATS, `*` for one token and `>` for all that follow.
        allow_wildcards: bool;
        /// Publications as they are.
        raw_mode: RawMode;
        /// History, recovery and positions, kept by JetStream. Beyond v6.
        jetstream: NatsHistory;
    }
}

section! {
    /// Publications as they are: a message is the data of a publication and nothing else, as other programs send and
    /// expect it. There are no joins, leaves, tags or publishers then.
    pub struct RawMode {
        /// Whether it is on.
        enabled: bool;
        /// Texts in names of channels, and what takes their place in subjects.
        channel_replacements: BTreeMap<String, String>;
        /// Beginning of the subjects of channels.
        prefix: String;
    }
}

section! {
    /// History in JetStream: streams that the first node makes.
    pub struct NatsHistory {
        /// Whether history is kept.
        enabled: bool;
        /// `file`, or `memory` for history that ends with the server.
        storage: String = "file";
        /// Servers of a NATS cluster that keep it, 1 to 5.
        replicas: usize = 1;
        /// How long the servers keep a message at most, whatever `history_ttl` and `history_meta_ttl` say.
        max_age: Duration = "720h";
    }
}

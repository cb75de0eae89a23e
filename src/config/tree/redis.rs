//! How Redis is reached, and what is kept there (engines.md 3).

use std::time::Duration;

use super::super::definition::{Described, Kind, Object, Resolve, Section, section};
use super::super::error::Problem;
use super::super::value::Node;

section! {
    /// Connections to Redis.
    ///
    /// `cluster_address` wins over `sentinel_address`, and that over `address`. Each of them is a list: more than one
    /// item divides the channels over as many shards, by a hash of their names, so the order of the items counts and
    /// must be the same on every node.
    pub struct Redis {
        /// Beginning of every key and channel in Redis. Installations that share a Redis need different ones, also in
        /// different databases: publish/subscribe knows no databases.
        prefix: String = "centrifugo";
        /// Single servers: `host:port`, or a URL with the scheme `redis`, `rediss` (TLS), `tcp`, `unix`,
        /// `redis+sentinel`, `rediss+sentinel` or `redis+cluster`; see engines.md of the documentation for its
        /// parameters.
        address: Vec<String> = "redis://127.0.0.1:6379";
        /// Redis Clusters; each item names some nodes of one, `host:port` separated by commas.
        cluster_address: Vec<String>;
        /// Sets of sentinels; each item names those of one master, `host:port` separated by commas.
        sentinel_address: Vec<String>;
        /// Name of the master at the sentinels.
        sentinel_master_name: String;
        /// ACL user at the sentinels.
        sentinel_user: String;
        /// Password at the sentinels.
        sentinel_password: String;
        /// Name of the connections to the sentinels in `CLIENT LIST`.
        sentinel_client_name: String;
        /// TLS to the sentinels.
        sentinel_tls: ClientTls;
        /// TLS to the servers.
        tls: ClientTls;
        /// How long it may take to connect.
        connect_timeout: Duration = "1s";
        /// How long a server may keep a write or an answer waiting before the connection is given up.
        io_timeout: Duration = "4s";
        /// Number of the database. A cluster has only 0.
        db: i64;
        /// ACL user; empty for the default one.
        user: String;
        /// Password.
        password: String;
        /// Name of the connections in `CLIENT LIST`.
        client_name: String;
        /// Speak RESP2, for servers and proxies whose RESP3 is not to be trusted.
        force_resp2: bool;
        /// Connections to replicas.
        replica_client: ReplicaClient;
    }
}

section! {
    /// Connections to replicas.
    pub struct ReplicaClient {
        /// Connect to replicas of what sentinels watch, and of clusters, for what may be read from them
        /// (`presence_read_from_replica`; nothing else is).
        enabled: bool;
    }
}

section! {
    /// TLS where this server is the client.
    ///
    /// A PEM value may be the text itself, its base64, or the path of a file; these are tried in this order.
    pub struct ClientTls {
        /// Use TLS, 1.2 or newer.
        enabled: bool;
        /// Certificate chain that is shown to a server which asks for one. PEM.
        cert_pem: String;
        /// Its private key. PEM.
        key_pem: String;
        /// Authorities that certify servers; empty for those of the system. PEM.
        server_ca_pem: String;
        /// Do not verify servers. INSECURE.
        insecure_skip_verify: bool;
        /// Name by which the server is certified, if it is not that of its address.
        server_name: String;
    }
    without_effect {
        /// Authorities that certify clients; counts where this server is a server. PEM.
        client_ca_pem: String;
    }
}

section! {
    /// Redis as engine.
    pub struct EngineRedis {
        /// Keep history in lists, as old versions did, and not in streams. Lists know no versions of publications.
        history_use_lists: bool;
        /// How long presence outlives its last refresh; must be longer than `client.presence_update_interval`.
        presence_ttl: Duration = "60s";
        /// Let the fields of presence hashes expire by themselves; needs Redis 7.4 or Valkey 9.
        presence_hash_field_ttl: bool;
        /// Count users of channels in Redis, so that statistics of large channels are cheap.
        presence_user_mapping: bool;
        /// Read who is present from replicas, which may be a moment behind; needs `replica_client.enabled`. What no
        /// replica can tell is read from the master.
        presence_read_from_replica: bool;
        /// In a cluster, divide publish/subscribe over that many partitions by `SSUBSCRIBE` and `SPUBLISH` (Redis 7),
        /// so that its load spreads over the masters. 0 for publish/subscribe that every node of the cluster sees.
        /// Every node needs the same number, and one connection for each partition.
        sharded_pub_sub_partitions: usize;
        /// Choose the partitions so that masters with equal shares of the slots get equal shares of them. Centrifugo
        /// knows other names then: it cannot share channels with this node. Beyond v6.
        sharded_pub_sub_balanced: bool;
    }
    unsupported {
        /// Subscriptions are made at masters: a replica that loses its master loses publications and tells nobody.
        subscribe_on_replica: bool;
        /// Each partition has a connection of its own.
        group_sharded_pub_sub_by_node: bool;
    }
    refused {
        /// A table of names that is not public; see `sharded_pub_sub_balanced`.
        use_precomputed_partition_tags: bool;
    }
}

section! {
    /// Redis as broker.
    pub struct BrokerRedis {
        /// Keep history in lists, as old versions did, and not in streams. Lists know no versions of publications.
        history_use_lists: bool;
        /// In a cluster, divide publish/subscribe over that many partitions by `SSUBSCRIBE` and `SPUBLISH` (Redis 7),
        /// so that its load spreads over the masters. 0 for publish/subscribe that every node of the cluster sees.
        /// Every node needs the same number, and one connection for each partition.
        sharded_pub_sub_partitions: usize;
        /// Choose the partitions so that masters with equal shares of the slots get equal shares of them. Centrifugo
        /// knows other names then: it cannot share channels with this node. Beyond v6.
        sharded_pub_sub_balanced: bool;
    }
    unsupported {
        /// Subscriptions are made at masters: a replica that loses its master loses publications and tells nobody.
        subscribe_on_replica: bool;
        /// Each partition has a connection of its own.
        group_sharded_pub_sub_by_node: bool;
    }
    refused {
        /// A table of names that is not public; see `sharded_pub_sub_balanced`.
        use_precomputed_partition_tags: bool;
    }
}

section! {
    /// Redis as presence manager.
    pub struct PresenceRedis {
        /// How long presence outlives its last refresh; must be longer than `client.presence_update_interval`.
        presence_ttl: Duration = "60s";
        /// Let the fields of presence hashes expire by themselves; needs Redis 7.4 or Valkey 9.
        presence_hash_field_ttl: bool;
        /// Count users of channels in Redis, so that statistics of large channels are cheap.
        presence_user_mapping: bool;
        /// Read who is present from replicas, which may be a moment behind; needs `replica_client.enabled`. What no
        /// replica can tell is read from the master.
        presence_read_from_replica: bool;
    }
}

/// Options of a role beside those of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisWith<T> {
    /// The connection.
    pub redis: Redis,
    /// The role.
    pub options: T,
}

impl<T: Object> Object for RedisWith<T> {
    const SECTION: &'static Section = &Section {
        name: T::SECTION.name,
        doc: T::SECTION.doc,
        fields: T::SECTION.fields,
        rest: Some(Redis::SECTION),
    };
}

impl<T: Object> Described for RedisWith<T> {
    const KIND: Kind = Kind::Object(Self::SECTION);
}

impl<T: Resolve> Resolve for RedisWith<T> {
    fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self {
        Self {
            redis: Redis::resolve(node, problems),
            options: T::resolve(node, problems),
        }
    }
}

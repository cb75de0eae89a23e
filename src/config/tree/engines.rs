//! Engines other than memory: known, so that their options are named when they are set.
//!
//! To run on memory where Redis was asked for would split a cluster into islands, so what selects an engine is
//! refused and not only warned about (see `validate`).

use std::collections::BTreeMap;

use super::super::definition::section;
use super::super::types::GoDuration;
use super::http_server::TlsOptions;

section! {
    /// What keeps history and presence.
    pub(crate) struct Engine {}
    unsupported {
        /// Redis.
        redis: EngineRedis;
    }
    refused {
        /// `memory`, or an engine that this version does not have.
        type: String = "memory";
    }
}

section! {
    /// A broker of its own.
    pub(crate) struct Broker {}
    unsupported {
        /// Kind of broker.
        type: String = "memory";
        /// Redis.
        redis: BrokerRedis;
        /// NATS.
        nats: Nats;
        /// PostgreSQL.
        postgres: Postgres;
        /// Redis and NATS.
        redisnats: RedisNats;
    }
    refused {
        /// Whether it is used.
        enabled: bool;
    }
}

section! {
    /// Redis for history, NATS for publications.
    pub(crate) struct RedisNats {}
    unsupported {
        /// Redis.
        redis: BrokerRedis;
        /// NATS.
        nats: Nats;
    }
}

section! {
    /// A presence manager of its own.
    pub(crate) struct PresenceManager {}
    unsupported {
        /// Kind of presence manager.
        type: String = "memory";
        /// Redis.
        redis: PresenceRedis;
    }
    refused {
        /// Whether it is used.
        enabled: bool;
    }
}

section! {
    /// Where map channels are kept.
    pub(crate) struct MapBroker {}
    unsupported {
        /// Kind of map broker.
        type: String = "memory";
        /// Redis.
        redis: MapRedis;
        /// PostgreSQL.
        postgres: MapPostgres;
    }
}

section! {
    /// How nodes talk to each other.
    pub(crate) struct Controller {}
    unsupported {
        /// Kind of controller.
        type: String;
        /// PostgreSQL.
        postgres: ControllerPostgres;
    }
    refused {
        /// Whether it is used.
        enabled: bool;
    }
}

section! {
    /// Connections to Redis.
    pub(crate) struct Redis {}
    unsupported {
        /// Shards.
        address: Vec<String> = "redis://127.0.0.1:6379";
        /// Prefix of keys and channels.
        prefix: String = "centrifugo";
        /// How long connecting may take.
        connect_timeout: GoDuration = "1s";
        /// How long a command may take.
        io_timeout: GoDuration = "4s";
        /// Database number.
        db: i64;
        /// User.
        user: String;
        /// Password.
        password: String;
        /// Name told to the server.
        client_name: String;
        /// Speak RESP2.
        force_resp2: bool;
        /// Clusters.
        cluster_address: Vec<String>;
        /// TLS.
        tls: TlsOptions;
        /// Sets of sentinels.
        sentinel_address: Vec<String>;
        /// User at the sentinels.
        sentinel_user: String;
        /// Password at the sentinels.
        sentinel_password: String;
        /// Name of the master.
        sentinel_master_name: String;
        /// Name told to the sentinels.
        sentinel_client_name: String;
        /// TLS to the sentinels.
        sentinel_tls: TlsOptions;
        /// Connections to replicas.
        replica_client: ReplicaClient;
    }
}

section! {
    /// Connections to replicas.
    pub(crate) struct ReplicaClient {}
    unsupported {
        /// Whether there are any.
        enabled: bool;
    }
}

section! {
    /// Redis as engine.
    pub(crate) struct EngineRedis: Redis {}
    unsupported {
        /// Keep history in lists.
        history_use_lists: bool;
        /// How long presence outlives its last refresh.
        presence_ttl: GoDuration = "60s";
        /// Let fields of hashes expire.
        presence_hash_field_ttl: bool;
        /// Keep connections by user.
        presence_user_mapping: bool;
    }
}

section! {
    /// Redis as broker.
    pub(crate) struct BrokerRedis: Redis {}
    unsupported {
        /// Keep history in lists.
        history_use_lists: bool;
    }
}

section! {
    /// Redis as presence manager.
    pub(crate) struct PresenceRedis: Redis {}
    unsupported {
        /// How long presence outlives its last refresh.
        presence_ttl: GoDuration = "60s";
        /// Let fields of hashes expire.
        presence_hash_field_ttl: bool;
        /// Keep connections by user.
        presence_user_mapping: bool;
    }
}

section! {
    /// Redis as map broker.
    pub(crate) struct MapRedis: Redis {}
    unsupported {
        /// Time between two cleanups.
        cleanup_interval: GoDuration = "1s";
        /// Entries of a cleanup.
        cleanup_batch_size: i64 = 100;
        /// How long results of idempotent operations are kept.
        idempotent_result_ttl: GoDuration = "5m";
        /// Do not publish changes.
        skip_pub_sub: bool;
    }
}

section! {
    /// NATS as broker.
    pub(crate) struct Nats {}
    unsupported {
        /// Address.
        url: String = "nats://localhost:4222";
        /// Prefix of subjects.
        prefix: String = "centrifugo";
        /// How long connecting may take.
        dial_timeout: GoDuration = "1s";
        /// How long a write may take.
        write_timeout: GoDuration = "1s";
        /// TLS.
        tls: TlsOptions;
        /// Allow wildcards in channel names.
        allow_wildcards: bool;
        /// Publications as they are.
        raw_mode: RawMode;
    }
}

section! {
    /// Publications as they are.
    pub(crate) struct RawMode {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Replacements in channel names.
        channel_replacements: BTreeMap<String, String>;
        /// Prefix of subjects.
        prefix: String;
    }
}

section! {
    /// PostgreSQL as broker.
    pub(crate) struct Postgres {}
    unsupported {
        /// Connection string.
        dsn: String;
        /// TLS.
        tls: TlsOptions;
        /// Connections.
        pool_size: i64 = 16;
        /// Shards.
        num_shards: i64 = 8;
        /// Time between two cleanups.
        cleanup_interval: GoDuration = "1m";
        /// How long results of idempotent operations are kept.
        idempotent_result_ttl: GoDuration = "5m";
        /// Keep data as bytes.
        binary_data: bool;
        /// How long streams are kept.
        stream_retention: GoDuration = "24h";
        /// Use LISTEN and NOTIFY.
        use_notify: bool;
        /// Connection string for these.
        notify_dsn: String;
        /// Prefix of tables.
        table_prefix: String = "cf";
        /// Do not create the schema.
        skip_schema_init: bool;
        /// Days for which partitions are made in advance.
        partition_lookahead_days: i64 = 2;
        /// Days for which partitions are kept.
        partition_retention_days: i64 = 7;
        /// Reading of the outbox.
        outbox: Outbox;
    }
}

section! {
    /// PostgreSQL as map broker.
    pub(crate) struct MapPostgres: Postgres {}
    unsupported {
        /// Time between two looks for expired keys.
        ttl_check_interval: GoDuration = "1s";
    }
}

section! {
    /// Reading of the outbox.
    pub(crate) struct Outbox {}
    unsupported {
        /// Time between two reads.
        poll_interval: GoDuration = "100ms";
        /// Rows of a read.
        batch_size: i64 = 1000;
    }
}

section! {
    /// PostgreSQL as controller.
    pub(crate) struct ControllerPostgres {}
    unsupported {
        /// Connection string.
        dsn: String;
        /// TLS.
        tls: TlsOptions;
        /// Connections.
        pool_size: i64 = 8;
        /// Shards.
        num_shards: i64 = 1;
        /// Prefix of tables.
        table_prefix: String = "cf";
        /// Time between two reads.
        poll_interval: GoDuration = "50ms";
        /// Use LISTEN and NOTIFY.
        use_notify: bool;
        /// Connection string for these.
        notify_dsn: String;
        /// Days for which partitions are kept.
        partition_retention_days: i64 = 1;
        /// Days for which partitions are made in advance.
        partition_lookahead_days: i64 = 2;
        /// Time between two cleanups.
        partition_cleanup_interval: GoDuration = "1m";
        /// Rows of a read.
        batch_size: i64 = 1000;
        /// Do not create the schema.
        skip_schema_init: bool;
    }
}

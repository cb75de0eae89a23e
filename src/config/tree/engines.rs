//! Which engine does what (engines.md 1).
//!
//! To run on memory where another engine was asked for would split a cluster into islands, so an engine that this
//! version does not have is refused and not only warned about (see `validate/engines.rs`).

use super::super::definition::section;
use super::super::types::GoDuration;
use super::http_server::TlsOptions;
use super::nats::Nats;
use super::redis::{BrokerRedis, EngineRedis, PresenceRedis, Redis, RedisWith};

section! {
    /// What keeps history and presence, and joins nodes.
    pub struct Engine {
        /// `memory` for a node that acts alone, `redis` for nodes that act together.
        r#type: String = "memory";
        /// Redis, where the type says so.
        redis: RedisWith<EngineRedis>;
    }
}

section! {
    /// A broker of its own: publish/subscribe between nodes, and history.
    pub struct Broker {
        /// Take this broker in place of the engine's.
        enabled: bool;
        /// `memory`, `redis` or `nats`.
        r#type: String = "memory";
        /// Redis, where the type says so.
        redis: RedisWith<BrokerRedis>;
        /// NATS, where the type says so.
        nats: Nats;
    }
    unsupported {
        /// PostgreSQL.
        postgres: Postgres;
        /// Redis and NATS.
        redisnats: RedisNats;
    }
}

section! {
    /// Redis for history, NATS for publications.
    pub(crate) struct RedisNats {}
    unsupported {
        /// Redis.
        redis: RedisWith<BrokerRedis>;
        /// NATS.
        nats: Nats;
    }
}

section! {
    /// A presence manager of its own.
    pub struct PresenceManager {
        /// Take this presence manager in place of the engine's.
        enabled: bool;
        /// `memory` or `redis`.
        r#type: String = "memory";
        /// Redis, where the type says so.
        redis: RedisWith<PresenceRedis>;
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

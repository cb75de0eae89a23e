//! Asynchronous consumers: known, so that their options are named when they are set.

use super::super::definition::section;
use super::super::types::GoDuration;
use super::http_server::TlsOptions;
use super::redis::Redis;

section! {
    /// A source of server API requests.
    pub(crate) struct Consumer {}
    unsupported {
        /// Kind of source.
        type: String;
        /// PostgreSQL.
        postgresql: PostgresOutbox;
        /// Kafka.
        kafka: Kafka;
        /// NATS JetStream.
        nats_jetstream: JetStream;
        /// Redis Streams.
        redis_stream: RedisStream;
        /// Google Pub/Sub.
        google_pub_sub: GooglePubSub;
        /// AWS SQS.
        aws_sqs: AwsSqs;
        /// Azure Service Bus.
        azure_service_bus: AzureServiceBus;
    }
    refused {
        /// Whether it is read.
        enabled: bool;
    }
}

section! {
    /// PostgreSQL.
    pub(crate) struct PostgresOutbox {}
    unsupported {
        /// Connection string.
        dsn: String;
        /// Table.
        outbox_table_name: String;
        /// Partitions.
        num_partitions: i64 = 1;
        /// Rows of a read.
        partition_select_limit: i64 = 100;
        /// Time between two reads.
        partition_poll_interval: GoDuration = "300ms";
        /// Channel of notifications.
        partition_notification_channel: String;
        /// Connection string for these.
        partition_notification_dsn: String;
        /// Do not wait for locks.
        use_try_lock: bool;
        /// TLS.
        tls: TlsOptions;
    }
}

section! {
    /// Kafka.
    pub(crate) struct Kafka {}
    unsupported {
        /// Brokers.
        brokers: Vec<String>;
        /// Topics.
        topics: Vec<String>;
        /// Consumer group.
        consumer_group: String;
        /// Records of a read.
        max_poll_records: i64 = 100;
        /// Bytes of a read.
        fetch_max_bytes: i64;
        /// How long a read waits.
        fetch_max_wait: GoDuration = "500ms";
        /// Read uncommitted records.
        fetch_read_uncommitted: bool;
        /// Records waiting per partition.
        partition_queue_max_size: i64 = 1000;
        /// How long connecting may take.
        dial_timeout: GoDuration = "3s";
        /// TLS.
        tls: TlsOptions;
        /// Authentication.
        sasl_mechanism: String;
        /// User.
        sasl_user: String;
        /// Password.
        sasl_password: String;
        /// Role.
        assume_role_arn: String;
        /// Static member.
        instance_id: String;
        /// Header of the method.
        method_header: String = "centrifugo-method";
        /// Bodies as data.
        publication_data_mode: HeaderData;
    }
}

section! {
    /// NATS JetStream.
    pub(crate) struct JetStream {}
    unsupported {
        /// Address.
        url: String = "nats://127.0.0.1:4222";
        /// Credentials.
        credentials_file: String;
        /// User.
        username: String;
        /// Password.
        password: String;
        /// Token.
        token: String;
        /// Stream.
        stream_name: String;
        /// Subjects.
        subjects: Vec<String>;
        /// Durable consumer.
        durable_consumer_name: String;
        /// Where to begin.
        deliver_policy: String = "new";
        /// Messages in flight.
        max_ack_pending: i64 = 100;
        /// Take the consumer as it is.
        use_existing_consumer: bool;
        /// Header of the method.
        method_header: String = "centrifugo-method";
        /// Bodies as data.
        publication_data_mode: HeaderData;
        /// TLS.
        tls: TlsOptions;
    }
}

section! {
    /// Redis Streams.
    pub(crate) struct RedisStream: Redis {}
    unsupported {
        /// Streams.
        streams: Vec<String>;
        /// Consumer group.
        consumer_group: String;
        /// How long an entry may be worked on.
        visibility_timeout: GoDuration = "30s";
        /// Workers.
        num_workers: i64 = 1;
        /// Field of the payload.
        payload_value: String = "payload";
        /// Field of the method.
        method_value: String = "method";
        /// Bodies as data.
        publication_data_mode: ValueData;
    }
}

section! {
    /// Google Pub/Sub.
    pub(crate) struct GooglePubSub {}
    unsupported {
        /// Project.
        project_id: String;
        /// Subscriptions.
        subscriptions: Vec<String>;
        /// Messages in flight.
        max_outstanding_messages: i64 = 100;
        /// Bytes in flight.
        max_outstanding_bytes: i64 = 1000000;
        /// Authentication.
        auth_mechanism: String;
        /// Credentials.
        credentials_file: String;
        /// Attribute of the method.
        method_attribute: String = "centrifugo-method";
        /// Bodies as data.
        publication_data_mode: AttributeData;
    }
}

section! {
    /// AWS SQS.
    pub(crate) struct AwsSqs {}
    unsupported {
        /// Queues.
        queues: Vec<String>;
        /// Region.
        region: String;
        /// Messages of a read.
        max_number_of_messages: i64 = 10;
        /// How long a read waits.
        wait_time_time: GoDuration = "20s";
        /// How long a message may be worked on.
        visibility_timeout: GoDuration = "30s";
        /// Messages worked on at a time.
        max_concurrency: i64 = 1;
        /// Bodies are envelopes of SNS.
        sns_envelope: bool;
        /// Credentials.
        credentials_profile: String;
        /// Role.
        assume_role_arn: String;
        /// Endpoint for tests.
        localstack_endpoint: String;
        /// Attribute of the method.
        method_attribute: String = "centrifugo-method";
        /// Bodies as data.
        publication_data_mode: AttributeData;
    }
}

section! {
    /// Azure Service Bus.
    pub(crate) struct AzureServiceBus {}
    unsupported {
        /// Connection string.
        connection_string: String;
        /// Authenticate by identity.
        use_azure_identity: bool;
        /// Namespace.
        fully_qualified_namespace: String;
        /// Tenant.
        tenant_id: String;
        /// Client.
        client_id: String;
        /// Secret.
        client_secret: String;
        /// Queues.
        queues: Vec<String>;
        /// Use sessions.
        use_sessions: bool;
        /// Receivers.
        max_concurrent_calls: i64 = 1;
        /// Messages of a read.
        max_receive_messages: i64 = 1;
        /// Property of the method.
        method_property: String = "centrifugo-method";
        /// Bodies as data.
        publication_data_mode: PropertyData;
    }
}

section! {
    /// Bodies as data, the rest in headers.
    pub(crate) struct HeaderData {}
    unsupported {
        /// Whether bodies are data of publications.
        enabled: bool;
        /// Name for channels.
        channels_header: String = "centrifugo-channels";
        /// Name for idempotency key.
        idempotency_key_header: String = "centrifugo-idempotency-key";
        /// Name for delta.
        delta_header: String = "centrifugo-delta";
        /// Name for version.
        version_header: String = "centrifugo-version";
        /// Name for version epoch.
        version_epoch_header: String = "centrifugo-version-epoch";
        /// Prefix of names of tags.
        tags_header_prefix: String = "centrifugo-tag-";
    }
}

section! {
    /// Bodies as data, the rest in values.
    pub(crate) struct ValueData {}
    unsupported {
        /// Whether bodies are data of publications.
        enabled: bool;
        /// Name for channels.
        channels_value: String = "centrifugo-channels";
        /// Name for idempotency key.
        idempotency_key_value: String = "centrifugo-idempotency-key";
        /// Name for delta.
        delta_value: String = "centrifugo-delta";
        /// Name for version.
        version_value: String = "centrifugo-version";
        /// Name for version epoch.
        version_epoch_value: String = "centrifugo-version-epoch";
        /// Prefix of names of tags.
        tags_value_prefix: String = "centrifugo-tag-";
    }
}

section! {
    /// Bodies as data, the rest in attributes.
    pub(crate) struct AttributeData {}
    unsupported {
        /// Whether bodies are data of publications.
        enabled: bool;
        /// Name for channels.
        channels_attribute: String = "centrifugo-channels";
        /// Name for idempotency key.
        idempotency_key_attribute: String = "centrifugo-idempotency-key";
        /// Name for delta.
        delta_attribute: String = "centrifugo-delta";
        /// Name for version.
        version_attribute: String = "centrifugo-version";
        /// Name for version epoch.
        version_epoch_attribute: String = "centrifugo-version-epoch";
        /// Prefix of names of tags.
        tags_attribute_prefix: String = "centrifugo-tag-";
    }
}

section! {
    /// Bodies as data, the rest in properties.
    pub(crate) struct PropertyData {}
    unsupported {
        /// Whether bodies are data of publications.
        enabled: bool;
        /// Name for channels.
        channels_property: String = "centrifugo-channels";
        /// Name for idempotency key.
        idempotency_key_property: String = "centrifugo-idempotency-key";
        /// Name for delta.
        delta_property: String = "centrifugo-delta";
        /// Name for version.
        version_property: String = "centrifugo-version";
        /// Name for version epoch.
        version_epoch_property: String = "centrifugo-version-epoch";
        /// Prefix of names of tags.
        tags_property_prefix: String = "centrifugo-tag-";
    }
}

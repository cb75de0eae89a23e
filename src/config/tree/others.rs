//! More that this version does not have: known, so that it is named when it is set.

use super::super::definition::section;
use super::super::types::GoDuration;
use super::http_server::TlsOptions;
use super::proxies::Proxy;

section! {
    /// Certificates by ACME.
    pub(crate) struct TlsAutocert {}
    unsupported {
        /// Hosts for which certificates are issued.
        host_whitelist: Vec<String>;
        /// Directory of certificates.
        cache_dir: String;
        /// Contact.
        email: String;
        /// Host of clients that name none.
        server_name: String;
        /// Answer challenges over HTTP.
        http: bool;
        /// Address for that.
        http_addr: String = ":80";
    }
    refused {
        /// Whether it is on.
        enabled: bool;
    }
}

section! {
    /// Proxies of channel events.
    pub(crate) struct ChannelProxies {}
    unsupported {
        /// Subscriptions.
        subscribe: Proxy;
        /// Publications.
        publish: Proxy;
        /// Refreshed subscriptions.
        sub_refresh: Proxy;
        /// Subscription streams.
        subscribe_stream: Proxy;
        /// Publications into maps.
        map_publish: Proxy;
        /// Removals from maps.
        map_remove: Proxy;
        /// Polls of the backend.
        shared_poll_refresh: Proxy;
    }
}

section! {
    /// Map channels.
    pub(crate) struct MapOptions {}
    unsupported {
        /// What is kept.
        mode: String;
        /// How long keys are kept.
        key_ttl: GoDuration;
        /// Publications kept.
        stream_size: i64;
        /// How long these are kept.
        stream_ttl: GoDuration;
        /// How long the position is kept.
        meta_ttl: GoDuration;
        /// Remove the key of a client that leaves.
        remove_client_on_unsubscribe: bool;
        /// Which key a client has.
        client_key: String;
        /// Who may publish.
        allow_publish_for_client: bool;
        /// Who may publish.
        allow_publish_for_subscriber: bool;
        /// Who may publish.
        allow_publish_for_anonymous: bool;
        /// Who may remove.
        allow_remove_for_client: bool;
        /// Who may remove.
        allow_remove_for_subscriber: bool;
        /// Who may remove.
        allow_remove_for_anonymous: bool;
        /// Keys of a page.
        default_page_size: i64;
        /// Least keys of a page.
        min_page_size: i64;
        /// Most keys of a page.
        max_page_size: i64;
        /// Most publications of a transition.
        live_transition_max_publication_limit: i64;
        /// How long catching up may take.
        subscribe_catch_up_timeout: GoDuration;
        /// Ask the proxy about publications.
        publish_proxy_enabled: bool;
        /// Its name.
        publish_proxy_name: String = "default";
        /// Ask the proxy about removals.
        remove_proxy_enabled: bool;
        /// Its name.
        remove_proxy_name: String = "default";
    }
}

section! {
    /// Channels that poll the backend.
    pub(crate) struct SharedPollOptions {}
    unsupported {
        /// Time between two polls.
        refresh_interval: GoDuration = "10s";
        /// Keys of a call.
        refresh_batch_size: i64 = 1000;
        /// Keys of a connection.
        max_keys_per_connection: i64 = 5000;
        /// How changes are found.
        mode: String;
        /// How long an unused channel is polled.
        channel_shutdown_delay: GoDuration = "1s";
        /// How long an expired key is polled.
        track_expired_extra_delay: GoDuration = "25s";
        /// Allow publications.
        publish_enabled: bool;
        /// Name of the proxy.
        proxy_name: String = "default";
    }
}

section! {
    /// Channels that poll the backend.
    pub(crate) struct SharedPoll {}
    unsupported {
        /// Secret of signatures.
        hmac_secret_key: String;
        /// The secret before.
        hmac_previous_secret_key: String;
        /// Until when that is good.
        hmac_previous_secret_key_valid_until: i64;
        /// Polls at a time.
        concurrency_limit: i64;
    }
}

section! {
    /// Server API over GRPC.
    pub(crate) struct GrpcApi {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Host.
        address: String;
        /// Port.
        port: i64 = 10000;
        /// Key.
        key: String;
        /// How errors are reported.
        error_mode: String;
        /// TLS.
        tls: TlsOptions;
        /// Reflection.
        reflection: bool;
        /// Bytes of a message.
        max_receive_message_size: i64;
    }
}

section! {
    /// Web interface for operators.
    pub(crate) struct Admin {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Serve it on the external listener.
        external: bool;
        /// Path.
        handler_prefix: String;
        /// Password.
        password: String;
        /// Secret of sessions.
        secret: String;
        /// Ask nobody for the password.
        insecure: bool;
        /// Directory of the pages.
        web_path: String;
        /// URL of the pages.
        web_proxy_address: String;
    }
}

section! {
    /// Description of the server API as a page.
    pub(crate) struct Swagger {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/swagger";
    }
}

section! {
    /// Profiles of the process.
    pub(crate) struct Debug {}
    unsupported {
        /// Whether they are served.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/debug/pprof";
    }
}

section! {
    /// Traces.
    pub(crate) struct OpenTelemetry {}
    unsupported {
        /// Whether there are any.
        enabled: bool;
        /// Trace the server API.
        api: bool;
        /// Trace consumers.
        consuming: bool;
        /// Authenticate to Google.
        google_cloud_adc_auth: bool;
    }
}

section! {
    /// Metrics pushed to Graphite.
    pub(crate) struct Graphite {}
    unsupported {
        /// Whether they are pushed.
        enabled: bool;
        /// Host.
        host: String = "localhost";
        /// Port.
        port: i64 = 2003;
        /// Prefix of names.
        prefix: String = "centrifugo";
        /// Time between two pushes.
        interval: GoDuration = "10s";
        /// Use tags.
        tags: bool;
    }
}

section! {
    /// Anonymous usage reports.
    pub(crate) struct UsageStats {}
    without_effect {
        /// Whether they are off. They always are.
        disabled: bool;
    }
}

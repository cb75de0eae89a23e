//! `client`: connections.

use std::time::Duration;

use super::super::definition::section;
use super::super::types::Switched;
use super::proxies::Proxy;
use super::rate_limit::RateLimit;
use super::unidirectional::Disconnects;

section! {
    /// Connections: who may open them, how they are watched, and their limits.
    pub struct Client {
        /// Patterns of the origins whose pages may connect. A star stands for any characters, dots, slashes and
        /// colons included, a question mark for one, `[a-z]` and `{a,b}` for one of several. A request without
        /// `Origin` does not come from a page and is always allowed. Origins are compared in lower case, so a
        /// pattern with capitals matches nothing. Empty refuses all pages, a single `*` admits all.
        allowed_origins: Vec<String>;
        /// How tokens of connections are verified, and those of subscriptions too unless these have their own
        /// section. Without any key every token is invalid.
        token: TokenOptions;
        /// How tokens of subscriptions are verified, if enabled. Then nothing is taken over from `client.token`.
        subscription_token: Switched<TokenOptions>;
        /// Accept connections without a token, as those of a user whose ID is empty.
        allow_anonymous_connect_without_token: bool;
        /// Refuse tokens of a user whose ID is empty (disconnect 3507).
        disallow_anonymous_connection_tokens: bool;
        /// Request header whose value is taken as the ID of the user of a connection without a token. Only for
        /// servers behind a proxy that sets or removes it.
        user_id_http_header: String;
        /// Accept connections without a token, and all that they do without permission. For development only.
        insecure: bool;
        /// Accept tokens without checking who signed them. For development only.
        insecure_skip_token_signature_verify: bool;
        /// Time between two pings of the server. Negative for no pings.
        ping_interval: Option<Duration> = "25s";
        /// How long to wait for the answer to a ping before the client is disconnected (3012). Less than
        /// `client.ping_interval`. Negative for as long as it takes.
        pong_timeout: Option<Duration> = "8s";
        /// How long an expired connection stays open, so that the client can refresh it (3005 after that).
        expired_close_delay: Duration = "25s";
        /// How long an expired subscription stays open, so that the client can refresh it.
        expired_sub_close_delay: Duration = "25s";
        /// How long a client may take to authenticate (3502 after that).
        stale_close_delay: Duration = "10s";
        /// How often the presence of a connection is refreshed in its channels.
        presence_update_interval: Duration = "27s";
        /// How often the position of subscribers in their streams is compared with that of the engine.
        channel_position_check_delay: Duration = "40s";
        /// Lag between publishing and delivery from which on a subscriber's position counts as lost. 0 for no
        /// such limit. In memory nothing lags.
        channel_position_max_time_lag: Option<Duration>;
        /// Subscriptions of a connection (error 106, or disconnect 3505 for subscriptions made by the server).
        /// Negative for no limit.
        channel_limit: Option<usize> = 128;
        /// Bytes that may wait to be sent to a connection; a client so slow that more are waiting is disconnected
        /// (3008). This bounds the memory of a connection. Negative for no limit.
        queue_max_size: Option<usize> = 1048576;
        /// How long messages to a connection are collected before they are written: fewer writes, at the price of
        /// latency. What waits is written at once when it fills half of `client.queue_max_size`. 0 for no delay.
        write_delay: Option<Duration>;
        /// Messages in one transport frame: a WebSocket message, or a chunk of a stream. -1 for no limit.
        max_messages_in_frame: Option<usize> = 16;
        /// Replies to commands do not wait for `client.write_delay`, nor does what waits before them.
        reply_without_queue: bool;
        /// How long the emptied queue of a connection keeps its memory, so that the next burst finds it. 0 for not
        /// at all.
        queue_shrink_delay: Option<Duration>;
        /// Commands of a connection that are handled at a time. 0 and 1 for one after the other.
        concurrency: usize;
        /// Connections of this node (503 above that). 0 for no limit.
        connection_limit: Option<usize>;
        /// Connections of one user to this node (disconnect 3504 above that); anonymous users are not counted. 0
        /// for no limit.
        user_connection_limit: Option<usize>;
        /// Connections of one user to all nodes (disconnect 3504 above that); anonymous users are not counted. 0 for
        /// no limit. Needs Redis. While Redis cannot be asked, connections are let in. Beyond v6.
        user_connection_limit_cluster: Option<usize>;
        /// New connections per second to this node (503 above that). 0 for no limit.
        connection_rate_limit: Option<usize>;
        /// Tell clients the server's time as they connect, in Unix milliseconds.
        connect_include_server_time: bool;
        /// Publications in one reply about history.
        history_max_publication_limit: Option<usize> = 300;
        /// Publications that one recovery may bring; a client that missed more is told that it was not recovered.
        recovery_max_publication_limit: Option<usize> = 300;
        /// A channel to which every user is subscribed by the server.
        subscribe_to_user_personal_channel: PersonalChannel;
        /// Limits on how often clients may do what.
        rate_limit: RateLimit;
    }
    without_effect {
        /// Delayed writes are always started by one timer for all connections, and no connection has a task for
        /// its writes.
        write_with_timer: bool;
    }
    unsupported {
        /// Proxies of connection events.
        proxy: ClientProxies;
        /// Connect errors as disconnects, for unidirectional transports.
        connect_code_to_unidirectional_disconnect: Disconnects;
    }
}

section! {
    /// A channel to which every user is subscribed by the server.
    pub struct PersonalChannel {
        /// Subscribe every user but anonymous ones to a channel of their own.
        enabled: bool;
        /// Namespace of the channels; it must exist. Empty for channels without a namespace.
        personal_channel_namespace: String;
        /// Allow a user one connection only: a new one disconnects the older (3504). Needs `presence` in the
        /// namespace.
        single_connection: bool;
    }
}

section! {
    /// How tokens (JWT) are verified.
    pub struct TokenOptions {
        /// Secret of tokens signed with HS256, HS384 or HS512. Empty refuses such tokens.
        hmac_secret_key: String;
        /// The secret before it was changed, tried where the current one does not fit.
        hmac_previous_secret_key: String;
        /// Until when the previous secret is good, in Unix seconds. 0 for ever.
        hmac_previous_secret_key_valid_until: i64;
        /// Public key of tokens signed with RS256, RS384 or RS512: PEM text of the key or of a certificate.
        rsa_public_key: String;
        /// Public key of tokens signed with ES256, ES384 or ES512: PEM text of the key or of a certificate. Its
        /// curve decides which of the three.
        ecdsa_public_key: String;
        /// URL of a set of public keys (JWKS). With it the keys above are ignored. Named groups of the expressions
        /// for issuer and audience may be used in it: `{{group}}`.
        jwks_public_endpoint: String;
        /// What `aud` must contain. Empty for anything.
        audience: String;
        /// Expression that `aud` must match, not anchored. Excludes `audience`.
        audience_regex: String;
        /// What `iss` must be. Empty for anything.
        issuer: String;
        /// Expression that `iss` must match, not anchored. Excludes `issuer`.
        issuer_regex: String;
        /// Claim that holds the ID of the user in place of `sub`. Letters and underscores.
        user_id_claim: String;
        /// Only warn of expressions that let a token choose its key server.
        insecure_skip_jwks_endpoint_safety_check: bool;
    }
}

section! {
    /// Proxies of connection events.
    pub(crate) struct ClientProxies {}
    unsupported {
        /// Asked whether a connection without a token may be opened.
        connect: Guard;
        /// Asked whether a connection may stay.
        refresh: Guard;
    }
}

section! {
    /// A proxy that decides about connections: to ignore it would let anybody in, or keep everybody out.
    pub(crate) struct Guard: Proxy {}
    refused {
        /// Whether the proxy is asked.
        enabled: bool;
    }
}

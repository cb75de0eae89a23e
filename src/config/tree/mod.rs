//! The options, section by section.

mod api;
mod channel;
mod client;
mod consumers;
mod engines;
mod http_server;
mod nats;
mod others;
mod process;
mod proxies;
mod rate_limit;
mod redis;
mod revocation;
mod transports;
mod unidirectional;

pub use api::{Health, HttpApi, Prometheus, Ready};
pub use channel::{ChannelOptions, Channels, Namespace, Rpc, RpcNamespace, RpcOptions, RpcPing};
pub use client::{Client, PersonalChannel, TokenOptions};
pub use engines::{Broker, Engine, PresenceManager};
pub use http_server::{DevelopmentCertificate, Http3, HttpServer, TlsOptions};
pub use nats::{Nats, NatsHistory, RawMode};
pub use process::{Log, Node, Shutdown};
pub use rate_limit::{
    Bucket, ChannelLimit, CommandLimit, CommandLimits, ErrorLimits, Limit, LimitOptions, MethodLimit,
    NamespaceLimit, RateLimit, RpcLimit, UserCommandLimits,
};
pub use redis::{BrokerRedis, ClientTls, EngineRedis, PresenceRedis, Redis, RedisWith};
pub use revocation::RevocationStore;
pub use transports::{Emulation, HttpStream, Init, Sse, TestPage, WebSocket, WebTransport};

use super::definition::section;

section! {
    /// The configuration of a node.
    pub struct Config {
        /// Listeners, their TLS and HTTP versions.
        http_server: HttpServer;
        /// Logs.
        log: Log;
        /// Connections: who may open them, how they are watched, and their limits.
        client: Client;
        /// Channels: how names are read and what may be done in them.
        channel: Channels;
        /// Remote procedure calls of clients.
        rpc: Rpc;
        /// Server API over HTTP.
        http_api: HttpApi;
        /// WebSocket transport, the only one that is on by default.
        websocket: WebSocket;
        /// Server-Sent Events transport, bidirectional by way of `emulation`.
        sse: Sse;
        /// HTTP streaming transport, bidirectional by way of `emulation`.
        http_stream: HttpStream;
        /// WebTransport, over HTTP/3.
        webtransport: WebTransport;
        /// The endpoint that takes commands of clients connected over SSE or HTTP streaming. It is there when one
        /// of these transports is.
        emulation: Emulation;
        /// Metrics in the text format of Prometheus.
        prometheus: Prometheus;
        /// Health check: answers 200 as soon as the server listens, without looking at anything it depends on.
        health: Health;
        /// Readiness: answers 200 while the engines can do their work.
        ready: Ready;
        /// An endpoint that answers `{}`, for applications that want to warm up a browser's HTTP connection before
        /// a transport is needed.
        init: Init;
        /// The page with the web client, to try the server out.
        test_page: TestPage;
        /// This node.
        node: Node;
        /// How the server stops.
        shutdown: Shutdown;
        /// What keeps history and presence, and joins nodes.
        engine: Engine;
        /// A broker of its own, in place of the engine's.
        broker: Broker;
        /// A presence manager of its own, in place of the engine's.
        presence_manager: PresenceManager;
        /// Users blocked by the server API (`block_user`).
        user_block: RevocationStore;
        /// Tokens revoked by the server API (`revoke_token`).
        token_revoke: RevocationStore;
        /// Tokens invalidated by the server API (`invalidate_user_tokens`).
        user_tokens_invalidate: RevocationStore;
        /// A file to which the process ID is written once the configuration has been read, and which is removed
        /// on exit. Empty for none. A file that cannot be written ends the start.
        pid_file: String;
    }
    unsupported {
        /// Where map channels are kept.
        map_broker: engines::MapBroker;
        /// How nodes talk to each other.
        controller: engines::Controller;
        /// Channels that poll the backend.
        shared_poll: others::SharedPoll;
        /// Proxies by name.
        proxies: Vec<super::Named<proxies::Proxy>>;
        /// Asynchronous consumers.
        consumers: Vec<super::Named<consumers::Consumer>>;
        /// Server API over GRPC.
        grpc_api: others::GrpcApi;
        /// Unidirectional SSE.
        uni_sse: unidirectional::UniSse;
        /// Unidirectional HTTP streaming.
        uni_http_stream: unidirectional::UniHttpStream;
        /// Unidirectional WebSocket.
        uni_websocket: unidirectional::UniWebSocket;
        /// Unidirectional GRPC.
        uni_grpc: unidirectional::UniGrpc;
        /// Web interface for operators.
        admin: others::Admin;
        /// Description of the server API as a page.
        swagger: others::Swagger;
        /// Profiles of the process.
        debug: others::Debug;
        /// Traces.
        opentelemetry: others::OpenTelemetry;
        /// Metrics pushed to Graphite.
        graphite: others::Graphite;
        /// Gate for unreleased features.
        enable_unreleased_features: bool;
    }
    without_effect {
        /// Anonymous usage reports. There are none, whatever this says.
        usage_stats: others::UsageStats;
    }
}

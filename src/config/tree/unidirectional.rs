//! Unidirectional transports: known, so that their options are named when they are set.

use super::super::definition::section;
use super::super::types::GoDuration;
use super::http_server::TlsOptions;
use super::proxies::ToDisconnect;

section! {
    /// Unidirectional WebSocket.
    pub(crate) struct UniWebSocket {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/uni_websocket";
        /// Compress messages.
        compression: bool;
        /// Bytes of the smallest compressed message.
        compression_min_size: i64;
        /// How hard to compress.
        compression_level: i64 = 1;
        /// Bytes of the read buffer.
        read_buffer_size: i64;
        /// Bytes of the write buffer.
        write_buffer_size: i64;
        /// Share write buffers.
        use_write_buffer_pool: bool;
        /// How long a write may take.
        write_timeout: GoDuration = "1000ms";
        /// Bytes of a message.
        message_size_limit: i64 = 65536;
        /// Bytes of an inflated message.
        decompressed_message_size_limit: i64;
        /// Send no close frame.
        disable_closing_handshake: bool;
        /// Send no disconnect push.
        disable_disconnect_push: bool;
        /// Several pushes per frame.
        join_push_messages: bool;
    }
}

section! {
    /// Unidirectional SSE.
    pub(crate) struct UniSse {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/uni_sse";
        /// Bytes of a body.
        max_request_body_size: i64 = 65536;
        /// Connect errors as HTTP statuses.
        connect_code_to_http_response: Responses;
    }
}

section! {
    /// Unidirectional HTTP streaming.
    pub(crate) struct UniHttpStream {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/uni_http_stream";
        /// Bytes of a body.
        max_request_body_size: i64 = 65536;
        /// Connect errors as HTTP statuses.
        connect_code_to_http_response: Responses;
    }
}

section! {
    /// Unidirectional GRPC.
    pub(crate) struct UniGrpc {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Host.
        address: String;
        /// Port.
        port: i64 = 11000;
        /// Bytes of a message.
        max_receive_message_size: i64;
        /// TLS.
        tls: TlsOptions;
    }
}

section! {
    /// Connect errors as HTTP statuses.
    pub(crate) struct Responses {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Which becomes which.
        transforms: Vec<ResponseTransform>;
    }
}

section! {
    /// A connect error as an HTTP status.
    pub(crate) struct ResponseTransform {}
    unsupported {
        /// Code of the error.
        code: i64;
        /// Response.
        to: ToResponse;
    }
}

section! {
    /// A response.
    pub(crate) struct ToResponse {}
    unsupported {
        /// Status.
        status_code: i64;
        /// Body.
        body: String;
    }
}

section! {
    /// Connect errors as disconnects.
    pub(crate) struct Disconnects {}
    unsupported {
        /// Whether it is on.
        enabled: bool;
        /// Which becomes which.
        transforms: Vec<DisconnectTransform>;
    }
}

section! {
    /// A connect error as a disconnect.
    pub(crate) struct DisconnectTransform {}
    unsupported {
        /// Code of the error.
        code: i64;
        /// Disconnect.
        to: ToDisconnect;
    }
}

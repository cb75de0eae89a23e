//! Transports of bidirectional clients, and the pages beside them.

use std::time::Duration;

use super::super::definition::section;

section! {
    /// WebSocket transport, the only one that is on by default.
    pub struct WebSocket {
        /// Accept no clients over WebSocket.
        disabled: bool;
        /// Path.
        handler_prefix: String = "/connection/websocket";
        /// Compress messages (permessage-deflate, without context takeover) for clients that offer it.
        compression: bool;
        /// Messages shorter than this many bytes are not compressed.
        compression_min_size: usize;
        /// How hard to compress, from 1 (fast) to 9 (small).
        compression_level: usize = 1;
        /// How long one write may take before the connection is closed.
        write_timeout: Duration = "1000ms";
        /// Bytes of a message from a client (close code 1009 above that).
        message_size_limit: usize = 65536;
        /// Bytes of a message from a client once it is inflated (close code 1009 above that). 0 for ten times
        /// `websocket.message_size_limit`.
        decompressed_message_size_limit: usize;
    }
    without_effect {
        /// Bytes of the read buffer. Idle connections hold no buffer, busy ones share those of their worker.
        read_buffer_size: usize;
        /// Bytes of the write buffer. Frames are sent from where they were encoded, without one.
        write_buffer_size: usize;
        /// Share write buffers. There are none to share.
        use_write_buffer_pool: bool;
    }
}

section! {
    /// Server-Sent Events transport, bidirectional by way of `emulation`.
    pub struct Sse {
        /// Accept clients over Server-Sent Events.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/sse";
        /// Bytes of the body of a request that connects (413 above that).
        max_request_body_size: usize = 65536;
    }
}

section! {
    /// HTTP streaming transport, bidirectional by way of `emulation`.
    pub struct HttpStream {
        /// Accept clients over HTTP streaming.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/http_stream";
        /// Bytes of the body of a request that connects (413 above that).
        max_request_body_size: usize = 65536;
    }
}

section! {
    /// The endpoint that takes commands of clients connected over SSE or HTTP streaming. It is there when one of
    /// these transports is.
    pub struct Emulation {
        /// Path.
        handler_prefix: String = "/emulation";
        /// Bytes of the body of a request (413 above that).
        max_request_body_size: usize = 65536;
    }
}

section! {
    /// WebTransport, over HTTP/3.
    pub struct WebTransport {
        /// Accept clients over WebTransport. Needs `http_server.http3.enabled`.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/webtransport";
        /// Bytes of a command from a client.
        message_size_limit: usize = 65536;
    }
}

section! {
    /// An endpoint that answers `{}`, for applications that want to warm up a browser's HTTP connection before a
    /// transport is needed.
    pub struct Init {
        /// Serve the endpoint that answers `{}`.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/connection/init";
    }
}

section! {
    /// The page with the web client, to try the server out.
    pub struct TestPage {
        /// Serve the page with the web client, on the external listener. Beyond v6.
        enabled: bool;
        /// Path. Beyond v6.
        handler_prefix: String = "/";
    }
}

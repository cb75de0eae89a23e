//! Proxies: known, so that their options are named when they are set.

use std::collections::BTreeMap;

use super::super::definition::section;
use super::super::types::GoDuration;
use super::http_server::TlsOptions;

section! {
    /// Where events are asked about.
    pub(crate) struct Proxy {}
    unsupported {
        /// URL.
        endpoint: String;
        /// How long a call may take.
        timeout: GoDuration = "1s";
        /// Request headers that are forwarded.
        http_headers: Vec<String>;
        /// Metadata that is forwarded.
        grpc_metadata: Vec<String>;
        /// Headers of the connect command that are forwarded.
        emulated_headers: Vec<String>;
        /// Payloads in base64.
        binary_encoding: bool;
        /// Tell the meta data of the connection.
        include_connection_meta: bool;
        /// Over HTTP.
        http: HttpProxy;
        /// Over GRPC.
        grpc: GrpcProxy;
    }
}

section! {
    /// Calls over HTTP.
    pub(crate) struct HttpProxy {}
    unsupported {
        /// TLS.
        tls: TlsOptions;
        /// Headers of every call.
        static_headers: BTreeMap<String, String>;
        /// Statuses as codes.
        status_to_code_transforms: Vec<StatusTransform>;
    }
}

section! {
    /// Calls over GRPC.
    pub(crate) struct GrpcProxy {}
    unsupported {
        /// TLS.
        tls: TlsOptions;
        /// Key of the credentials.
        credentials_key: String;
        /// Value of the credentials.
        credentials_value: String;
        /// Compress.
        compression: bool;
        /// Metadata of every call.
        static_metadata: BTreeMap<String, String>;
    }
}

section! {
    /// A status as a code.
    pub(crate) struct StatusTransform {}
    unsupported {
        /// Status of the response.
        status_code: i64;
        /// Error.
        to_error: ToError;
        /// Disconnect.
        to_disconnect: ToDisconnect;
    }
}

section! {
    /// An error.
    pub(crate) struct ToError {}
    unsupported {
        /// Code.
        code: i64;
        /// Message.
        message: String;
        /// Whether a retry may help.
        temporary: bool;
    }
}

section! {
    /// A disconnect.
    pub(crate) struct ToDisconnect {}
    unsupported {
        /// Code.
        code: i64;
        /// Reason.
        reason: String;
    }
}

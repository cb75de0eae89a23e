//! The server API and what operators look at.

use super::super::definition::section;
use super::super::types::ErrorMode;

section! {
    /// Server API over HTTP.
    pub struct HttpApi {
        /// Do not serve the API.
        disabled: bool;
        /// Path; methods are below it.
        handler_prefix: String = "/api";
        /// Key that requests must show. Empty refuses all requests.
        key: String;
        /// Accept requests without a key.
        insecure: bool;
        /// Serve the API on the external listener and not on the internal one.
        external: bool;
        /// How errors are reported: in the reply with status 200 (empty), or as the status of the response
        /// (`transport`).
        error_mode: ErrorMode;
    }
}

section! {
    /// Metrics in the text format of Prometheus, on the internal listener.
    pub struct Prometheus {
        /// Serve metrics in the text format of Prometheus.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/metrics";
        /// Count responses by endpoint, method and status.
        instrument_http_handlers: bool;
    }
    unsupported {
        /// A histogram of recovered publications.
        recovered_publications_histogram: bool;
        /// Sparse histograms.
        native_histograms: bool;
    }
}

section! {
    /// Readiness, on the internal listener: answers 200 while the engines can do their work, and 503 with what is in
    /// the way while they cannot, or while the server stops. Beyond v6.
    pub struct Ready {
        /// Serve it.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/ready";
    }
}

section! {
    /// Health check, on the internal listener: answers 200 as soon as the server listens, without looking at
    /// anything it depends on.
    pub struct Health {
        /// Serve the health check.
        enabled: bool;
        /// Path.
        handler_prefix: String = "/health";
    }
}

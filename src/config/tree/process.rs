//! `log`, `node` and `shutdown`.

use std::time::Duration;

use super::super::definition::section;
use super::super::types::LogLevel;

section! {
    /// Logs.
    pub struct Log {
        /// How much is logged, in any case of letters. `none` is silent; `trace` adds a line for every command,
        /// reply and push with its kind and size, never its contents. An unknown level counts as `info`.
        level: LogLevel = "info";
        /// File to which lines of JSON are appended. Empty for the standard streams: coloured text if standard
        /// output is a terminal, else lines of JSON on standard error.
        file: String;
    }
}

section! {
    /// This node.
    pub struct Node {
        /// Name for people, unique among the nodes. Empty for host name and port, as `host_8000`.
        name: String;
        /// Window of the metrics inside the `info` of the server API.
        info_metrics_aggregate_interval: Duration = "60s";
    }
}

section! {
    /// How the server stops.
    pub struct Shutdown {
        /// How long clients and requests may take to end after SIGINT or SIGTERM. After that the process exits
        /// with status 1.
        timeout: Duration = "30s";
    }
}

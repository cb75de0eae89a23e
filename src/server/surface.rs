//! Which endpoints a listener has, from the configuration (configuration.md 4.2).

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tidegate_transports::streaming::StreamOptions;
use tidegate_transports::websocket::{Compression, WebsocketOptions};
use tidegate_transports::{OutboxOptions, Pace};

use super::emulation::Emulation;
use super::routes::Endpoint;
use crate::config::Config;
use crate::node::Node;

/// Endpoints of one listener, and their names for the log.
#[derive(Default)]
pub(super) struct Surface {
    pub(super) endpoints: HashMap<String, Endpoint>,
    pub(super) has_api: bool,
    pub(super) has_page: bool,
    names: Vec<(u8, &'static str)>,
}

impl Surface {
    /// Endpoints for clients.
    pub(super) fn external(config: &Config, node: &Arc<Node>) -> Self {
        let mut surface = Self::default();
        let outbox = outbox_options(config, node);
        if !config.websocket.disabled {
            let options = Arc::new(websocket_options(config, outbox.clone()));
            surface.add(
                0,
                "websocket",
                &config.websocket.handler_prefix,
                Endpoint::Websocket(options),
            );
        }
        if config.webtransport.enabled {
            surface.add(
                1,
                "webtransport",
                &config.webtransport.handler_prefix,
                Endpoint::Webtransport,
            );
        }
        if config.http_stream.enabled {
            let options = StreamOptions {
                max_request_body_size: config.http_stream.max_request_body_size,
                outbox: outbox.clone(),
            };
            surface.add(
                2,
                "http_stream",
                &config.http_stream.handler_prefix,
                Endpoint::HttpStream(options),
            );
        }
        if config.sse.enabled {
            let options = StreamOptions {
                max_request_body_size: config.sse.max_request_body_size,
                outbox,
            };
            surface.add(3, "sse", &config.sse.handler_prefix, Endpoint::Sse(options));
        }
        if config.http_stream.enabled || config.sse.enabled {
            let emulation = Emulation {
                node: node.clone(),
                max_request_body_size: config.emulation.max_request_body_size,
            };
            surface.add(
                4,
                "emulation",
                &config.emulation.handler_prefix,
                Endpoint::Emulation(emulation),
            );
        }
        if config.init.enabled {
            surface.add(14, "init", &config.init.handler_prefix, Endpoint::Init);
        }
        if !config.http_api.disabled && config.http_api.external {
            surface.add_api();
        }
        if config.test_page.enabled {
            surface.has_page = true;
            surface.names.push((15, "test page"));
        }
        surface
    }

    /// Endpoints for backends and operators.
    pub(super) fn internal(config: &Config, node: &Arc<Node>) -> Self {
        let mut surface = Self::default();
        if !config.http_api.disabled && !config.http_api.external {
            surface.add_api();
        }
        if config.prometheus.enabled {
            let endpoint = Endpoint::Metrics(node.context().metrics.clone(), node.clone());
            surface.add(7, "prometheus", &config.prometheus.handler_prefix, endpoint);
        }
        if config.health.enabled {
            surface.add(9, "health", &config.health.handler_prefix, Endpoint::Health);
        }
        if config.ready.enabled {
            let endpoint = Endpoint::Ready(node.clone());
            surface.add(10, "ready", &config.ready.handler_prefix, endpoint);
        }
        surface
    }

    /// Both on one listener.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.endpoints.extend(other.endpoints);
        self.has_api |= other.has_api;
        self.has_page |= other.has_page;
        self.names.extend(other.names);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names in the order of the start log.
    pub(super) fn names(&self) -> String {
        let mut names = self.names.clone();
        names.sort_unstable();
        names
            .into_iter()
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn add(&mut self, order: u8, name: &'static str, prefix: &str, endpoint: Endpoint) {
        self.names.push((order, name));
        self.endpoints.insert(path(prefix), endpoint);
    }

    fn add_api(&mut self) {
        self.has_api = true;
        self.names.push((5, "api"));
    }
}

/// The exact path of a prefix: without its trailing slash.
pub(super) fn path(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

/// The path below which the files of a prefix are: with one slash at its end.
pub(super) fn folder(prefix: &str) -> String {
    format!("{}/", prefix.trim_end_matches('/'))
}

/// How outboxes queue, whatever the transport.
pub(super) fn outbox_options(config: &Config, node: &Node) -> OutboxOptions {
    let client = &config.client;
    let is_paced = client.write_delay.is_some() || client.queue_shrink_delay.is_some();
    let pace = is_paced.then(|| {
        Arc::new(Pace {
            write_delay: client.write_delay,
            shrink_delay: client.queue_shrink_delay,
            delays: node.context().delays.clone(),
        })
    });
    OutboxOptions {
        limit: client.queue_max_size,
        max_batch: client.max_messages_in_frame.unwrap_or(usize::MAX),
        pace,
    }
}

fn websocket_options(config: &Config, outbox: OutboxOptions) -> WebsocketOptions {
    let websocket = &config.websocket;
    let message_size_limit = websocket.message_size_limit;
    WebsocketOptions {
        message_size_limit,
        decompressed_message_size_limit: match websocket.decompressed_message_size_limit {
            0 => message_size_limit.saturating_mul(10),
            limit => limit,
        },
        write_timeout: non_zero(websocket.write_timeout),
        compression: websocket.compression.then(|| Compression {
            level: u32::try_from(websocket.compression_level)
                .unwrap_or(1)
                .clamp(1, 9),
            min_size: websocket.compression_min_size,
        }),
        outbox,
        ping_interval: config.client.ping_interval,
        pong_timeout: config.client.pong_timeout,
    }
}

/// A write that may take no time at all would always fail.
fn non_zero(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        Duration::from_secs(1)
    } else {
        timeout
    }
}

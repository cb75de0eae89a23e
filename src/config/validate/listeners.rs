//! Rules of listeners: ports, TLS, HTTP versions, and who answers on which path.

use std::collections::HashMap;

use super::Check;
use crate::config::tree::{Config, TlsOptions};

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    ports(check, config);
    tls(check, config);
    versions(check, config);
    paths(check, config);
}

fn ports(check: &mut Check<'_>, config: &Config) {
    let port = &config.http_server.internal_port;
    if !port.is_empty() && port.parse::<u16>().is_err() {
        check.fail(
            "http_server.internal_port",
            format!("{port:?} is not a port, allowed are 0 to 65535"),
        );
    }
}

fn tls(check: &mut Check<'_>, config: &Config) {
    let server = &config.http_server;
    let mut one = |name: &str, tls: &TlsOptions, is_used: bool| {
        if tls.enabled && is_used && !tls.has_certificate() && !server.development_certificate.enabled {
            let message = "TLS is enabled without a certificate: both cert_pem and key_pem are required";
            check.fail(&format!("http_server.{name}.enabled"), message);
        }
    };
    one("tls", &server.tls, true);
    one("internal_tls", &server.internal_tls, server.has_internal());
}

fn versions(check: &mut Check<'_>, config: &Config) {
    let server = &config.http_server;
    if server.h2c_external {
        let key = "http_server.h2c_external";
        if !server.has_internal() {
            check.fail(
                key,
                "external_h2c requires custom separate internal_port to be configured",
            );
        }
        if server.tls.enabled {
            check.fail(
                key,
                "external_h2c cannot be used together with enabled TLS for external HTTP server",
            );
        }
    }
    let has_certificate = server.tls.enabled && server.tls.has_certificate();
    if server.http3.enabled && !has_certificate && !server.development_certificate.enabled {
        check.fail("http_server.http3.enabled", "HTTP/3 requires TLS configured");
    }
    if config.webtransport.enabled && !server.http3.enabled {
        check.fail(
            "webtransport.enabled",
            "can not enable webtransport without experimental HTTP/3",
        );
    }
}

/// Two endpoints on one path would leave one of them out of reach.
fn paths(check: &mut Check<'_>, config: &Config) {
    let has_internal = config.http_server.has_internal();
    let mut taken = HashMap::new();
    for Endpoint {
        section,
        prefix,
        is_external,
    } in endpoints(config)
    {
        let key = format!("{section}.handler_prefix");
        if !prefix.starts_with('/') {
            check.fail(&key, format!("path {prefix:?} does not start with a slash"));
            continue;
        }
        let path = prefix.trim_end_matches('/');
        let listener = (is_external || !has_internal, path);
        if let Some(other) = taken.insert(listener, section) {
            let message = format!("{section} and {other} can not both be served on path {prefix:?}");
            check.fail(&key, message);
        }
    }
}

struct Endpoint<'a> {
    section: &'static str,
    prefix: &'a str,
    is_external: bool,
}

/// The endpoints that are switched on.
fn endpoints(config: &Config) -> impl Iterator<Item = Endpoint<'_>> {
    let has_emulation = config.sse.enabled || config.http_stream.enabled;
    let api = &config.http_api;
    [
        (
            !config.websocket.disabled,
            "websocket",
            &config.websocket.handler_prefix,
            true,
        ),
        (
            config.webtransport.enabled,
            "webtransport",
            &config.webtransport.handler_prefix,
            true,
        ),
        (
            config.http_stream.enabled,
            "http_stream",
            &config.http_stream.handler_prefix,
            true,
        ),
        (config.sse.enabled, "sse", &config.sse.handler_prefix, true),
        (has_emulation, "emulation", &config.emulation.handler_prefix, true),
        (config.init.enabled, "init", &config.init.handler_prefix, true),
        (
            config.test_page.enabled,
            "test_page",
            &config.test_page.handler_prefix,
            true,
        ),
        (!api.disabled, "http_api", &api.handler_prefix, api.external),
        (
            config.prometheus.enabled,
            "prometheus",
            &config.prometheus.handler_prefix,
            false,
        ),
        (
            config.health.enabled,
            "health",
            &config.health.handler_prefix,
            false,
        ),
    ]
    .into_iter()
    .filter(|(is_on, ..)| *is_on)
    .map(|(_, section, prefix, is_external)| Endpoint {
        section,
        prefix,
        is_external,
    })
}

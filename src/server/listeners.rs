//! Sockets and what listens on them (configuration.md 4.1, 4.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use socket2::{Domain, Protocol, Socket, Type};
use tidegate_transports::http::HttpService;
use tidegate_transports::http3::{self, Http3Options};
use tidegate_transports::quic;
use tidegate_transports::streaming::EmulationRegistry;
use tidegate_transports::tcp::{self, TcpOptions};
use tidegate_transports::webtransport::WebTransportOptions;
use tidegate_transports::workers::Workers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::emulation::Sessions;
use super::routes::{Endpoint, Routes, Service};
use super::surface::{Surface, folder, outbox_options, path};
use super::test_page::{self, PageFacts, PageTransports, TestPage};
use super::tls::{Certificates, Tls};
use super::{StartError, VERSION};
use crate::api::http::{HttpApi, HttpOptions};
use crate::config::{Config, ErrorMode, LogLevel};
use crate::node::{Node, NodeAcceptor};

/// Connections that the kernel may hold for us to accept.
const BACKLOG: i32 = 4096;
/// Most concurrent request streams of an HTTP/3 connection.
const H3_REQUEST_STREAMS: u32 = 100;
/// How often streaming transports look for writers that are stuck; also their write timeout.
const EMULATION_SWEEP: Duration = Duration::from_secs(1);

/// Bound sockets: everything that can fail for a taken port has happened.
pub(super) struct Sockets {
    external: Vec<TcpListener>,
    internal: Option<Vec<TcpListener>>,
    quic: Option<UdpSocket>,
    external_address: SocketAddr,
    internal_address: Option<SocketAddr>,
}

impl Sockets {
    /// Binds what the configuration names, once for each worker. QUIC takes the UDP port of the external TCP
    /// port's number.
    pub(super) fn bind(config: &Config, workers: usize) -> Result<Self, StartError> {
        let http = &config.http_server;
        let external_name = (http.address.as_str(), http.port);
        let internal_host = if http.internal_address.is_empty() {
            http.address.as_str()
        } else {
            http.internal_address.as_str()
        };
        let internal_port = match http.internal_port.trim() {
            "" => http.port,
            port => port.parse().map_err(|_| StartError::Address(port.to_owned()))?,
        };
        let internal_name = (internal_host, internal_port);
        let (external, external_address) = bind_tcp(external_name, workers)?;
        let quic = if http.http3.enabled {
            let bound = quic::bind(external_address);
            Some(bound.map_err(|error| StartError::Bind {
                address: external_address,
                error,
            })?)
        } else {
            None
        };
        let (internal, internal_address) = if internal_name == external_name {
            (None, None)
        } else {
            let (listener, address) = bind_tcp(internal_name, workers)?;
            (Some(listener), Some(address))
        };
        Ok(Self {
            external,
            internal,
            quic,
            external_address,
            internal_address,
        })
    }

    /// Port of the external listener.
    pub(super) fn port(&self) -> u16 {
        self.external_address.port()
    }
}

fn bind_tcp((host, port): (&str, u16), workers: usize) -> Result<(Vec<TcpListener>, SocketAddr), StartError> {
    let candidates: Vec<SocketAddr> = if host.is_empty() {
        // All interfaces: IPv6 accepts IPv4 as well, where there is IPv6.
        vec![
            (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into(),
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into(),
        ]
    } else {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = (host, port).to_socket_addrs();
        resolved
            .map_err(|_| StartError::Address(format!("{host}:{port}")))?
            .collect()
    };
    let mut failure = StartError::Address(format!("{host}:{port}"));
    for address in candidates {
        match listen_all(address, workers) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = StartError::Bind { address, error },
        }
    }
    Err(failure)
}

/// One listening socket for each worker, all on one address: the kernel spreads connections over them.
fn listen_all(address: SocketAddr, workers: usize) -> std::io::Result<(Vec<TcpListener>, SocketAddr)> {
    if address.port() != 0 {
        // Sockets that share a port would share it with a second server started by mistake, too: ask first
        // whether anybody has it.
        bind(address, false)?;
    }
    let first = bind(address, true)?;
    let bound: SocketAddr = first
        .local_addr()?
        .as_socket()
        .ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind(bound, true)?);
    }
    let listeners = listeners.into_iter().map(|socket| {
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    });
    Ok((listeners.collect::<std::io::Result<_>>()?, bound))
}

fn bind(address: SocketAddr, shared: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A restarted server must not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Running listeners.
pub(super) struct Listeners {
    tasks: JoinSet<()>,
    workers: Arc<Workers>,
    addresses: Vec<SocketAddr>,
    page_url: Option<String>,
    certificates: Certificates,
}

impl Listeners {
    /// Starts serving on bound sockets.
    pub(super) fn open(
        config: &Config,
        sockets: Sockets,
        workers: Workers,
        node: &Arc<Node>,
        acceptor: &Arc<NodeAcceptor>,
        stop: &CancellationToken,
        background: &mut JoinSet<()>,
    ) -> Result<Self, StartError> {
        let tls = Tls::build(config, background)?;
        let emulation = Arc::new(EmulationRegistry::default());
        background.spawn(sweep(emulation.clone()));
        node.serve_emulation(Arc::new(Sessions(emulation.clone())));
        let assembly = Assembly {
            config,
            node,
            acceptor,
            emulation,
            tls: &tls,
            stop,
        };
        let mut listeners = Self {
            tasks: JoinSet::new(),
            workers: Arc::new(workers),
            addresses: Vec::new(),
            page_url: None,
            certificates: Certificates::default(),
        };
        let mut external = Surface::external(config, node);
        let internal = Surface::internal(config, node);
        match (sockets.internal, sockets.internal_address) {
            (Some(sockets), Some(address)) => {
                if !internal.is_empty() {
                    let options = TcpOptions {
                        tls: tls.internal.clone(),
                        h2c: false,
                    };
                    listeners.serve_tcp(&assembly, sockets, address, internal, options, None);
                }
            }
            _ => external = external.merge(internal),
        }
        if external.is_empty() {
            return Ok(listeners);
        }
        let address = sockets.external_address;
        let options = TcpOptions {
            tls: tls.external.clone(),
            h2c: config.http_server.h2c_external,
        };
        let quic = sockets.quic.zip(tls.quic.clone());
        let is_secure = options.tls.is_some();
        if external.has_page {
            listeners.page_url = Some(page_url(config, address, is_secure));
            if !test_page::is_built() {
                tracing::warn!("the test page was not built into this binary: build web-client first");
            }
        }
        listeners.serve_tcp(&assembly, sockets.external, address, external, options, quic);
        listeners.certificates = tls.certificates;
        Ok(listeners)
    }

    /// Addresses in use, the external one first.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) fn page_url(&self) -> Option<&str> {
        self.page_url.as_deref()
    }

    pub(super) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Waits until all listeners have ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn serve_tcp(
        &mut self,
        assembly: &Assembly<'_>,
        listeners: Vec<TcpListener>,
        address: SocketAddr,
        surface: Surface,
        options: TcpOptions,
        quic: Option<(UdpSocket, quic::ServerConfig)>,
    ) {
        let mut suffix = "";
        if options.h2c {
            suffix = " with HTTP/2 cleartext";
        }
        if quic.is_some() {
            suffix = " with HTTP/3 (experimental)";
        }
        tracing::info!("serving {} endpoints on {address}{suffix}", surface.names());
        let is_external = !surface.endpoints.is_empty() && (quic.is_some() || self.addresses.is_empty());
        if is_external {
            self.addresses.insert(0, address);
        } else {
            self.addresses.push(address);
        }
        let routes = Arc::new(assembly.routes(surface, address, options.tls.is_some(), quic.is_some()));
        let service: Arc<dyn HttpService> = Arc::new(Service(routes));
        if let Some((socket, config)) = quic {
            self.serve_quic(assembly, socket, config, service.clone());
        }
        let (workers, stop) = (self.workers.clone(), assembly.stop.clone());
        self.tasks
            .spawn(async move { tcp::serve(listeners, &workers, options, service, stop).await });
    }

    /// All connections of the socket live on one worker, the one that drives it.
    fn serve_quic(
        &mut self,
        assembly: &Assembly<'_>,
        socket: UdpSocket,
        config: quic::ServerConfig,
        service: Arc<dyn HttpService>,
    ) {
        let Some(worker) = self.workers.handles().first() else {
            return;
        };
        let _on_worker = worker.enter();
        match quic::Endpoint::new(socket, config) {
            Ok(endpoint) => {
                let options = http3_options(assembly.config, assembly.node);
                let (acceptor, stop) = (assembly.acceptor.clone(), assembly.stop.clone());
                let serving = http3::serve(endpoint, service, acceptor, options, stop);
                self.tasks.spawn_on(serving, worker);
            }
            Err(error) => tracing::error!(%error, "error starting QUIC endpoint"),
        }
    }
}

/// What the listeners are made of.
struct Assembly<'a> {
    config: &'a Config,
    node: &'a Arc<Node>,
    acceptor: &'a Arc<NodeAcceptor>,
    emulation: Arc<EmulationRegistry>,
    tls: &'a Tls,
    stop: &'a CancellationToken,
}

impl Assembly<'_> {
    fn routes(&self, surface: Surface, address: SocketAddr, is_secure: bool, has_quic: bool) -> Routes {
        let config = self.config;
        let alt_svc = has_quic
            .then(|| HeaderValue::try_from(format!("h3=\":{}\"; ma=2592000", address.port())).ok())
            .flatten();
        let api = surface.has_api.then(|| {
            let options = HttpOptions {
                handler_prefix: config.http_api.handler_prefix.clone(),
                key: config.http_api.key.clone(),
                insecure: config.http_api.insecure,
                transport_errors: config.http_api.error_mode == ErrorMode::Transport,
            };
            let prefix = config.http_api.handler_prefix.trim_end_matches('/').to_owned();
            (
                prefix,
                HttpApi::new(self.node.clone(), options, self.node.context().metrics.clone()),
            )
        });
        let page = surface.has_page.then(|| {
            let prefix = folder(&config.test_page.handler_prefix);
            TestPage {
                prefix,
                facts: self.page_facts(&surface, address, is_secure, has_quic),
            }
        });
        Routes {
            acceptor: self.acceptor.clone(),
            emulation: self.emulation.clone(),
            endpoints: surface.endpoints,
            api,
            page,
            alt_svc,
            counts_requests: config
                .prometheus
                .instrument_http_handlers
                .then(|| self.node.context().metrics.clone()),
            logs_requests: matches!(config.log.level, LogLevel::Debug | LogLevel::Trace),
        }
    }

    fn page_facts(
        &self,
        surface: &Surface,
        address: SocketAddr,
        is_secure: bool,
        has_quic: bool,
    ) -> PageFacts {
        let config = self.config;
        let path_if = |on: bool, prefix: &str| on.then(|| path(prefix));
        let has_emulation = surface
            .endpoints
            .values()
            .any(|endpoint| matches!(endpoint, Endpoint::Emulation(_)));
        PageFacts {
            name: "Tidegate",
            version: VERSION.to_owned(),
            secure: is_secure,
            quic_port: has_quic.then(|| address.port()),
            certificate_sha256: self.tls.development.clone(),
            transports: PageTransports {
                webtransport: path_if(config.webtransport.enabled, &config.webtransport.handler_prefix),
                websocket: path_if(!config.websocket.disabled, &config.websocket.handler_prefix),
                http_stream: path_if(config.http_stream.enabled, &config.http_stream.handler_prefix),
                sse: path_if(config.sse.enabled, &config.sse.handler_prefix),
                emulation: path_if(has_emulation, &config.emulation.handler_prefix),
            },
        }
    }
}

async fn sweep(emulation: Arc<EmulationRegistry>) {
    let mut ticks = tokio::time::interval(EMULATION_SWEEP);
    loop {
        ticks.tick().await;
        emulation.sweep();
    }
}

fn http3_options(config: &Config, node: &Node) -> Http3Options {
    let message_size_limit = match config.webtransport.message_size_limit {
        0 => 65_536,
        limit => limit,
    };
    Http3Options {
        webtransport: config.webtransport.enabled.then(|| WebTransportOptions {
            path: path(&config.webtransport.handler_prefix),
            message_size_limit,
            outbox: outbox_options(config, node),
            ..WebTransportOptions::default()
        }),
        max_request_streams: H3_REQUEST_STREAMS,
        ..Http3Options::default()
    }
}

fn page_url(config: &Config, address: SocketAddr, is_secure: bool) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
        "localhost".to_owned()
    } else {
        address.ip().to_string()
    };
    format!(
        "{scheme}://{host}:{}{}",
        address.port(),
        folder(&config.test_page.handler_prefix)
    )
}

/// The QUIC configuration over a TLS configuration, with our limits.
pub(super) fn quic_config(tls: &rustls::ServerConfig) -> Result<quic::ServerConfig, StartError> {
    quic::server_config(tls, H3_REQUEST_STREAMS).map_err(|error| StartError::Tls {
        option: "http_server.tls",
        error: error.to_string(),
    })
}

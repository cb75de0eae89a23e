//! Idle WebSocket clients over TLS, for what such a connection costs a server: the mode `idle` of `loadgen`, with the
//! same arguments and figures, over TLS 1.3.
//!
//! `tls-idle idle --port PORT --pid PID -n CONNECTIONS [--settle SECONDS]`. `--pid` is the server, whose memory and
//! CPU time are read. Any certificate is accepted. Loopback only.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Handshakes under way at once.
const OPENING: usize = 50;

#[derive(Default)]
struct Counts {
    ready: AtomicU64,
    dead: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::read()?;
    let (port, pid) = (
        arguments.number("port", 8000)? as u16,
        arguments.number("pid", 0)?,
    );
    let (wanted, settle) = (arguments.number("n", 1000)?, arguments.number("settle", 5)?);
    let counts = Arc::new(Counts::default());
    let opening = Arc::new(Semaphore::new(OPENING));
    let connector = TlsConnector::from(Arc::new(client_config()?));
    let (memory_before, cpu_before, start) = (memory_kb(pid), cpu_seconds(pid), Instant::now());
    for number in 0..wanted {
        let (counts, opening, connector) = (counts.clone(), opening.clone(), connector.clone());
        tokio::spawn(async move {
            let outcome = client(port, number, &connector, &opening, &counts).await;
            if let Err(error) = outcome
                && counts.dead.fetch_add(1, Ordering::Relaxed) < 3
            {
                eprintln!("connection: {error}");
            }
        });
    }
    let done = || counts.ready.load(Ordering::Relaxed) + counts.dead.load(Ordering::Relaxed) >= wanted;
    while !done() && start.elapsed() < Duration::from_secs(120) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (open_wall, open_cpu) = (start.elapsed().as_secs_f64(), cpu_seconds(pid) - cpu_before);
    let settled = cpu_seconds(pid);
    tokio::time::sleep(Duration::from_secs(settle)).await;
    let idle = (cpu_seconds(pid) - settled) * 1000.0 / settle.max(1) as f64;
    let (ready, memory) = (counts.ready.load(Ordering::Relaxed), memory_kb(pid));
    println!(
        "{{\"mode\":\"tls-idle\",\"conns\":{ready},\"dead\":{},\"open_s\":{open_wall:.2},\"open_per_cpu_s\":{:.0},\
         \"rss_before_kb\":{memory_before},\"rss_kb\":{memory},\"kb_per_conn\":{:.2},\"idle_cpu_ms_per_s\":{idle:.1}}}",
        counts.dead.load(Ordering::Relaxed),
        wanted as f64 / open_cpu.max(0.01),
        (memory as f64 - memory_before as f64) / ready.max(1) as f64,
    );
    Ok(())
}

/// Opens, connects, subscribes, then answers pings until the server ends the connection, which is an error.
async fn client(
    port: u16,
    number: u64,
    connector: &TlsConnector,
    opening: &Semaphore,
    counts: &Counts,
) -> Result<(), Failure> {
    let permit = opening.acquire().await?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let mut stream = connector
        .connect(ServerName::try_from("localhost")?, stream)
        .await?;
    stream
        .write_all(
            b"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .await?;
    await_text(&mut stream, b"\r\n\r\n").await?;
    send(&mut stream, b"{\"id\":1,\"connect\":{}}").await?;
    await_text(&mut stream, b"\"connect\"").await?;
    let subscribe = format!(
        "{{\"id\":2,\"subscribe\":{{\"channel\":\"bench{}\"}}}}",
        number % 1000
    );
    send(&mut stream, subscribe.as_bytes()).await?;
    await_text(&mut stream, b"\"subscribe\"").await?;
    drop(permit);
    counts.ready.fetch_add(1, Ordering::Relaxed);
    loop {
        await_text(&mut stream, b"{}").await?;
        send(&mut stream, b"{}").await?;
    }
}

/// Reads until what was read contains `text`. Short messages of a known exchange: frames need no parsing.
async fn await_text(stream: &mut TlsStream<TcpStream>, text: &[u8]) -> Result<(), Failure> {
    let (mut buffer, mut length) = ([0; 1024], 0);
    loop {
        if length == buffer.len() {
            // Publications that nobody looks at, and perhaps the beginning of what is waited for.
            let rest = length - text.len();
            buffer.copy_within(rest.., 0);
            length -= rest;
        }
        let read = stream.read(&mut buffer[length..]).await?;
        if read == 0 {
            return Err(format!("ended after {}", String::from_utf8_lossy(&buffer[..length])).into());
        }
        length += read;
        if buffer[..length].windows(text.len()).any(|window| window == text) {
            return Ok(());
        }
    }
}

/// Sends a text frame of less than 126 bytes, masked with zeros.
async fn send(stream: &mut TlsStream<TcpStream>, text: &[u8]) -> Result<(), Failure> {
    let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat();
    Ok(stream.write_all(&frame).await?)
}

fn client_config() -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    Ok(
        ClientConfig::builder_with_provider(CryptoProvider::clone(&provider).into())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth(),
    )
}

#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// `MODE --name value …`; the mode is always `idle`.
struct Arguments(HashMap<String, String>);

impl Arguments {
    fn read() -> Result<Self, Failure> {
        let mut words = std::env::args().skip(2);
        let mut named = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            named.insert(name.trim_start_matches('-').to_owned(), value);
        }
        Ok(Self(named))
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, Failure> {
        Ok(self.0.get(name).map_or(Ok(default), |value| value.parse())?)
    }
}

/// Resident memory of a process; 0 if there is none.
fn memory_kb(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// User and system time of a process, in seconds; 0 if there is none.
fn cpu_seconds(pid: u64) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return 0.0;
    };
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

//! The floor for WebTransport: quinn as it comes, and nothing else.
//!
//! It speaks just enough for `loadgen-wt`. Its HTTP/3 is two constants, a SETTINGS frame and a response head; it
//! looks for a word in what a client sends instead of parsing it. Each `POST` to its plain HTTP port writes one push
//! to every subscribed stream. So what it costs is QUIC on this machine, with the crates that Tidegate uses, and the
//! distance to Tidegate is what Tidegate adds. Windows, timeouts and socket buffers are Tidegate's
//! (transports/src/quic), everything else is quinn's default; the allocator is the same. One thread, as the floor for
//! WebSocket has: a second one only adds the cost of waking it.
//!
//! Prints `{"port": P, "api": P}` when both ports listen. Not a server: a yardstick.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, IdleTimeout, RecvStream, SendStream, TransportConfig, VarInt};
use rustls::pki_types::PrivateKeyDer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Streams that want pushes.
type Subscribers = Arc<Mutex<Vec<SendStream>>>;

/// Control stream and its SETTINGS frame: extended CONNECT, datagrams, and WebTransport under the names of two drafts.
const SETTINGS: &[u8] = &[
    0x00, 0x04, 0x14, 0x08, 0x01, 0x33, 0x01, 0xab, 0x60, 0x37, 0x42, 0x01, 0xc0, 0, 0, 0, 0xc6, 0x71, 0x70,
    0x6a, 0x01, 0x21, 0x00,
];

/// HEADERS with the one field `:status: 200`, number 25 of QPACK's static table.
const RESPONSE: &[u8] = &[0x01, 0x03, 0x00, 0x00, 0xd9];

const REPLIES: &[u8] =
    b"{\"id\":1,\"connect\":{\"client\":\"x\",\"version\":\"floor\"}}\n{\"id\":2,\"subscribe\":{}}\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let subscribers = Subscribers::default();
    let endpoint = endpoint()?;
    let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!(
        "{{\"port\": {}, \"api\": {}}}",
        endpoint.local_addr()?.port(),
        api.local_addr()?.port()
    );
    let publishing = subscribers.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = api.accept().await {
            tokio::spawn(publish(stream, publishing.clone()));
        }
    });
    while let Some(incoming) = endpoint.accept().await {
        let subscribers = subscribers.clone();
        tokio::spawn(async move {
            let connection = incoming.await?;
            session(connection, &subscribers).await
        });
    }
    Ok(())
}

/// One connection: settings, the CONNECT request, and its one stream.
async fn session(connection: Connection, subscribers: &Subscribers) -> Result<(), Failure> {
    let mut settings = connection.open_uni().await?;
    settings.write_all(SETTINGS).await?;
    let (mut response, _request) = connection.accept_bi().await?;
    response.write_all(RESPONSE).await?;
    let (mut replies, mut commands) = connection.accept_bi().await?;
    read_until_subscribe(&mut commands).await?;
    replies.write_all(REPLIES).await?;
    subscribers.lock().await.push(replies);
    // Reads to the end, as any server must; nothing is expected.
    while commands.read_chunk(usize::MAX, true).await?.is_some() {}
    Ok(())
}

async fn read_until_subscribe(commands: &mut RecvStream) -> Result<(), Failure> {
    let mut text = Vec::new();
    while find(&text, b"\"subscribe\"").is_none() {
        let chunk = commands.read_chunk(usize::MAX, true).await?;
        text.extend_from_slice(&chunk.ok_or("the stream ended")?.bytes);
    }
    Ok(())
}

/// One connection of the API.
async fn publish(mut stream: TcpStream, subscribers: Subscribers) -> Result<(), Failure> {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await? > 0 {
        // The generator's body ends its request and is one object: `{"channel":…,"data":…}`.
        let Some(data) = find(&request, b"\"data\":").filter(|_| request.ends_with(b"}")) else {
            continue;
        };
        let data = &request[data + b"\"data\":".len()..request.len() - 1];
        let push = [
            b"{\"push\":{\"channel\":\"bench\",\"pub\":{\"data\":",
            data,
            b"}}}\n",
        ]
        .concat();
        let push = Bytes::from(push);
        for subscriber in subscribers.lock().await.iter_mut() {
            // A stream that is gone does not matter to the others.
            let _ = subscriber.write_chunk(push.clone()).await;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"result\":{}}")
            .await?;
        request.clear();
    }
    Ok(())
}

fn endpoint() -> Result<Endpoint, Failure> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der())?;
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport_config()));
    let endpoint = Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(config),
        bind()?,
        Arc::new(quinn::TokioRuntime),
    )?;
    Ok(endpoint)
}

/// The choices of `transports/src/quic`.
fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(30_000))))
        .keep_alive_interval(Some(Duration::from_secs(26)))
        .max_concurrent_bidi_streams(VarInt::from_u32(16))
        .max_concurrent_uni_streams(VarInt::from_u32(8))
        .stream_receive_window(VarInt::from_u32(256 * 1024))
        .receive_window(VarInt::from_u32(1024 * 1024))
        .send_window(512 * 1024)
        .datagram_receive_buffer_size(Some(16 * 1024))
        .datagram_send_buffer_size(16 * 1024);
    config
}

fn bind() -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(4 * 1024 * 1024)?;
    socket.set_send_buffer_size(4 * 1024 * 1024)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket.into())
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

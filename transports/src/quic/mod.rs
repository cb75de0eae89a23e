//! QUIC endpoints and their limits, chosen for very many mostly idle connections.
//!
//! The protocol is quinn's (`quinn-proto`, without I/O; `quinn-udp` for the socket). What moves its bytes is our own,
//! where the crate `quinn` would have a task, a timer and two channels for each connection: a channel alone reserves
//! 6.7 KB with the first packet, a fifth of what an idle session took, and a broadcast woke two tasks per session.
//! Here one task (`driver`) drives all connections of a socket (`shard`), with one timer for all of them.
//!
//! quinn-proto's defaults suit a few fast bulk transfers: 1.25 MB of window per stream, an unlimited window per
//! connection, 10 MB of unacknowledged data per sender. A server of small messages to hundreds of thousands of
//! clients wants the opposite, because every window is memory that a peer may make us hold. The constants below
//! tell each choice and its price.
//!
//! Not available in quinn 0.11 and therefore not offered: the `reset_stream_at` transport parameter
//! (draft-ietf-quic-reliable-stream-reset). The newest WebTransport drafts ask for it so that a reset stream
//! still tells its session; we reset streams only where the peer no longer needs to know.

mod connection;
mod driver;
mod endpoint;
mod pacing;
mod shard;
mod socket;
mod stream;
mod table;
mod timers;
mod waiting;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

pub use connection::Connection;
pub use endpoint::{Endpoint, Incoming};
pub use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn_proto::{AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig};
pub use quinn_proto::{ConnectionError, ServerConfig, VarInt, Written};
use socket2::{Domain, Protocol, Socket, Type};
pub use stream::{ReadError, RecvStream, SendStream, WriteError};

/// A peer that is silent for this long is gone (RFC 9308 section 3.2 recommends 30 s).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A PING after this much silence keeps a quiet connection alive.
///
/// Just above the default protocol ping interval of 25 s, so that a session that pings anyway costs no extra
/// packets, and far enough below [`IDLE_TIMEOUT`] for several retransmissions.
pub const KEEP_ALIVE: Duration = Duration::from_secs(26);

/// Bidirectional streams that a new connection may have open; the HTTP/3 layer grants more to busy ones.
///
/// quinn reserves about 60 bytes for each stream that a peer may open, whether it does or not. RFC 9114
/// section 6.1 wants 100 allowed so that requests run in parallel; a connection that holds one session needs
/// two.
pub const INITIAL_REQUEST_STREAMS: u32 = 6;

/// Why a QUIC endpoint could not be configured: always the operator's TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuicError {
    /// QUIC needs TLS 1.3 with AES-128-GCM-SHA256 for its first packets (RFC 9001 section 5.2).
    #[error("TLS configuration cannot carry QUIC: {0}")]
    Tls(#[from] NoInitialCipherSuite),
}

/// QUIC configuration over `tls`, offering ALPN `h3` only, whatever the given configuration offers on TCP.
///
/// 0-RTT is off: a replayed publish or connect would take effect twice. `request_streams` bounds the
/// bidirectional streams that a peer may have open at once; a WebTransport session takes two of them. A
/// connection starts with at most [`INITIAL_REQUEST_STREAMS`].
///
/// # Errors
/// If `tls` does not allow TLS 1.3 with its mandatory cipher suite.
pub fn server_config(tls: &rustls::ServerConfig, request_streams: u32) -> Result<ServerConfig, QuicError> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls.max_early_data_size = 0;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config
        .transport_config(Arc::new(transport_config(request_streams)))
        .migration(true)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(config)
}

/// Binds a UDP socket with large kernel buffers; an IPv6 wildcard address accepts IPv4 too.
///
/// The buffer sizes are wishes: the kernel cuts them to its own limits (`net.core.rmem_max`).
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A burst of handshakes or acknowledgements waits in the kernel, not in lost packets.
    for error in [
        socket.set_recv_buffer_size(SOCKET_BUFFER).err(),
        socket.set_send_buffer_size(SOCKET_BUFFER).err(),
    ]
    .into_iter()
    .flatten()
    {
        tracing::debug!(%error, "UDP socket keeps its buffer size");
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn transport_config(request_streams: u32) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.interval(MTU_INTERVAL);
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.max_ack_delay(Some(ACK_DELAY));
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(
            IDLE_TIMEOUT.as_secs() as u32 * 1000,
        ))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(request_streams.min(INITIAL_REQUEST_STREAMS)))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acknowledgements));
    config
}

/// Unread bytes of one stream that a peer may make us hold: an upload of 256 KiB per round trip.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Unread bytes of all streams of one connection that a peer may make us hold.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Unacknowledged bytes per connection. A reader that stalls costs at most this and its outbox; a reader at
/// 100 ms distance gets up to 5 MB/s.
const SEND_WINDOW: u64 = 512 * 1024;

/// Three critical streams and room for greased, unknown or refused ones. Those are stopped as soon as their
/// type is known, which returns their credit. With [`INITIAL_REQUEST_STREAMS`], they fit into a hash table of
/// 16 slots in quinn-proto.
const UNI_STREAMS: u32 = 8;

/// Received datagrams wait here until they are dropped; quinn drops the oldest beyond it. It also is the
/// largest datagram that we announce to accept, and WebTransport requires that we announce one.
const DATAGRAM_BUFFER: usize = 16 * 1024;

/// How long a client may wait to acknowledge, if it knows the extension (draft-ietf-quic-ack-frequency). RFC 9000's
/// default of 25 ms means one acknowledgement for every message of up to forty per second, and to take one in costs
/// a third of what sending the message does. The price is that a lost last message is sent again that much later.
const ACK_DELAY: Duration = Duration::from_millis(60);

/// After the first search, paths rarely change; a lost large packet triggers detection anyway.
const MTU_INTERVAL: Duration = Duration::from_secs(600);

/// First packets that may wait for the accept loop; more are refused by quinn.
const MAX_INCOMING: usize = 4096;

/// Early data of one connection that waits for the accept loop: a ClientHello with post-quantum keys fits.
const INCOMING_BUFFER: u64 = 16 * 1024;

/// The same for all connections together.
const INCOMING_BUFFER_TOTAL: u64 = 16 * 1024 * 1024;

const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ipv6_wildcard_socket_becomes_an_endpoint() {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certified.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = Endpoint::new(socket, server_config(&tls, 100).unwrap()).unwrap();
        assert_ne!(endpoint.local_addr().unwrap().port(), 0);
    }
}

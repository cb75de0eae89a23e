//! The driver of QUIC connections, against foreign clients on good and bad paths.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]

mod h3_support;
mod relay;

use std::future::poll_fn;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h3_support::tls::Identity;
use h3_support::{until, within};
use relay::Relay;
use tidegate_transports::quic::{self, Connection, ConnectionError, Endpoint, RecvStream, VarInt};
use tokio::sync::mpsc;

/// An endpoint, and its connections as they are established.
struct Server {
    address: SocketAddr,
    endpoint: Endpoint,
    identity: Identity,
    established: mpsc::UnboundedReceiver<Connection>,
}

impl Server {
    fn start() -> Self {
        let identity = Identity::generate();
        let socket = quic::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = quic::server_config(&identity.server, 100).unwrap();
        let endpoint = Endpoint::new(socket, config).unwrap();
        let address = endpoint.local_addr().unwrap();
        let (sender, established) = mpsc::unbounded_channel();
        let accepting = endpoint.clone();
        tokio::spawn(async move {
            while !sender.is_closed() {
                let Ok(connection) = accepting.accept().await.accept() else {
                    continue;
                };
                let sender = sender.clone();
                tokio::spawn(async move {
                    if connection.established().await.is_ok() {
                        let _ = sender.send(connection);
                    }
                });
            }
        });
        Self {
            address,
            endpoint,
            identity,
            established,
        }
    }

    /// A client's connection by way of `address`, and our end of it.
    async fn connect(
        &mut self,
        client: &quinn::Endpoint,
        address: SocketAddr,
    ) -> (quinn::Connection, Connection) {
        let config = self.identity.client_config();
        self.connect_with(client, address, config).await
    }

    async fn connect_with(
        &mut self,
        client: &quinn::Endpoint,
        address: SocketAddr,
        config: quinn::ClientConfig,
    ) -> (quinn::Connection, Connection) {
        let connecting = client.connect_with(config, address, "localhost").unwrap();
        let theirs = within(connecting).await.unwrap();
        let ours = within(self.established.recv()).await.unwrap();
        (theirs, ours)
    }
}

fn client() -> quinn::Endpoint {
    quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Sends back what arrives on the streams of a connection.
fn echo(connection: Connection) {
    tokio::spawn(async move {
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            tokio::spawn(async move {
                while let Some(chunk) = read(&mut recv).await {
                    send.write_all_chunks(&mut [chunk]).await.unwrap();
                }
            });
        }
    });
}

async fn read(recv: &mut RecvStream) -> Option<Bytes> {
    poll_fn(|cx| recv.poll_read_chunk(cx, usize::MAX)).await.ok()?
}

async fn assert_echoes(connection: &quinn::Connection, data: &[u8]) {
    let (mut send, mut recv) = within(connection.open_bi()).await.unwrap();
    let writing = async {
        send.write_all(data).await.unwrap();
        send.finish().unwrap();
    };
    let ((), echoed) = within(async { tokio::join!(writing, recv.read_to_end(data.len())) }).await;
    assert!(echoed.unwrap() == data, "what came back differs");
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn a_lossy_path_loses_nothing_of_a_stream() {
    let mut server = Server::start();
    let relay = Relay::to(server.address).await;
    relay.lose_every(7);
    let (theirs, ours) = server.connect(&client(), relay.address).await;
    echo(ours);
    assert_echoes(&theirs, &pattern(300_000)).await;
    assert!(relay.lost() > 20, "{} lost", relay.lost());
}

#[tokio::test]
async fn a_client_may_change_its_address() {
    let mut server = Server::start();
    let client = client();
    let address = server.address;
    let (theirs, ours) = server.connect(&client, address).await;
    echo(ours.clone());
    assert_echoes(&theirs, b"before").await;
    let before = ours.remote_address();
    client.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    assert_echoes(&theirs, b"after").await;
    let now = client.local_addr().unwrap();
    assert_ne!(now, before);
    until(|| ours.remote_address() == now).await;
    assert_eq!(ours.close_reason(), None);
}

#[tokio::test]
async fn a_peer_that_falls_silent_times_out_and_costs_nothing_more() {
    let mut server = Server::start();
    let relay = Relay::to(server.address).await;
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_millis(300).try_into().unwrap()));
    let mut config = server.identity.client_config();
    config.transport_config(Arc::new(transport));
    let (_theirs, ours) = server.connect_with(&client(), relay.address, config).await;
    relay.lose_every(1);
    let error = within(ours.accept_uni()).await.unwrap_err();
    assert_eq!(error, ConnectionError::TimedOut);
    assert_eq!(ours.close_reason(), Some(ConnectionError::TimedOut));
    within(server.endpoint.wait_idle()).await;
    assert_eq!(server.endpoint.open_connections(), 0);
}

/// Far more connections than one window of the pacing admits packets to one address.
#[tokio::test]
async fn many_connections_behind_one_socket_all_get_a_broadcast() {
    const CONNECTIONS: usize = 150;
    const MESSAGES: usize = 5;
    let mut server = Server::start();
    let client = client();
    let address = server.address;
    let (mut ours, mut connections) = (Vec::new(), Vec::new());
    let mut reading = Vec::new();
    for _ in 0..CONNECTIONS {
        let (theirs, connection) = server.connect(&client, address).await;
        ours.push(within(connection.open_uni()).await.unwrap());
        connections.push(connection);
        reading.push(tokio::spawn(async move {
            let mut stream = theirs.accept_uni().await.unwrap();
            stream.read_to_end(1000).await.unwrap()
        }));
    }
    let mut sent = Vec::new();
    for number in 0..MESSAGES {
        let message = Bytes::from(format!("message {number}\n"));
        sent.extend_from_slice(&message);
        for stream in &mut ours {
            within(stream.write_all_chunks(&mut [message.clone()]))
                .await
                .unwrap();
        }
        tokio::task::yield_now().await;
    }
    drop(ours);
    for received in within(join_all(reading)).await {
        assert_eq!(received.unwrap(), sent);
    }
}

/// Clients that move and leave at once have the endpoint answer connections that are gone by then.
#[tokio::test]
async fn leaving_clients_do_not_disturb_one_that_stays() {
    let mut server = Server::start();
    let address = server.address;
    let staying = client();
    let (theirs, ours) = server.connect(&staying, address).await;
    echo(ours);
    for round in 0..40 {
        let leaving = client();
        let (gone, ours) = server.connect(&leaving, address).await;
        echo(ours);
        assert_echoes(&gone, b"hello").await;
        leaving.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        gone.close(VarInt::from_u32(round).into_inner().try_into().unwrap(), b"");
        drop(gone);
        assert_echoes(&theirs, &pattern(5000)).await;
    }
    theirs.close(0u32.into(), b"");
    within(server.endpoint.wait_idle()).await;
}

#[tokio::test]
async fn nobody_waits_for_the_end_of_a_stream_that_was_reset() {
    let mut server = Server::start();
    let address = server.address;
    let (_theirs, ours) = server.connect(&client(), address).await;
    let mut stream = within(ours.open_uni()).await.unwrap();
    let stopped = stream.stopped();
    let waiting = tokio::spawn(stopped);
    tokio::task::yield_now().await;
    stream.reset(VarInt::from_u32(1));
    within(waiting).await.unwrap();

    // Nor of one that is dropped after it.
    let mut stream = within(ours.open_uni()).await.unwrap();
    stream.reset(VarInt::from_u32(1));
    let stopped = stream.stopped();
    drop(stream);
    within(stopped).await;
}

#[tokio::test]
async fn a_refusing_endpoint_keeps_what_it_has() {
    let mut server = Server::start();
    let address = server.address;
    let client = client();
    let (theirs, ours) = server.connect(&client, address).await;
    echo(ours);
    server.endpoint.refuse_new();
    let refused = client
        .connect_with(server.identity.client_config(), address, "localhost")
        .unwrap();
    assert!(within(refused).await.is_err());
    assert_echoes(&theirs, b"still there").await;
}

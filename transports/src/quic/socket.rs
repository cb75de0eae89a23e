//! The UDP socket of an endpoint: batches in, segmentation offload out.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::task::{Context, Poll, ready};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams of one connection in one system call.
const MAX_SEGMENTS: usize = 10;
/// Largest datagram; also what the offload of the kernel joins at most.
const MAX_DATAGRAM: usize = 64 * 1024;

pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    pub(super) fn new(socket: StdUdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Datagrams that one [`Transmit`] may hold.
    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments().clamp(1, MAX_SEGMENTS)
    }

    /// Whether path MTU discovery may work here: nobody must fragment what we send.
    pub(super) fn allows_mtud(&self) -> bool {
        !self.state.may_fragment()
    }

    /// Sends `contents`; `false` if the socket is full. Other errors are losses, as on the path.
    pub(super) fn send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit
                .ecn
                .and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: contents.get(..transmit.size).unwrap_or(contents),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        let sent = self.io.try_io(Interest::WRITABLE, || {
            self.state.send(UdpSockRef::from(&self.io), &transmit)
        });
        !sent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_send_ready(cx).map(|_| ())
    }

    /// Receives a batch and visits its datagrams; answers how many there were.
    ///
    /// The socket is asked before the reactor: between two batches of writes, the reactor has not looked.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
        visit: impl FnMut(SocketAddr, &RecvMeta, &[u8]),
    ) -> Poll<usize> {
        let Buffers { memory, metas } = buffers;
        let mut slices = memory.chunks_exact_mut(MAX_DATAGRAM).map(IoSliceMut::new);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let mut receive = || self.state.recv(UdpSockRef::from(&self.io), &mut slices, metas);
        let mut received = receive();
        while received
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        {
            if ready!(self.io.poll_recv_ready(cx)).is_err() {
                return Poll::Pending;
            }
            received = self.io.try_io(Interest::READABLE, &mut receive);
        }
        // Errors are those of single datagrams, or injected (ICMP): nothing that a server would stop for.
        let count = received.unwrap_or(0);
        visit_all(memory, metas.get(..count).unwrap_or_default(), visit);
        Poll::Ready(count)
    }
}

fn visit_all(memory: &[u8], metas: &[RecvMeta], mut visit: impl FnMut(SocketAddr, &RecvMeta, &[u8])) {
    for (meta, bytes) in metas.iter().zip(memory.chunks_exact(MAX_DATAGRAM)) {
        let received = bytes.get(..meta.len).unwrap_or(bytes);
        visit(meta.addr, meta, received);
    }
}

/// Congestion marks as the protocol wants them.
pub(super) fn ecn(meta: &RecvMeta) -> Option<EcnCodepoint> {
    meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8))
}

/// Where datagrams are received. Only pages that were written to take memory.
pub(super) struct Buffers {
    memory: Box<[u8]>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            memory: vec![0; BATCH_SIZE * MAX_DATAGRAM].into_boxed_slice(),
            metas: [RecvMeta::default(); BATCH_SIZE],
        }
    }
}

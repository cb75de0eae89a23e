//! Subscribers of one channel without connections: outboxes and nobody behind them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidegate::engine::Publication;
use tidegate::hub::{Handle, Hub, Mailbox, Subscriber, Tracking};
use tidegate_transports::{Drained, Encoding, Frame, Outbox, TransportKind};

const CHANNEL: &str = "bench";

/// Frames that a writer takes at once.
const BATCH: usize = 64;

/// A hub with one channel.
pub(crate) struct Crowd {
    hub: Hub,
    handles: Vec<Arc<Handle>>,
    publication: Arc<Publication>,
}

impl Crowd {
    /// Live subscribers with the given encodings and transports, their writers waiting.
    pub(crate) fn new(members: impl IntoIterator<Item = (Encoding, TransportKind)>) -> Self {
        let hub = Hub::default();
        let channel: Arc<str> = CHANNEL.into();
        let tracking = Tracking {
            positioned: false,
            max_time_lag_ms: 0,
        };
        let handles = members.into_iter().map(|(encoding, transport)| {
            let handle = Arc::new(Handle {
                client: String::new(),
                encoding,
                transport,
                outbox: Arc::new(Outbox::new(None)),
                mailbox: Mailbox::default(),
                batched: AtomicUsize::default(),
            });
            let subscriber = Arc::new(Subscriber::new(handle.clone(), tracking, false));
            hub.join(&channel, &subscriber);
            subscriber.release(&channel, 0);
            handle
        });
        let handles = handles.collect();
        let padding = "x".repeat(128);
        let publication = Publication {
            data: Bytes::from(format!("{{\"ts\":1234567890,\"p\":\"{padding}\"}}")),
            ..Publication::default()
        };
        let crowd = Self {
            hub,
            handles,
            publication: Arc::new(publication),
        };
        crowd.drain(&mut Vec::new());
        crowd
    }

    /// As many subscribers of one kind.
    pub(crate) fn uniform(encoding: Encoding, count: usize) -> Self {
        Self::new(std::iter::repeat_n((encoding, TransportKind::Websocket), count))
    }

    /// Both encodings over every transport, in turn. SSE carries text only.
    pub(crate) fn mixed(count: usize) -> Self {
        let kinds = [Encoding::Json, Encoding::Protobuf]
            .into_iter()
            .flat_map(|encoding| {
                TransportKind::ALL
                    .into_iter()
                    .filter(move |transport| encoding == Encoding::Json || *transport != TransportKind::Sse)
                    .map(move |transport| (encoding, transport))
            });
        Self::new(kinds.cycle().take(count))
    }

    /// Offers one publication to all; answers how many frames were queued.
    pub(crate) fn publish(&self) -> u64 {
        let delivery = self.hub.publication(CHANNEL, &self.publication, None, 0);
        delivery.by_transport().map(|(_, frames, _)| frames).sum()
    }

    /// Takes what is queued, as the writers do; each then waits again.
    pub(crate) fn drain(&self, into: &mut Vec<Frame>) {
        let mut cx = Context::from_waker(Waker::noop());
        for handle in &self.handles {
            while let Poll::Ready(Drained::Frames) = handle.outbox.poll_drain(&mut cx, BATCH, into) {}
        }
    }
}

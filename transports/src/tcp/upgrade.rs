//! How a connection leaves HTTP: whoever answers 101 leaves the function that takes the stream over.

use std::sync::Arc;

use ::http::Request;
use bytes::{Bytes, BytesMut};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::{NetStream, Rewound};
use crate::flush::Flusher;
use crate::http::Body;

/// Takes the raw stream, and bytes that were read with the request, once the answer is written.
pub(crate) type TakeOver = Box<dyn FnOnce(NetStream, Bytes) + Send>;

/// Found in the extensions of requests over HTTP/1.1: by it a connection can be taken over.
#[derive(Clone)]
pub(crate) struct UpgradeContext {
    flusher: Arc<Flusher>,
    /// For the first request of a connection, which hyper has not seen.
    first: Option<Arc<Mutex<Option<TakeOver>>>>,
}

impl UpgradeContext {
    /// For the first request of a connection.
    pub(super) fn of_first(flusher: Arc<Flusher>) -> Self {
        Self {
            flusher,
            first: Some(Arc::default()),
        }
    }

    /// For requests that hyper reads.
    pub(super) fn of_http(flusher: Arc<Flusher>) -> Self {
        Self { flusher, first: None }
    }

    /// Writes for the connections of this worker.
    pub(crate) fn flusher(&self) -> &Arc<Flusher> {
        &self.flusher
    }

    /// Has the connection of `request` taken over when its answer, which must be 101, has been written.
    pub(crate) fn accept(&self, request: &mut Request<Body>, take_over: TakeOver) {
        if let Some(first) = &self.first {
            *first.lock() = Some(take_over);
            return;
        }
        let upgrade = hyper::upgrade::on(request);
        tokio::spawn(async move {
            match upgrade
                .await
                .map(hyper::upgrade::Upgraded::downcast::<TokioIo<Rewound>>)
            {
                Ok(Ok(parts)) => {
                    let (stream, unread) = parts.io.into_inner().into_parts();
                    take_over(stream, joined(parts.read_buf, unread));
                }
                Ok(Err(_)) => tracing::debug!("upgrade of a stream that is not this server's"),
                Err(error) => tracing::debug!(%error, "upgrade error"),
            }
        });
    }

    /// What was left by [`accept`](Self::accept) for a first request.
    pub(super) fn take(&self) -> Option<TakeOver> {
        self.first.as_ref().and_then(|first| first.lock().take())
    }
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    if second.is_empty() {
        return first;
    }
    let mut both = BytesMut::from(&first[..]);
    both.extend_from_slice(&second);
    both.freeze()
}

//! The task that drives the session of a streaming connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::emulation::{Incoming, Registration};
use crate::{EndCause, Session};

enum Next {
    Ended(EndCause),
    Incoming(Incoming),
}

/// Gives the session its first frame and then what emulation requests bring, until the body has ended.
pub(super) async fn drive<S: Session>(
    mut session: S,
    first: Bytes,
    mut inbox: mpsc::Receiver<Incoming>,
    registration: Registration,
    mut body_end: oneshot::Receiver<EndCause>,
) {
    let mut next = Some(Incoming {
        frame: first,
        done: None,
    });
    let cause = loop {
        if let Some(incoming) = next.take() {
            match settled(&mut session, &mut body_end).await {
                Poll::Ready(cause) => break cause,
                Poll::Pending => session.receive(&incoming.frame),
            }
            if let Poll::Ready(cause) = settled(&mut session, &mut body_end).await {
                break cause;
            }
            if let Some(done) = incoming.done {
                // The request may have been aborted.
                let _ = done.send(());
            }
        }
        match wait(&mut session, &mut inbox, &mut body_end).await {
            Next::Ended(cause) => break cause,
            Next::Incoming(incoming) => next = Some(incoming),
        }
    };
    drop(registration);
    session.end(cause);
}

/// Waits until the session would take a frame; ready with a cause if the connection ended before.
async fn settled<S: Session>(session: &mut S, body_end: &mut oneshot::Receiver<EndCause>) -> Poll<EndCause> {
    poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *body_end).poll(cx) {
            return Poll::Ready(Poll::Ready(ended.unwrap_or(EndCause::PeerClosed)));
        }
        session.poll_ready(cx).map(|()| Poll::Pending)
    })
    .await
}

async fn wait<S: Session>(
    session: &mut S,
    inbox: &mut mpsc::Receiver<Incoming>,
    body_end: &mut oneshot::Receiver<EndCause>,
) -> Next {
    poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *body_end).poll(cx) {
            return Poll::Ready(Next::Ended(ended.unwrap_or(EndCause::PeerClosed)));
        }
        if session.poll_ready(cx).is_ready() {
            match inbox.poll_recv(cx) {
                Poll::Ready(Some(incoming)) => return Poll::Ready(Next::Incoming(incoming)),
                // The registry found the writer stuck.
                Poll::Ready(None) => return Poll::Ready(Next::Ended(EndCause::WriteTimeout)),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

//! The task that drives the session of a streaming connection.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::emulation::{Inbox, Incoming, Registration};
use crate::{EndCause, Session};

enum Next {
    Ended(EndCause),
    Incoming(Incoming),
}

/// How a connection can end.
struct Ends {
    body: oneshot::Receiver<EndCause>,
    stuck: oneshot::Receiver<Infallible>,
}

impl Ends {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<EndCause> {
        if let Poll::Ready(ended) = Pin::new(&mut self.body).poll(cx) {
            return Poll::Ready(ended.unwrap_or(EndCause::PeerClosed));
        }
        Pin::new(&mut self.stuck).poll(cx).map(|_| EndCause::WriteTimeout)
    }
}

/// Gives the session its first frame and then what emulation requests bring, until the body has ended or is stuck.
pub(super) async fn drive<S: Session>(
    mut session: S,
    first: Bytes,
    inbox: Inbox,
    registration: Registration,
    body: oneshot::Receiver<EndCause>,
) {
    let Inbox { mut incoming, stuck } = inbox;
    let mut ends = Ends { body, stuck };
    let mut next = Some(Incoming {
        frame: first,
        done: None,
    });
    let cause = loop {
        if let Some(incoming) = next.take() {
            match settled(&mut session, &mut ends).await {
                Poll::Ready(cause) => break cause,
                Poll::Pending => session.receive(&incoming.frame),
            }
            if let Poll::Ready(cause) = settled(&mut session, &mut ends).await {
                break cause;
            }
            if let Some(done) = incoming.done {
                // The request may have been aborted.
                let _ = done.send(());
            }
        }
        match wait(&mut session, &mut incoming, &mut ends).await {
            Next::Ended(cause) => break cause,
            Next::Incoming(incoming) => next = Some(incoming),
        }
    };
    drop(registration);
    session.end(cause);
}

/// Waits until the session would take a frame; ready with a cause if the connection ended before.
async fn settled<S: Session>(session: &mut S, ends: &mut Ends) -> Poll<EndCause> {
    poll_fn(|cx| match ends.poll(cx) {
        Poll::Ready(cause) => Poll::Ready(Poll::Ready(cause)),
        Poll::Pending => session.poll_ready(cx).map(|()| Poll::Pending),
    })
    .await
}

async fn wait<S: Session>(session: &mut S, incoming: &mut mpsc::Receiver<Incoming>, ends: &mut Ends) -> Next {
    poll_fn(|cx| {
        if let Poll::Ready(cause) = ends.poll(cx) {
            return Poll::Ready(Next::Ended(cause));
        }
        if session.poll_ready(cx).is_ready()
            && let Poll::Ready(Some(incoming)) = incoming.poll_recv(cx)
        {
            return Poll::Ready(Next::Incoming(incoming));
        }
        Poll::Pending
    })
    .await
}

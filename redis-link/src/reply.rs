//! The answer to a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use redis::Value;
use tokio::sync::oneshot;

use crate::error::LinkError;

/// Waits for the answer to a call that has been queued.
///
/// # Cancel safety
/// Dropping it leaves the call to be executed; its answer is thrown away.
#[derive(Debug)]
#[must_use = "an error of the call would go unnoticed"]
pub struct Reply(oneshot::Receiver<Result<Value, LinkError>>);

/// Where an answer goes.
pub(crate) type Answer = oneshot::Sender<Result<Value, LinkError>>;

/// An answer to come.
pub(crate) fn pair() -> (Answer, Reply) {
    let (answer, reply) = oneshot::channel();
    (answer, Reply(reply))
}

impl Future for Reply {
    type Output = Result<Value, LinkError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|received| {
            received
                .unwrap_or_else(|_| Err(LinkError::Disconnected("the connection was given up".to_owned())))
        })
    }
}

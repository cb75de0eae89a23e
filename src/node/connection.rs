//! Drives one session: feeds it frames, events, answers and time, performs its calls.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_transports::{EndCause, InputFault, Session as TransportSession};
use tokio::time::Sleep;

use super::Node;
use super::registry::{ConnectionKey, Member};
use crate::session::{Answer, Call, CallId, Session};

type Performing = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A session with its node. Calls that are answered at once cost one allocation that is freed at once; only those
/// that wait are kept.
pub struct Connection {
    /// `None` after [`end`](TransportSession::end).
    driver: Option<Driver>,
    opened: Instant,
}

struct Driver {
    node: Arc<Node>,
    session: Session,
    key: ConnectionKey,
    member: Member,
    user_limit: Option<usize>,
    performing: Vec<(CallId, Performing)>,
    /// The session has closed and the registry was told.
    withdrawn: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(super) fn new(
        node: Arc<Node>,
        session: Session,
        key: ConnectionKey,
        member: Member,
        user_limit: Option<usize>,
    ) -> Self {
        let driver = Driver {
            node,
            session,
            key,
            member,
            user_limit,
            performing: Vec::new(),
            withdrawn: false,
            timer: None,
        };
        Self {
            driver: Some(driver),
            opened: Instant::now(),
        }
    }
}

impl TransportSession for Connection {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(driver) = &mut self.driver else {
            return Poll::Pending;
        };
        driver.advance(cx);
        if driver.session.disconnect().is_none() && driver.session.is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn receive(&mut self, frame: &[u8]) {
        if let Some(driver) = &mut self.driver {
            driver
                .session
                .handle_frame(Bytes::copy_from_slice(frame), Node::now());
        }
    }

    fn reject(&mut self, fault: InputFault) {
        if let Some(driver) = &mut self.driver {
            driver.session.handle_fault(fault);
        }
    }

    fn end(&mut self, cause: EndCause) {
        let Some(mut driver) = self.driver.take() else {
            return;
        };
        tracing::debug!(
            transport = driver.member.handle.transport.name(),
            client = %driver.member.handle.client,
            duration = self.opened.elapsed().as_secs_f64(),
            "client connection completed"
        );
        if let EndCause::Violation(close) = &cause {
            driver
                .node
                .context
                .metrics
                .transport_close(driver.member.handle.transport, close.code);
        } else if let Some(disconnect) = driver.session.disconnect() {
            driver
                .node
                .context
                .metrics
                .transport_close(driver.member.handle.transport, disconnect.code);
        }
        driver.session.end(&cause);
        driver.withdraw();
        driver.node.registry.close(driver.key, driver.session.user());
        driver.timer = None;
        // From memory everything is released now; what must wait for an engine is finished by a task of its own.
        let mut finishing = Box::pin(poll_fn(move |cx| driver.poll_finished(cx)));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if finishing.as_mut().poll(&mut cx).is_pending() {
            tokio::spawn(finishing);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end(EndCause::PeerClosed);
    }
}

/// Puts a deadline on a grid, up to a tenth of a second later: what thousands of idle connections have to do,
/// mostly to ping, then happens together, and their answers arrive together. To wake a worker costs more than a
/// ping does.
fn coarse(deadline: Instant, origin: Instant) -> Instant {
    const GRID_MS: u64 = 100;
    let since = u64::try_from(deadline.saturating_duration_since(origin).as_millis()).unwrap_or(u64::MAX);
    (since / GRID_MS)
        .checked_add(1)
        .and_then(|slots| origin.checked_add(Duration::from_millis(slots.saturating_mul(GRID_MS))))
        .unwrap_or(deadline)
}

impl Driver {
    /// Runs until nothing more can be done now.
    fn advance(&mut self, cx: &mut Context<'_>) {
        loop {
            let mut progress = false;
            while let Some(event) = self.member.handle.mailbox.poll(cx) {
                self.session.handle_event(event, Node::now());
                progress = true;
            }
            progress |= self.poll_calls(cx);
            progress |= self.poll_timer(cx);
            if !progress {
                break;
            }
        }
        // Not only when the transport has ended: a client may take seconds over the closing handshake.
        if self.session.disconnect().is_some() {
            self.withdraw();
        }
    }

    fn withdraw(&mut self) {
        if !std::mem::replace(&mut self.withdrawn, true) {
            let client = &self.member.handle.client;
            self.node.withdraw(self.key, self.session.user(), client);
        }
    }

    fn poll_calls(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        let mut index = 0;
        while let Some((_, performing)) = self.performing.get_mut(index) {
            match performing.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(answer) => {
                    let (id, _) = self.performing.swap_remove(index);
                    self.session.handle_answer(id, answer, Node::now());
                    progress = true;
                }
            }
        }
        while let Some((id, call)) = self.session.poll_call() {
            progress = true;
            let mut performing = self.perform(call);
            match performing.as_mut().poll(cx) {
                Poll::Ready(answer) => self.session.handle_answer(id, answer, Node::now()),
                Poll::Pending => self.performing.push((id, performing)),
            }
        }
        if self.performing.is_empty() {
            self.performing = Vec::new();
        }
        progress
    }

    fn perform(&self, call: Call) -> Performing {
        match call {
            Call::Await(wait) => wait,
            Call::Publish {
                channel,
                data,
                info,
                options,
            } => {
                let node = self.node.clone();
                Box::pin(async move { node.publish_for(channel, data, info, options).await })
            }
            call => {
                let node = self.node.clone();
                let (key, member, limit) = (self.key, self.member.clone(), self.user_limit);
                Box::pin(async move { node.perform(key, member, limit, call).await })
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.session.next_deadline() else {
            self.timer = None;
            return false;
        };
        let deadline = tokio::time::Instant::from_std(coarse(deadline, self.node.started));
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.session.handle_timeout(Node::now());
        // A timer that fired stays ready: have it armed anew.
        self.timer = None;
        true
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.poll_calls(cx) {}
        if self.performing.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

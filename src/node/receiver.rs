//! What the broker delivers goes to the hub.

use std::sync::Arc;
use std::time::Instant;

use super::{Node, unix_ms};
use crate::engine::{ClientInfo, Epoch, Previous, Publication, Receiver};
use crate::hub::Delivery;
use crate::telemetry::FrameType;

impl Receiver for Node {
    fn handle_publication(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        previous: Previous<'_>,
    ) {
        self.context.metrics.broker_received(FrameType::PushPublication);
        let started = Instant::now();
        let delivery = self
            .hub
            .publication_after(previous, channel, publication, epoch, unix_ms());
        self.context.metrics.broadcast(started.elapsed());
        self.count(FrameType::PushPublication, delivery);
    }

    fn handle_join(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.context.metrics.broker_received(FrameType::PushJoin);
        self.count(FrameType::PushJoin, self.hub.join_push(channel, info));
    }

    fn handle_leave(&self, channel: &str, info: &Arc<ClientInfo>) {
        self.context.metrics.broker_received(FrameType::PushLeave);
        self.count(FrameType::PushLeave, self.hub.leave_push(channel, info));
    }

    fn has_subscribers(&self, channel: &str) -> bool {
        self.hub.has_subscribers(channel)
    }

    fn handle_restored(&self, channels: Vec<Arc<str>>) {
        if let Some(node) = self.me.upgrade() {
            tokio::spawn(async move { node.check_restored(channels).await });
        }
    }
}

impl Node {
    fn count(&self, kind: FrameType, delivery: Delivery) {
        for (transport, frames, bytes) in delivery.by_transport() {
            self.context.metrics.sent(transport, kind, frames, bytes);
        }
    }
}

//! What becomes of subscriptions when capabilities of the connection change (channels-and-auth.md 7.1).

use std::sync::Arc;

use super::Session;
use crate::channels::{Operation, Source};
use crate::protocol::Unsubscribe;

impl Session {
    /// Capabilities were replaced: ends the subscriptions that they granted and do not cover any more.
    pub(super) fn leave_uncovered(&mut self) {
        let uncovered: Vec<Arc<str>> = self
            .subscriptions
            .iter()
            .filter(|(channel, subscription)| !self.is_covered(subscription.source, channel))
            .map(|(channel, _)| channel.clone())
            .collect();
        for channel in uncovered {
            self.unsubscribe_with_push(&channel, &Unsubscribe::SERVER);
        }
    }

    /// Whether a subscription granted by `source` may exist still. To be asked again once it is attached: a refresh
    /// may have come in between.
    pub(super) fn is_covered(&self, source: Source, channel: &str) -> bool {
        source != Source::ConnectionCapability || {
            let rules = self.context.rules.load();
            let capabilities = self.capabilities.as_deref();
            rules
                .channels
                .is_capable(capabilities, Operation::Subscribe, channel)
        }
    }
}

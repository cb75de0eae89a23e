//! Positions are looked at as soon as an interrupted engine delivers again (see [`Hub::doubt`](crate::hub::Hub)).

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::Node;
use crate::engine::Position;

/// Channels looked at together: an engine that has just come back is not to be flooded.
const AT_ONCE: usize = 256;

/// What was published before the first look arrives within that time, or was lost.
const GRACE: Duration = Duration::from_millis(500);

/// How often a channel is looked at whose engine does not answer or whose subscribers are still reading.
const ATTEMPTS: usize = 20;

impl Node {
    /// Has every subscription resubscribe that missed something in one of the channels.
    pub(super) async fn check_restored(&self, channels: Vec<Arc<str>>) {
        stream::iter(channels)
            .for_each_concurrent(AT_ONCE, |channel| async move {
                for _ in 0..ATTEMPTS {
                    if self.is_settled(&channel).await {
                        return;
                    }
                }
                // The periodic check goes on from here.
                tracing::warn!(%channel, "positions could not be checked after an interruption");
            })
            .await;
    }

    async fn is_settled(&self, channel: &str) -> bool {
        if !self.hub.has_positions(channel) {
            return true;
        }
        let Some(first) = self.top(channel).await else {
            tokio::time::sleep(GRACE).await;
            return false;
        };
        let doubt = self.hub.doubt(channel, &first);
        if doubt.differs {
            tokio::time::sleep(GRACE).await;
            let Some(second) = self.top(channel).await else {
                return false;
            };
            self.hub.lose_outside(channel, &first, &second);
        } else if doubt.unread {
            tokio::time::sleep(GRACE).await;
        }
        !doubt.unread
    }

    async fn top(&self, channel: &str) -> Option<Position> {
        let meta_ttl = {
            let rules = self.context.rules.load();
            rules.channels.resolve(channel).ok()?.history_meta_ttl
        };
        self.read_top(channel, meta_ttl).await
    }
}

//! Looks at a stream's top: what one subscriber of a channel has seen, the others need not read.

use super::Hub;
use crate::engine::Position;

/// The top of a stream, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The top.
    pub top: Position,
    /// When the look at it began, Unix milliseconds.
    pub seen_ms: i64,
}

impl Hub {
    /// Looks whether a position is still the top of its channel's stream. A look of another subscriber will do if it
    /// began at `since_ms` or later and found that position: whoever stands there had missed nothing by then. Else the
    /// top is read, and kept for the others.
    ///
    /// `None` if it could not be read. Dropping the future ends its own reading only.
    pub async fn look(
        &self,
        channel: &str,
        position: &Position,
        since_ms: i64,
        read: impl AsyncFnOnce() -> Option<Sighting>,
    ) -> Option<Sighting> {
        let kept = self.channel(channel).and_then(|channel| channel.seen());
        if let Some(kept) = kept
            && kept.seen_ms >= since_ms
            && kept.top == *position
        {
            return Some(kept);
        }
        let seen = read().await?;
        if let Some(channel) = self.channel(channel)
            && channel.count() > 1
        {
            channel.see(&seen);
        }
        Some(seen)
    }
}

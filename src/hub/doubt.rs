//! Positions after an interruption: publications may not have come, and nothing that comes later need show it.
//!
//! Two looks at the stream's top with a pause between them. What was published before the first look has arrived
//! by the second, or never will; whoever stands above the second is ahead of a stream that lost its end.

use super::Hub;
use super::subscriber::Standing;
use crate::engine::{Epoch, Position};

/// What a look at a channel's subscribers has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// Some do not stand at the top.
    pub differs: bool,
    /// For some, the stream is still being read: they must be looked at again.
    pub unread: bool,
}

impl Hub {
    /// Whether anybody subscribes to a channel here.
    #[must_use]
    pub fn has_subscribers(&self, channel: &str) -> bool {
        self.channel(channel).is_some_and(|channel| channel.count() > 0)
    }

    /// Whether anybody in a channel follows offsets: only then is its top worth a look.
    #[must_use]
    pub fn has_positions(&self, channel: &str) -> bool {
        let nowhere = Position {
            offset: 0,
            epoch: Epoch::new(""),
        };
        let Doubt { differs, unread } = self.doubt(channel, &nowhere);
        differs || unread
    }

    /// Compares the positions in a channel with its stream's top.
    #[must_use]
    pub fn doubt(&self, channel: &str, top: &Position) -> Doubt {
        let mut doubt = Doubt::default();
        if let Some(channel) = self.channel(channel) {
            channel.broadcast(|subscribers, _| {
                for subscriber in subscribers {
                    match subscriber.standing(top) {
                        Some(Standing::Elsewhere) => doubt.differs = true,
                        Some(Standing::Unread) => doubt.unread = true,
                        Some(Standing::AtTop) | None => {}
                    }
                }
            });
        }
        doubt
    }

    /// Has those in a channel resubscribe whose position is none that the stream had between two looks at its top.
    pub fn lose_outside(&self, channel: &str, first: &Position, second: &Position) {
        if let Some(channel) = self.channel(channel) {
            channel.broadcast(|subscribers, _| {
                for subscriber in subscribers {
                    subscriber.lose_outside(&channel.name, first, second);
                }
            });
        }
    }
}

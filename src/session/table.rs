//! The subscriptions of one session.
//!
//! A sorted vector instead of a hash table: most connections have one subscription or a few, and a hash table
//! reserves four entries for the first. Lookups are binary searches; with the thousands of subscriptions that
//! some gateways hold, an insertion moves some tens of kilobytes, still less than the rest of a subscribe costs.

use std::sync::Arc;

use super::subscription::Subscription;

/// Subscriptions by channel, in the order of channel names.
#[derive(Default)]
pub(super) struct Subscriptions {
    entries: Vec<(Arc<str>, Subscription)>,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, channel: &str) -> bool {
        self.find(channel).is_ok()
    }

    /// The subscription with the shared name of its channel.
    pub(super) fn entry(&self, channel: &str) -> Option<&(Arc<str>, Subscription)> {
        self.find(channel).ok().and_then(|index| self.entries.get(index))
    }

    pub(super) fn get(&self, channel: &str) -> Option<&Subscription> {
        self.entry(channel).map(|(_, subscription)| subscription)
    }

    pub(super) fn get_mut(&mut self, channel: &str) -> Option<&mut Subscription> {
        let index = self.find(channel).ok()?;
        self.entries.get_mut(index).map(|(_, subscription)| subscription)
    }

    /// Adds a subscription; one that was there for the same channel is replaced.
    pub(super) fn insert(&mut self, channel: Arc<str>, subscription: Subscription) {
        match self.find(&channel) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.1 = subscription;
                }
            }
            Err(index) => {
                if self.entries.is_empty() {
                    // Growth by doubling begins at four.
                    self.entries.reserve_exact(1);
                }
                self.entries.insert(index, (channel, subscription));
            }
        }
    }

    pub(super) fn remove(&mut self, channel: &str) -> Option<(Arc<str>, Subscription)> {
        let index = self.find(channel).ok()?;
        let removed = self.entries.remove(index);
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to_fit();
        }
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Subscription)> {
        self.entries
            .iter()
            .map(|(channel, subscription)| (channel, subscription))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        self.entries.iter_mut().map(|(_, subscription)| subscription)
    }

    pub(super) fn into_entries(self) -> Vec<(Arc<str>, Subscription)> {
        self.entries
    }

    fn find(&self, channel: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(name, _)| (**name).cmp(channel))
    }
}

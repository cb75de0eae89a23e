//! Entries that expire, and are not too many.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::Until;

/// Entries of one kind, which together take some hundred megabytes at most. Ten logouts a second, each remembered
/// for a day, stay below.
pub const MAX_ENTRIES: usize = 1_000_000;

/// There is no room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_ENTRIES} entries already, none of which has expired")]
pub struct Full;

/// Names with a number each, for a time. They have an order, so that they can be read piece by piece.
#[derive(Default)]
pub(super) struct Expiring {
    entries: RwLock<BTreeMap<Box<str>, Entry>>,
}

struct Entry {
    until: Until,
    value: i64,
}

impl Expiring {
    /// Makes an entry, or lifts an earlier one of that name to a later end and a higher value. One that is over
    /// already is not made.
    pub(super) fn raise(&self, name: &str, until: Until, value: i64, now: i64) -> Result<(), Full> {
        self.raise_within(MAX_ENTRIES, name, until, value, now)
    }

    pub(super) fn raise_within(
        &self,
        limit: usize,
        name: &str,
        until: Until,
        value: i64,
        now: i64,
    ) -> Result<(), Full> {
        if until.is_over(now) {
            return Ok(());
        }
        let mut entries = self.entries.write();
        if let Some(entry) = entries.get_mut(name) {
            if entry.until.is_over(now) {
                *entry = Entry { until, value };
            } else {
                entry.until = entry.until.max(until);
                entry.value = entry.value.max(value);
            }
            return Ok(());
        }
        if entries.len() >= limit {
            entries.retain(|_, entry| !entry.until.is_over(now));
        }
        if entries.len() >= limit {
            return Err(Full);
        }
        entries.insert(name.into(), Entry { until, value });
        Ok(())
    }

    /// Takes an entry away whose value is not above this one.
    pub(super) fn remove_up_to(&self, name: &str, value: i64) {
        let mut entries = self.entries.write();
        if entries.get(name).is_some_and(|entry| entry.value <= value) {
            entries.remove(name);
        }
    }

    /// The next entries after a name that are not over: name, end, value.
    pub(super) fn page(&self, after: &str, limit: usize, now: i64) -> Vec<(String, Until, i64)> {
        // No name is empty.
        let after = (Bound::Excluded(after), Bound::Unbounded);
        let entries = self.entries.read();
        let alive = entries
            .range::<str, _>(after)
            .filter(|(_, entry)| !entry.until.is_over(now))
            .map(|(name, entry)| (name.to_string(), entry.until, entry.value));
        alive.take(limit).collect()
    }

    /// The value of an entry that is not over.
    pub(super) fn get(&self, name: &str, now: i64) -> Option<i64> {
        let entries = self.entries.read();
        let entry = entries.get(name)?;
        (!entry.until.is_over(now)).then_some(entry.value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.read().is_empty()
    }

    pub(super) fn sweep(&self, now: i64) {
        if self.is_empty() {
            return;
        }
        self.entries.write().retain(|_, entry| !entry.until.is_over(now));
    }
}

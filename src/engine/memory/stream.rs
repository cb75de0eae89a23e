//! One channel's stream: items, position, expiry.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{EngineError, Epoch, History, HistoryQuery, Position, Publication, Retention};

/// Items with consecutive offsets that end at `top`.
pub(super) struct Stream {
    epoch: Epoch,
    top: u64,
    items: VecDeque<Arc<Publication>>,
    items_until: Option<Instant>,
    meta_until: Option<Instant>,
    version: u64,
    version_epoch: String,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            epoch: Epoch::random(),
            top: 0,
            items: VecDeque::new(),
            items_until: None,
            meta_until: None,
            version: 0,
            version_epoch: String::new(),
        }
    }

    pub(super) fn top(&self) -> Position {
        Position {
            offset: self.top,
            epoch: self.epoch.clone(),
        }
    }

    /// The publication appended last, if it is still kept.
    pub(super) fn newest(&self) -> Option<Arc<Publication>> {
        self.items.back().cloned()
    }

    /// Whether a publication of that version is newer than what is stored. Version 0 always is.
    pub(super) fn accepts_version(&self, version: u64, version_epoch: &str) -> bool {
        version == 0
            || version > self.version
            || !(version_epoch.is_empty() || version_epoch == self.version_epoch)
    }

    pub(super) fn append(
        &mut self,
        publication: Publication,
        retention: Retention,
        version_epoch: &str,
        now: Instant,
    ) -> Arc<Publication> {
        // A publication without a version forgets the stored one, as the reference's memory does.
        self.version = publication.version;
        version_epoch.clone_into(&mut self.version_epoch);
        self.top = publication.offset;
        let publication = Arc::new(publication);
        self.items.push_back(publication.clone());
        while self.items.len() > retention.size {
            self.items.pop_front();
        }
        self.items_until = now.checked_add(retention.ttl);
        self.touch(now, retention.meta_ttl);
        publication
    }

    /// Keeps epoch and offset alive for `meta_ttl` from now.
    pub(super) fn touch(&mut self, now: Instant, meta_ttl: Duration) {
        self.meta_until = now.checked_add(meta_ttl);
    }

    /// Drops items whose time is over; a stream whose meta time is over starts a new epoch.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.items_until.is_some_and(|until| until <= now) {
            self.clear();
        }
        if self.is_forgotten(now) {
            *self = Self::new();
        }
    }

    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.meta_until.is_some_and(|until| until <= now)
    }

    pub(super) fn clear(&mut self) {
        self.items = VecDeque::new();
        self.items_until = None;
    }

    pub(super) fn read(&self, query: &HistoryQuery) -> Result<History, EngineError> {
        let top = self.top();
        if let Some(since) = &query.since {
            if !since.epoch.is_empty() && since.epoch != self.epoch.as_str() {
                return Err(EngineError::UnrecoverablePosition);
            }
            if query.reverse && since.offset == 0 {
                return Err(EngineError::InvalidSince);
            }
        }
        let limit = query.limit.unwrap_or(usize::MAX);
        let publications = match (&query.since, query.reverse) {
            (None, false) => self.items.iter().take(limit).cloned().collect(),
            (None, true) => self.items.iter().rev().take(limit).cloned().collect(),
            (Some(since), false) => {
                let start = self.items.partition_point(|item| item.offset <= since.offset);
                self.items.range(start..).take(limit).cloned().collect()
            }
            // Beyond top + 1 there is nothing to read back from.
            (Some(since), true) if since.offset > self.top.saturating_add(1) => Vec::new(),
            (Some(since), true) => {
                let end = self.items.partition_point(|item| item.offset < since.offset);
                self.items.range(..end).rev().take(limit).cloned().collect()
            }
        };
        Ok(History { publications, top })
    }
}

//! Reading history: from the newest message backwards, many at once.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::store::{Store, Stored};
use crate::engine::{EngineError, History, HistoryQuery, Publication, Since};
use crate::node::unix_ms;

/// Answers a query; `top` is the newest message of the channel.
pub(super) async fn read(store: &Store, top: Stored, query: &HistoryQuery) -> Result<History, EngineError> {
    let position = top.record.position();
    if let Some(since) = &query.since {
        if !since.epoch.is_empty() && since.epoch != position.epoch.as_str() {
            return Err(EngineError::UnrecoverablePosition);
        }
        if query.reverse && since.offset == 0 {
            return Err(EngineError::InvalidSince);
        }
    }
    let wanted = Wanted::of(query, &top);
    let publications = if wanted.is_empty() {
        Vec::new()
    } else {
        wanted.select(newest_first(store, top, wanted.lowest).await?)
    };
    Ok(History {
        publications,
        top: position,
    })
}

/// Offsets that a query asks for, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    lowest: u64,
    highest: u64,
    limit: usize,
    reverse: bool,
}

impl Wanted {
    fn of(query: &HistoryQuery, top: &Stored) -> Self {
        let top = (top.record.offset, top.record.size);
        let size = u64::try_from(top.1).unwrap_or(u64::MAX);
        let oldest = top.0.saturating_sub(size).saturating_add(1);
        let all = Self {
            lowest: oldest,
            highest: top.0,
            limit: query.limit.unwrap_or(usize::MAX),
            reverse: query.reverse,
        };
        match (&query.since, query.reverse) {
            (None, _) => all,
            (Some(Since { offset, .. }), false) => Self {
                lowest: oldest.max(offset.saturating_add(1)),
                // Beyond the largest number there is nothing.
                limit: if *offset == u64::MAX { 0 } else { all.limit },
                ..all
            },
            // Beyond top + 1 there is nothing to read back from.
            (Some(Since { offset, .. }), true) if *offset > top.0.saturating_add(1) => {
                Self { limit: 0, ..all }
            }
            (Some(Since { offset, .. }), true) => Self {
                highest: top.0.min(offset.saturating_sub(1)),
                ..all
            },
        }
    }

    fn is_empty(&self) -> bool {
        self.limit == 0 || self.lowest > self.highest
    }

    fn select(&self, newest_first: Vec<Arc<Publication>>) -> Vec<Arc<Publication>> {
        let wanted = newest_first
            .into_iter()
            .filter(|publication| (self.lowest..=self.highest).contains(&publication.offset));
        if self.reverse {
            return wanted.take(self.limit).collect();
        }
        let mut oldest_first: Vec<_> = wanted.collect();
        oldest_first.reverse();
        oldest_first.truncate(self.limit);
        oldest_first
    }
}

/// Publications down to an offset. Ends early where the stream has dropped them.
async fn newest_first(store: &Store, top: Stored, lowest: u64) -> Result<Vec<Arc<Publication>>, EngineError> {
    let mut publications: Vec<Arc<Publication>> = Vec::new();
    let mut next = top.record.before.clone();
    let mut expected = top.record.offset;
    let mut expires = None;
    if let Some(publication) = top.publication {
        expires = Some(top.time_ms.saturating_add_unsigned(top.record.ttl_ms));
        expected = expected.saturating_sub(1);
        publications.push(publication);
    }
    while !is_over(expires) && !next.is_empty() && expected >= lowest {
        let left = usize::try_from(expected - lowest)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        next.truncate(left);
        let stored = try_join_all(next.iter().map(|sequence| store.at(*sequence))).await?;
        next.clear();
        for stored in stored {
            // Dropped by the stream, or a sequence of something else: below it there is nothing to be read.
            let Some(Stored {
                record,
                publication: Some(publication),
                time_ms,
                ..
            }) = stored
            else {
                return Ok(unless_over(publications, expires));
            };
            if record.offset != expected {
                return Ok(unless_over(publications, expires));
            }
            expires.get_or_insert_with(|| time_ms.saturating_add_unsigned(record.ttl_ms));
            expected = expected.saturating_sub(1);
            publications.push(publication);
            next = record.before;
        }
    }
    Ok(unless_over(publications, expires))
}

fn is_over(expires: Option<i64>) -> bool {
    expires.is_some_and(|expires| expires <= unix_ms())
}

fn unless_over(publications: Vec<Arc<Publication>>, expires: Option<i64>) -> Vec<Arc<Publication>> {
    if is_over(expires) {
        Vec::new()
    } else {
        publications
    }
}

//! Reading streams (engines.md 6.4, 6.5).
//!
//! A script reads a limited amount and says whether there is more; then the read goes on behind what it has got. The
//! result is what a single read would have given, at the time of its first or of a later page:
//!
//! - The top is that of the first page; what was appended since is left out.
//! - Where the stream was trimmed meanwhile beyond what is already read, the next page does not continue it. Then
//!   the pages before it are dropped, as a later read would not have had them, and the caller sees the gap.
//! - In another epoch nothing fits together, and the read begins anew.

use std::sync::Arc;

use bytes::Bytes;

use super::answer::Parts;
use super::broker::HistoryIn;
use super::payload::{self, Malformed};
use super::shard::Shard;
use super::{scripts, seconds};
use crate::engine::rarely::Rarely;
use crate::engine::{EngineError, Epoch, History, HistoryQuery, Position, Publication};

/// Reads that may begin anew before it is given up.
const ATTEMPTS: usize = 3;

/// Entries that cannot be read.
static MALFORMED: Rarely = Rarely::new();

pub(super) async fn read(
    shard: &Shard,
    history: HistoryIn,
    channel: &str,
    query: &HistoryQuery,
) -> Result<History, EngineError> {
    for _ in 0..ATTEMPTS {
        let mut reading = Reading::new(query);
        loop {
            let page = page(shard, history, channel, &reading).await?;
            match reading.take(page)? {
                Progress::More => {}
                Progress::Anew => break,
                Progress::Done(history) => return Ok(history),
            }
        }
    }
    Err(EngineError::Unavailable("stream is being replaced".to_owned()))
}

/// What one run of the script has read.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) top: Position,
    pub(super) entries: Vec<Entry>,
    pub(super) has_more: bool,
    /// Other calls in the same run have read so much that nothing was read for this one.
    pub(super) was_skipped: bool,
}

/// An entry at an offset; `None` for one that cannot be read.
#[derive(Debug)]
pub(super) struct Entry(pub(super) u64, pub(super) Option<Arc<Publication>>);

async fn page(
    shard: &Shard,
    history: HistoryIn,
    channel: &str,
    reading: &Reading<'_>,
) -> Result<Page, EngineError> {
    let keys = &shard.keys;
    let (script, keys) = match history {
        HistoryIn::Streams => (
            &scripts::HISTORY_STREAM,
            vec![keys.stream(channel), keys.stream_meta(channel)],
        ),
        HistoryIn::Lists => (
            &scripts::HISTORY_LIST,
            vec![keys.list(channel), keys.list_meta(channel)],
        ),
    };
    let direction = match reading.query.reverse {
        _ if !reading.wants_publications() => "",
        false => "f",
        true => "r",
    };
    let args = vec![
        Bytes::from_static(direction.as_bytes()),
        reading
            .from()
            .map_or_else(Bytes::new, |from| from.to_string().into()),
        reading.limit().to_string().into(),
        seconds(reading.query.meta_ttl).to_string().into(),
        Epoch::random().as_str().to_owned().into(),
    ];
    let mut answer = Parts::of(shard.script(channel, script, keys, args).await?)?;
    let offset = answer.number()?;
    let epoch = Epoch::new(&answer.text()?);
    let entries = answer.list()?.unwrap_or_default();
    let is_empty = entries.is_empty();
    let entries = match history {
        HistoryIn::Streams => stream_entries(channel, entries)?,
        HistoryIn::Lists => list_entries(channel, entries, &epoch)?,
    };
    let has_more = answer.flag()?;
    Ok(Page {
        top: Position { offset, epoch },
        entries,
        has_more,
        was_skipped: is_empty && has_more,
    })
}

fn stream_entries(channel: &str, parts: Parts) -> Result<Vec<Entry>, EngineError> {
    let mut entries = Vec::new();
    for (id, bytes) in parts.pairs()? {
        match payload::entry_offset(&id) {
            Ok(offset) => {
                let publication = payload::stream_entry(offset, bytes);
                entries.push(Entry(
                    offset,
                    publication.map_err(|error| report(channel, &error)).ok(),
                ));
            }
            Err(error) => report(channel, &error),
        }
    }
    Ok(entries)
}

/// Entries that another epoch has left are none of this one.
fn list_entries(channel: &str, parts: Parts, epoch: &Epoch) -> Result<Vec<Entry>, EngineError> {
    let mut entries = Vec::new();
    for bytes in parts.rest()? {
        match payload::list_entry(&bytes) {
            Ok((publication, Some(written))) if written == *epoch => {
                entries.push(Entry(publication.offset, Some(publication)));
            }
            Ok(_) => {}
            Err(error) => report(channel, &error),
        }
    }
    Ok(entries)
}

fn report(channel: &str, error: &Malformed) {
    if let Some(count) = MALFORMED.allow() {
        tracing::error!(channel, count, %error, "error reading an entry of a stream in Redis, left out");
    }
}

/// A read between two pages. Pure.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) query: &'a HistoryQuery,
    top: Option<Position>,
    /// The last offset that was read.
    cursor: Option<u64>,
    publications: Vec<Arc<Publication>>,
}

#[derive(Debug)]
pub(super) enum Progress {
    More,
    Anew,
    Done(History),
}

impl<'a> Reading<'a> {
    pub(super) fn new(query: &'a HistoryQuery) -> Self {
        Self {
            query,
            top: None,
            cursor: None,
            publications: Vec::new(),
        }
    }

    /// Whether publications are wanted at all: not where only the position is, nor where nothing can follow.
    pub(super) fn wants_publications(&self) -> bool {
        let is_nothing_there = match &self.query.since {
            Some(since) if self.query.reverse => since.offset <= 1,
            Some(since) => since.offset == u64::MAX,
            None => false,
        };
        self.query.limit != Some(0) && !is_nothing_there
    }

    /// The first offset to read; `None` for the end of the stream at which the direction begins.
    pub(super) fn from(&self) -> Option<u64> {
        let since = self
            .cursor
            .or(self.query.since.as_ref().map(|since| since.offset))?;
        Some(if self.query.reverse {
            since.saturating_sub(1)
        } else {
            since.saturating_add(1)
        })
    }

    /// How many are still wanted; 0 = all.
    pub(super) fn limit(&self) -> usize {
        self.query
            .limit
            .map_or(0, |limit| limit.saturating_sub(self.publications.len()))
    }

    pub(super) fn take(&mut self, mut page: Page) -> Result<Progress, EngineError> {
        let top = match &self.top {
            None => {
                self.check_since(&page.top)?;
                self.top.insert(page.top).clone()
            }
            Some(top) if top.epoch == page.top.epoch => top.clone(),
            Some(_) => return Ok(Progress::Anew),
        };
        if page.was_skipped {
            return Ok(Progress::More);
        }
        // Appended since, or left of an epoch before.
        page.entries.retain(|Entry(offset, _)| *offset <= top.offset);
        let follows = |cursor: u64| page.entries.first().map(|Entry(offset, _)| *offset) == Some(cursor + 1);
        let was_trimmed = self
            .cursor
            .is_some_and(|cursor| !self.query.reverse && cursor < top.offset && !follows(cursor));
        if was_trimmed {
            self.publications.clear();
        }
        let last = page.entries.last().map(|Entry(offset, _)| *offset);
        let read = page
            .entries
            .into_iter()
            .filter_map(|Entry(_, publication)| publication);
        self.publications.extend(read);
        let is_full = self
            .query
            .limit
            .is_some_and(|limit| self.publications.len() >= limit);
        let is_at_end = last.is_none_or(|last| match self.query.reverse {
            true => last <= 1,
            false => last >= top.offset,
        });
        // What was dropped leaves room for more than this page was asked for.
        if (page.has_more || was_trimmed) && !is_full && !is_at_end {
            self.cursor = last;
            return Ok(Progress::More);
        }
        Ok(Progress::Done(History {
            publications: std::mem::take(&mut self.publications),
            top,
        }))
    }

    /// As the memory engine does: the epoch first.
    fn check_since(&self, top: &Position) -> Result<(), EngineError> {
        let Some(since) = &self.query.since else {
            return Ok(());
        };
        if !since.epoch.is_empty() && since.epoch != top.epoch.as_str() {
            return Err(EngineError::UnrecoverablePosition);
        }
        if self.query.reverse && since.offset == 0 {
            return Err(EngineError::InvalidSince);
        }
        Ok(())
    }
}

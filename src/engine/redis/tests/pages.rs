//! Reads that take several pages while the stream changes: results that one read could have given.

use proptest::prelude::*;

use super::super::history::{Entry, Page, Progress, Reading};
use super::*;
use crate::engine::{Epoch, Position};

/// A stream of which pages are read.
#[derive(Clone, Debug)]
struct Stream {
    epoch: u32,
    first: u64,
    top: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Publish(u64),
    Trim(u64),
    Remove,
    Replace,
    /// Others are read in the same run.
    Crowd,
}

impl Stream {
    fn change(&mut self, change: &Change) {
        match change {
            Change::Publish(count) => self.top += count,
            Change::Trim(count) => self.first = (self.first + count).min(self.top),
            Change::Remove => self.first = self.top + 1,
            Change::Crowd => {}
            Change::Replace => {
                *self = Self {
                    epoch: self.epoch + 1,
                    first: 1,
                    top: 3,
                }
            }
        }
    }

    /// What the script does, with pages of three.
    fn page(&self, reading: &Reading<'_>, is_crowded: bool) -> Page {
        let offsets: Vec<u64> = if !reading.wants_publications() {
            Vec::new()
        } else if reading.query.reverse {
            let from = reading.from().unwrap_or(self.top);
            if from > self.top {
                Vec::new()
            } else {
                (self.first..=from).rev().collect()
            }
        } else {
            (reading.from().unwrap_or(0).max(self.first)..=self.top).collect()
        };
        let limit = match reading.limit() {
            0 => usize::MAX,
            limit => limit,
        };
        let wanted = offsets.len().min(limit);
        let was_skipped = is_crowded && wanted > 0;
        Page {
            top: self.position(),
            has_more: wanted > 3 || was_skipped,
            was_skipped,
            entries: offsets
                .into_iter()
                .take(if was_skipped { 0 } else { wanted.min(3) })
                .map(Self::entry)
                .collect(),
        }
    }

    fn entry(offset: u64) -> Entry {
        let publication = Publication {
            offset,
            ..Publication::default()
        };
        Entry(offset, Some(Arc::new(publication)))
    }

    fn position(&self) -> Position {
        Position {
            offset: self.top,
            epoch: Epoch::new(&self.epoch.to_string()),
        }
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0_u64..6).prop_map(Change::Publish),
        3 => (0_u64..6).prop_map(Change::Trim),
        1 => Just(Change::Remove),
        1 => Just(Change::Replace),
        2 => Just(Change::Crowd),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_hole_is_in_what_is_read(
        first in 1_u64..5,
        length in 0_u64..20,
        since in proptest::option::of(0_u64..25),
        limit in proptest::option::of(0_usize..12),
        reverse: bool,
        changes in proptest::collection::vec(any_change(), 60),
    ) {
        let since = since.filter(|since| !reverse || *since > 0);
        let query = query(limit, since.map(|since| (since, "")), reverse);
        let mut stream = Stream { epoch: 0, first, top: first + length - 1 };
        let mut reading = Reading::new(&query);
        let top = stream.position();
        for change in &changes {
            let page = stream.page(&reading, matches!(change, Change::Crowd));
            match reading.take(page).unwrap() {
                Progress::More => stream.change(change),
                Progress::Anew => {
                    prop_assert!(stream.position().epoch != top.epoch);
                    return Ok(());
                }
                Progress::Done(history) => {
                    prop_assert_eq!(&history.top, &top);
                    let offsets: Vec<u64> = history.publications.iter().map(|one| one.offset).collect();
                    prop_assert!(limit.is_none_or(|limit| offsets.len() <= limit));
                    prop_assert!(offsets.iter().all(|offset| *offset <= top.offset));
                    let step = |pair: &[u64]| if reverse { pair[1] + 1 == pair[0] } else { pair[0] + 1 == pair[1] };
                    prop_assert!(offsets.windows(2).all(step), "{offsets:?}");
                    // Forward, all from the first that is given up to the end or the limit.
                    if !reverse
                        && let Some(last) = offsets.last()
                        && stream.epoch == 0
                    {
                        let is_full = limit.is_some_and(|limit| offsets.len() >= limit);
                        prop_assert!(is_full || *last == top.offset, "{offsets:?} of {top:?}");
                    }
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "reads without end");
    }
}

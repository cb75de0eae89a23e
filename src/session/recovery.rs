//! Whether a client's position can be continued (history-and-recovery.md 5). Pure.

use std::sync::Arc;

use crate::channels::RecoveryMode;
use crate::engine::{History, Publication, Since};

/// What a subscribe with recovery yields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    /// The client misses nothing, or gets what it misses.
    pub(super) recovered: bool,
    /// What it misses, ascending.
    pub(super) publications: Vec<Arc<Publication>>,
}

/// Decides over a read of the stream from `since` (stream mode) or back from its newest publication (cache mode).
/// Filters count in cache mode, where the newest publication that the client `wants` is looked for; what they drop
/// of a stream is dropped later, for it is no gap.
pub(super) fn decide(
    mode: RecoveryMode,
    since: &Since,
    history: &History,
    wants: impl Fn(&Publication) -> bool,
) -> Recovery {
    match mode {
        RecoveryMode::Stream => stream(since, history),
        RecoveryMode::Cache => cache(since, history, wants),
    }
}

fn stream(since: &Since, history: &History) -> Recovery {
    let top = &history.top;
    let same_epoch = since.epoch.is_empty() || since.epoch == top.epoch.as_str();
    let complete = match (history.publications.first(), history.publications.last()) {
        (Some(first), Some(last)) => {
            since.offset.checked_add(1) == Some(first.offset) && last.offset == top.offset
        }
        _ => since.offset == top.offset,
    };
    if same_epoch && complete {
        Recovery {
            recovered: true,
            publications: history.publications.clone(),
        }
    } else {
        Recovery {
            recovered: false,
            publications: Vec::new(),
        }
    }
}

fn cache(since: &Since, history: &History, wants: impl Fn(&Publication) -> bool) -> Recovery {
    let top = &history.top;
    let is_current = since.offset > 0 && since.offset == top.offset && since.epoch == top.epoch.as_str();
    let is_whole = history
        .publications
        .first()
        .is_some_and(|newest| newest.offset == top.offset);
    let wanted = history
        .publications
        .iter()
        .find(|publication| is_whole && wants(publication));
    Recovery {
        // Where there is nothing, only one who had it all misses nothing.
        recovered: is_current || wanted.is_some(),
        publications: wanted.filter(|_| !is_current).cloned().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Epoch, Position};

    fn history(offsets: std::ops::RangeInclusive<u64>, top: u64) -> History {
        let publications = offsets
            .map(|offset| {
                Arc::new(Publication {
                    offset,
                    ..Publication::default()
                })
            })
            .collect();
        History {
            publications,
            top: Position {
                offset: top,
                epoch: Epoch::new("E"),
            },
        }
    }

    #[allow(clippy::reversed_empty_ranges, reason = "an empty history")]
    fn nothing(top: u64) -> History {
        history(1..=0, top)
    }

    fn since(offset: u64, epoch: &str) -> Since {
        Since {
            offset,
            epoch: epoch.into(),
        }
    }

    /// The table of history-and-recovery.md 5, top 3.
    #[test]
    fn stream_mode() {
        let cases = [
            (since(1, "E"), history(2..=3, 3), Some(2)),
            (since(3, "E"), nothing(3), Some(0)),
            (since(9, "E"), nothing(3), None),
            (since(1, "other"), history(2..=3, 3), None),
            (since(0, ""), history(1..=3, 3), Some(3)),
            (since(0, ""), nothing(0), Some(0)),
            (since(1, "E"), history(3..=3, 3), None),
            (since(1, "E"), history(2..=2, 3), None),
            (since(1, "E"), nothing(3), None),
            (since(0, "_"), history(1..=3, 3), None),
            (since(u64::MAX, "E"), history(1..=3, 3), None),
        ];
        for (since, history, expected) in cases {
            let recovery = decide(RecoveryMode::Stream, &since, &history, |_| true);
            let found = recovery.recovered.then_some(recovery.publications.len());
            assert_eq!(found, expected, "{since:?}");
        }
    }

    #[test]
    fn cache_mode() {
        let cases = [
            (since(0, ""), history(3..=3, 3), Some(1)),
            (since(3, "E"), history(3..=3, 3), Some(0)),
            (since(3, "other"), history(3..=3, 3), Some(1)),
            (since(0, ""), nothing(0), None),
            (since(3, "E"), nothing(3), Some(0)),
            (since(2, "E"), nothing(3), None),
            (since(0, "E"), nothing(0), None),
        ];
        for (since, history, expected) in cases {
            let recovery = decide(RecoveryMode::Cache, &since, &history, |_| true);
            let found = recovery.recovered.then_some(recovery.publications.len());
            assert_eq!(found, expected, "{since:?}");
        }
    }

    /// Offsets 5, 4, 3 of a stream, of which the client wants one, or none.
    #[test]
    fn cache_mode_with_a_filter() {
        let mut newest_first = history(3..=5, 5);
        newest_first.publications.reverse();
        let mut without_top = newest_first.clone();
        without_top.publications.remove(0);
        let cases = [
            (since(0, ""), &newest_first, 3, Some(Some(3))),
            (since(0, ""), &newest_first, 5, Some(Some(5))),
            (since(2, "other"), &newest_first, 4, Some(Some(4))),
            (since(5, "E"), &newest_first, 4, Some(None)),
            (since(5, "E"), &newest_first, 1, Some(None)),
            (since(0, ""), &newest_first, 1, None),
            (since(4, "E"), &newest_first, 1, None),
            // The newest one is gone: what is older is not the latest.
            (since(0, ""), &without_top, 4, None),
            (since(5, "E"), &without_top, 4, Some(None)),
        ];
        for (since, history, wanted, expected) in cases {
            let recovery = decide(RecoveryMode::Cache, &since, history, |item| item.offset == wanted);
            let newest = recovery.publications.first().map(|item| item.offset);
            assert_eq!(
                recovery.recovered.then_some(newest),
                expected,
                "{since:?} {wanted}"
            );
        }
    }
}

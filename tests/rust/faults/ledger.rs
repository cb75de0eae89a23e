//! What a subscriber got, and whether that is everything.

use std::collections::BTreeSet;

/// One thing that a subscriber learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A publication, by its number, its position, and whether it came with a recovery.
    Got { number: u64, epoch: String, offset: u64 },
    /// It was told that publications are missing here.
    Gap,
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Accepted, not received, and no gap told.
    pub lost: Vec<u64>,
    /// Received twice at one position. A backend's own repeat whose key was lost with the server has another one.
    pub doubled: Vec<u64>,
    /// Received after a later one.
    pub swapped: Vec<u64>,
    /// Gaps that were told.
    pub gaps: usize,
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.swapped.is_empty()
    }
}

/// Judges a subscriber that was there from before the first to after the last accepted publication.
pub fn judge(entries: &[Entry], accepted: &BTreeSet<u64>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut places = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut last: Option<(&str, u64)> = None;
    for entry in entries {
        match entry {
            Entry::Gap => {
                verdict.gaps += 1;
                last = None;
            }
            Entry::Got {
                number,
                epoch,
                offset,
            } => {
                // A failover may give the offset of a publication that it lost to another one.
                if !places.insert((epoch.as_str(), *offset, *number)) {
                    verdict.doubled.push(*number);
                } else if last.is_some_and(|(last_epoch, last)| last_epoch == epoch && last >= *offset) {
                    verdict.swapped.push(*number);
                }
                last = Some((epoch, *offset));
                seen.insert(*number);
            }
        }
    }
    let excused = gaps(entries);
    verdict.lost = accepted
        .iter()
        .filter(|number| !seen.contains(number))
        .filter(|number| {
            !excused
                .iter()
                .any(|(after, before)| after < number && *number < before)
        })
        .copied()
        .collect();
    verdict
}

/// Between which numbers publications were told to be missing.
fn gaps(entries: &[Entry]) -> Vec<(u64, u64)> {
    let number = |entry: &Entry| match entry {
        Entry::Got { number, .. } => Some(*number),
        Entry::Gap => None,
    };
    entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| **entry == Entry::Gap)
        .map(|(index, _)| {
            let after = entries[..index].iter().filter_map(number).max().unwrap_or(0);
            let before = entries[index..].iter().find_map(number).unwrap_or(u64::MAX);
            (after, before)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(number: u64, offset: u64) -> Entry {
        Entry::Got {
            number,
            epoch: "e".to_owned(),
            offset,
        }
    }

    #[test]
    fn what_is_missing_is_found_unless_it_was_told() {
        let accepted = (1..=6).collect();
        let good = [1, 2, 3, 4, 5, 6].map(|number| got(number, number));
        assert!(judge(&good, &accepted).is_good());
        let silent = judge(&[got(1, 1), got(2, 2), got(5, 5), got(6, 6)], &accepted);
        assert_eq!(silent.lost, [3, 4]);
        let told = judge(
            &[got(1, 1), got(2, 2), Entry::Gap, got(5, 5), got(6, 6)],
            &accepted,
        );
        assert!(told.is_good() && told.gaps == 1);
        let late = judge(
            &[got(1, 1), got(2, 2), Entry::Gap, got(3, 3), got(4, 4)],
            &accepted,
        );
        assert_eq!(late.lost, [5, 6]);
        let twice = judge(&[got(1, 1), got(2, 2), got(2, 2)], &(1..=2).collect());
        assert_eq!(twice.doubled, [2]);
        let swapped = judge(&[got(2, 2), got(1, 1)], &(1..=2).collect());
        assert_eq!(swapped.swapped, [1]);
        // After a failover that lost the second publication, its offset is that of the third.
        let refilled = [got(1, 1), got(2, 2), Entry::Gap, got(3, 2)];
        assert!(judge(&refilled, &(1..=3).collect()).is_good());
        let untold = [got(1, 1), got(2, 2), got(3, 2)];
        assert_eq!(judge(&untold, &(1..=3).collect()).swapped, [3]);
    }
}

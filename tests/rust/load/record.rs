//! What a subscriber has heard on its channels, and how that compares with what others heard.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::link::Link;
use crate::message::{Item, Publication};

/// Publications by channel, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub items: BTreeMap<String, Vec<Item>>,
    /// The last offset heard, on channels that have offsets.
    offsets: BTreeMap<String, u64>,
}

/// How fast a subscriber reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Fast,
    /// With a rest after every few messages.
    Slow,
}

impl Record {
    fn add(&mut self, channel: String, publication: &Publication) {
        if publication.offset > 0
            && let Some(last) = self.offsets.insert(channel.clone(), publication.offset)
        {
            assert_eq!(
                publication.offset,
                last + 1,
                "{channel}: offsets are not continued"
            );
        }
        self.items.entry(channel).or_default().push(publication.item());
    }

    /// Reads until the last word on that many channels was heard, or until so many publications were.
    pub async fn read(link: &mut Link, pace: Pace, channels: usize, at_most: usize) -> Self {
        let mut record = Self::default();
        let mut open = channels;
        for count in 1..=at_most {
            let (channel, publication) = link.publication().await;
            open -= usize::from(publication.item() == Item::END);
            record.add(channel, &publication);
            if open == 0 {
                break;
            }
            if pace == Pace::Slow && count % 50 == 0 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        record
    }

    /// Each of the sources was heard from its first to its last number, in order, on each channel; and nothing else.
    pub fn assert_complete(&self, channels: &[&str], sources: u32, numbers: u32) {
        assert_eq!(self.items.len(), channels.len(), "channels heard");
        for channel in channels {
            let heard = &self.items[*channel];
            let mut next = vec![0; sources as usize];
            for item in heard.iter().filter(|item| **item != Item::END) {
                let expected = &mut next[item.source as usize];
                assert_eq!(item.number, *expected, "{channel}: {item:?} out of order");
                *expected += 1;
            }
            assert!(
                next.iter().all(|count| *count == numbers),
                "{channel}: {next:?} of {numbers}"
            );
            assert_eq!(heard.last(), Some(&Item::END), "{channel} goes on after its end");
        }
    }

    /// Both heard the same in the same order.
    pub fn assert_same(&self, other: &Self) {
        let channels = |record: &Self| record.items.keys().cloned().collect::<Vec<_>>();
        assert_eq!(channels(self), channels(other));
        for (channel, items) in &self.items {
            assert_same(channel, items, &other.items[channel]);
        }
    }

    /// What was heard is a part of the whole without a gap.
    pub fn assert_part_of(&self, whole: &Self) {
        for (channel, part) in &self.items {
            assert_part(channel, part, &whole.items[channel]);
        }
    }
}

/// A part of the whole without a gap.
pub fn assert_part(channel: &str, part: &[Item], whole: &[Item]) {
    let Some(first) = part.first() else { return };
    let start = whole.iter().position(|item| item == first);
    let rest = &whole[start.expect("a known publication")..];
    assert_same(channel, part, &rest[..part.len().min(rest.len())]);
}

/// Tells where two differ, not all that they are.
pub fn assert_same(channel: &str, one: &[Item], other: &[Item]) {
    let difference = one.iter().zip(other).position(|(one, other)| one != other);
    if let Some(index) = difference {
        panic!("{channel}: {:?} and {:?} at {index}", one[index], other[index]);
    }
    assert_eq!(one.len(), other.len(), "{channel}: one heard more than the other");
}

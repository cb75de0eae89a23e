//! Tags of partitions that divide the slots of a Redis Cluster evenly.

use tidegate_redis_link::{SLOTS, slot};

/// Tags for `count` partitions: the `i`th is the least decimal number whose slot lies in the `i`th of `count`
/// equal ranges of slots. So an equal part of a cluster holds an equal number of partitions.
pub(super) fn balanced_tags(count: usize) -> Vec<Box<str>> {
    let count = count.min(usize::from(SLOTS));
    let mut tags: Vec<Option<Box<str>>> = vec![None; count];
    let mut missing = count;
    // Numbers reach every slot, long before they run out.
    for number in 0_u64.. {
        if missing == 0 {
            break;
        }
        let tag = number.to_string();
        if let Some(place @ None) = tags.get_mut(range_of(&tag, count)) {
            *place = Some(tag.into());
            missing -= 1;
        }
    }
    tags.into_iter().flatten().collect()
}

fn range_of(tag: &str, count: usize) -> usize {
    usize::from(slot(tag.as_bytes())) * count / usize::from(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_tags_divide_the_slots() {
        for count in [1, 3, 16, 1024, 4096] {
            let tags = balanced_tags(count);
            assert_eq!(tags.len(), count);
            for (index, tag) in tags.iter().enumerate() {
                assert_eq!(range_of(tag, count), index);
            }
        }
    }
}

//! Slots of a Redis Cluster, as far as names are chosen by them.

/// Number of slots of every cluster.
const SLOTS: usize = 16_384;

/// The slot of a key: CRC-16 of its hash tag, or of all of it where it has none.
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    let mut parts = key.splitn(2, |byte| *byte == b'{');
    let tag = parts
        .nth(1)
        .and_then(|rest| {
            rest.iter()
                .position(|byte| *byte == b'}')
                .and_then(|end| rest.get(..end))
        })
        .filter(|tag| !tag.is_empty());
    crc16(tag.unwrap_or(key)) % SLOTS as u16
}

/// Tags for `count` partitions: the `i`th is the least decimal number whose slot lies in the `i`th of `count`
/// equal ranges of slots. So an equal part of a cluster holds an equal number of partitions.
pub(super) fn balanced_tags(count: usize) -> Vec<Box<str>> {
    let count = count.min(SLOTS);
    let mut tags: Vec<Option<Box<str>>> = vec![None; count];
    let mut missing = count;
    // Numbers reach every slot, long before they run out.
    for number in 0_u64.. {
        if missing == 0 {
            break;
        }
        let tag = number.to_string();
        let range = usize::from(slot(tag.as_bytes())) * count / SLOTS;
        if let Some(place @ None) = tags.get_mut(range) {
            *place = Some(tag.into());
            missing -= 1;
        }
    }
    tags.into_iter().flatten().collect()
}

/// CRC-16 of XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // CLUSTER KEYSLOT of redis-server 7.0.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{foo}.bar"), 12_182);
        assert_eq!(slot(b"a{foo}{bar}"), 12_182);
        assert_eq!(slot(b"a{}{foo}"), crc16(b"a{}{foo}") % 16_384);
        assert_eq!(slot(b"a{foo"), crc16(b"a{foo") % 16_384);
    }

    #[test]
    fn balanced_tags_divide_the_slots() {
        for count in [1, 3, 16, 1024, 4096] {
            let tags = balanced_tags(count);
            assert_eq!(tags.len(), count);
            for (index, tag) in tags.iter().enumerate() {
                assert_eq!(usize::from(slot(tag.as_bytes())) * count / SLOTS, index);
            }
        }
    }
}

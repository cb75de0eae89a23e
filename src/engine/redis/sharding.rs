//! Which of several independent shards a channel lives on (engines.md 3), as every node of a cluster computes it.

/// The shard of a channel, of `count` in the order of the configuration.
#[must_use]
pub fn shard_of(channel: &str, count: usize) -> usize {
    if count < 2 {
        return 0;
    }
    jump_hash(fnv1a(channel.as_bytes()), count)
}

/// FNV-1a with 64 bits.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211)
    })
}

/// Jump consistent hash: when a bucket is added, only what moves into it moves.
fn jump_hash(mut key: u64, buckets: usize) -> usize {
    let mut bucket = 0;
    let mut next = 0_f64;
    while next < buckets as f64 {
        bucket = next as usize;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // Truncated, as the next bucket is whole; never below `bucket + 1`.
        next = ((bucket + 1) as f64 * ((1_u64 << 31) as f64 / ((key >> 33) + 1) as f64)).trunc();
    }
    bucket
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shards_are_those_of_the_table() {
        // engines.md 3.
        let table: [(&str, u64, [usize; 5]); 5] = [
            ("", 0xcbf2_9ce4_8422_2325, [1, 1, 13, 17, 90]),
            ("a", 0xaf63_dc4c_8601_ec8c, [1, 2, 12, 31, 31]),
            ("news", 0xe549_5bba_a03a_6526, [1, 2, 3, 61, 81]),
            ("hist:a", 0x3577_9f31_9939_ebdc, [1, 1, 3, 60, 109]),
            ("chat:index", 0x4e64_8ca6_baf3_d6b9, [0, 0, 0, 58, 78]),
        ];
        for (channel, hash, shards) in table {
            assert_eq!(fnv1a(channel.as_bytes()), hash, "{channel}");
            for (count, shard) in [2, 3, 16, 64, 128].into_iter().zip(shards) {
                assert_eq!(shard_of(channel, count), shard, "{channel} of {count}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_further_shard_takes_channels_and_moves_no_others(channel: String, count in 1_usize..300) {
            let before = shard_of(&channel, count);
            let after = shard_of(&channel, count + 1);
            prop_assert!(before < count);
            prop_assert!(after == before || after == count);
        }
    }
}

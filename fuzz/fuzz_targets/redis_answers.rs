//! What Redis answers: how the bytes are cut into reads changes nothing as long as they are what Redis may send, and
//! nothing at all is too much for those who read it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{choice, pieces};
use tidegate_redis_link::fuzzing::{read, values};

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = choice(data) else { return };
    let (whole, is_broken) = values(std::iter::once(data));
    let (cut, _) = values(pieces(data, seed));
    if !is_broken {
        // Not compared as values: what is no number is not equal to itself.
        assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    }
    whole.iter().chain(&cut).for_each(read);
});

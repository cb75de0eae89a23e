//! What Redis answers: how the bytes are cut into reads changes nothing, and nothing that it may say is too much for
//! those who read it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{choice, pieces};
use tidegate_redis_link::fuzzing::{read, values};

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = choice(data) else { return };
    let whole = values(std::iter::once(data));
    let cut = values(pieces(data, seed));
    // Not compared as values: what is no number is not equal to itself.
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    whole.iter().for_each(read);
});

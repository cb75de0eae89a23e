//! Messages between nodes: whoever can publish to the control channel may send anything. What is understood is
//! understood the same after it was written again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::cluster::{decode, encode};

fuzz_target!(|data: &[u8]| {
    let Ok((sender, control)) = decode(Bytes::copy_from_slice(data)) else { return };
    let again = decode(encode(&sender, control.clone())).expect("what was written is read");
    // Numbers that are none are not equal to themselves.
    if control == control.clone() {
        assert_eq!(again, (sender, control));
    }
});

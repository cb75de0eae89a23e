//! Fossil deltas: patches of anything apply and restore it, those of texts are texts, and what is no patch is refused
//! without more memory than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::delta::{apply, diff};
use tidegate_fuzz::choice;

const LIMIT: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((cut, rest)) = choice(data) else { return };
    // The two halves overlap, so that they have something in common.
    let base = &rest[..rest.len() * usize::from(cut) / 255];
    let target = &rest[rest.len() / 3..];
    if let Some(patch) = diff(base, target) {
        assert!(patch.len() < target.len(), "no gain");
        assert_eq!(apply(base, &patch, LIMIT).as_deref(), Ok(target));
        let are_texts = std::str::from_utf8(base).is_ok() && std::str::from_utf8(target).is_ok();
        assert!(
            !are_texts || std::str::from_utf8(&patch).is_ok(),
            "a divided character"
        );
    }
    if let Ok(result) = apply(base, target, LIMIT) {
        assert!(result.len() <= LIMIT);
    }
});

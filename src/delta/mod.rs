//! Fossil deltas: a publication as the difference from the one before it (history-and-recovery.md 8).
//!
//! A patch is a line with the size of the result, then commands that copy a range of the base or insert what
//! follows, then a checksum of the result. The format is public and decoders accept any patch that is sound, so
//! [`diff`] finds copies in its own way. The crates that know the format date from before stable Rust; and a diff
//! runs once per publication of a fan-out, which wants bounded work on any input.
//!
//! **Text stays text.** On JSON connections a patch travels inside a JSON string. A copy that ended within a
//! character would leave the rest of it to an insertion, bytes that no string can hold. Copies therefore begin and
//! end between characters: the patch of two texts is a text.

mod apply;
mod base64;
mod diff;

#[cfg(test)]
mod tests;

pub use apply::{PatchError, apply};
pub use diff::diff;

/// The sum of the text as big-endian words, zeros added at its end; modulo 2^32.
fn checksum(text: &[u8]) -> u32 {
    text.chunks(4).fold(0, |sum: u32, chunk| {
        let mut word = [0; 4];
        for (slot, byte) in word.iter_mut().zip(chunk) {
            *slot = *byte;
        }
        sum.wrapping_add(u32::from_be_bytes(word))
    })
}

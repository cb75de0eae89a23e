//! From a base and a target to a patch.
//!
//! Successive publications mostly agree at both ends: a document with a few changed members. So the common head
//! and tail are copied first. What is left between is searched for in the base by blocks: the base is cut into
//! blocks of 16 bytes, which are found by a hash that rolls over the target, and a match is extended both ways.
//!
//! The work is linear: of the blocks of one hash only a few are tried, and what was matched is not looked at again.

use super::{base64, checksum};

/// Bytes of a block. Shorter common pieces cost about as much to name as to repeat.
const BLOCK: usize = 16;
/// A common head or tail of that many bytes is worth a copy, and with it a second insertion.
const MIN_EDGE: usize = 10;
/// Blocks of one hash that are compared. More only occur in repetitive data, where the first are as good.
const MAX_CANDIDATES: usize = 16;
/// Factor of the rolling hash; any large odd number does.
const FACTOR: u32 = 0x0100_0193;

/// The patch that makes `target` of `base`, if it is shorter than `target` itself. It is valid UTF-8 if both are.
#[must_use]
pub fn diff(base: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let patch = patch(base, target);
    (patch.len() < target.len()).then_some(patch)
}

pub(super) fn patch(base: &[u8], target: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(target);
    if base.len() > BLOCK {
        let head = common(base.iter(), target.iter());
        let (base_rest, target_rest) = (after(base, head), after(target, head));
        let tail = common(base_rest.iter().rev(), target_rest.iter().rev());
        if head >= MIN_EDGE {
            writer.copy(0, 0, head);
        }
        let end = target.len() - tail;
        middle(&mut writer, base, end);
        if tail >= MIN_EDGE {
            writer.copy(end, base.len() - tail, tail);
        }
    }
    writer.finish()
}

/// Copies what is found in the base of `target[..end]`, from where the writer stands.
fn middle(writer: &mut Writer<'_>, base: &[u8], end: usize) {
    let target = writer.target;
    let mut at = writer.written;
    if end.saturating_sub(at) < BLOCK {
        return;
    }
    let index = Index::new(base);
    let mut hash = Rolling::new(after(target, at));
    while at + BLOCK <= end {
        match index.longest(hash, base, target, at, end) {
            Some((offset, length)) => {
                // What precedes the block may agree as well, as far as nothing is written of it.
                let pending = target.get(writer.written..at).unwrap_or_default();
                let preceding = base.get(..offset).unwrap_or_default();
                let before = common(preceding.iter().rev(), pending.iter().rev());
                writer.copy(at - before, offset - before, before + length);
                at += length;
                hash = Rolling::new(after(target, at));
            }
            None => {
                hash.roll(target, at);
                at += 1;
            }
        }
    }
}

/// How many items two sequences have in common at their beginning.
fn common<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}

fn after(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start..).unwrap_or_default()
}

/// The hash of the `BLOCK` bytes at a place that moves on byte by byte.
#[derive(Clone, Copy)]
struct Rolling(u32);

impl Rolling {
    fn new(bytes: &[u8]) -> Self {
        let add = |hash: u32, byte: &u8| hash.wrapping_mul(FACTOR).wrapping_add(u32::from(*byte));
        Self(bytes.iter().take(BLOCK).fold(0, add))
    }

    /// From the block at `at` to the one at `at + 1`.
    fn roll(&mut self, bytes: &[u8], at: usize) {
        const OLDEST: u32 = FACTOR.wrapping_pow(BLOCK as u32 - 1);
        let byte = |at: usize| bytes.get(at).map_or(0, |byte| u32::from(*byte));
        let rest = self.0.wrapping_sub(byte(at).wrapping_mul(OLDEST));
        self.0 = rest.wrapping_mul(FACTOR).wrapping_add(byte(at + BLOCK));
    }
}

/// The blocks of a base by their hash.
struct Index {
    /// The first block of each hash, counted from 1; 0 is none. As long as a power of two.
    first: Vec<u32>,
    /// The next block of the same hash, by block.
    next: Vec<u32>,
    shift: u32,
}

impl Index {
    fn new(base: &[u8]) -> Self {
        // A base with more blocks than fit is indexed as far as they do.
        let blocks = u32::try_from(base.len() / BLOCK).unwrap_or(u32::MAX - 1);
        let bits = (blocks + 1).next_power_of_two().trailing_zeros().clamp(4, 31);
        let mut index = Self {
            first: vec![0; 1 << bits],
            next: vec![0; blocks as usize],
            shift: 32 - bits,
        };
        // Backwards, so that of equal blocks the first ones are found first.
        for (block, bytes) in base.chunks_exact(BLOCK).enumerate().take(blocks as usize).rev() {
            let slot = index.slot(Rolling::new(bytes));
            if let (Some(first), Some(next)) = (index.first.get_mut(slot), index.next.get_mut(block)) {
                *next = *first;
                // `block` is below `blocks`.
                *first = block as u32 + 1;
            }
        }
        index
    }

    /// Offset in the base and length of the longest piece found that begins like `target[at..end]`.
    fn longest(
        &self,
        hash: Rolling,
        base: &[u8],
        target: &[u8],
        at: usize,
        end: usize,
    ) -> Option<(usize, usize)> {
        let wanted = target.get(at..end)?;
        let mut best = None;
        let mut block = *self.first.get(self.slot(hash))?;
        for _ in 0..MAX_CANDIDATES {
            let Some(known) = block.checked_sub(1) else { break };
            let offset = known as usize * BLOCK;
            let length = common(after(base, offset).iter(), wanted.iter());
            if length >= BLOCK && best.is_none_or(|(_, longest)| length > longest) {
                best = Some((offset, length));
            }
            block = self.next.get(known as usize).copied().unwrap_or(0);
        }
        best
    }

    fn slot(&self, hash: Rolling) -> usize {
        // Multiplying spreads what differs in low bits over the high ones, which are kept.
        (hash.0.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }
}

/// A patch in the making. What is not copied is inserted.
struct Writer<'a> {
    target: &'a [u8],
    patch: Vec<u8>,
    /// How much of the target the commands so far make.
    written: usize,
}

impl<'a> Writer<'a> {
    fn new(target: &'a [u8]) -> Self {
        let mut patch = Vec::with_capacity(64);
        base64::write(&mut patch, target.len() as u64);
        patch.push(b'\n');
        Self {
            target,
            patch,
            written: 0,
        }
    }

    /// Makes `target[start..start + length]` by a copy from `offset` of the base, less what would divide a
    /// character of a text.
    fn copy(&mut self, start: usize, offset: usize, length: usize) {
        let skipped = self.within_character(start);
        let end = (start + length).saturating_sub(self.within_character_before(start + length));
        let start = start + skipped;
        if start >= end {
            return;
        }
        self.insert_until(start);
        base64::write(&mut self.patch, (end - start) as u64);
        self.patch.push(b'@');
        base64::write(&mut self.patch, (offset + skipped) as u64);
        self.patch.push(b',');
        self.written = end;
    }

    /// Bytes from `at` on that continue a character, 3 at most.
    fn within_character(&self, at: usize) -> usize {
        let following = after(self.target, at).iter().take(3);
        following.take_while(|byte| continues(**byte)).count()
    }

    /// Bytes before `at` that belong to a character which goes on at `at`; 3 at most.
    fn within_character_before(&self, at: usize) -> usize {
        let mut back = 0;
        while back < 3 && at > back && self.target.get(at - back).is_some_and(|byte| continues(*byte)) {
            back += 1;
        }
        back
    }

    fn insert_until(&mut self, end: usize) {
        let text = self.target.get(self.written..end).unwrap_or_default();
        if !text.is_empty() {
            base64::write(&mut self.patch, text.len() as u64);
            self.patch.push(b':');
            self.patch.extend_from_slice(text);
            self.written = end;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.insert_until(self.target.len());
        base64::write(&mut self.patch, checksum(self.target).into());
        self.patch.push(b';');
        self.patch
    }
}

/// Whether a byte of UTF-8 is not the first of its character.
fn continues(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

//! The allocator of the binary: mimalloc, chosen by measurement (benches/RESULTS.md).
//!
//! Without transparent huge pages: they make a small process look large, and keep what a wave of connections left
//! behind, because two megabytes are given back only as a whole.
//!
//! The `mimalloc` crate asks for alignment with every allocation. mimalloc then reserves room to shift the block in,
//! unless the size is a power of two or a free block happens to lie right, and remembers that the page has shifted
//! blocks, which makes freeing slower. But every block of 16 bytes or more is aligned to 16 anyway, as `malloc` has
//! to, and nearly no type asks for more. So alignment is asked for only where it is not given.
#![allow(
    unsafe_code,
    reason = "an allocator: four calls, each handed on under the contract it was made with"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys as ffi;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// What every block of at least that many bytes is aligned to (`MI_MAX_ALIGN_SIZE`).
const GIVEN: usize = 16;

struct Allocator;

fn is_given(size: usize, align: usize) -> bool {
    align <= GIVEN && align <= size
}

// SAFETY: `mi_malloc` and its siblings answer with null or a block of at least that size that is theirs to free, and
// aligned as `is_given` wants: mimalloc rounds sizes from 16 bytes on up to multiples of 16 and begins its pages at
// such a multiple; a block smaller than that is aligned to 8, and `is_given` takes it only for at most its size,
// which is a power of two of at most 8. All else is `MiMalloc`'s. Blocks of both are freed and resized by `mi_free`
// and `mi_realloc`, which take any pointer of mimalloc's.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_given(layout.size(), layout.align()) {
            unsafe { ffi::mi_malloc(layout.size()).cast() }
        } else {
            unsafe { MiMalloc.alloc(layout) }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_given(layout.size(), layout.align()) {
            unsafe { ffi::mi_zalloc(layout.size()).cast() }
        } else {
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        unsafe { ffi::mi_free(block.cast::<c_void>()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_given(size, layout.align()) {
            unsafe { ffi::mi_realloc(block.cast::<c_void>(), size).cast() }
        } else {
            unsafe { MiMalloc.realloc(block, layout, size) }
        }
    }
}

/// Gives what the calling thread has freed back to the system, about a second after it was freed. mimalloc does so
/// by itself only when it allocates, which an idle server does not.
pub(crate) fn trim() {
    // SAFETY: `mi_collect` may be called from any thread at any time; it frees nothing that is in use.
    unsafe { ffi::mi_collect(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..200).chain([1000, 1025, 5000, 70_001, 3_000_000]) {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: the size is not zero, and each block is resized and freed once, with its layout.
                unsafe {
                    let block = ALLOCATOR.alloc(layout);
                    assert_eq!(block.align_offset(align), 0, "{layout:?}");
                    block.write_bytes(7, size);
                    let block = ALLOCATOR.realloc(block, layout, size * 3);
                    assert_eq!(block.align_offset(align), 0, "{layout:?} resized");
                    assert_eq!((*block, *block.add(size - 1)), (7, 7));
                    ALLOCATOR.dealloc(block, Layout::from_size_align(size * 3, align).expect("a layout"));
                    let block = ALLOCATOR.alloc_zeroed(layout);
                    assert_eq!(block.align_offset(align), 0, "{layout:?} zeroed");
                    assert_eq!((*block, *block.add(size - 1)), (0, 0));
                    ALLOCATOR.dealloc(block, layout);
                }
            }
        }
    }
}

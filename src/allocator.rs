//! The allocator of the binary: mimalloc, chosen by measurement (benches/RESULTS.md).
//!
//! Without transparent huge pages: they make a small process look large, and keep what a wave of connections left
//! behind, because two megabytes are given back only as a whole.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives what the calling thread has freed back to the system, about a second after it was freed. mimalloc does so
/// by itself only when it allocates, which an idle server does not.
#[allow(
    unsafe_code,
    reason = "a call without arguments that matter into the allocator"
)]
pub(crate) fn trim() {
    // SAFETY: `mi_collect` may be called from any thread at any time; it frees nothing that is in use.
    unsafe { libmimalloc_sys::mi_collect(false) }
}

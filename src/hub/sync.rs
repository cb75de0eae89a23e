//! The locks and atomics of the hub's hand-off, named in one place: `tests/rust/handoff` compiles the files beside
//! this one with loom's instead, which tries every interleaving of them.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(super) use parking_lot::Mutex;

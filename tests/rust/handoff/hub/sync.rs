//! In place of `src/hub/sync.rs`.

pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// loom's lock with the interface of the real one, which knows no poison.
#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

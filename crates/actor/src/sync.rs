//! The primitives that threads share: atomics, locks and wakers. Only this file names them, so that
//! `tests/loom.rs` can replace them with those of a model checker.

use std::sync::PoisonError;

pub(crate) use std::sync::atomic::AtomicU32;
pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use futures::task::AtomicWaker;

/// Locks a mutex, and ignores poisoning. No user code runs under these locks, so a panic cannot leave the data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

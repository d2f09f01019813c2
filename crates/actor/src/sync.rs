//! The primitives under what threads share: atomics, locks and wakers. They are named here alone, so that
//! `tests/loom.rs` can put those of a model checker in their place.

use std::sync::PoisonError;

pub(crate) use std::sync::atomic::AtomicU32;
pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use futures::task::AtomicWaker;

/// Locks a mutex, poisoned or not. The data behind these locks is replaced whole, so a panic elsewhere cannot leave it
/// half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The primitives under what threads share. They are named here alone, so that a test can put those of a model checker in
//! their place.

pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32};
pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use futures::task::AtomicWaker;

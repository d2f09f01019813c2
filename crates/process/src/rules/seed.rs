//! The seed of restart jitter.

use std::hash::{BuildHasher, RandomState};

/// A seed that differs between processes, so that restarts with backoff do not happen at the same moment in
/// each.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

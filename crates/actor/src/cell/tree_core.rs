//! What the actors of one tree have in common besides their names: a clock and the numbers of their pids.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The start of a tree, and the next number of a pid in it.
#[derive(Debug)]
pub(crate) struct TreeCore {
    start: Instant,
    next_number: AtomicU64,
}

impl TreeCore {
    /// The tree starts now.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), next_number: AtomicU64::new(0) }
    }

    /// A number that no other pid of the tree has.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The time since the start.
    pub(crate) fn age(&self) -> Duration {
        self.start.elapsed()
    }
}

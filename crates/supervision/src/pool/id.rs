//! Ids of workers and generations.

use std::fmt;

use crate::id::Incarnation;

/// One incarnation of a worker in a slot. An event about one that has exited or never existed changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    /// The number of its slot, from 0: the lowest free one when it started.
    ///
    /// A worker and its replacement may have the same slot, and so may retiring workers.
    pub slot: u32,
    /// The incarnation; unique within the pool.
    pub incarnation: Incarnation,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (incarnation {})", self.slot, self.incarnation.number())
    }
}

/// A version of code and configuration that workers are started from. Numbers grow from 1 and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(super) u32);

impl Generation {
    /// The number, from 1.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.0)
    }
}

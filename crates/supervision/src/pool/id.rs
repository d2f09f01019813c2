//! Names of workers and of generations.

use std::fmt;

use crate::id::Incarnation;

/// One life of one worker. An event about a life that is over, or that never was, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    /// Its place in the pool, from 0: the lowest that is free. While a worker is replaced, it and its replacement
    /// may have the same; so may those that have been told to leave.
    pub slot: u32,
    /// Which life; never used again.
    pub life: Incarnation,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (life {})", self.slot, self.life.number())
    }
}

/// Workers that were started from the same code and configuration. Numbers grow from 1 and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(super) u32);

impl Generation {
    /// Its number, from 1.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.0)
    }
}

//! Wishes that make no sense.

use std::fmt;

use super::size::MAX_WORKERS;
use crate::policy::spec_error::SpecError;

/// Why settings cannot be followed. The pool is then not made, or stays as it was.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PoolError {
    /// A pool without workers serves nobody.
    NoWorkers,
    /// More than [`MAX_WORKERS`].
    TooManyWorkers {
        /// What was asked for.
        max: u32,
    },
    /// More spare workers than there may be at all.
    SpareAboveMax {
        /// How many should be idle.
        spare: u32,
        /// How many there may be.
        max: u32,
    },
    /// Zero, where it would mean that nothing ever happens or everything at once.
    Zero {
        /// The name of the field.
        setting: &'static str,
    },
    /// Not a share of something.
    Jitter {
        /// What was given.
        jitter: f64,
    },
    /// A backoff that cannot be followed.
    Backoff(SpecError),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => f.write_str("a pool of at most 0 workers serves nobody; allow at least 1"),
            Self::TooManyWorkers { max } => {
                write!(f, "a pool of up to {max} workers is too large; allow at most {MAX_WORKERS}")
            }
            Self::SpareAboveMax { spare, max } => {
                write!(
                    f,
                    "{spare} spare workers do not fit into a pool of at most {max}; lower spare or raise max"
                )
            }
            Self::Zero { setting } => write!(f, "{setting} is 0; make it larger, or leave it at its default"),
            Self::Jitter { jitter } => {
                write!(f, "recycling.jitter is {jitter}; it is a share, from 0 to 1")
            }
            Self::Backoff(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PoolError {}

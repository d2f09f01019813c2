//! Errors in settings.

use std::fmt;

use super::size::MAX_WORKERS;
use crate::policy::spec_error::SpecError;

/// Invalid settings. The pool is not constructed, or keeps its old settings.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PoolError {
    /// The maximum is 0 workers.
    NoWorkers,
    /// The maximum is above [`MAX_WORKERS`].
    TooManyWorkers {
        /// The configured maximum.
        max: u32,
    },
    /// More spare workers than the maximum.
    SpareAboveMax {
        /// The configured number of spare workers.
        spare: u32,
        /// The configured maximum.
        max: u32,
    },
    /// A setting is 0 that must be larger.
    Zero {
        /// The name of the field.
        setting: &'static str,
    },
    /// The jitter of recycling is not from 0 to 1.
    Jitter {
        /// The configured jitter.
        jitter: f64,
    },
    /// The backoff is invalid.
    Backoff(SpecError),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => {
                f.write_str("a pool of at most 0 workers serves no requests; set the maximum to at least 1")
            }
            Self::TooManyWorkers { max } => {
                write!(
                    f,
                    "a pool of up to {max} workers is too large; set the maximum to at most {MAX_WORKERS}"
                )
            }
            Self::SpareAboveMax { spare, max } => {
                write!(f, "{spare} spare workers exceed the maximum of {max}; lower spare or raise max")
            }
            Self::Zero { setting } => write!(f, "{setting} is 0; raise it, or keep its default"),
            Self::Jitter { jitter } => {
                write!(f, "recycling.jitter is {jitter}; set it from 0 to 1")
            }
            Self::Backoff(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PoolError {}

//! Errors in flags and specs.

use std::fmt;
use std::time::Duration;

use crate::id::ChildId;

/// Flags or a spec that no supervisor can follow. Checked before any child starts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have the same id.
    DuplicateId {
        /// The id.
        child: ChildId,
    },
    /// The period of the intensity is zero.
    ZeroPeriod,
    /// A child is significant, but the supervisor's auto-shutdown is `Never`.
    SignificantWithoutAutoShutdown {
        /// The child.
        child: ChildId,
    },
    /// A child is significant and permanent, so it is always restarted.
    SignificantPermanent {
        /// The child.
        child: ChildId,
    },
    /// A start time-out is zero.
    ZeroStartTimeout {
        /// The child.
        child: ChildId,
    },
    /// The first delay of a backoff is longer than its maximum.
    BackoffMax {
        /// The child.
        child: ChildId,
        /// The first delay.
        first: Duration,
        /// The maximum delay.
        max: Duration,
    },
    /// The factor of a backoff is below 1 or not finite.
    BackoffFactor {
        /// The child.
        child: ChildId,
        /// The factor.
        factor: f64,
    },
    /// The jitter of a backoff is not from 0 to 1.
    BackoffJitter {
        /// The child.
        child: ChildId,
        /// The jitter.
        jitter: f64,
    },
    /// The `max_children` of a dynamic supervisor is 0.
    ZeroMaxChildren {
        /// The template's id.
        child: ChildId,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId { child } => {
                write!(f, "two children have the id {child:?}; make ids unique")
            }
            Self::ZeroPeriod => f.write_str("the period of the intensity is 0; set it to at least 1 ms"),
            Self::SignificantWithoutAutoShutdown { child } => {
                write!(f, "child {child:?} is significant but auto-shutdown is never; set auto-shutdown")
            }
            Self::SignificantPermanent { child } => {
                write!(f, "child {child:?} is significant and permanent; make it transient or temporary")
            }
            Self::ZeroStartTimeout { child } => {
                write!(f, "child {child:?} has a start time-out of 0; raise it, or set none for no limit")
            }
            Self::BackoffMax { child, first, max } => {
                write!(
                    f,
                    "child {child:?} has a backoff from {first:?} to at most {max:?}; raise the maximum"
                )
            }
            Self::BackoffFactor { child, factor } => {
                write!(f, "child {child:?} has a backoff factor of {factor}; set it to 1 or more")
            }
            Self::BackoffJitter { child, jitter } => {
                write!(f, "child {child:?} has a backoff jitter of {jitter}; set it from 0 to 1")
            }
            Self::ZeroMaxChildren { child } => {
                write!(f, "max_children of the supervisor of {child:?} is 0; set it to at least 1")
            }
        }
    }
}

impl std::error::Error for SpecError {}

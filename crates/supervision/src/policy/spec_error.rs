//! What can be wrong with flags and specs.

use std::fmt;
use std::time::Duration;

use crate::id::ChildId;

/// A combination that no supervisor can follow; found before anything starts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have the same id.
    DuplicateId {
        /// The id.
        child: ChildId,
    },
    /// The intensity's period is zero.
    ZeroPeriod,
    /// A significant child under a supervisor that never looks.
    SignificantWithoutAutoShutdown {
        /// The child.
        child: ChildId,
    },
    /// A significant child that never ends by itself.
    SignificantPermanent {
        /// The child.
        child: ChildId,
    },
    /// A start time-out that no start can keep.
    ZeroStartTimeout {
        /// The child.
        child: ChildId,
    },
    /// A backoff whose first delay is longer than its longest.
    BackoffMax {
        /// The child.
        child: ChildId,
        /// The first delay.
        first: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// A backoff whose delays would shrink, or a factor that is no number.
    BackoffFactor {
        /// The child.
        child: ChildId,
        /// The factor.
        factor: f64,
    },
    /// A jitter that is not a part of the delay.
    BackoffJitter {
        /// The child.
        child: ChildId,
        /// The jitter.
        jitter: f64,
    },
    /// A dynamic supervisor that may not have any child.
    ZeroMaxChildren {
        /// The template's id.
        child: ChildId,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateId { child } => {
                write!(f, "two children have the id {child:?}; give each its own")
            }
            Self::ZeroPeriod => f.write_str("the intensity's period is 0; give it at least a millisecond"),
            Self::SignificantWithoutAutoShutdown { child } => {
                write!(f, "child {child:?} is significant but auto-shutdown is never; set auto-shutdown")
            }
            Self::SignificantPermanent { child } => {
                write!(f, "child {child:?} is significant and permanent; make it transient or temporary")
            }
            Self::ZeroStartTimeout { child } => {
                write!(f, "child {child:?} has a start time-out of 0; give it time, or none for no limit")
            }
            Self::BackoffMax { child, first, max } => {
                write!(
                    f,
                    "child {child:?} has a backoff from {first:?} to at most {max:?}; raise the maximum"
                )
            }
            Self::BackoffFactor { child, factor } => {
                write!(f, "child {child:?} has a backoff factor of {factor}; make it 1 or more")
            }
            Self::BackoffJitter { child, jitter } => {
                write!(f, "child {child:?} has a backoff jitter of {jitter}; make it 0 to 1")
            }
            Self::ZeroMaxChildren { child } => {
                write!(f, "the supervisor of {child:?} may have 0 children; allow at least 1")
            }
        }
    }
}

impl std::error::Error for SpecError {}

//! What a pool is asked to be.

use std::time::Duration;

use super::error::PoolError;
use super::recycling::Recycling;
use super::size::{MAX_WORKERS, PoolSize};
use crate::id::ChildId;
use crate::policy::backoff::Backoff;

/// How many workers start at the same time at most, unless said otherwise.
pub const PARALLEL_STARTS: u32 = 16;
/// How long a start may take, unless said otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a worker may take to finish what it has when it is told to leave, unless said otherwise.
pub const RETIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// After so many failures of its workers a new generation is given up, unless said otherwise.
pub const ROLL_FAILURES: u32 = 3;

/// How a generation of workers is replaced by the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollingRestart {
    /// How many workers there may be above the maximum while a generation is replaced; at least 1. `None`, the
    /// default, means as many as the maximum, so that a whole new generation is ready before the old one leaves;
    /// fewer means that it goes in rounds of so many and takes less memory (Kubernetes: `maxSurge`).
    pub surge: Option<u32>,
    /// After so many failures of workers of the new generation, ready or not, the pool goes back to the old one; at
    /// least 1. The default is [`ROLL_FAILURES`].
    pub failures: u32,
}

impl Default for RollingRestart {
    fn default() -> Self {
        Self { surge: None, failures: ROLL_FAILURES }
    }
}

/// Everything a pool is told about itself; [`Settings::new`] has the defaults, the fields are there to be changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How many workers.
    pub size: PoolSize,
    /// How many requests or connections keep one worker busy; at least 1, which is the default (Unit: threads).
    pub capacity: u32,
    /// How many workers start at the same time at most; at least 1. The default is [`PARALLEL_STARTS`].
    pub parallel_starts: u32,
    /// How long a start may take before it is killed and counts as failed; not zero. `None` means without end, the
    /// default is [`START_TIMEOUT`].
    pub start_timeout: Option<Duration>,
    /// How long a worker that was told to leave may take before it is killed. `None` means without end, the
    /// default is [`RETIRE_TIMEOUT`].
    pub retire_timeout: Option<Duration>,
    /// How long a slot waits whose workers fail one after the other. The first replacement is immediate.
    pub backoff: Backoff,
    /// When a worker is replaced by a fresh one. By default never.
    pub recycling: Recycling,
    /// How a generation is replaced.
    pub roll: RollingRestart,
}

impl Settings {
    /// A pool of this size; all else as it mostly should be.
    pub fn new(size: PoolSize) -> Self {
        Self {
            size,
            capacity: 1,
            parallel_starts: PARALLEL_STARTS,
            start_timeout: Some(START_TIMEOUT),
            retire_timeout: Some(RETIRE_TIMEOUT),
            backoff: Backoff::default(),
            recycling: Recycling::default(),
            roll: RollingRestart::default(),
        }
    }

    /// How many workers may be above the maximum while a generation is replaced.
    pub(super) fn surge(&self, size: PoolSize) -> u32 {
        self.roll.surge.unwrap_or(size.max())
    }

    pub(super) fn check(&self) -> Result<(), PoolError> {
        self.size.check()?;
        let at_least_one = [
            ("capacity", self.capacity == 0),
            ("parallel_starts", self.parallel_starts == 0),
            ("start_timeout", self.start_timeout == Some(Duration::ZERO)),
            ("roll.surge", self.roll.surge == Some(0)),
            ("roll.failures", self.roll.failures == 0),
            ("recycling.max_requests", self.recycling.max_requests == Some(0)),
            ("recycling.max_age", self.recycling.max_age == Some(Duration::ZERO)),
            ("recycling.max_memory", self.recycling.max_memory == Some(0)),
        ];
        if let Some((setting, _)) = at_least_one.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(PoolError::Zero { setting });
        }
        let jitter = self.recycling.jitter;
        if !(0.0..=1.0).contains(&jitter) {
            return Err(PoolError::Jitter { jitter });
        }
        self.backoff.check(&ChildId::from("worker")).map_err(PoolError::Backoff)
    }
}

impl PoolSize {
    /// The same size with so many workers more or fewer; `None` when there is no such pool.
    pub(super) fn shifted(self, by: i32) -> Option<Self> {
        let shift = |value: u32| value.saturating_add_signed(by);
        let max = shift(self.max());
        let shifted = match self {
            Self::Static(_) => Self::Static(max),
            Self::Dynamic { spare, idle_timeout, .. } => {
                Self::Dynamic { spare: shift(spare), max, idle_timeout }
            }
            Self::OnDemand { idle_timeout, .. } => Self::OnDemand { max, idle_timeout },
        };
        shifted.check().is_ok().then_some(shifted)
    }

    pub(super) fn check(self) -> Result<(), PoolError> {
        let (spare, max) = (self.spare(), self.max());
        match max {
            0 => Err(PoolError::NoWorkers),
            _ if max > MAX_WORKERS => Err(PoolError::TooManyWorkers { max }),
            _ if spare > max => Err(PoolError::SpareAboveMax { spare, max }),
            _ => Ok(()),
        }
    }
}

impl From<PoolSize> for Settings {
    fn from(size: PoolSize) -> Self {
        Self::new(size)
    }
}

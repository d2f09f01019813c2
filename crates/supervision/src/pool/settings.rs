//! Settings of a pool, and their checks.

use std::time::Duration;

use super::error::PoolError;
use super::recycling::Recycling;
use super::size::{MAX_WORKERS, PoolSize};
use crate::id::ChildId;
use crate::policy::backoff::Backoff;

/// Default of [`Settings::parallel_starts`].
pub const PARALLEL_STARTS: u32 = 16;
/// Default of [`Settings::start_timeout`].
pub const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Default of [`Settings::retire_timeout`].
pub const RETIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`RollingRestart::failures`].
pub const ROLL_FAILURES: u32 = 3;

/// How a generation of workers is replaced by the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollingRestart {
    /// Workers above the maximum while a generation is replaced; at least 1 (Kubernetes: `maxSurge`).
    ///
    /// Default: `None`, as many as the maximum. The whole new generation is ready before the old one is retired. A lower
    /// number replaces the workers in rounds of that many and takes less memory.
    pub surge: Option<u32>,
    /// Failures of workers of the new generation, ready or not, after which the pool returns to the old one; at
    /// least 1. Default: [`ROLL_FAILURES`] (3).
    pub failures: u32,
}

impl Default for RollingRestart {
    fn default() -> Self {
        Self { surge: None, failures: ROLL_FAILURES }
    }
}

/// The settings of a pool. [`Settings::new`] sets the defaults; change the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The number of workers.
    pub size: PoolSize,
    /// Requests or connections that one worker serves at a time; at least 1. Default: 1 (Unit: threads).
    pub capacity: u32,
    /// The maximum number of starts at the same time; at least 1. Default: [`PARALLEL_STARTS`] (16).
    pub parallel_starts: u32,
    /// How long a start may take before the worker is killed and the start fails; not zero. `None`: no limit.
    /// Default: [`START_TIMEOUT`] (60 s).
    pub start_timeout: Option<Duration>,
    /// How long a retired worker may take before it is killed. `None`: no limit. Default: [`RETIRE_TIMEOUT`] (30 s).
    pub retire_timeout: Option<Duration>,
    /// The delay before a slot starts the next worker after failures. The first replacement is immediate.
    pub backoff: Backoff,
    /// Limits after which a worker is replaced. Default: none.
    pub recycling: Recycling,
    /// How a generation is replaced by the next one.
    pub roll: RollingRestart,
}

impl Settings {
    /// A pool of this size; all other settings at their defaults.
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

    /// Workers above the maximum while a generation is replaced.
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
    /// The same size with `by` workers more; `None` if that is invalid.
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

//! How many workers: fixed, or by load.

use std::fmt;
use std::time::Duration;

/// No pool may have more workers than this (nginx: its process table has 1024 entries).
pub const MAX_WORKERS: u32 = 1_024;
/// How long a worker above the spare ones may be idle, unless said otherwise (Unit: `idle_timeout`, 15 s).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How many workers there should be (Unit: `processes`; php-fpm: `pm`).
///
/// The load is the number of requests or connections that workers have or that wait for one. An idle worker has
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolSize {
    /// Always so many, in the slots from 0 up to it; at least 1.
    Static(u32),
    /// As many as the load asks for and `spare` idle ones beside them, but at most `max`.
    Dynamic {
        /// How many should be idle, ready for what comes next. May be 0; at most `max`.
        spare: u32,
        /// The most there may be; at least 1.
        max: u32,
        /// How long one that is idle and not a spare one stays. Zero: it leaves at once.
        idle_timeout: Duration,
    },
    /// As many as the load asks for, none without load, at most `max`.
    OnDemand {
        /// The most there may be; at least 1.
        max: u32,
        /// How long one that is idle stays. Zero: it leaves at once.
        idle_timeout: Duration,
    },
}

impl PoolSize {
    /// [`PoolSize::Dynamic`] with [`IDLE_TIMEOUT`].
    pub const fn dynamic(spare: u32, max: u32) -> Self {
        Self::Dynamic { spare, max, idle_timeout: IDLE_TIMEOUT }
    }

    /// [`PoolSize::OnDemand`] with [`IDLE_TIMEOUT`].
    pub const fn on_demand(max: u32) -> Self {
        Self::OnDemand { max, idle_timeout: IDLE_TIMEOUT }
    }

    /// The most workers there may be, not counting those that are there while others are replaced.
    pub const fn max(self) -> u32 {
        match self {
            Self::Static(max) | Self::Dynamic { max, .. } | Self::OnDemand { max, .. } => max,
        }
    }

    /// How many workers there should be without any load; all of a static pool.
    pub const fn spare(self) -> u32 {
        match self {
            Self::Static(all) => all,
            Self::Dynamic { spare, .. } => spare,
            Self::OnDemand { .. } => 0,
        }
    }

    /// How long an idle worker above the spare ones stays; `None` in a static pool, which has none.
    pub const fn idle_timeout(self) -> Option<Duration> {
        match self {
            Self::Static(_) => None,
            Self::Dynamic { idle_timeout, .. } | Self::OnDemand { idle_timeout, .. } => Some(idle_timeout),
        }
    }

    /// How many workers there should be when the load keeps so many of them busy.
    pub(super) fn wanted(self, busy: u32) -> u32 {
        // The same for a static pool, of which all are spare.
        busy.saturating_add(self.spare()).min(self.max())
    }
}

impl fmt::Display for PoolSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = self.max();
        let workers = if max == 1 { "worker" } else { "workers" };
        match self {
            Self::Static(_) => write!(f, "{max} {workers}"),
            Self::Dynamic { spare, .. } => write!(f, "{spare} spare and up to {max} {workers}"),
            Self::OnDemand { .. } => write!(f, "up to {max} {workers} on demand"),
        }
    }
}

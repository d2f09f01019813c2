//! The number of workers of a pool: fixed, or by load.

use std::fmt;
use std::time::Duration;

/// The highest maximum of a pool (nginx: `NGX_MAX_PROCESSES`, 1,024).
pub const MAX_WORKERS: u32 = 1_024;
/// Default of `idle_timeout` (Unit: `idle_timeout`, 15 s).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The number of workers of a pool (Unit: `processes`; php-fpm: `pm`).
///
/// Load is the number of requests and connections that workers have or that wait for a worker. A worker without any is
/// idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolSize {
    /// Always this many, in the slots from 0; at least 1.
    Static(u32),
    /// As many as the load needs plus `spare` idle ones, but at most `max`.
    Dynamic {
        /// The number of idle workers that are kept; from 0 to `max`.
        spare: u32,
        /// The maximum number of workers; at least 1.
        max: u32,
        /// How long an idle worker that is not a spare stays. Zero: it is retired immediately.
        idle_timeout: Duration,
    },
    /// As many as the load needs, at most `max`; none without load.
    OnDemand {
        /// The maximum number of workers; at least 1.
        max: u32,
        /// How long an idle worker stays. Zero: it is retired immediately.
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

    /// The maximum number of workers, without the surge of a replacement.
    pub const fn max(self) -> u32 {
        match self {
            Self::Static(max) | Self::Dynamic { max, .. } | Self::OnDemand { max, .. } => max,
        }
    }

    /// The number of workers without load; all of a static pool.
    pub const fn spare(self) -> u32 {
        match self {
            Self::Static(all) => all,
            Self::Dynamic { spare, .. } => spare,
            Self::OnDemand { .. } => 0,
        }
    }

    /// How long an idle worker that is not a spare stays; `None` for a static pool, where all are spares.
    pub const fn idle_timeout(self) -> Option<Duration> {
        match self {
            Self::Static(_) => None,
            Self::Dynamic { idle_timeout, .. } | Self::OnDemand { idle_timeout, .. } => Some(idle_timeout),
        }
    }

    /// The number of workers when the load needs `busy` of them.
    pub(super) fn wanted(self, busy: u32) -> u32 {
        // This holds for a static pool too: all of its workers are spares.
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

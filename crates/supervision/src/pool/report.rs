//! Reports of a pool, as data with a text form. The driver holds the logger.

use std::fmt;

use super::id::{Generation, WorkerId};
use super::reason::RecycleReason;
use super::size::PoolSize;
use crate::policy::backoff::DelayedRestart;
use crate::reason::ExitReason;

/// What happened in a pool, for the operator's log or the caller of an operation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Report {
    /// The outcome of a start. Exactly one per start.
    Start(WorkerId, StartOutcome),
    /// A ready worker exited without a request.
    Died(WorkerId, ExitReason),
    /// A worker that was retired exited with an unclean reason: [`ExitReason::Killed`] after its time-out.
    UncleanExit(WorkerId, ExitReason),
    /// A worker failed, and its slot waits before the next start.
    BackingOff {
        /// The slot.
        slot: u32,
        /// The delay and the number of the restart.
        restart: DelayedRestart,
    },
    /// This worker is recycled: its replacement is started, or it is retired without one.
    Recycling(WorkerId, RecycleReason),
    /// A rolling restart to this generation begins.
    Rolling(Generation),
    /// The rolling restart is complete: this generation is ready and all others are retired.
    Rolled(Generation),
    /// The rolling restart is aborted; the pool returns to the previous generation.
    RollAborted(Generation, RollAbort),
    /// The size was changed by one worker.
    Scaled(PoolSize),
    /// The size was not changed, because it is at its limit.
    ScaleRefused(PoolSize),
}

/// The outcome of a start.
#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// The worker is ready.
    Ready,
    /// It exited before it was ready; [`ExitReason::Shutdown`] if it was retired before.
    Failed(ExitReason),
    /// It was not ready within `start_timeout` and is killed.
    TimedOut,
}

/// Why a rolling restart was aborted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RollAbort {
    /// Its workers failed `RollingRestart::failures` times; the last one with this reason.
    Failed(ExitReason),
    /// A newer one was requested before it was ready.
    Superseded,
    /// The pool was drained or stopped.
    Stopped,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(worker, StartOutcome::Ready) => write!(f, "{worker} is ready"),
            Self::Start(worker, StartOutcome::Failed(reason)) => {
                write!(f, "{worker} failed to start: {reason}")
            }
            Self::Start(worker, StartOutcome::TimedOut) => {
                write!(f, "{worker} was not ready in time, killed")
            }
            Self::Died(worker, reason) => write!(f, "{worker} terminated: {reason}"),
            Self::UncleanExit(worker, reason) => write!(f, "{worker} did not shut down cleanly: {reason}"),
            Self::BackingOff { slot, restart } => write!(f, "worker {slot}: {restart}"),
            Self::Recycling(worker, reason) => write!(f, "{worker} is recycled: {reason}"),
            Self::Rolling(generation) => write!(f, "rolling restart to {generation} begins"),
            Self::Rolled(generation) => write!(f, "rolling restart to {generation} is complete"),
            Self::RollAborted(generation, RollAbort::Failed(reason)) => {
                write!(f, "rolling restart to {generation} is aborted, the old one stays: {reason}")
            }
            Self::RollAborted(generation, RollAbort::Superseded) => {
                write!(f, "rolling restart to {generation} is aborted by a newer one")
            }
            Self::RollAborted(generation, RollAbort::Stopped) => {
                write!(f, "rolling restart to {generation} is aborted: the pool is drained or stopped")
            }
            Self::Scaled(size) => write!(f, "pool size is now {size}"),
            Self::ScaleRefused(size) => write!(f, "pool size stays at {size}, its limit"),
        }
    }
}

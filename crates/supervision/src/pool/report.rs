//! What an operator should be told about a pool, as data with a text form.

use std::fmt;
use std::time::Duration;

use super::id::{Generation, WorkerId};
use super::reason::RecycleReason;
use super::size::PoolSize;
use crate::reason::ExitReason;

/// Something worth telling. The pool itself never logs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Report {
    /// How a start went. There is exactly one for every start.
    Start(WorkerId, StartOutcome),
    /// A ready worker ended although nobody had told it to.
    Died(WorkerId, ExitReason),
    /// A worker that was told to leave ended otherwise; [`ExitReason::Killed`] when it took too long.
    UncleanExit(WorkerId, ExitReason),
    /// A slot whose workers fail one after the other waits so long before the next start.
    BackingOff {
        /// Which slot.
        slot: u32,
        /// How long.
        delay: Duration,
    },
    /// A replacement for this worker is being started, or the worker leaves without one.
    Recycling(WorkerId, RecycleReason),
    /// Somebody asked for a new generation, and it begins.
    Rolling(Generation),
    /// The new generation is ready and alone: all others have been told to leave.
    Rolled(Generation),
    /// The new generation is given up; the pool is what it was.
    RollAborted(Generation, RollAbort),
    /// The size was changed by one.
    Scaled(PoolSize),
    /// The size could not be changed by one and is still this.
    ScaleRefused(PoolSize),
}

/// The end of a start: exactly one of these.
#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// The worker is ready.
    Ready,
    /// It ended before it was ready; [`ExitReason::Shutdown`] when it was told to leave before.
    Failed(ExitReason),
    /// It was not ready in time and is killed.
    TimedOut,
}

/// Why a new generation was given up.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RollAbort {
    /// Too many of its workers failed; the last one so.
    Failed(ExitReason),
    /// A newer one was asked for before it was ready.
    Superseded,
    /// The pool was drained or stopped.
    Stopped,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(worker, StartOutcome::Ready) => write!(f, "{worker} is ready"),
            Self::Start(worker, StartOutcome::Failed(reason)) => {
                write!(f, "{worker} did not start: {reason}")
            }
            Self::Start(worker, StartOutcome::TimedOut) => {
                write!(f, "{worker} did not start in time, killed")
            }
            Self::Died(worker, reason) => write!(f, "{worker} died: {reason}"),
            Self::UncleanExit(worker, reason) => write!(f, "{worker} did not leave as told: {reason}"),
            Self::BackingOff { slot, delay } => {
                write!(f, "worker {slot} keeps failing, started again in {} ms", delay.as_millis())
            }
            Self::Recycling(worker, cause) => write!(f, "{worker} is recycled: {cause}"),
            Self::Rolling(generation) => write!(f, "{generation} begins"),
            Self::Rolled(generation) => write!(f, "{generation} is ready, the old ones leave"),
            Self::RollAborted(generation, RollAbort::Failed(reason)) => {
                write!(f, "{generation} is given up, the old one stays: {reason}")
            }
            Self::RollAborted(generation, RollAbort::Superseded) => {
                write!(f, "{generation} is given up for a newer one")
            }
            Self::RollAborted(generation, RollAbort::Stopped) => {
                write!(f, "{generation} is given up: the pool leaves")
            }
            Self::Scaled(size) => write!(f, "the pool has now {size}"),
            Self::ScaleRefused(size) => write!(f, "the pool stays at {size}, its limit"),
        }
    }
}

//! What a driver tells a pool, and what it is told to do.

use std::fmt;

use super::recycling::RecycleReason;
use super::report::Report;
use crate::{ExitReason, Incarnation};

/// One life of one worker. An event about a life that is over, or that never was, changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    /// Its place in the pool, from 0: the lowest that is free. While a worker is replaced, it and its replacement
    /// may have the same; so may those that have been told to leave.
    pub slot: u32,
    /// Which life; never used again.
    pub life: Incarnation,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (life {})", self.slot, self.life.number())
    }
}

/// Workers that were started from the same code and configuration. Numbers grow from 1 and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(super) u32);

impl Generation {
    /// Its number, from 1.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.0)
    }
}

/// What has happened; the input of `handle`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Begin, or go on after [`Event::Drain`].
    Start,
    /// A worker is ready.
    Started(WorkerId),
    /// A start failed; there is no life.
    StartFailed(WorkerId, ExitReason),
    /// A life is over, ready or not.
    Exited(WorkerId, ExitReason),
    /// A worker has so many requests or connections now, and so many wait for any worker.
    ///
    /// Both in one event, so that a request that goes from the queue to a worker is at no moment counted twice or
    /// not at all. The length of the queue is believed even when the worker is unknown.
    Load {
        /// Whose load it is.
        worker: WorkerId,
        /// What it has; it is idle when this is 0.
        active: u32,
        /// What waits.
        queued: u32,
    },
    /// So many requests or connections wait for any worker.
    Queued(u32),
    /// What a worker has used since it started.
    Usage {
        /// Whose usage it is.
        worker: WorkerId,
        /// How many requests it has served in all.
        requests: u64,
        /// How much memory it has now, in bytes.
        memory: u64,
    },
    /// Replace this worker, as if it had reached a limit. One that is not ready yet is fresh enough.
    Recycle(WorkerId),
    /// One worker more (the signal TTIN). Lasts until the pool is reshaped.
    ScaleUp,
    /// One worker fewer (the signal TTOU). Lasts until the pool is reshaped.
    ScaleDown,
    /// All workers are told to leave and none is started; the pool stays (the signal WINCH).
    Drain,
    /// All workers are told to leave, none is started ever again, then the pool ends.
    Stop,
    /// All workers are killed, none is started ever again, then the pool ends.
    Kill,
    /// The time that `poll_timeout` named has come.
    Timeout,
}

/// What is to be done; the output of `poll_action`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Start a worker of this generation; answer with `Started`, `StartFailed` or `Exited`.
    Start(WorkerId, Generation),
    /// Tell a worker to finish what it has and to leave; give it nothing new. Answered by `Exited` (or
    /// `StartFailed`, for it may not have been ready yet).
    Retire(WorkerId, RetireReason),
    /// End a life without asking; answered by `Exited` (or `StartFailed`). Comes at most once for a life.
    Kill(WorkerId),
    /// No worker of this generation is left and none will be started: what starts it can be dropped.
    Forget(Generation),
    /// Something an operator should be told, or somebody who asked waits for.
    Report(Report),
    /// The workers that should be there without any load are ready. Comes once.
    Ready,
    /// Nobody is alive any more and nobody will be. Comes once and last.
    Exit,
}

/// Why a worker is told to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetireReason {
    /// It was idle for too long, and there are enough spare ones.
    Idle,
    /// The pool has become smaller.
    Surplus,
    /// It has reached a limit; its replacement is ready, or it needs none.
    Recycled(RecycleReason),
    /// It is of a generation that is not wanted any more.
    Replaced,
    /// The pool is drained.
    Drained,
    /// The pool is stopped.
    Stopped,
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("it was idle for too long"),
            Self::Surplus => f.write_str("the pool has become smaller"),
            Self::Recycled(cause) => write!(f, "it is recycled because {cause}"),
            Self::Replaced => f.write_str("its generation is not wanted any more"),
            Self::Drained => f.write_str("the pool is drained"),
            Self::Stopped => f.write_str("the pool is stopped"),
        }
    }
}

//! What a driver tells a pool, and what it is told to do.

use super::id::{Generation, WorkerId};
use super::reason::RetireReason;
use super::report::Report;
use crate::reason::ExitReason;

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

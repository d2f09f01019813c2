//! Events and actions of a pool.

use super::id::{Generation, WorkerId};
use super::reason::RetireReason;
use super::report::Report;
use crate::reason::ExitReason;

/// The input of [`WorkerPool::handle`](super::WorkerPool::handle).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Begins, or continues after [`Event::Drain`].
    Start,
    /// The worker is ready.
    Started(WorkerId),
    /// The start failed; the worker does not run.
    StartFailed(WorkerId, ExitReason),
    /// The worker has exited, ready or not.
    Exited(WorkerId, ExitReason),
    /// The load of one worker, and the length of the queue.
    ///
    /// One event carries both: a request that moves from the queue to a worker is then counted exactly once at any
    /// time. The queue length is taken even if the worker is unknown.
    Load {
        /// The worker.
        worker: WorkerId,
        /// Requests or connections that it has; 0: it is idle.
        active: u32,
        /// Requests or connections that wait for any worker.
        queued: u32,
    },
    /// This many requests or connections wait for any worker.
    Queued(u32),
    /// What a worker has used so far.
    Usage {
        /// The worker.
        worker: WorkerId,
        /// Requests that it has served in all.
        requests: u64,
        /// Its memory now. Unit: bytes.
        memory: u64,
    },
    /// Replaces this worker as if it had reached a limit. Ignored if it is not ready.
    Recycle(WorkerId),
    /// One worker more (gunicorn: the signal TTIN). Lasts until `reconfigure`.
    ScaleUp,
    /// One worker fewer (gunicorn: the signal TTOU). Lasts until `reconfigure`.
    ScaleDown,
    /// Retires all workers and starts none until [`Event::Start`] (nginx: the signal WINCH).
    Drain,
    /// Retires all workers and starts none; [`Action::Exit`] follows.
    Stop,
    /// Kills all workers and starts none; [`Action::Exit`] follows.
    Kill,
    /// The time that `poll_timeout` returned has come.
    Timeout,
}

/// The output of [`WorkerPool::poll_action`](super::WorkerPool::poll_action), to be executed in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Start a worker of this generation; answer with `Started`, `StartFailed` or `Exited`.
    Start(WorkerId, Generation),
    /// Request a worker to finish its requests and exit, and give it no new ones; answer with `Exited`.
    ///
    /// If it was not ready yet, `StartFailed` is an answer too.
    Retire(WorkerId, RetireReason),
    /// Kill a worker; answered as [`Action::Retire`] is. Comes at most once per incarnation.
    Kill(WorkerId),
    /// No worker of this generation runs and none will be started: the driver drops what starts it.
    Forget(Generation),
    /// A report for the operator's log or for the caller of an operation.
    Report(Report),
    /// As many workers as the pool has without load are ready. Comes once.
    Ready,
    /// No worker runs and none will be started. Comes once and last.
    Exit,
}

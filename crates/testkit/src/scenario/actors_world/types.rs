//! The data of the world of real actors, without behaviour.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use actix::Addr;
use impresario_actor::{ChildContext, DynamicRef, ExitReason, Pid, SupervisorRef, TraceEvent};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::scenario::check::Checked;
use crate::scenario::plan::{Attempt, Attempts, OnShutdown};
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, Booted, CallId, ProcessId};

/// Bound of the channel of trace events. A full channel fails the test.
pub(super) const TRACED: usize = 4_096;

/// State that actors and script share. No foreign code runs while its lock is held.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Sender of the trace events of all supervisors. One channel keeps their order across supervisors.
    pub(super) tracing: mpsc::Sender<TraceEvent>,
    /// Notified after every change.
    pub(super) changed: Notify,
    /// Notified when an actor is dropped.
    pub(super) dropped: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) processes: Vec<Process>,
    /// Processes with dropped actors, in the order of the drops.
    pub(super) dropped: VecDeque<ProcessId>,
    pub(super) attempts: Attempts,
    /// Ids with a failed latest start attempt.
    pub(super) failed: HashSet<String>,
    pub(super) latest: HashMap<String, ProcessId>,
    pub(super) calls: Vec<PendingCall>,
    pub(super) booted: Option<Booted>,
    /// The trace's form of each exit reason that may occur in a log.
    pub(super) reason_texts: HashMap<String, String>,
    pub(super) trace: Vec<String>,
}

/// A process of the scenario.
///
/// Its actor may outlive it: a process can unlink from its supervisor, an actor cannot. And it may outlive
/// its actor: a killed supervisor drops its actors immediately, while processes that trap exits run on.
pub(super) struct Process {
    pub(super) id: String,
    pub(super) attempt: u32,
    /// The supervisor; `None` for the top one.
    pub(super) parent: Option<ProcessId>,
    pub(super) pid: Pid,
    pub(super) body: Body,
    pub(super) linked: bool,
    /// It runs without an actor, because its supervisor was killed.
    pub(super) unsupervised: bool,
    /// The trace has its start, so it gets its exit too.
    pub(super) start_recorded: bool,
    pub(super) extra: bool,
    pub(super) exit: Option<ExitReason>,
}

pub(super) enum Body {
    Worker {
        on_shutdown: Option<OnShutdown>,
        actor: Option<Addr<WorkerActor>>,
        /// It exits at this time with this reason, and ignores further signals.
        delayed_exit: Option<(Instant, ExitReason)>,
        /// Time at which its supervisor asked it to stop.
        stop_requested_at: Option<Instant>,
    },
    Supervisor(Box<Supervisor>),
}

pub(super) struct Supervisor {
    pub(super) handle: SupervisorHandle,
    pub(super) checked: Checked,
    /// The guard of its own start in its parent. Dropped when it is ready or has exited.
    pub(super) start: Option<StartGuard>,
    /// Number of start functions that run in it.
    pub(super) running_starts: usize,
    /// The latest start of a worker, while it runs.
    pub(super) start_in_progress: Option<StartInProgress>,
    /// Time at which its own supervisor asked it to stop.
    pub(super) stop_requested_at: Option<Instant>,
    pub(super) queue: EventQueue,
}

/// A running start of a worker.
#[derive(Clone)]
pub(super) struct StartInProgress {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) attempt: Attempt,
    /// Time at which its start function returns.
    pub(super) returns_at: Instant,
    pub(super) on_shutdown: Option<OnShutdown>,
    pub(super) pid: Pid,
}

/// Reference to a supervisor, for calls.
#[derive(Clone)]
pub(super) enum SupervisorHandle {
    Static(SupervisorRef),
    /// The argument of an instance is its label.
    Dynamic(DynamicRef<String>),
}

#[derive(Default)]
pub(super) struct EventQueue {
    /// An event was delivered and is not handled yet.
    pub(super) delivering: bool,
    pub(super) suspended: bool,
    /// Number of `terminate_child` calls in progress.
    pub(super) terminating: usize,
    pub(super) events: VecDeque<QueuedEvent>,
}

/// An event for a supervisor.
pub(super) enum QueuedEvent {
    /// The process has exited.
    Exit(ProcessId, Addr<WorkerActor>),
    Call(CallId, Call),
    /// A message that it does not know.
    Unexpected(CallId),
    Stop(ExitReason),
}

pub(super) struct WorkerActor {
    pub(super) shared: Arc<Shared>,
    pub(super) process: ProcessId,
    pub(super) context: ChildContext,
    pub(super) on_shutdown: Option<OnShutdown>,
    /// It exits by itself after this time with this reason.
    pub(super) exit_after: Option<(Duration, ExitReason)>,
    /// `ChildContext::exit` was called.
    pub(super) exiting: bool,
    /// Its process exits after a delay and ignores further signals.
    pub(super) delayed_exit: bool,
    /// Its supervisor has asked it to stop.
    pub(super) stop_requested: bool,
    /// Its process has exited with this reason, and the supervisor must not be notified.
    pub(super) hidden_exit: Option<ExitReason>,
}

/// A command for the actor of a worker.
#[derive(Clone, Debug)]
pub(super) enum WorkerCommand {
    /// Its process exits by itself.
    ExitSelf(ExitReason),
    /// Its process gets an exit signal.
    Signal(ExitReason),
    /// Its process is killed.
    Kill,
    /// The actor stops with the exit reason of its process, which notifies the supervisor.
    Release,
}

/// A call to a supervisor.
pub(super) struct PendingCall {
    pub(super) line_prefix: Option<String>,
    pub(super) future: Option<AnswerFuture>,
    pub(super) waker: Option<Waker>,
    /// The answer, between its arrival and its line in the trace.
    pub(super) received: Option<Answer>,
    pub(super) answer: Option<Answer>,
}

pub(super) type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Guard of a start function that runs in a supervisor.
pub(super) struct StartGuard {
    pub(super) shared: Arc<Shared>,
    pub(super) parent: ProcessId,
}

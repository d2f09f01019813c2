//! What the actors of a world and its script share: the data, without behaviour.

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

/// How many trace events may wait to be read.
pub(super) const TRACED: usize = 4_096;

/// Shared by everything that plays a part. Nothing foreign is called while its lock is held.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// For the trace events of all supervisors. One channel, so their order across supervisors is kept.
    pub(super) tracing: mpsc::Sender<TraceEvent>,
    /// Something has happened.
    pub(super) changed: Notify,
    /// An actor is gone, and it is not known yet why.
    pub(super) dropped: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) processes: Vec<Process>,
    /// Hosts that are gone, in the order in which they went.
    pub(super) dropped: VecDeque<ProcessId>,
    pub(super) attempts: Attempts,
    /// Ids whose last start attempt failed.
    pub(super) failed: HashSet<String>,
    pub(super) latest: HashMap<String, ProcessId>,
    pub(super) calls: Vec<PendingCall>,
    pub(super) booted: Option<Booted>,
    /// How reasons that are in a log are written in the trace.
    pub(super) reason_texts: HashMap<String, String>,
    pub(super) trace: Vec<String>,
}

/// One process of the scenario. Its actor, the host, may outlive it: an actor cannot leave its supervisor, and a process
/// can. And it may outlive its actor: a supervisor that is killed takes its actors with it at once, while processes that
/// trap exits end in their own time.
pub(super) struct Process {
    pub(super) id: String,
    pub(super) attempt: u32,
    /// The supervisor; none for the top one.
    pub(super) parent: Option<ProcessId>,
    pub(super) pid: Pid,
    pub(super) body: Body,
    pub(super) linked: bool,
    /// Nobody plays it any more.
    pub(super) unsupervised: bool,
    /// Its start was announced in the trace, so its end is too.
    pub(super) start_recorded: bool,
    pub(super) extra: bool,
    pub(super) exit: Option<ExitReason>,
}

pub(super) enum Body {
    Worker {
        on_shutdown: Option<OnShutdown>,
        actor: Option<Addr<WorkerActor>>,
        /// It is taking its time to exit, until then and for this reason, and hears nothing more.
        delayed_exit: Option<(Instant, ExitReason)>,
        /// When its supervisor has told it to stop.
        stop_requested_at: Option<Instant>,
    },
    Supervisor(Box<Supervisor>),
}

pub(super) struct Supervisor {
    pub(super) handle: SupervisorHandle,
    pub(super) checked: Checked,
    /// Its own start, which runs in its parent. Dropped when it is ready or has exited.
    pub(super) start: Option<StartGuard>,
    /// Start functions that run in it.
    pub(super) running_starts: usize,
    /// The start of a worker that it began last, until that is done.
    pub(super) start_in_progress: Option<StartInProgress>,
    /// When its own supervisor has told it to stop.
    pub(super) stop_requested_at: Option<Instant>,
    pub(super) queue: EventQueue,
}

/// A start of a worker that is not done.
#[derive(Clone)]
pub(super) struct StartInProgress {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) attempt: Attempt,
    /// When its start function returns.
    pub(super) returns_at: Instant,
    pub(super) on_shutdown: Option<OnShutdown>,
    pub(super) pid: Pid,
}

/// How a supervisor is asked for something.
#[derive(Clone)]
pub(super) enum SupervisorHandle {
    Static(SupervisorRef),
    /// Its instances are made from their labels.
    Dynamic(DynamicRef<String>),
}

#[derive(Default)]
pub(super) struct EventQueue {
    /// Something has been let through a moment ago.
    pub(super) delivering: bool,
    pub(super) suspended: bool,
    /// It waits for the end of an instance.
    pub(super) terminating: usize,
    pub(super) events: VecDeque<QueuedEvent>,
}

/// What a supervisor will hear.
pub(super) enum QueuedEvent {
    /// The process is dead.
    Exit(ProcessId, Addr<WorkerActor>),
    Call(CallId, Call),
    /// Something it does not know.
    Unexpected(CallId),
    Stop(ExitReason),
}

pub(super) struct WorkerActor {
    pub(super) shared: Arc<Shared>,
    pub(super) process: ProcessId,
    pub(super) context: ChildContext,
    pub(super) on_shutdown: Option<OnShutdown>,
    /// It exits by itself after this time, for this reason.
    pub(super) exit_after: Option<(Duration, ExitReason)>,
    /// It is on its way out.
    pub(super) exiting: bool,
    /// Its process is taking its time to exit and hears nothing more.
    pub(super) delayed_exit: bool,
    /// Its supervisor has told it to stop.
    pub(super) stop_requested: bool,
    /// Its process is dead, for this reason; nobody is to know.
    pub(super) hidden_exit: Option<ExitReason>,
}

/// What its process is to hear.
#[derive(Clone, Debug)]
pub(super) enum WorkerCommand {
    /// To exit by itself.
    ExitSelf(ExitReason),
    /// An exit signal.
    Signal(ExitReason),
    /// A kill.
    Kill,
    /// The host is not needed any more: let the supervisor know how the process ended.
    Release,
}

/// A call that was made.
pub(super) struct PendingCall {
    pub(super) line_prefix: Option<String>,
    pub(super) future: Option<AnswerFuture>,
    pub(super) waker: Option<Waker>,
    /// It has come, and nobody has read it.
    pub(super) received: Option<Answer>,
    pub(super) answer: Option<Answer>,
}

pub(super) type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A start function that runs in a supervisor.
pub(super) struct StartGuard {
    pub(super) shared: Arc<Shared>,
    pub(super) parent: ProcessId,
}

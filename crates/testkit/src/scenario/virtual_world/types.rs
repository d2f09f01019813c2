//! The data of the world of simulated processes, without behaviour.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision as rules;
use impresario_supervision::{AutoShutdown, ChildKey, ExitReason, Incarnation, RequestId};

use crate::scenario::plan::{Attempt, Attempts, ChildPlan, OnShutdown};
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, Booted, CallId, ProcessId};

/// A world in which time passes only when no event is due.
#[derive(Debug, Default)]
pub struct VirtualWorld {
    pub(super) now: Duration,
    pub(super) next_number: u64,
    /// Future events: by time, priority and number.
    pub(super) schedule: BTreeMap<(Duration, Priority, u64), ScheduledEvent>,
    pub(super) processes: Vec<Process>,
    pub(super) supervisors: Vec<Supervisor>,
    pub(super) attempts: Attempts,
    /// The latest process of each id.
    pub(super) latest: HashMap<String, ProcessId>,
    pub(super) calls: Vec<PendingCall>,
    /// Processes that were woken and have not run.
    pub(super) wakeups: Vec<Wakeup>,
    pub(super) booted: Option<Booted>,
    pub(super) trace: Vec<String>,
}

#[derive(Debug)]
pub(super) struct PendingCall {
    pub(super) line_prefix: Option<String>,
    pub(super) answer: Option<Answer>,
}

/// Order of events at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// Before all others: the process that scheduled it is still running.
    First,
    /// In the order of scheduling.
    Normal,
    /// After all others.
    Last,
}

/// What a process does that a supervisor has woken.
#[derive(Debug)]
pub(super) enum Wakeup {
    /// Reads the answer to its call.
    CallAnswered(CallId, Answer),
    /// Learns that the supervisor that it starts is ready.
    Started(SupervisorId),
}

/// An event.
#[derive(Debug)]
pub(super) enum ScheduledEvent {
    /// A supervisor reads its mailbox.
    ReadMailbox(SupervisorId),
    /// A deadline of the rules has passed.
    Timer(SupervisorId),
    /// A child has exited for which its supervisor waits.
    MonitoredExit(SupervisorId, Incarnation, ExitReason),
    /// A start function returns.
    StartReturns(SupervisorId, Incarnation),
    /// A supervisor has started all its children.
    Ready(SupervisorId),
    /// A supervisor has exited during its start.
    NotReady(SupervisorId, ExitReason),
    /// A process that traps exits reads an exit signal.
    Trapped { process: ProcessId, reason: ExitReason, from_parent: bool },
    /// A process is asked to exit by itself.
    ExitSelf(ProcessId, ExitReason),
    /// A process exits.
    Exit(ProcessId, ExitReason),
    /// Processes that were woken run.
    RunWakeups,
    /// A supervisor goes on after the start of a nested supervisor.
    StartCompleted(SupervisorId, Incarnation),
}

/// Id of the request that stands for a message that a supervisor does not know.
pub(super) const UNEXPECTED: RequestId = RequestId(u64::MAX);

/// A message in the mailbox of a supervisor.
#[derive(Debug)]
pub(super) enum QueuedMessage {
    /// A child exited by itself.
    Exit(Incarnation, ExitReason),
    Call(CallId, Call),
    /// The parent requests a shutdown.
    Stop(ExitReason),
    /// A message that it does not know.
    Unexpected,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) attempt: u32,
    /// Its supervisor, and its incarnation there. `None` for the top supervisor.
    pub(super) started_by: Option<(SupervisorId, Incarnation)>,
    pub(super) linked: bool,
    pub(super) body: Body,
    /// The trace has its start, so it gets its exit too.
    pub(super) start_recorded: bool,
    /// Its start function returned `{ok, Pid, extra}`.
    pub(super) extra: bool,
    pub(super) exit: Option<ExitReason>,
}

#[derive(Debug)]
pub(super) enum Body {
    /// `exiting`: it exits after a delay and ignores further signals.
    Worker {
        on_shutdown: Option<OnShutdown>,
        exiting: bool,
    },
    Supervisor(SupervisorId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SupervisorId(pub(super) usize);

#[derive(Debug)]
pub(super) enum Rules {
    Static(Box<rules::Supervisor>),
    Dynamic(Box<rules::DynamicSupervisor>),
}

#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) process: ProcessId,
    pub(super) rules: Rules,
    /// Id in the trace and plan of each child.
    pub(super) plans: HashMap<ChildKey, (String, Arc<ChildPlan>)>,
    /// Plan of the instances of a dynamic supervisor.
    pub(super) template: Option<Arc<ChildPlan>>,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) processes: HashMap<Incarnation, ProcessId>,
    /// Running start functions.
    pub(super) starting: HashMap<Incarnation, Starting>,
    /// Children that were stopped or killed, until their exit is handled.
    pub(super) stopping: HashSet<Incarnation>,
    /// Children that exited after an `unlink`, without a notice to the supervisor.
    pub(super) unreported_exits: HashSet<Incarnation>,
    pub(super) mailbox: VecDeque<QueuedMessage>,
    /// It starts its first children and reads nothing.
    pub(super) starting_up: bool,
    pub(super) suspended: bool,
    pub(super) requests: BTreeMap<RequestId, (CallId, Call)>,
    pub(super) armed: Option<Duration>,
}

/// A running start function.
#[derive(Clone, Debug)]
pub(super) struct Starting {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) attempt: Attempt,
    pub(super) plan: Arc<ChildPlan>,
}

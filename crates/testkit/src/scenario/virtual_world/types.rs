//! The data of the world of simulated processes, without behaviour.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision as rules;
use impresario_supervision::{AutoShutdown, ChildKey, ExitReason, Incarnation, RequestId};

use crate::scenario::plan::{Attempt, Attempts, ChildPlan, OnShutdown};
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, Booted, CallId, ProcessId};

/// A world in which time passes only when nothing else is left to do.
#[derive(Debug, Default)]
pub struct VirtualWorld {
    pub(super) now: Duration,
    pub(super) next_number: u64,
    /// What will happen, by time and then in the order in which it was arranged.
    pub(super) schedule: BTreeMap<(Duration, Priority, u64), ScheduledEvent>,
    pub(super) processes: Vec<Process>,
    pub(super) supervisors: Vec<Supervisor>,
    pub(super) attempts: Attempts,
    /// The latest life of each id.
    pub(super) latest: HashMap<String, ProcessId>,
    pub(super) calls: Vec<PendingCall>,
    /// What other processes will do when they come to their turn.
    pub(super) wakeups: Vec<Wakeup>,
    pub(super) booted: Option<Booted>,
    pub(super) trace: Vec<String>,
}

#[derive(Debug)]
pub(super) struct PendingCall {
    pub(super) line_prefix: Option<String>,
    pub(super) answer: Option<Answer>,
}

/// Where at its time something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// Whoever arranged it is still running.
    First,
    /// In turn.
    Normal,
    /// When nothing else is left.
    Last,
}

/// What another process does that was woken by a supervisor.
#[derive(Debug)]
pub(super) enum Wakeup {
    /// It got the answer to its call.
    CallAnswered(CallId, Answer),
    /// It hears that the supervisor that it starts is ready.
    Started(SupervisorId),
}

/// What can happen at a time.
#[derive(Debug)]
pub(super) enum ScheduledEvent {
    /// A supervisor looks into its mailbox.
    ReadMailbox(SupervisorId),
    /// A time has come that the rules named.
    Timer(SupervisorId),
    /// A supervisor hears of the end of a life that it is waiting for.
    MonitoredExit(SupervisorId, Incarnation, ExitReason),
    /// A start function has done its work.
    StartReturns(SupervisorId, Incarnation),
    /// A nested supervisor has started all its children.
    Ready(SupervisorId),
    /// A nested supervisor has not.
    NotReady(SupervisorId, ExitReason),
    /// A process that traps exits reads of one.
    Trapped { process: ProcessId, reason: ExitReason, from_parent: bool },
    /// A process is asked to exit by itself.
    ExitSelf(ProcessId, ExitReason),
    /// A process exits.
    Exit(ProcessId, ExitReason),
    /// Whoever was woken has its turn.
    RunWakeups,
    /// A supervisor goes on after a nested one is ready.
    StartCompleted(SupervisorId, Incarnation),
}

/// The question that stands for a message that is none.
pub(super) const UNEXPECTED: RequestId = RequestId(u64::MAX);

/// What lies in a supervisor's mailbox.
#[derive(Debug)]
pub(super) enum QueuedMessage {
    /// A child exited by itself.
    Exit(Incarnation, ExitReason),
    Call(CallId, Call),
    /// The parent says stop.
    Stop(ExitReason),
    /// Something it does not know.
    Unexpected,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) attempt: u32,
    /// Which life of which supervisor it is; none for the top supervisor.
    pub(super) started_by: Option<(SupervisorId, Incarnation)>,
    pub(super) linked: bool,
    pub(super) body: Body,
    /// Its start was announced in the trace, so its end is too.
    pub(super) start_recorded: bool,
    /// Its start function returned more than the process.
    pub(super) extra: bool,
    pub(super) exit: Option<ExitReason>,
}

#[derive(Debug)]
pub(super) enum Body {
    /// `busy_dying`: it is taking its time to exit and hears nothing more.
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
    /// What is known of each entry, and what it is called in the trace.
    pub(super) plans: HashMap<ChildKey, (String, Arc<ChildPlan>)>,
    /// What instances of a dynamic one are made from.
    pub(super) template: Option<Arc<ChildPlan>>,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) processes: HashMap<Incarnation, ProcessId>,
    /// Start functions under way.
    pub(super) starting: HashMap<Incarnation, Starting>,
    /// Lives that were told to end, until it hears that they have.
    pub(super) stopping: HashSet<Incarnation>,
    /// Lives that ended without its knowledge.
    pub(super) unreported_exits: HashSet<Incarnation>,
    pub(super) mailbox: VecDeque<QueuedMessage>,
    /// It starts its first children, and listens to nothing else.
    pub(super) starting_up: bool,
    pub(super) suspended: bool,
    pub(super) requests: BTreeMap<RequestId, (CallId, Call)>,
    pub(super) armed: Option<Duration>,
}

/// A start function under way.
#[derive(Clone, Debug)]
pub(super) struct Starting {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) attempt: Attempt,
    pub(super) plan: Arc<ChildPlan>,
}

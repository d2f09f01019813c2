//! What the actors of a world and its script share: who lives, and the trace.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use impresario_actor::{DynamicRef, ExitReason, Incarnation, Pid, SupervisorRef, TraceEvent, TraceKind};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::calls::PendingCall;
use super::gate::Gate;
use super::host::Host;
use super::starts::Starting;
use crate::scenario::check::Checked;
use crate::scenario::plan::{Attempt, Attempts, OnShutdown, raised};
use crate::scenario::term::reason_text;
use crate::scenario::trace::stop_line;
use crate::scenario::world::{Booted, ProcessId};

/// How many trace events may wait to be read.
pub(super) const TRACED: usize = 4_096;

/// Shared by everything that plays a part. Nothing foreign is called while its lock is held.
pub(super) struct Stage {
    cast: Mutex<Cast>,
    /// For the trace events of all supervisors. One channel, so their order across supervisors is kept.
    pub(super) tracing: mpsc::Sender<TraceEvent>,
    /// Something has happened.
    pub(super) moved: Notify,
    /// An actor is gone, and it is not known yet why.
    pub(super) gone: Notify,
}

#[derive(Default)]
pub(super) struct Cast {
    pub(super) processes: Vec<Process>,
    /// Hosts that are gone, in the order in which they went.
    pub(super) gone: VecDeque<ProcessId>,
    pub(super) attempts: Attempts,
    /// Ids whose last start attempt failed.
    pub(super) failed: HashSet<String>,
    pub(super) latest: HashMap<String, ProcessId>,
    pub(super) calls: Vec<PendingCall>,
    pub(super) booted: Option<Booted>,
    /// How reasons that are in a log are written in the trace.
    terms: HashMap<String, String>,
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
    pub(super) orphan: bool,
    /// Its start was announced in the trace, so its end is too.
    pub(super) announced: bool,
    pub(super) extra: bool,
    pub(super) exit: Option<ExitReason>,
}

pub(super) enum Body {
    Worker {
        traps: Option<OnShutdown>,
        host: Option<Addr<Host>>,
        /// It is taking its time to exit, until then and for this reason, and hears nothing more.
        dying: Option<(Instant, ExitReason)>,
        /// When its supervisor has told it to stop.
        told: Option<Instant>,
    },
    Supervisor(Box<Supervisor>),
}

pub(super) struct Supervisor {
    pub(super) name: Name,
    pub(super) checked: Checked,
    /// Its own start, which runs in its parent. Dropped when it is ready or has exited.
    pub(super) start: Option<Starting>,
    /// Start functions that run in it.
    pub(super) starting: usize,
    /// The start of a worker that it began last, until that is done.
    pub(super) under_way: Option<UnderWay>,
    /// When its own supervisor has told it to stop.
    pub(super) told: Option<Instant>,
    pub(super) gate: Gate,
}

/// A start of a worker that is not done.
#[derive(Clone)]
pub(super) struct UnderWay {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) attempt: Attempt,
    /// When its start function returns.
    pub(super) until: Instant,
    pub(super) traps: Option<OnShutdown>,
    pub(super) pid: Pid,
}

/// How a supervisor is asked for something.
#[derive(Clone)]
pub(super) enum Name {
    Static(SupervisorRef),
    /// Its instances are made from their labels.
    Dynamic(DynamicRef<String>),
}

impl Stage {
    pub(super) fn new(tracing: mpsc::Sender<TraceEvent>) -> Self {
        Self { cast: Mutex::default(), tracing, moved: Notify::new(), gone: Notify::new() }
    }

    pub(super) fn cast(&self) -> MutexGuard<'_, Cast> {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, after the deaths that have already happened.
    pub(super) fn write(self: &Arc<Self>, line: String) {
        self.notice_deaths();
        self.cast().trace.push(line);
        self.moved.notify_waiters();
    }

    /// A host is gone; how it ended is known in a moment.
    pub(super) fn lost(&self, process: ProcessId) {
        self.cast().gone.push_back(process);
        self.gone.notify_one();
    }

    pub(super) fn notice_deaths(self: &Arc<Self>) {
        self.cast().notice_deaths();
        let ended = self.cast().ended_supervisors();
        ended.into_iter().for_each(|(process, reason)| self.supervisor_ended(process, &reason));
        self.moved.notify_waiters();
    }

    /// A supervisor traces that it is ready before it acknowledges its start, so before its parent goes on.
    pub(super) fn trace_event(self: &Arc<Self>, event: &TraceEvent) {
        assert_eq!(event.missed, 0, "the channel of trace events was full; make it larger");
        let Some(process) = self.cast().process_of(&event.pid) else { return };
        match event.kind {
            TraceKind::Started => self.supervisor_started(process),
            TraceKind::Stop => self.is_told(process),
            _ => {}
        }
    }

    fn supervisor_started(self: &Arc<Self>, process: ProcessId) {
        self.announce(process);
        let start = {
            let mut cast = self.cast();
            if cast.processes[process.0].parent.is_none() {
                cast.booted = Some(Booted::Ok(process));
            }
            cast.supervisor(process).and_then(|known| known.start.take())
        };
        drop(start);
    }

    /// The process is dead, whatever its host does.
    pub(super) fn die(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let mut cast = self.cast();
        cast.notice_deaths();
        cast.die(process, reason);
        drop(cast);
        self.moved.notify_waiters();
    }

    /// The life has started: the trace says so, and its id means it from here on.
    pub(super) fn announce(self: &Arc<Self>, process: ProcessId) {
        self.notice_deaths();
        let mut cast = self.cast();
        let known = &mut cast.processes[process.0];
        known.announced = true;
        let (id, line) = (known.id.clone(), format!("start {} {}", known.id, known.attempt));
        cast.trace.push(line);
        cast.latest.insert(id, process);
        drop(cast);
        self.moved.notify_waiters();
    }
}

impl Cast {
    pub(super) fn born(&mut self, process: Process) -> ProcessId {
        self.processes.push(process);
        ProcessId(self.processes.len() - 1)
    }

    /// Who lives, or lived, as this life of this supervisor.
    pub(super) fn child(&self, parent: ProcessId, life: Incarnation) -> Option<ProcessId> {
        let mine = |process: &Process| process.parent == Some(parent) && process.pid.incarnation() == life;
        self.processes.iter().position(mine).map(ProcessId)
    }

    pub(super) fn process_of(&self, pid: &Pid) -> Option<ProcessId> {
        self.processes.iter().position(|process| process.pid == *pid).map(ProcessId)
    }

    /// What a report calls it: an instance goes by the name of its template.
    fn spec_id(&self, process: ProcessId) -> &str {
        let known = &self.processes[process.0];
        match known.parent.map(|parent| &self.processes[parent.0].body) {
            Some(Body::Supervisor(parent)) if parent.checked.dynamic => {
                parent.checked.specs.first().map_or(&known.id, |spec| spec.id.as_str())
            }
            _ => &known.id,
        }
    }

    /// Whether it waits for the end of a child that it has told to stop.
    pub(super) fn waits(&self, supervisor: ProcessId) -> bool {
        let told = |child: &Process| matches!(child.body, Body::Worker { told: Some(_), .. });
        let mut children = self.processes.iter().filter(|child| child.parent == Some(supervisor));
        children.any(|child| told(child) && child.pid.is_alive())
    }

    pub(super) fn supervisor(&mut self, process: ProcessId) -> Option<&mut Supervisor> {
        match &mut self.processes[process.0].body {
            Body::Supervisor(supervisor) => Some(supervisor),
            Body::Worker { .. } => None,
        }
    }

    /// When its supervisor has told it to stop.
    pub(super) fn told(&self, process: ProcessId) -> Option<Instant> {
        match &self.processes[process.0].body {
            Body::Worker { told, .. } => *told,
            Body::Supervisor(supervisor) => supervisor.told,
        }
    }

    pub(super) fn is_alive(&self, process: ProcessId) -> bool {
        self.processes[process.0].exit.is_none()
    }

    /// `ID#N` of a living process, `ID#dead` of a dead one that is its id's latest.
    pub(super) fn name(&self, process: ProcessId) -> String {
        let known = &self.processes[process.0];
        if known.exit.is_none() {
            format!("{}#{}", known.id, known.attempt)
        } else if self.latest.get(&known.id) == Some(&process) {
            format!("{}#dead", known.id)
        } else {
            "pid".to_owned()
        }
    }

    /// Hosts that are gone take their processes with them, unless it was their supervisor that was killed.
    pub(super) fn notice_deaths(&mut self) {
        while let Some(process) = self.gone.pop_front() {
            let known = &self.processes[process.0];
            let Some(reason) = known.pid.exit_reason() else {
                // It is just ending, in this very moment.
                self.gone.push_front(process);
                return;
            };
            if reason == ExitReason::Killed && self.is_abandoned(process) {
                self.processes[process.0].orphan = true;
            } else if reason == ExitReason::Killed && !known.linked && known.exit.is_some() {
                // It was killed when it was dead, so that the kill found nobody.
                let line = format!("report shutdown_error {} noproc", self.spec_id(process));
                self.trace.push(line);
            } else {
                self.die(process, &reason);
            }
        }
    }

    /// Supervisors that had started and are over, and nobody has noticed.
    fn ended_supervisors(&self) -> Vec<(ProcessId, ExitReason)> {
        let unnoticed = |process: &Process| {
            let started = matches!(process.body, Body::Supervisor(_)) && process.announced;
            started && process.exit.is_none() && !process.orphan
        };
        let known = self.processes.iter().enumerate().filter(|(_, process)| unnoticed(process));
        known.filter_map(|(at, process)| Some((ProcessId(at), process.pid.exit_reason()?))).collect()
    }

    /// Whether its supervisor was killed. One that ends in order has no living children.
    pub(super) fn is_abandoned(&self, process: ProcessId) -> bool {
        let parent = self.processes[process.0].parent;
        parent.is_some_and(|parent| self.processes[parent.0].pid.exit_reason() == Some(ExitReason::Killed))
    }

    pub(super) fn die(&mut self, process: ProcessId, reason: &ExitReason) {
        let reason = self.learn(reason);
        let dead = &mut self.processes[process.0];
        if dead.exit.is_some() {
            return;
        }
        let line = dead.announced.then(|| stop_line(&dead.id, dead.attempt, &reason));
        dead.exit = Some(reason);
        self.trace.extend(line);
    }

    /// The reason as the scenario knows it; from here on it is recognized in a log.
    pub(super) fn learn(&mut self, reason: &ExitReason) -> ExitReason {
        let known = scripted(reason);
        self.terms.insert(reason.to_string(), reason_text(&known));
        known
    }

    /// A reason in a log, as the trace writes it.
    pub(super) fn term(&self, text: &str) -> String {
        match self.terms.get(text) {
            Some(term) => term.clone(),
            None => reason_text(&parsed(text)),
        }
    }
}

/// A panic stands for an exception in a start function.
pub(super) fn scripted(reason: &ExitReason) -> ExitReason {
    match reason {
        ExitReason::Panic { message, .. } => raised(message),
        ExitReason::FailedToStart { child, reason } => {
            ExitReason::FailedToStart { child: child.clone(), reason: Box::new(scripted(reason)) }
        }
        other => other.clone(),
    }
}

/// A reason that nobody has given before: the supervisor's own, or a panic.
fn parsed(text: &str) -> ExitReason {
    let own = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Killed, ExitReason::NoProc];
    if let Some(known) = own.into_iter().find(|own| own.to_string() == text) {
        return known;
    }
    text.strip_prefix("panicked: ").map_or_else(|| ExitReason::Error(text.to_owned()), raised)
}

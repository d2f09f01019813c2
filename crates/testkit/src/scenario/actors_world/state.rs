//! Behaviour of the shared state: processes, their starts and exits, and the lines of the trace.

use std::sync::{Arc, MutexGuard, PoisonError};

use impresario_actor::{ExitReason, Incarnation, Pid, TraceEvent, TraceKind};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::types::{Body, Process, Shared, State, Supervisor};
use crate::scenario::plan::raised;
use crate::scenario::term::reason_text;
use crate::scenario::trace::stop_line;
use crate::scenario::world::{Booted, ProcessId};

impl Shared {
    pub(super) fn new(tracing: mpsc::Sender<TraceEvent>) -> Self {
        Self { state: std::sync::Mutex::default(), tracing, changed: Notify::new(), dropped: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line, after the lines of all exits so far.
    pub(super) fn write(self: &Arc<Self>, line: String) {
        self.record_exits();
        self.lock().trace.push(line);
        self.changed.notify_waiters();
    }

    /// Notes that an actor was dropped. Its exit reason follows.
    pub(super) fn actor_dropped(&self, process: ProcessId) {
        self.lock().dropped.push_back(process);
        self.dropped.notify_one();
    }

    pub(super) fn record_exits(self: &Arc<Self>) {
        self.lock().record_exits();
        let ended = self.lock().exited_supervisors();
        ended.into_iter().for_each(|(process, reason)| self.supervisor_exited(process, &reason));
        self.changed.notify_waiters();
    }

    /// Handles a trace event of a supervisor. It sends `Started` before it acknowledges its start, so the
    /// line is written before its parent goes on.
    pub(super) fn handle_trace_event(self: &Arc<Self>, event: &TraceEvent) {
        assert_eq!(event.missed, 0, "the channel of trace events was full; make it larger");
        let Some(process) = self.lock().process_of(&event.pid) else { return };
        match event.kind {
            TraceKind::Started => self.supervisor_started(process),
            TraceKind::Stop => self.record_stop_request(process),
            _ => {}
        }
    }

    fn supervisor_started(self: &Arc<Self>, process: ProcessId) {
        self.record_start(process);
        let start = {
            let mut state = self.lock();
            if state.processes[process.0].parent.is_none() {
                state.booted = Some(Booted::Ok(process));
            }
            state.supervisor(process).and_then(|known| known.start.take())
        };
        drop(start);
    }

    /// Records the exit of a process, even if its actor still runs.
    pub(super) fn record_exit(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let mut state = self.lock();
        state.record_exits();
        state.record_exit(process, reason);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Records the start of a process: writes its line and makes it the latest of its id.
    pub(super) fn record_start(self: &Arc<Self>, process: ProcessId) {
        self.record_exits();
        let mut state = self.lock();
        let known = &mut state.processes[process.0];
        known.start_recorded = true;
        let (id, line) = (known.id.clone(), format!("start {} {}", known.id, known.attempt));
        state.trace.push(line);
        state.latest.insert(id, process);
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    pub(super) fn add_process(&mut self, process: Process) -> ProcessId {
        self.processes.push(process);
        ProcessId(self.processes.len() - 1)
    }

    /// The process of an incarnation of a supervisor's child.
    pub(super) fn child(&self, parent: ProcessId, incarnation: Incarnation) -> Option<ProcessId> {
        let mine =
            |process: &Process| process.parent == Some(parent) && process.pid.incarnation() == incarnation;
        self.processes.iter().position(mine).map(ProcessId)
    }

    pub(super) fn process_of(&self, pid: &Pid) -> Option<ProcessId> {
        self.processes.iter().position(|process| process.pid == *pid).map(ProcessId)
    }

    /// Id in reports: for an instance, the id of the template.
    fn spec_id(&self, process: ProcessId) -> &str {
        let known = &self.processes[process.0];
        match known.parent.map(|parent| &self.processes[parent.0].body) {
            Some(Body::Supervisor(parent)) if parent.checked.dynamic => {
                parent.checked.specs.first().map_or(&known.id, |spec| spec.id.as_str())
            }
            _ => &known.id,
        }
    }

    /// Returns whether the supervisor waits for the exit of a child that it has asked to stop.
    pub(super) fn awaits_child_exit(&self, supervisor: ProcessId) -> bool {
        let requested =
            |child: &Process| matches!(child.body, Body::Worker { stop_requested_at: Some(_), .. });
        let mut children = self.processes.iter().filter(|child| child.parent == Some(supervisor));
        children.any(|child| requested(child) && child.pid.is_alive())
    }

    pub(super) fn supervisor(&mut self, process: ProcessId) -> Option<&mut Supervisor> {
        match &mut self.processes[process.0].body {
            Body::Supervisor(supervisor) => Some(supervisor),
            Body::Worker { .. } => None,
        }
    }

    /// Time at which its supervisor asked it to stop.
    pub(super) fn stop_requested_at(&self, process: ProcessId) -> Option<Instant> {
        match &self.processes[process.0].body {
            Body::Worker { stop_requested_at, .. } => *stop_requested_at,
            Body::Supervisor(supervisor) => supervisor.stop_requested_at,
        }
    }

    pub(super) fn is_alive(&self, process: ProcessId) -> bool {
        self.processes[process.0].exit.is_none()
    }

    /// `ID#N` of a running process, `ID#dead` of an exited one that is the latest of its id, else `pid`.
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

    /// Records the exits of processes with dropped actors. A process of a killed supervisor goes on without
    /// an actor.
    pub(super) fn record_exits(&mut self) {
        while let Some(process) = self.dropped.pop_front() {
            let known = &self.processes[process.0];
            let Some(reason) = known.pid.exit_reason() else {
                // The actor is dropped before its exit reason is set. The next call finds it.
                self.dropped.push_front(process);
                return;
            };
            if reason == ExitReason::Killed && self.parent_was_killed(process) {
                self.processes[process.0].unsupervised = true;
            } else if reason == ExitReason::Killed && !known.linked && known.exit.is_some() {
                // The supervisor killed a process that had exited unlinked. OTP reports `noproc`.
                let line = format!("report shutdown_error {} noproc", self.spec_id(process));
                self.trace.push(line);
            } else {
                self.record_exit(process, &reason);
            }
        }
    }

    /// Supervisors that have started and exited, with exits that are not recorded.
    fn exited_supervisors(&self) -> Vec<(ProcessId, ExitReason)> {
        let unnoticed = |process: &Process| {
            let started = matches!(process.body, Body::Supervisor(_)) && process.start_recorded;
            started && process.exit.is_none() && !process.unsupervised
        };
        let known = self.processes.iter().enumerate().filter(|(_, process)| unnoticed(process));
        known.filter_map(|(at, process)| Some((ProcessId(at), process.pid.exit_reason()?))).collect()
    }

    /// Returns whether its supervisor was killed. A supervisor that exits otherwise has no running children.
    pub(super) fn parent_was_killed(&self, process: ProcessId) -> bool {
        let parent = self.processes[process.0].parent;
        parent.is_some_and(|parent| self.processes[parent.0].pid.exit_reason() == Some(ExitReason::Killed))
    }

    pub(super) fn record_exit(&mut self, process: ProcessId, reason: &ExitReason) {
        let reason = self.remember_reason(reason);
        let dead = &mut self.processes[process.0];
        if dead.exit.is_some() {
            return;
        }
        let line = dead.start_recorded.then(|| stop_line(&dead.id, dead.attempt, &reason));
        dead.exit = Some(reason);
        self.trace.extend(line);
    }

    /// Converts a reason to the scenario's form and stores the text for `trace_text`.
    pub(super) fn remember_reason(&mut self, reason: &ExitReason) -> ExitReason {
        let known = scenario_reason(reason);
        self.reason_texts.insert(reason.to_string(), reason_text(&known));
        known
    }

    /// The trace's form of a reason in a log.
    pub(super) fn trace_text(&self, text: &str) -> String {
        match self.reason_texts.get(text) {
            Some(text) => text.clone(),
            None => reason_text(&parse_reason(text)),
        }
    }
}

/// Converts a reason: a panic stands for an exception in a start function.
pub(super) fn scenario_reason(reason: &ExitReason) -> ExitReason {
    match reason {
        ExitReason::Panic { message, .. } => raised(message),
        ExitReason::FailedToStart { child, reason } => {
            ExitReason::FailedToStart { child: child.clone(), reason: Box::new(scenario_reason(reason)) }
        }
        other => other.clone(),
    }
}

/// Parses a reason that was not stored: one of the supervisor, or a panic.
fn parse_reason(text: &str) -> ExitReason {
    let own = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Killed, ExitReason::NoProc];
    if let Some(known) = own.into_iter().find(|own| own.to_string() == text) {
        return known;
    }
    text.strip_prefix("panicked: ").map_or_else(|| ExitReason::Error(text.to_owned()), raised)
}

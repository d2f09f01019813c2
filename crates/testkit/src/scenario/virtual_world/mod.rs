//! A world of simulated processes on virtual time. The clock jumps to the next scheduled event.
//!
//! Processes, links and exit signals behave as in Erlang. Each supervisor is one instance of the rules of
//! `impresario-supervision`, which gets the events of its process in their order. `types.rs` holds the data,
//! each other file one part of the behaviour. This folder knows no actors and no runtime.

mod answers;
mod calls;
mod messages;
mod process;
mod schedule;
mod starts;
mod supervisor;
mod types;

use std::sync::Arc;
use std::time::Duration;

use impresario_supervision::{ExitReason, Time};

use super::plan::{Attempt, SupervisorPlan};
use super::step::Call;
use super::world::{Answer, Booted, CallId, LONG, ProcessId, World};

use types::{Body, PendingCall, QueuedMessage, ScheduledEvent, SupervisorId, Wakeup};

pub use types::VirtualWorld;

impl VirtualWorld {
    /// An empty world at time 0.
    pub fn new() -> Self {
        Self::default()
    }

    fn time(&self) -> Time {
        Time::from_start(self.now)
    }

    fn supervisor_of(&self, process: ProcessId) -> Option<SupervisorId> {
        match self.processes[process.0].body {
            Body::Supervisor(supervisor) => Some(supervisor),
            Body::Worker { .. } => None,
        }
    }

    fn finish(&mut self, call: CallId, answer: Answer) {
        if self.calls[call.0].line_prefix.is_none() {
            self.calls[call.0].answer = Some(answer);
            return;
        }
        self.wake(Wakeup::CallAnswered(call, answer));
    }
}

impl World for VirtualWorld {
    fn boot(&mut self, plan: &Arc<SupervisorPlan>) -> Booted {
        match plan.init() {
            Some("ignore") => return Booted::Ignore,
            Some(_) => return Booted::Error(super::check::BAD_INIT.to_owned()),
            None => {}
        }
        match super::check::check(plan) {
            Err(refusal) => return Booted::Error(refusal.at_start()),
            Ok(checked) => self.start_supervisor(super::step::TOP, 1, None, checked, plan),
        };
        self.wait(LONG, |world| world.booted.is_some());
        self.booted.take().unwrap_or(Booted::Error("timeout".to_owned()))
    }

    fn write(&mut self, line: String) {
        self.trace.push(line);
    }

    fn lines(&self) -> usize {
        self.trace.len()
    }

    fn into_trace(self) -> Vec<String> {
        self.trace
    }

    fn elapsed(&self) -> Duration {
        self.now
    }

    fn sleep(&mut self, time: Duration) {
        self.wait(time, |_| false);
    }

    fn process(&self, id: &str) -> Option<ProcessId> {
        self.latest.get(id).copied()
    }

    fn name(&self, process: ProcessId) -> String {
        let known = &self.processes[process.0];
        if known.is_alive() {
            format!("{}#{}", known.id, known.attempt)
        } else if self.process(&known.id) == Some(process) {
            format!("{}#dead", known.id)
        } else {
            "pid".to_owned()
        }
    }

    fn is_alive(&self, process: ProcessId) -> bool {
        self.processes[process.0].is_alive()
    }

    fn await_end(&mut self, process: ProcessId, within: Duration) -> bool {
        self.wait(within, |world| !world.is_alive(process))
    }

    fn exit_self(&mut self, process: ProcessId, reason: ExitReason) {
        self.schedule(Duration::ZERO, ScheduledEvent::ExitSelf(process, reason));
    }

    fn signal(&mut self, process: ProcessId, reason: ExitReason) {
        // The script is the parent of the top supervisor.
        let from_parent = self.processes[process.0].started_by.is_none();
        self.exit_signal(process, reason, from_parent);
    }

    fn kill(&mut self, process: ProcessId) {
        self.exit_process(process, ExitReason::Killed);
    }

    fn message(&mut self, process: ProcessId) {
        if let Some(supervisor) = self.supervisor_of(process) {
            self.send(supervisor, QueuedMessage::Unexpected);
        }
    }

    fn unlink(&mut self, process: ProcessId) {
        match self.processes[process.0].body {
            Body::Worker { exiting, .. } => self.processes[process.0].linked &= exiting,
            Body::Supervisor(supervisor) => self.send(supervisor, QueuedMessage::Unexpected),
        }
    }

    fn suspend(&mut self, supervisor: ProcessId) {
        let Some(supervisor) = self.supervisor_of(supervisor) else { return };
        self.wait(LONG, |world| world.supervisors[supervisor.0].is_idle());
        self.supervisors[supervisor.0].suspended = true;
    }

    fn resume(&mut self, supervisor: ProcessId) {
        let Some(supervisor) = self.supervisor_of(supervisor) else { return };
        self.supervisors[supervisor.0].suspended = false;
        self.schedule(Duration::ZERO, ScheduledEvent::ReadMailbox(supervisor));
    }

    fn call(&mut self, supervisor: ProcessId, call: Call, line_prefix: Option<String>) -> CallId {
        let id = CallId(self.calls.len());
        self.calls.push(PendingCall { line_prefix, answer: None });
        match self.supervisor_of(supervisor).filter(|_| self.is_alive(supervisor)) {
            Some(supervisor) => self.send(supervisor, QueuedMessage::Call(id, call)),
            None => self.finish(id, Answer::Exit(ExitReason::NoProc)),
        }
        id
    }

    fn await_answer(&mut self, call: CallId, within: Duration) -> Option<Answer> {
        self.wait(within, |world| world.calls[call.0].answer.is_some());
        self.calls[call.0].answer.clone()
    }

    fn set_start(&mut self, id: &str, attempts: Vec<Attempt>) {
        self.attempts.replace(id, attempts);
    }
}

//! A simulated supervisor: performs the actions of its rules.

use std::time::Duration;

use impresario_supervision::{Action, Event, ExitReason, Incarnation, RequestId, Time};

use super::types::{QueuedMessage, Rules, ScheduledEvent, Supervisor, SupervisorId, VirtualWorld};
use crate::scenario::step::Call;
use crate::scenario::world::CallId;

impl Rules {
    pub(super) fn handle(&mut self, now: Time, event: Event) {
        match self {
            Self::Static(rules) => rules.handle(now, event),
            Self::Dynamic(rules) => rules.handle(now, event),
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Static(rules) => rules.poll_action(),
            Self::Dynamic(rules) => rules.poll_action(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Static(rules) => rules.poll_timeout(),
            Self::Dynamic(rules) => rules.poll_timeout(),
        }
    }
}

impl Supervisor {
    pub(super) fn is_idle(&self) -> bool {
        self.starting.is_empty() && self.stopping.is_empty() && self.mailbox.is_empty()
    }

    /// Returns whether it reads nothing from its mailbox.
    pub(super) fn is_not_receiving(&self) -> bool {
        let waits = matches!(self.rules, Rules::Dynamic(_)) && !self.stopping.is_empty();
        self.starting_up || self.suspended || waits || self.runs_start_function()
    }

    /// Returns whether a start function blocks it. Only a dynamic supervisor is blocked; see
    /// `process_mailbox`.
    pub(super) fn runs_start_function(&self) -> bool {
        matches!(self.rules, Rules::Dynamic(_)) && !self.starting.is_empty()
    }

    pub(super) fn next_request(&mut self, call: CallId, operation: &Call) -> RequestId {
        // Numbers of calls are unique in the world.
        let id = RequestId(call.0 as u64);
        self.requests.insert(id, (call, operation.clone()));
        id
    }
}

impl VirtualWorld {
    /// Performs the actions of the rules until there are none.
    pub(super) fn perform_actions(&mut self, id: SupervisorId) {
        while !self.supervisors[id.0].runs_start_function() {
            let Some(action) = self.supervisors[id.0].rules.poll_action() else { break };
            self.perform_action(id, action);
        }
        self.arm_timer(id);
    }

    fn perform_action(&mut self, id: SupervisorId, action: Action) {
        match action {
            Action::Start(key, incarnation) => self.start(id, key, incarnation),
            Action::Stop(incarnation) => self.terminate(id, incarnation, false),
            Action::Kill(incarnation) => self.terminate(id, incarnation, true),
            Action::Added(request, key) => self.added(id, request, key),
            Action::Forget(key) => drop(self.supervisors[id.0].plans.remove(&key)),
            Action::Reply(request, reply) => self.reply(id, request, reply),
            Action::Report(report) => self.report(id, &report),
            Action::Ready => self.schedule(Duration::ZERO, ScheduledEvent::Ready(id)),
            Action::Exit(reason) => {
                let process = self.supervisors[id.0].process;
                self.schedule(Duration::ZERO, ScheduledEvent::Exit(process, reason));
            }
        }
    }

    /// Stops or kills a child, and monitors it from here on.
    fn terminate(&mut self, id: SupervisorId, incarnation: Incarnation, kill: bool) {
        let supervisor = &mut self.supervisors[id.0];
        supervisor.stopping.insert(incarnation);
        // A running start function is not interrupted. The child is stopped when it returns.
        let Some(&process) = supervisor.processes.get(&incarnation) else { return };
        if !self.processes[process.0].is_alive() {
            let reason = self.take_exit_reason(id, incarnation);
            self.schedule(Duration::ZERO, ScheduledEvent::MonitoredExit(id, incarnation, reason));
        } else if kill {
            self.exit_process(process, ExitReason::Killed);
        } else {
            self.exit_signal(process, ExitReason::Shutdown, true);
        }
    }

    /// The exit reason of a child that was found dead: that of the exit message in the mailbox, else
    /// `noproc`.
    fn take_exit_reason(&mut self, id: SupervisorId, incarnation: Incarnation) -> ExitReason {
        let supervisor = &mut self.supervisors[id.0];
        supervisor.unreported_exits.remove(&incarnation);
        let news = supervisor
            .mailbox
            .iter()
            .position(|message| matches!(message, QueuedMessage::Exit(of, _) if *of == incarnation));
        match news.and_then(|at| supervisor.mailbox.remove(at)) {
            Some(QueuedMessage::Exit(_, reason)) => reason,
            _ => ExitReason::NoProc,
        }
    }
}

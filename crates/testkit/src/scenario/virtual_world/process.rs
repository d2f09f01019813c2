//! Simulated processes: exit requests, exit signals, exits.

use std::time::Duration;

use impresario_supervision::{ExitReason, Incarnation};

use super::types::{Body, Priority, Process, QueuedMessage, ScheduledEvent, SupervisorId, VirtualWorld};
use crate::scenario::trace::stop_line;
use crate::scenario::world::{Answer, ProcessId};

impl Process {
    pub(super) fn is_alive(&self) -> bool {
        self.exit.is_none()
    }
}

impl VirtualWorld {
    /// Handles a request to exit by itself. A worker that already exits ignores it; a supervisor does not
    /// know the message.
    pub(super) fn exit_requested(&mut self, process: ProcessId, reason: ExitReason) {
        match self.processes[process.0].body {
            Body::Worker { exiting: false, .. } => self.exit_process(process, reason),
            Body::Worker { .. } => {}
            Body::Supervisor(supervisor) => self.send(supervisor, QueuedMessage::Unexpected),
        }
    }

    /// Delivers an exit signal. A process that traps exits gets a message, which it reads after the sender
    /// has finished its step.
    pub(super) fn exit_signal(&mut self, process: ProcessId, reason: ExitReason, from_parent: bool) {
        match self.processes[process.0].body {
            Body::Worker { on_shutdown: None, .. } if reason == ExitReason::Normal => {}
            Body::Worker { on_shutdown: None, .. } => self.exit_process(process, reason),
            _ => self.schedule(Duration::ZERO, ScheduledEvent::Trapped { process, reason, from_parent }),
        }
    }

    /// A process that traps exits reads an exit signal.
    pub(super) fn handle_trapped_exit(&mut self, process: ProcessId, reason: ExitReason, from_parent: bool) {
        if !self.is_alive_process(process) {
            return;
        }
        match &mut self.processes[process.0].body {
            Body::Worker { exiting: true, .. } => {}
            Body::Worker { on_shutdown, exiting } => {
                match on_shutdown.as_ref().and_then(|on_shutdown| on_shutdown.response_to(&reason)) {
                    None => {}
                    Some((None, reason)) => self.exit_process(process, reason),
                    Some((Some(delay), reason)) => {
                        *exiting = true;
                        self.schedule(delay, ScheduledEvent::Exit(process, reason));
                    }
                }
            }
            // A supervisor ignores exit signals that are not from its parent.
            Body::Supervisor(_) if !from_parent => {}
            Body::Supervisor(supervisor) => {
                let supervisor = *supervisor;
                self.stop_requested(supervisor, reason);
            }
        }
    }

    fn is_alive_process(&self, process: ProcessId) -> bool {
        self.processes[process.0].is_alive()
    }

    /// Records the exit of a process and notifies its links.
    pub(super) fn exit_process(&mut self, process: ProcessId, reason: ExitReason) {
        let dead = &mut self.processes[process.0];
        if dead.exit.is_some() {
            return;
        }
        dead.exit = Some(reason.clone());
        let (started_by, linked) = (dead.started_by, dead.linked);
        if dead.start_recorded {
            let line = stop_line(&dead.id, dead.attempt, &reason);
            self.trace.push(line);
        }
        let mut started = true;
        if let Body::Supervisor(supervisor) = self.processes[process.0].body {
            started = !self.supervisors[supervisor.0].starting_up;
            self.supervisor_exited(supervisor, &reason);
        }
        // The parent gets a failed start as the result of the start function.
        if let (Some((parent, incarnation)), true) = (started_by, started) {
            self.notify_parent(parent, incarnation, linked, reason);
        }
    }

    fn notify_parent(
        &mut self,
        parent: SupervisorId,
        incarnation: Incarnation,
        linked: bool,
        reason: ExitReason,
    ) {
        let supervisor = &mut self.supervisors[parent.0];
        if supervisor.stopping.contains(&incarnation) {
            // The supervisor monitors the child, linked or not, and handles nothing else until the exit.
            self.schedule_at(
                Duration::ZERO,
                Priority::First,
                ScheduledEvent::MonitoredExit(parent, incarnation, reason),
            );
        } else if linked {
            self.send(parent, QueuedMessage::Exit(incarnation, reason));
        } else {
            supervisor.unreported_exits.insert(incarnation);
        }
    }

    /// Ends the open calls of an exited supervisor and sends exit signals to its linked children.
    fn supervisor_exited(&mut self, id: SupervisorId, reason: &ExitReason) {
        let supervisor = &mut self.supervisors[id.0];
        let open_calls = std::mem::take(&mut supervisor.requests).into_values().map(|(call, _)| call);
        let waiting =
            std::mem::take(&mut supervisor.mailbox).into_iter().filter_map(|message| match message {
                QueuedMessage::Call(call, _) => Some(call),
                _ => None,
            });
        for call in open_calls.chain(waiting).collect::<Vec<_>>() {
            self.finish(call, Answer::Exit(reason.clone()));
        }
        let was_starting = std::mem::take(&mut self.supervisors[id.0].starting_up);
        if was_starting {
            self.schedule(Duration::ZERO, ScheduledEvent::NotReady(id, reason.clone()));
        }
        let children = (0..self.processes.len()).filter(|&child| {
            let child = &self.processes[child];
            child.is_alive() && child.linked && child.started_by.is_some_and(|(parent, _)| parent == id)
        });
        for child in children.collect::<Vec<_>>() {
            self.exit_signal(ProcessId(child), reason.clone(), true);
        }
    }
}

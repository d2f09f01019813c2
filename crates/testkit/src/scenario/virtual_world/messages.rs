//! The mailbox of a simulated supervisor, and the order in which it is handled.

use std::time::Duration;

use impresario_supervision::{Event, ExitReason, Incarnation, ReportKind, Request};

use super::types::{Priority, QueuedMessage, Rules, ScheduledEvent, SupervisorId, UNEXPECTED, VirtualWorld};
use crate::scenario::term::reason_text;

impl VirtualWorld {
    pub(super) fn send(&mut self, supervisor: SupervisorId, message: QueuedMessage) {
        if self.is_running(supervisor) {
            self.supervisors[supervisor.0].mailbox.push_back(message);
            self.schedule(Duration::ZERO, ScheduledEvent::ReadMailbox(supervisor));
        }
    }

    pub(super) fn is_running(&self, supervisor: SupervisorId) -> bool {
        self.processes[self.supervisors[supervisor.0].process.0].is_alive()
    }

    /// The parent requests a shutdown. A suspended process handles this and nothing else.
    pub(super) fn stop_requested(&mut self, supervisor: SupervisorId, reason: ExitReason) {
        if std::mem::take(&mut self.supervisors[supervisor.0].suspended) {
            self.handle_event(supervisor, Event::Shutdown(reason));
        } else {
            self.supervisors[supervisor.0].mailbox.push_back(QueuedMessage::Stop(reason));
        }
        self.process_mailbox(supervisor);
    }

    pub(super) fn handle_event(&mut self, supervisor: SupervisorId, event: Event) {
        let now = self.time();
        self.supervisors[supervisor.0].rules.handle(now, event);
    }

    /// Handles messages as far as possible.
    ///
    /// The rules of a static supervisor accept any event at any time and keep the order themselves. Those of
    /// a dynamic one act immediately. An OTP process reads nothing while a start function runs in it, or
    /// while it waits for the exit of a child, so neither does this one.
    pub(super) fn process_mailbox(&mut self, id: SupervisorId) {
        if let Rules::Static(_) = self.supervisors[id.0].rules {
            while let Some(message) = self.next_message(id) {
                self.handle_message(id, message);
            }
            self.perform_actions(id);
            return;
        }
        self.perform_actions(id);
        while let Some(message) = self.next_message(id) {
            self.handle_message(id, message);
            self.perform_actions(id);
        }
    }

    fn next_message(&mut self, id: SupervisorId) -> Option<QueuedMessage> {
        let supervisor = &mut self.supervisors[id.0];
        if supervisor.is_not_receiving() { None } else { supervisor.mailbox.pop_front() }
    }

    fn handle_message(&mut self, id: SupervisorId, message: QueuedMessage) {
        match message {
            QueuedMessage::Exit(incarnation, reason) => {
                self.handle_event(id, Event::Exited(incarnation, reason));
            }
            QueuedMessage::Call(call, operation) => self.send_call(id, call, &operation),
            QueuedMessage::Stop(reason) => self.handle_event(id, Event::Shutdown(reason)),
            QueuedMessage::Unexpected => self.handle_unexpected(id),
        }
    }

    /// Handles a message that a supervisor does not know. The rules have no such event. A request to a static
    /// supervisor takes the same place in its queue, and its answer gives the time of the report.
    fn handle_unexpected(&mut self, id: SupervisorId) {
        let now = self.time();
        match &mut self.supervisors[id.0].rules {
            Rules::Static(rules) => rules.request(now, UNEXPECTED, Request::CountChildren),
            Rules::Dynamic(_) => self.report_unexpected(),
        }
    }

    pub(super) fn report_unexpected(&mut self) {
        self.trace.push("report unexpected_message".to_owned());
        self.run_wakeups();
    }

    /// The exit of a child that the supervisor waits for is handled before its mailbox.
    pub(super) fn monitored_exit(&mut self, id: SupervisorId, incarnation: Incarnation, reason: ExitReason) {
        self.supervisors[id.0].stopping.remove(&incarnation);
        if self.is_running(id) {
            self.handle_event(id, Event::Exited(incarnation, reason));
            self.process_mailbox(id);
        }
    }

    pub(super) fn timer(&mut self, id: SupervisorId) {
        let now = self.time();
        let supervisor = &mut self.supervisors[id.0];
        supervisor.armed = None;
        if supervisor.suspended || supervisor.runs_start_function() || !self.is_running(id) {
            return;
        }
        let rules = &mut self.supervisors[id.0].rules;
        if rules.poll_timeout().is_some_and(|time| time <= now) {
            rules.handle(now, Event::Timeout);
        }
        self.perform_actions(id);
    }

    /// Schedules a timer for the next deadline of the rules.
    pub(super) fn arm_timer(&mut self, id: SupervisorId) {
        let supervisor = &mut self.supervisors[id.0];
        let Some(next) = supervisor.rules.poll_timeout().map(|time| time.since_start()) else { return };
        if supervisor.armed.is_none_or(|armed| armed > next) {
            supervisor.armed = Some(next);
            // With a shutdown timeout of zero the kill comes before the child handles the stop.
            let priority = if supervisor.stopping.is_empty() { Priority::Normal } else { Priority::First };
            self.schedule_at(next.saturating_sub(self.now), priority, ScheduledEvent::Timer(id));
        }
    }

    pub(super) fn report(&mut self, id: SupervisorId, report: &impresario_supervision::Report) {
        let reason = match report.kind {
            ReportKind::GaveUp => "reached_max_restart_intensity".to_owned(),
            _ => reason_text(&report.reason),
        };
        // A report without an incarnation covers all instances that exited with this reason.
        let together =
            report.incarnation.is_none() && matches!(self.supervisors[id.0].rules, Rules::Dynamic(_));
        let lives = if together { format!("*{}", report.instances) } else { String::new() };
        self.trace.push(format!("report {} {}{lives} {reason}", report.kind.name(), report.child));
        self.run_wakeups();
    }
}

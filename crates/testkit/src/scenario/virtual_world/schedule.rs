//! The schedule: events by time, and the clock.

use std::time::Duration;

use super::types::{Priority, ScheduledEvent, VirtualWorld, Wakeup};
use crate::scenario::world::{World, answer_text};

impl VirtualWorld {
    pub(super) fn schedule(&mut self, after: Duration, event: ScheduledEvent) {
        self.schedule_at(after, Priority::Normal, event);
    }

    pub(super) fn schedule_at(&mut self, after: Duration, priority: Priority, event: ScheduledEvent) {
        self.schedule.insert((self.now + after, priority, self.next_number), event);
        self.next_number += 1;
    }

    /// Runs the next event if it is due by `until`. Returns whether there was one.
    pub(super) fn run_next(&mut self, until: Duration) -> bool {
        let Some(entry) = self.schedule.first_entry().filter(|entry| entry.key().0 <= until) else {
            return false;
        };
        let ((time, ..), event) = entry.remove_entry();
        self.now = time;
        match event {
            ScheduledEvent::ReadMailbox(supervisor) => self.process_mailbox(supervisor),
            ScheduledEvent::Timer(supervisor) => self.timer(supervisor),
            ScheduledEvent::MonitoredExit(supervisor, incarnation, reason) => {
                self.monitored_exit(supervisor, incarnation, reason);
            }
            ScheduledEvent::StartReturns(supervisor, incarnation) => {
                self.start_returns(supervisor, incarnation);
            }
            ScheduledEvent::Ready(supervisor) => self.ready(supervisor),
            ScheduledEvent::NotReady(supervisor, reason) => self.not_ready(supervisor, reason),
            ScheduledEvent::Trapped { process, reason, from_parent } => {
                self.handle_trapped_exit(process, reason, from_parent);
            }
            ScheduledEvent::ExitSelf(process, reason) => self.exit_requested(process, reason),
            ScheduledEvent::Exit(process, reason) => self.exit_process(process, reason),
            ScheduledEvent::RunWakeups => self.run_wakeups(),
            ScheduledEvent::StartCompleted(supervisor, incarnation) => {
                self.start_completed(supervisor, incarnation);
            }
        }
        true
    }

    /// Runs events until the condition holds or the time has passed. Returns whether the condition holds.
    pub(super) fn wait(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + within;
        while !holds(self) {
            if !self.run_next(until) {
                self.now = until;
                return false;
            }
        }
        true
    }

    /// Wakes another process. It runs after the supervisor that wakes it has done everything that needs no
    /// wait.
    pub(super) fn wake(&mut self, wakeup: Wakeup) {
        let priority = match wakeup {
            Wakeup::CallAnswered(..) => Priority::Last,
            Wakeup::Started(_) => Priority::Normal,
        };
        self.wakeups.push(wakeup);
        self.schedule_at(Duration::ZERO, priority, ScheduledEvent::RunWakeups);
    }

    /// Runs all processes that were woken.
    pub(super) fn run_wakeups(&mut self) {
        for wakeup in std::mem::take(&mut self.wakeups) {
            match wakeup {
                Wakeup::CallAnswered(call, answer) => {
                    let text = answer_text(&answer, |process| self.name(process));
                    let line_prefix = self.calls[call.0].line_prefix.take().unwrap_or_default();
                    let line = line_prefix + &text;
                    self.trace.push(if text.is_empty() { line.trim_end().to_owned() } else { line });
                    self.calls[call.0].answer = Some(answer);
                }
                Wakeup::Started(supervisor) => self.supervisor_started(supervisor),
            }
        }
    }
}

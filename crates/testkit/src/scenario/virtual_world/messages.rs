//! What supervisors are sent, and in which order they deal with it.

use std::time::Duration;

use impresario_supervision::{Event, ExitReason, Incarnation, ReportKind, Request, RequestId};

use super::VirtualWorld;
use super::agenda::{Happening, Place};
use super::supervisor::{Rules, SupervisorId};
use crate::scenario::step::Call;
use crate::scenario::term::reason_text;
use crate::scenario::world::CallId;

/// The question that stands for a message that is none.
pub(super) const UNEXPECTED: RequestId = RequestId(u64::MAX);

/// What lies in a supervisor's mailbox.
#[derive(Debug)]
pub(super) enum Letter {
    /// A child exited by itself.
    Exit(Incarnation, ExitReason),
    Call(CallId, Call),
    /// The parent says stop.
    Stop(ExitReason),
    /// Something it does not know.
    Unexpected,
}

impl VirtualWorld {
    pub(super) fn send(&mut self, supervisor: SupervisorId, letter: Letter) {
        if self.lives(supervisor) {
            self.supervisors[supervisor.0].mailbox.push_back(letter);
            self.arrange(Duration::ZERO, Happening::Look(supervisor));
        }
    }

    pub(super) fn lives(&self, supervisor: SupervisorId) -> bool {
        self.processes[self.supervisors[supervisor.0].process.0].is_alive()
    }

    /// The parent says stop. A suspended process hears that and nothing else.
    pub(super) fn told_to_stop(&mut self, supervisor: SupervisorId, reason: ExitReason) {
        if std::mem::take(&mut self.supervisors[supervisor.0].suspended) {
            self.tell(supervisor, Event::Shutdown(reason));
        } else {
            self.supervisors[supervisor.0].mailbox.push_back(Letter::Stop(reason));
        }
        self.attend(supervisor);
    }

    pub(super) fn tell(&mut self, supervisor: SupervisorId, event: Event) {
        let now = self.time();
        self.supervisors[supervisor.0].rules.handle(now, event);
    }

    /// Deals with the mailbox as far as possible.
    ///
    /// The rules of a static supervisor may be told anything at any time and keep the order themselves. Those of a
    /// dynamic one act at once; but a process of OTP's reads nothing while a start function runs in it, or while it
    /// waits for the end of a child, so neither does this one.
    pub(super) fn attend(&mut self, id: SupervisorId) {
        if let Rules::Static(_) = self.supervisors[id.0].rules {
            while let Some(letter) = self.next_letter(id) {
                self.read(id, letter);
            }
            self.act(id);
            return;
        }
        self.act(id);
        while let Some(letter) = self.next_letter(id) {
            self.read(id, letter);
            self.act(id);
        }
    }

    fn next_letter(&mut self, id: SupervisorId) -> Option<Letter> {
        let supervisor = &mut self.supervisors[id.0];
        if supervisor.is_deaf() { None } else { supervisor.mailbox.pop_front() }
    }

    fn read(&mut self, id: SupervisorId, letter: Letter) {
        match letter {
            Letter::Exit(life, reason) => self.tell(id, Event::Exited(life, reason)),
            Letter::Call(call, what) => self.ask(id, call, &what),
            Letter::Stop(reason) => self.tell(id, Event::Shutdown(reason)),
            Letter::Unexpected => self.read_unexpected(id),
        }
    }

    /// A message that it does not know. Rules know no such thing, but they know when its turn would be: when that of
    /// a question is.
    fn read_unexpected(&mut self, id: SupervisorId) {
        let now = self.time();
        match &mut self.supervisors[id.0].rules {
            Rules::Static(rules) => rules.request(now, UNEXPECTED, Request::CountChildren),
            Rules::Dynamic(_) => self.complain(),
        }
    }

    pub(super) fn complain(&mut self) {
        self.trace.push("report unexpected_message".to_owned());
        self.take_turns();
    }

    /// The end of a life that the supervisor waits for comes before everything in its mailbox.
    pub(super) fn down(&mut self, id: SupervisorId, life: Incarnation, reason: ExitReason) {
        self.supervisors[id.0].told.remove(&life);
        if self.lives(id) {
            self.tell(id, Event::Exited(life, reason));
            self.attend(id);
        }
    }

    pub(super) fn timer(&mut self, id: SupervisorId) {
        let now = self.time();
        let supervisor = &mut self.supervisors[id.0];
        supervisor.armed = None;
        if supervisor.suspended || supervisor.is_blocked() || !self.lives(id) {
            return;
        }
        let rules = &mut self.supervisors[id.0].rules;
        if rules.poll_timeout().is_some_and(|time| time <= now) {
            rules.handle(now, Event::Timeout);
        }
        self.act(id);
    }

    /// Sees to it that the supervisor is told when the next time has come that its rules named.
    pub(super) fn arm(&mut self, id: SupervisorId) {
        let supervisor = &mut self.supervisors[id.0];
        let Some(next) = supervisor.rules.poll_timeout().map(|time| time.since_start()) else { return };
        if supervisor.armed.is_none_or(|armed| armed > next) {
            supervisor.armed = Some(next);
            // A supervisor whose patience with a child is zero does not let it come to its turn.
            let place = if supervisor.told.is_empty() { Place::Among } else { Place::First };
            self.place(next.saturating_sub(self.now), place, Happening::Timer(id));
        }
    }

    pub(super) fn report(&mut self, id: SupervisorId, report: &impresario_supervision::Report) {
        let reason = match report.kind {
            ReportKind::GaveUp => "reached_max_restart_intensity".to_owned(),
            _ => reason_text(&report.reason),
        };
        // One that is about no life speaks for all that gave this reason.
        let together =
            report.incarnation.is_none() && matches!(self.supervisors[id.0].rules, Rules::Dynamic(_));
        let lives = if together { format!("*{}", report.lives) } else { String::new() };
        self.trace.push(format!("report {} {}{lives} {reason}", report.kind.name(), report.child));
        self.take_turns();
    }
}

//! What will happen, and when.

use std::time::Duration;

use impresario_supervision::{ExitReason, Incarnation};

use super::VirtualWorld;
use super::supervisor::SupervisorId;
use crate::scenario::world::{Answer, CallId, ProcessId, World, answer_text};

/// Where at its time something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Whoever arranged it is still running.
    First,
    /// In turn.
    Among,
    /// When nothing else is left.
    Last,
}

/// What another process does that was woken by a supervisor.
#[derive(Debug)]
pub(super) enum Turn {
    /// It got the answer to its call.
    Answered(CallId, Answer),
    /// It hears that the supervisor that it starts is ready.
    Started(SupervisorId),
}

/// What can happen at a time.
#[derive(Debug)]
pub(super) enum Happening {
    /// A supervisor looks into its mailbox.
    Look(SupervisorId),
    /// A time has come that the rules named.
    Timer(SupervisorId),
    /// A supervisor hears of the end of a life that it is waiting for.
    Down(SupervisorId, Incarnation, ExitReason),
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
    Turns,
    /// A supervisor goes on after a nested one is ready.
    GoesOn(SupervisorId, Incarnation),
}

impl VirtualWorld {
    pub(super) fn arrange(&mut self, after: Duration, happening: Happening) {
        self.place(after, Place::Among, happening);
    }

    pub(super) fn place(&mut self, after: Duration, place: Place, happening: Happening) {
        self.agenda.insert((self.now + after, place, self.next_number), happening);
        self.next_number += 1;
    }

    /// Lets the next thing happen, if there is one until then.
    pub(super) fn happen(&mut self, until: Duration) -> bool {
        let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) else {
            return false;
        };
        let ((time, ..), happening) = entry.remove_entry();
        self.now = time;
        match happening {
            Happening::Look(supervisor) => self.attend(supervisor),
            Happening::Timer(supervisor) => self.timer(supervisor),
            Happening::Down(supervisor, life, reason) => self.down(supervisor, life, reason),
            Happening::StartReturns(supervisor, life) => self.start_returns(supervisor, life),
            Happening::Ready(supervisor) => self.ready(supervisor),
            Happening::NotReady(supervisor, reason) => self.not_ready(supervisor, reason),
            Happening::Trapped { process, reason, from_parent } => self.trapped(process, reason, from_parent),
            Happening::ExitSelf(process, reason) => self.asked_to_exit(process, reason),
            Happening::Exit(process, reason) => self.die(process, reason),
            Happening::Turns => self.take_turns(),
            Happening::GoesOn(supervisor, life) => self.goes_on(supervisor, life),
        }
        true
    }

    /// Goes on until the condition holds or the time is over; whether it holds.
    pub(super) fn wait(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + within;
        while !holds(self) {
            if !self.happen(until) {
                self.now = until;
                return false;
            }
        }
        true
    }

    /// Lets another process have its turn: not before the supervisor that woke it has done what it can do without
    /// waiting for anybody.
    pub(super) fn wake(&mut self, turn: Turn) {
        let place = match turn {
            Turn::Answered(..) => Place::Last,
            Turn::Started(_) => Place::Among,
        };
        self.turns.push(turn);
        self.place(Duration::ZERO, place, Happening::Turns);
    }

    /// Processes that were woken come to their turn.
    pub(super) fn take_turns(&mut self) {
        for turn in std::mem::take(&mut self.turns) {
            match turn {
                Turn::Answered(call, answer) => {
                    let text = answer_text(&answer, |process| self.name(process));
                    let announce = self.calls[call.0].announce.take().unwrap_or_default();
                    let line = announce + &text;
                    self.trace.push(if text.is_empty() { line.trim_end().to_owned() } else { line });
                    self.calls[call.0].answer = Some(answer);
                }
                Turn::Started(supervisor) => self.is_started(supervisor),
            }
        }
    }
}

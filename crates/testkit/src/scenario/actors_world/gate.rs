//! The order in which a dynamic supervisor hears of things.
//!
//! A process of OTP's reads nothing while a start function runs in it, or while it waits for the end of a child; a
//! dynamic supervisor of ours goes on. So what happens meanwhile waits here, and is let through one by one. Static
//! supervisors keep the order themselves.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::Addr;
use impresario_actor::ExitReason;

use super::host::{Host, Word};
use super::stage::{Body, Cast, Name, Stage};
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, CallId, ProcessId};

/// After so many turns of everybody, a supervisor has dealt with what it heard last.
const TURNS: u32 = 16;

#[derive(Default)]
pub(super) struct Gate {
    /// Something has been let through a moment ago.
    passing: bool,
    pub(super) suspended: bool,
    /// It waits for the end of an instance.
    pub(super) terminating: usize,
    pub(super) letters: VecDeque<Letter>,
}

/// What a supervisor will hear.
pub(super) enum Letter {
    /// The process is dead.
    Exit(ProcessId, Addr<Host>),
    Call(CallId, Call),
    /// Something it does not know.
    Unexpected(CallId),
    Stop(ExitReason),
}

/// Lets everybody have their turn until nothing moves without time.
pub(super) async fn calm() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

impl Stage {
    /// Whether the host of a worker may end with its process, and its supervisor hear of it at once.
    pub(super) fn may_end(self: &Arc<Self>, process: ProcessId, host: Addr<Host>) -> bool {
        let (parent, linked) = {
            let cast = self.cast();
            let process = &cast.processes[process.0];
            (process.parent, process.linked)
        };
        match parent {
            Some(parent) if linked => self.passes(parent, || Letter::Exit(process, host)),
            _ => linked,
        }
    }

    /// Whether this may be heard now; if not, it waits.
    pub(super) fn passes(self: &Arc<Self>, supervisor: ProcessId, letter: impl FnOnce() -> Letter) -> bool {
        let mut cast = self.cast();
        let Some(known) = cast.supervisor(supervisor) else { return true };
        if !matches!(known.name, Name::Dynamic(_)) {
            return true;
        }
        let open = known.is_open() && known.gate.letters.is_empty();
        let open = open && !cast.waits(supervisor);
        let Some(known) = cast.supervisor(supervisor) else { return true };
        if open {
            known.gate.passing = true;
            drop(cast);
            actix_rt::spawn(self.clone().pass(supervisor));
        } else {
            known.gate.letters.push_back(letter());
        }
        open
    }

    /// Lets through what waits, one by one, after what has just passed.
    async fn pass(self: Arc<Self>, supervisor: ProcessId) {
        let mut in_passing = false;
        loop {
            if !in_passing {
                calm().await;
            }
            let letter = {
                let mut cast = self.cast();
                let Some(known) = cast.supervisor(supervisor) else { return };
                known.gate.passing = false;
                self.moved.notify_waiters();
                if !known.is_open() || cast.waits(supervisor) {
                    return;
                }
                let Some(known) = cast.supervisor(supervisor) else { return };
                let Some(letter) = known.gate.letters.pop_front() else { return };
                known.gate.passing = true;
                letter
            };
            // What needs nothing but an answer is in nobody's way.
            in_passing = match &letter {
                Letter::Call(_, call) => !matches!(call, Call::StartInstance(_) | Call::TerminateProcess(_)),
                Letter::Unexpected(_) => true,
                Letter::Exit(..) | Letter::Stop(_) => false,
            };
            match letter {
                Letter::Exit(_, host) => host.do_send(Word::Release),
                Letter::Call(call, what) => self.ask(supervisor, call, &what),
                Letter::Unexpected(call) => self.ask_nothing(supervisor, call),
                Letter::Stop(reason) => self.stop(supervisor, reason),
            }
        }
    }

    /// A supervisor is over, and those who wait for an answer hear that.
    pub(super) fn refuse_letters(&self, supervisor: ProcessId, reason: &ExitReason) {
        let Some(letters) =
            self.cast().supervisor(supervisor).map(|known| std::mem::take(&mut known.gate.letters))
        else {
            return;
        };
        for letter in letters {
            if let Letter::Call(call, _) = letter {
                self.cast().calls[call.0].come = Some(Answer::Exit(reason.clone()));
                self.read(call);
            }
        }
    }

    /// Something that may have been in the way is not any more.
    pub(super) fn reopen(self: &Arc<Self>, supervisor: ProcessId) {
        let mut cast = self.cast();
        let Some(known) = cast.supervisor(supervisor) else { return };
        if known.is_open() && !known.gate.letters.is_empty() {
            known.gate.passing = true;
            drop(cast);
            actix_rt::spawn(self.clone().pass(supervisor));
        }
    }

    /// Waits until the supervisor, if it is a dynamic one, has heard of everything that waits.
    pub(super) async fn queue(self: &Arc<Self>, supervisor: ProcessId) {
        if !self.cast().is_idle(supervisor) {
            self.reopen(supervisor);
            self.until(|cast| cast.is_idle(supervisor)).await;
        }
    }

    /// Why a process ended, if the news of it waits for its supervisor.
    pub(super) fn news_of(&self, process: ProcessId) -> Option<ExitReason> {
        let mut cast = self.cast();
        let known = &cast.processes[process.0];
        let (parent, reason) = (known.parent?, known.exit.clone());
        let gate = &mut cast.supervisor(parent)?.gate;
        let at =
            gate.letters.iter().position(|letter| matches!(letter, Letter::Exit(of, _) if *of == process))?;
        gate.letters.remove(at);
        reason
    }

    /// Whether something of a worker must not happen to its host directly: the supervisor would hear of it.
    pub(super) fn is_apart(&self, process: ProcessId) -> bool {
        let mut cast = self.cast();
        let known = &cast.processes[process.0];
        let told = matches!(known.body, Body::Worker { told: Some(_), .. });
        let (linked, parent) = (known.linked, known.parent);
        let dynamic = parent
            .and_then(|parent| cast.supervisor(parent))
            .is_some_and(|parent| matches!(parent.name, Name::Dynamic(_)));
        !told && (!linked || dynamic)
    }
}

impl super::stage::Supervisor {
    fn is_open(&self) -> bool {
        !self.gate.passing && !self.gate.suspended && self.gate.terminating == 0 && self.starting == 0
    }
}

impl Cast {
    /// Whether nothing waits for a supervisor, which static ones keep to themselves.
    pub(super) fn is_idle(&self, supervisor: ProcessId) -> bool {
        match &self.processes[supervisor.0].body {
            Body::Supervisor(known) if matches!(known.name, Name::Dynamic(_)) => {
                let gate = &known.gate;
                !gate.passing && gate.terminating == 0 && known.starting == 0 && gate.letters.is_empty()
            }
            _ => true,
        }
    }
}

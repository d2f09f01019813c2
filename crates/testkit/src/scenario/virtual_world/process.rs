//! Simulated processes: how they live, hear of exits, and die.

use std::time::Duration;

use impresario_supervision::{ExitReason, Incarnation};

use super::VirtualWorld;
use super::agenda::{Happening, Place};
use super::messages::Letter;
use super::supervisor::SupervisorId;
use crate::scenario::plan::OnShutdown;
use crate::scenario::trace::stop_line;
use crate::scenario::world::{Answer, ProcessId};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) attempt: u32,
    /// Which life of which supervisor it is; none for the top supervisor.
    pub(super) birth: Option<(SupervisorId, Incarnation)>,
    pub(super) linked: bool,
    pub(super) body: Body,
    /// Its start was announced in the trace, so its end is too.
    pub(super) announced: bool,
    /// Its start function returned more than the process.
    pub(super) extra: bool,
    pub(super) exit: Option<ExitReason>,
}

#[derive(Debug)]
pub(super) enum Body {
    /// `busy_dying`: it is taking its time to exit and hears nothing more.
    Worker {
        traps: Option<OnShutdown>,
        busy_dying: bool,
    },
    Supervisor(SupervisorId),
}

impl Process {
    pub(super) fn is_alive(&self) -> bool {
        self.exit.is_none()
    }
}

impl VirtualWorld {
    /// Asked to exit by itself: a worker does unless it is dying already; a supervisor knows no such message.
    pub(super) fn asked_to_exit(&mut self, process: ProcessId, reason: ExitReason) {
        match self.processes[process.0].body {
            Body::Worker { busy_dying: false, .. } => self.die(process, reason),
            Body::Worker { .. } => {}
            Body::Supervisor(supervisor) => self.send(supervisor, Letter::Unexpected),
        }
    }

    /// An exit signal arrives. Who traps it gets a message instead, and reads it only after whoever sent it has gone
    /// on.
    pub(super) fn exit_signal(&mut self, process: ProcessId, reason: ExitReason, from_parent: bool) {
        match self.processes[process.0].body {
            Body::Worker { traps: None, .. } if reason == ExitReason::Normal => {}
            Body::Worker { traps: None, .. } => self.die(process, reason),
            _ => self.arrange(Duration::ZERO, Happening::Trapped { process, reason, from_parent }),
        }
    }

    /// A process that traps exits reads of one.
    pub(super) fn trapped(&mut self, process: ProcessId, reason: ExitReason, from_parent: bool) {
        if !self.is_alive_process(process) {
            return;
        }
        match &mut self.processes[process.0].body {
            Body::Worker { busy_dying: true, .. } => {}
            Body::Worker { traps, busy_dying } => match traps.as_ref().and_then(|traps| traps.end(&reason)) {
                None => {}
                Some((None, reason)) => self.die(process, reason),
                Some((Some(delay), reason)) => {
                    *busy_dying = true;
                    self.arrange(delay, Happening::Exit(process, reason));
                }
            },
            // An exit of somebody it does not know means nothing to a supervisor.
            Body::Supervisor(_) if !from_parent => {}
            Body::Supervisor(supervisor) => {
                let supervisor = *supervisor;
                self.told_to_stop(supervisor, reason);
            }
        }
    }

    fn is_alive_process(&self, process: ProcessId) -> bool {
        self.processes[process.0].is_alive()
    }

    /// The end of a process: the trace says so, then all that are linked to it hear of it.
    pub(super) fn die(&mut self, process: ProcessId, reason: ExitReason) {
        let dead = &mut self.processes[process.0];
        if dead.exit.is_some() {
            return;
        }
        dead.exit = Some(reason.clone());
        let (birth, linked) = (dead.birth, dead.linked);
        if dead.announced {
            let line = stop_line(&dead.id, dead.attempt, &reason);
            self.trace.push(line);
        }
        let mut started = true;
        if let Body::Supervisor(supervisor) = self.processes[process.0].body {
            started = !self.supervisors[supervisor.0].starting_up;
            self.bury(supervisor, &reason);
        }
        // Of a start that failed its parent hears as its result.
        if let (Some((parent, life)), true) = (birth, started) {
            self.tell_parent(parent, life, linked, reason);
        }
    }

    fn tell_parent(&mut self, parent: SupervisorId, life: Incarnation, linked: bool, reason: ExitReason) {
        let supervisor = &mut self.supervisors[parent.0];
        if supervisor.told.contains(&life) {
            // It monitors the child, linked or not, and does nothing else until it hears of it.
            self.place(Duration::ZERO, Place::First, Happening::Down(parent, life, reason));
        } else if linked {
            self.send(parent, Letter::Exit(life, reason));
        } else {
            supervisor.unseen.insert(life);
        }
    }

    /// A supervisor is dead: who waits for an answer gets none, and its children lose their link.
    fn bury(&mut self, id: SupervisorId, reason: &ExitReason) {
        let supervisor = &mut self.supervisors[id.0];
        let asked = std::mem::take(&mut supervisor.requests).into_values().map(|(call, _)| call);
        let waiting = std::mem::take(&mut supervisor.mailbox).into_iter().filter_map(|letter| match letter {
            Letter::Call(call, _) => Some(call),
            _ => None,
        });
        for call in asked.chain(waiting).collect::<Vec<_>>() {
            self.finish(call, Answer::Exit(reason.clone()));
        }
        let was_starting = std::mem::take(&mut self.supervisors[id.0].starting_up);
        if was_starting {
            self.arrange(Duration::ZERO, Happening::NotReady(id, reason.clone()));
        }
        let children = (0..self.processes.len()).filter(|&child| {
            let child = &self.processes[child];
            child.is_alive() && child.linked && child.birth.is_some_and(|(parent, _)| parent == id)
        });
        for child in children.collect::<Vec<_>>() {
            self.exit_signal(ProcessId(child), reason.clone(), true);
        }
    }
}

//! A supervisor process: an instance of the rules, and what it needs to do as they say.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use impresario_supervision as rules;
use impresario_supervision::{
    Action, AutoShutdown, ChildKey, Event, ExitReason, Incarnation, RequestId, Time,
};

use super::VirtualWorld;
use super::agenda::Happening;
use super::messages::Letter;
use super::starts::Starting;
use crate::scenario::plan::ChildPlan;
use crate::scenario::step::Call;
use crate::scenario::world::{CallId, ProcessId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SupervisorId(pub(super) usize);

#[derive(Debug)]
pub(super) enum Rules {
    Static(Box<rules::Supervisor>),
    Dynamic(Box<rules::DynamicSupervisor>),
}

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

#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) process: ProcessId,
    pub(super) rules: Rules,
    /// What is known of each entry, and what it is called in the trace.
    pub(super) plans: HashMap<ChildKey, (String, Arc<ChildPlan>)>,
    /// What instances of a dynamic one are made from.
    pub(super) template: Option<Arc<ChildPlan>>,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) lives: HashMap<Incarnation, ProcessId>,
    /// Start functions under way.
    pub(super) starting: HashMap<Incarnation, Starting>,
    /// Lives that were told to end, until it hears that they have.
    pub(super) told: HashSet<Incarnation>,
    /// Lives that ended without its knowledge.
    pub(super) unseen: HashSet<Incarnation>,
    pub(super) mailbox: VecDeque<Letter>,
    /// It starts its first children, and listens to nothing else.
    pub(super) starting_up: bool,
    pub(super) suspended: bool,
    pub(super) requests: BTreeMap<RequestId, (CallId, Call)>,
    pub(super) armed: Option<Duration>,
}

impl Supervisor {
    pub(super) fn is_idle(&self) -> bool {
        self.starting.is_empty() && self.told.is_empty() && self.mailbox.is_empty()
    }

    /// It reads nothing from its mailbox.
    pub(super) fn is_deaf(&self) -> bool {
        let waits = matches!(self.rules, Rules::Dynamic(_)) && !self.told.is_empty();
        self.starting_up || self.suspended || waits || self.is_blocked()
    }

    /// A start function runs in it. Only a dynamic one has to wait: see `attend`.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(self.rules, Rules::Dynamic(_)) && !self.starting.is_empty()
    }

    pub(super) fn next_request(&mut self, call: CallId, what: &Call) -> RequestId {
        // A call has one number in the whole world.
        let id = RequestId(call.0 as u64);
        self.requests.insert(id, (call, what.clone()));
        id
    }
}

impl VirtualWorld {
    /// Does what the rules say, until they say nothing more.
    pub(super) fn act(&mut self, id: SupervisorId) {
        while !self.supervisors[id.0].is_blocked() {
            let Some(action) = self.supervisors[id.0].rules.poll_action() else { break };
            self.perform(id, action);
        }
        self.arm(id);
    }

    fn perform(&mut self, id: SupervisorId, action: Action) {
        match action {
            Action::Start(key, life) => self.start(id, key, life),
            Action::Stop(life) => self.end(id, life, false),
            Action::Kill(life) => self.end(id, life, true),
            Action::Added(request, key) => self.added(id, request, key),
            Action::Forget(key) => drop(self.supervisors[id.0].plans.remove(&key)),
            Action::Reply(request, reply) => self.reply(id, request, reply),
            Action::Report(report) => self.report(id, &report),
            Action::Ready => self.arrange(Duration::ZERO, Happening::Ready(id)),
            Action::Exit(reason) => {
                let process = self.supervisors[id.0].process;
                self.arrange(Duration::ZERO, Happening::Exit(process, reason));
            }
        }
    }

    /// Tells or kills a life, and monitors it from here on.
    fn end(&mut self, id: SupervisorId, life: Incarnation, kill: bool) {
        let supervisor = &mut self.supervisors[id.0];
        supervisor.told.insert(life);
        // A start function that is under way is not interrupted; the word is said when it returns.
        let Some(&process) = supervisor.lives.get(&life) else { return };
        if !self.processes[process.0].is_alive() {
            let reason = self.flush(id, life);
            self.arrange(Duration::ZERO, Happening::Down(id, life, reason));
        } else if kill {
            self.die(process, ExitReason::Killed);
        } else {
            self.exit_signal(process, ExitReason::Shutdown, true);
        }
    }

    /// Why a life ended that was found dead: the news of it may be in the mailbox.
    fn flush(&mut self, id: SupervisorId, life: Incarnation) -> ExitReason {
        let supervisor = &mut self.supervisors[id.0];
        supervisor.unseen.remove(&life);
        let news =
            supervisor.mailbox.iter().position(|letter| matches!(letter, Letter::Exit(of, _) if *of == life));
        match news.and_then(|at| supervisor.mailbox.remove(at)) {
            Some(Letter::Exit(_, reason)) => reason,
            _ => ExitReason::NoProc,
        }
    }
}

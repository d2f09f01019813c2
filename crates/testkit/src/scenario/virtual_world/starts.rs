//! Start functions: what happens between the word of the rules and a life, or none.

use std::sync::Arc;

use impresario_supervision as rules;
use impresario_supervision::{ChildKey, Event, ExitReason, Incarnation};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::VirtualWorld;
use super::agenda::{Happening, Turn};
use super::process::{Body, Process};
use super::supervisor::{Rules, Supervisor, SupervisorId};
use crate::scenario::check::{BAD_INIT, Checked, check};
use crate::scenario::plan::{Attempt, ChildPlan, Outcome, SupervisorPlan};
use crate::scenario::term::reason_text;
use crate::scenario::world::{Booted, ProcessId};

/// A start function under way.
#[derive(Clone, Debug)]
pub(super) struct Starting {
    id: String,
    number: u32,
    attempt: Attempt,
    plan: Arc<ChildPlan>,
}

impl VirtualWorld {
    pub(super) fn start(&mut self, id: SupervisorId, key: ChildKey, life: Incarnation) {
        let Some((label, plan)) = self.supervisors[id.0].plans.get(&key).cloned() else {
            return self.tell(id, Event::StartFailed(life, ExitReason::NoProc));
        };
        self.take_turns();
        let (number, attempt) = self.attempts.next(&label, &plan);
        // Even one without delay lets others have their turn: it waits for the child's word.
        self.arrange(attempt.delay, Happening::StartReturns(id, life));
        let starting = Starting { id: label, number, attempt, plan };
        self.supervisors[id.0].starting.insert(life, starting);
    }

    pub(super) fn start_returns(&mut self, id: SupervisorId, life: Incarnation) {
        if self.lives(id) {
            self.return_from_start(id, life);
            self.attend(id);
        }
    }

    fn return_from_start(&mut self, id: SupervisorId, life: Incarnation) {
        let Some(starting) = self.supervisors[id.0].starting.get(&life).cloned() else { return };
        let Starting { id: label, number, attempt, plan } = &starting;
        let Some((line, failed)) = attempt.failure(label, *number) else {
            return match &plan.nested {
                Some(nested) => self.start_nested(id, life, label, *number, nested),
                None => self.start_worker(id, life, &starting),
            };
        };
        self.trace.push(line);
        let event = failed.map_or(Event::Ignored(life), |reason| Event::StartFailed(life, reason));
        self.started(id, life, event);
    }

    /// The start function is done, and its supervisor knows how it went.
    fn started(&mut self, id: SupervisorId, life: Incarnation, event: Event) {
        self.supervisors[id.0].starting.remove(&life);
        // Without a life the word that was meant for it is answered by this.
        if !matches!(event, Event::Started(_)) {
            self.supervisors[id.0].told.remove(&life);
        }
        self.tell(id, event);
    }

    fn start_worker(&mut self, id: SupervisorId, life: Incarnation, starting: &Starting) {
        let body = Body::Worker { traps: starting.plan.on_shutdown.clone(), busy_dying: false };
        let process = self.born(&starting.id, starting.number, Some((id, life)), body);
        self.processes[process.0].extra = starting.attempt.outcome == Outcome::Ok { extra: true };
        self.supervisors[id.0].lives.insert(life, process);
        self.announce(process);
        if let Some(after) = starting.attempt.exit_after {
            let reason = starting.attempt.reason.to_reason();
            self.arrange(after, Happening::ExitSelf(process, reason));
        }
        self.started(id, life, Event::Started(life));
        if self.supervisors[id.0].told.contains(&life) {
            self.exit_signal(process, ExitReason::Shutdown, true);
        }
    }

    fn born(
        &mut self,
        id: &str,
        attempt: u32,
        birth: Option<(SupervisorId, Incarnation)>,
        body: Body,
    ) -> ProcessId {
        let process = ProcessId(self.processes.len());
        let id = id.to_owned();
        let (linked, announced, extra, exit) = (true, false, false, None);
        self.processes.push(Process { id, attempt, birth, linked, body, announced, extra, exit });
        process
    }

    fn announce(&mut self, process: ProcessId) {
        let known = &mut self.processes[process.0];
        known.announced = true;
        self.trace.push(format!("start {} {}", known.id, known.attempt));
        self.latest.insert(known.id.clone(), process);
    }

    fn start_nested(
        &mut self,
        parent: SupervisorId,
        life: Incarnation,
        label: &str,
        number: u32,
        plan: &SupervisorPlan,
    ) {
        let failed = match plan.init() {
            Some("ignore") => {
                self.trace.push(format!("start_error {label} {number} ignore"));
                return self.started(parent, life, Event::Ignored(life));
            }
            Some(_) => BAD_INIT.to_owned(),
            None => match check(plan) {
                Ok(checked) => {
                    let process = self.begin_supervisor(label, number, Some((parent, life)), checked, plan);
                    self.supervisors[parent.0].lives.insert(life, process);
                    return;
                }
                Err(refusal) => refusal.at_start(),
            },
        };
        self.trace.push(format!("start_error {label} {number} error {failed}"));
        self.started(parent, life, Event::StartFailed(life, ExitReason::Error(failed)));
    }

    /// Begins a supervisor; `ready` or `not_ready` comes when its first children are started or not.
    pub(super) fn begin_supervisor(
        &mut self,
        label: &str,
        number: u32,
        birth: Option<(SupervisorId, Incarnation)>,
        checked: Checked,
        plan: &SupervisorPlan,
    ) -> ProcessId {
        let Checked { dynamic, flags, mut specs } = checked;
        let id = SupervisorId(self.supervisors.len());
        let process = self.born(label, number, birth, Body::Supervisor(id));
        let labelled = |child: &Arc<ChildPlan>| (child.id.clone(), child.clone());
        let (rules, plans, template) = if dynamic {
            let template = specs.remove(0);
            let rules = rules::DynamicSupervisor::new(flags, template, None).expect("it was checked");
            (Rules::Dynamic(Box::new(rules)), HashMap::new(), plan.children.first().cloned())
        } else {
            let rules = rules::Supervisor::new(flags, specs).expect("it was checked");
            let plans = rules.keys().zip(plan.children.iter().map(labelled)).collect();
            (Rules::Static(Box::new(rules)), plans, None)
        };
        self.supervisors.push(Supervisor {
            process,
            rules,
            plans,
            template,
            auto_shutdown: flags.auto_shutdown,
            lives: HashMap::new(),
            starting: HashMap::new(),
            told: HashSet::new(),
            unseen: HashSet::new(),
            mailbox: VecDeque::new(),
            starting_up: true,
            suspended: false,
            requests: BTreeMap::new(),
            armed: None,
        });
        self.tell(id, Event::Start);
        self.act(id);
        process
    }

    /// A supervisor has started its children, says so to whoever starts it, and goes on.
    pub(super) fn ready(&mut self, id: SupervisorId) {
        if self.lives(id) {
            self.supervisors[id.0].starting_up = false;
            self.wake(Turn::Started(id));
            self.attend(id);
        }
    }

    /// Whoever starts the supervisor hears that it is ready.
    pub(super) fn is_started(&mut self, id: SupervisorId) {
        let process = self.supervisors[id.0].process;
        self.announce(process);
        match self.processes[process.0].birth {
            Some((parent, life)) => self.arrange(Duration::ZERO, Happening::GoesOn(parent, life)),
            None => self.booted = Some(Booted::Ok(process)),
        }
    }

    pub(super) fn goes_on(&mut self, parent: SupervisorId, life: Incarnation) {
        if self.lives(parent) {
            self.started(parent, life, Event::Started(life));
            self.attend(parent);
        }
    }

    pub(super) fn not_ready(&mut self, id: SupervisorId, reason: ExitReason) {
        let process = &self.processes[self.supervisors[id.0].process.0];
        let term = reason_text(&reason);
        let Some((parent, life)) = process.birth else {
            self.booted = Some(Booted::Error(term));
            return;
        };
        if self.lives(parent) {
            self.trace.push(format!("start_error {} {} error {term}", process.id, process.attempt));
            self.started(parent, life, Event::StartFailed(life, reason));
            self.attend(parent);
        }
    }
}

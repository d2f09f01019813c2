//! Start functions: from a start action of the rules to a process or a failure.

use std::sync::Arc;

use impresario_supervision as rules;
use impresario_supervision::{ChildKey, Event, ExitReason, Incarnation};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::types::{
    Body, Process, Rules, ScheduledEvent, Starting, Supervisor, SupervisorId, VirtualWorld, Wakeup,
};
use crate::scenario::check::{BAD_INIT, Checked, check};
use crate::scenario::plan::{ChildPlan, Outcome, SupervisorPlan};
use crate::scenario::term::reason_text;
use crate::scenario::world::{Booted, ProcessId};

impl VirtualWorld {
    pub(super) fn start(&mut self, id: SupervisorId, key: ChildKey, incarnation: Incarnation) {
        let Some((label, plan)) = self.supervisors[id.0].plans.get(&key).cloned() else {
            return self.handle_event(id, Event::StartFailed(incarnation, ExitReason::NoProc));
        };
        self.run_wakeups();
        let (number, attempt) = self.attempts.next(&label, &plan);
        // A start without delay also waits for the child, so other processes run meanwhile.
        self.schedule(attempt.delay, ScheduledEvent::StartReturns(id, incarnation));
        let starting = Starting { id: label, number, attempt, plan };
        self.supervisors[id.0].starting.insert(incarnation, starting);
    }

    pub(super) fn start_returns(&mut self, id: SupervisorId, incarnation: Incarnation) {
        if self.is_running(id) {
            self.return_from_start(id, incarnation);
            self.process_mailbox(id);
        }
    }

    fn return_from_start(&mut self, id: SupervisorId, incarnation: Incarnation) {
        let Some(starting) = self.supervisors[id.0].starting.get(&incarnation).cloned() else { return };
        let Starting { id: label, number, attempt, plan } = &starting;
        let Some((line, failed)) = attempt.failure(label, *number) else {
            return match &plan.nested {
                Some(nested) => self.start_nested(id, incarnation, label, *number, nested),
                None => self.start_worker(id, incarnation, &starting),
            };
        };
        self.trace.push(line);
        let event =
            failed.map_or(Event::Ignored(incarnation), |reason| Event::StartFailed(incarnation, reason));
        self.started(id, incarnation, event);
    }

    /// Ends a start function and passes its result to the rules.
    fn started(&mut self, id: SupervisorId, incarnation: Incarnation, event: Event) {
        self.supervisors[id.0].starting.remove(&incarnation);
        // Without a process, the result of the start also completes a stop that was requested meanwhile.
        if !matches!(event, Event::Started(_)) {
            self.supervisors[id.0].stopping.remove(&incarnation);
        }
        self.handle_event(id, event);
    }

    fn start_worker(&mut self, id: SupervisorId, incarnation: Incarnation, starting: &Starting) {
        let body = Body::Worker { on_shutdown: starting.plan.on_shutdown.clone(), exiting: false };
        let process = self.add_process(&starting.id, starting.number, Some((id, incarnation)), body);
        self.processes[process.0].extra = starting.attempt.outcome == Outcome::Ok { extra: true };
        self.supervisors[id.0].processes.insert(incarnation, process);
        self.record_start(process);
        if let Some(after) = starting.attempt.exit_after {
            let reason = starting.attempt.reason.to_reason();
            self.schedule(after, ScheduledEvent::ExitSelf(process, reason));
        }
        self.started(id, incarnation, Event::Started(incarnation));
        if self.supervisors[id.0].stopping.contains(&incarnation) {
            self.exit_signal(process, ExitReason::Shutdown, true);
        }
    }

    fn add_process(
        &mut self,
        id: &str,
        attempt: u32,
        started_by: Option<(SupervisorId, Incarnation)>,
        body: Body,
    ) -> ProcessId {
        let process = ProcessId(self.processes.len());
        let id = id.to_owned();
        let (linked, start_recorded, extra, exit) = (true, false, false, None);
        self.processes.push(Process { id, attempt, started_by, linked, body, start_recorded, extra, exit });
        process
    }

    fn record_start(&mut self, process: ProcessId) {
        let known = &mut self.processes[process.0];
        known.start_recorded = true;
        self.trace.push(format!("start {} {}", known.id, known.attempt));
        self.latest.insert(known.id.clone(), process);
    }

    fn start_nested(
        &mut self,
        parent: SupervisorId,
        incarnation: Incarnation,
        label: &str,
        number: u32,
        plan: &SupervisorPlan,
    ) {
        let failed = match plan.init() {
            Some("ignore") => {
                self.trace.push(format!("start_error {label} {number} ignore"));
                return self.started(parent, incarnation, Event::Ignored(incarnation));
            }
            Some(_) => BAD_INIT.to_owned(),
            None => match check(plan) {
                Ok(checked) => {
                    let process =
                        self.start_supervisor(label, number, Some((parent, incarnation)), checked, plan);
                    self.supervisors[parent.0].processes.insert(incarnation, process);
                    return;
                }
                Err(refusal) => refusal.at_start(),
            },
        };
        self.trace.push(format!("start_error {label} {number} error {failed}"));
        self.started(parent, incarnation, Event::StartFailed(incarnation, ExitReason::Error(failed)));
    }

    /// Starts a supervisor. `ready` or `not_ready` follows when its first children have started or failed.
    pub(super) fn start_supervisor(
        &mut self,
        label: &str,
        number: u32,
        started_by: Option<(SupervisorId, Incarnation)>,
        checked: Checked,
        plan: &SupervisorPlan,
    ) -> ProcessId {
        let Checked { dynamic, flags, mut specs } = checked;
        let id = SupervisorId(self.supervisors.len());
        let process = self.add_process(label, number, started_by, Body::Supervisor(id));
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
            processes: HashMap::new(),
            starting: HashMap::new(),
            stopping: HashSet::new(),
            unreported_exits: HashSet::new(),
            mailbox: VecDeque::new(),
            starting_up: true,
            suspended: false,
            requests: BTreeMap::new(),
            armed: None,
        });
        self.handle_event(id, Event::Start);
        self.perform_actions(id);
        process
    }

    /// A supervisor has started its children. It wakes its parent and goes on with its mailbox.
    pub(super) fn ready(&mut self, id: SupervisorId) {
        if self.is_running(id) {
            self.supervisors[id.0].starting_up = false;
            self.wake(Wakeup::Started(id));
            self.process_mailbox(id);
        }
    }

    /// Records the start, in the turn of the parent.
    pub(super) fn supervisor_started(&mut self, id: SupervisorId) {
        let process = self.supervisors[id.0].process;
        self.record_start(process);
        match self.processes[process.0].started_by {
            Some((parent, incarnation)) => {
                self.schedule(Duration::ZERO, ScheduledEvent::StartCompleted(parent, incarnation));
            }
            None => self.booted = Some(Booted::Ok(process)),
        }
    }

    pub(super) fn start_completed(&mut self, parent: SupervisorId, incarnation: Incarnation) {
        if self.is_running(parent) {
            self.started(parent, incarnation, Event::Started(incarnation));
            self.process_mailbox(parent);
        }
    }

    pub(super) fn not_ready(&mut self, id: SupervisorId, reason: ExitReason) {
        let process = &self.processes[self.supervisors[id.0].process.0];
        let term = reason_text(&reason);
        let Some((parent, incarnation)) = process.started_by else {
            self.booted = Some(Booted::Error(term));
            return;
        };
        if self.is_running(parent) {
            self.trace.push(format!("start_error {} {} error {term}", process.id, process.attempt));
            self.started(parent, incarnation, Event::StartFailed(incarnation, reason));
            self.process_mailbox(parent);
        }
    }
}

//! Start functions, and the specs that call them.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{
    ChildContext, ChildRef, ChildRules, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, StartError,
    Supervisor, SupervisorRef,
};
use tokio::time::Instant;

use super::clock::pass;
use super::gate::Gate;
use super::host::Host;
use super::stage::{self, Body, Name, Process, Stage, UnderWay, scripted};
use crate::scenario::check::{BAD_INIT, Checked, check};
use crate::scenario::plan::{Attempt, ChildPlan, Outcome, SupervisorPlan};
use crate::scenario::term::reason_text;
use crate::scenario::world::{Booted, ProcessId};

/// A start function that runs in a supervisor.
pub(super) struct Starting {
    stage: Arc<Stage>,
    parent: ProcessId,
}

impl Starting {
    fn begin(stage: &Arc<Stage>, parent: ProcessId) -> Self {
        if let Some(supervisor) = stage.cast().supervisor(parent) {
            supervisor.starting += 1;
        }
        Self { stage: stage.clone(), parent }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(supervisor) = self.stage.cast().supervisor(self.parent) {
            supervisor.starting -= 1;
        }
        self.stage.moved.notify_waiters();
        self.stage.reopen(self.parent);
    }
}

/// A child as a spec. What `rules` says of it holds.
pub(super) fn child(
    stage: &Arc<Stage>,
    parent: ProcessId,
    plan: &Arc<ChildPlan>,
    rules: &ChildRules,
) -> ChildSpec {
    let spec = match &plan.nested {
        Some(nested) => nested_supervisor(
            stage,
            Some((parent, plan.clone())),
            rules.id.as_str(),
            &Arc::new(nested.clone()),
        ),
        None => {
            let (stage, plan) = (stage.clone(), plan.clone());
            ChildRef::new().child_spec_async(rules.id.clone(), move |env| {
                worker(stage.clone(), parent, plan.clone(), plan.id.clone(), env)
            })
        }
    };
    let spec = spec.restart(rules.restart).shutdown(rules.shutdown).kind(rules.kind);
    if rules.significant { spec.significant() } else { spec }
}

/// A supervisor of these children.
pub(super) fn supervisor(
    stage: &Arc<Stage>,
    own: ProcessId,
    checked: &Checked,
    plan: &SupervisorPlan,
) -> Supervisor {
    let supervisor = Supervisor::new(checked.flags.strategy)
        .intensity(checked.flags.intensity)
        .auto_shutdown(checked.flags.auto_shutdown);
    let children = plan.children.iter().zip(&checked.specs);
    children.fold(supervisor, |supervisor, (plan, rules)| supervisor.child(child(stage, own, plan, rules)))
}

/// A supervisor of instances of the one child.
pub(super) fn dynamic_supervisor(
    stage: &Arc<Stage>,
    own: ProcessId,
    checked: &Checked,
    plan: &SupervisorPlan,
) -> Option<DynamicSupervisor<String>> {
    let (template, rules) = (plan.children.first()?.clone(), checked.specs.first()?);
    let stage = stage.clone();
    let supervisor = match template.nested.clone().map(Arc::new) {
        Some(nested) => DynamicSupervisor::from_specs(move |_, label: String| {
            Ok(nested_supervisor(&stage, Some((own, template.clone())), &label, &nested))
        }),
        None => DynamicSupervisor::new_async(move |env, label: String| {
            worker(stage.clone(), own, template.clone(), label, env)
        }),
    };
    let supervisor = supervisor
        .child_id(rules.id.clone())
        .restart(rules.restart)
        .shutdown(rules.shutdown)
        .kind(rules.kind)
        .intensity(checked.flags.intensity)
        .auto_shutdown(checked.flags.auto_shutdown);
    Some(if rules.significant { supervisor.significant() } else { supervisor })
}

/// A supervisor as a spec: the top one, or the child of another.
pub(super) fn nested_supervisor(
    stage: &Arc<Stage>,
    parent: Option<(ProcessId, Arc<ChildPlan>)>,
    id: &str,
    plan: &Arc<SupervisorPlan>,
) -> ChildSpec {
    let start = Start { stage: stage.clone(), parent, label: id.to_owned(), plan: plan.clone() };
    if check(plan).is_ok_and(|checked| checked.dynamic) {
        let name = DynamicRef::new();
        let start = Arc::new((start, Name::Dynamic(name.clone())));
        return name.child_spec_async(id, move |env| {
            let start = start.clone();
            async move {
                let (start, name) = &*start;
                let (process, checked) = start.begin(env, name.clone()).await?;
                dynamic_supervisor(&start.stage, process, &checked, &start.plan)
                    .ok_or(StartError::from("it was checked"))
            }
        });
    }
    let name = SupervisorRef::new();
    let start = Arc::new((start, Name::Static(name.clone())));
    name.child_spec_async(id, move |env| {
        let start = start.clone();
        async move {
            let (start, name) = &*start;
            let (process, checked) = start.begin(env, name.clone()).await?;
            Ok(supervisor(&start.stage, process, &checked, &start.plan))
        }
    })
}

/// What starts a supervisor.
struct Start {
    stage: Arc<Stage>,
    parent: Option<(ProcessId, Arc<ChildPlan>)>,
    label: String,
    plan: Arc<SupervisorPlan>,
}

impl Start {
    async fn begin(&self, env: ChildContext, name: Name) -> Result<(ProcessId, Checked), StartError> {
        let (mut attempt, mut extra, mut starting) = (1, false, None);
        if let Some((parent, plan)) = &self.parent {
            starting = Some(Starting::begin(&self.stage, *parent));
            (attempt, extra) = self.stage.start_function(&self.label, plan).await?;
        }
        let failed = match self.plan.init() {
            Some("ignore") => {
                self.stage.write(format!("start_error {} {attempt} ignore", self.label));
                return Err(StartError::Ignore);
            }
            Some(_) => BAD_INIT.to_owned(),
            None => match check(&self.plan) {
                Ok(checked) => {
                    let body = Body::Supervisor(Box::new(stage::Supervisor {
                        name: name.clone(),
                        checked: checked.clone(),
                        start: starting,
                        starting: 0,
                        under_way: None,
                        told: None,
                        gate: Gate::default(),
                    }));
                    let process = self.stage.cast().born(Process {
                        id: self.label.clone(),
                        attempt,
                        parent: self.parent.as_ref().map(|(parent, _)| *parent),
                        pid: env.pid(),
                        body,
                        linked: true,
                        orphan: false,
                        announced: false,
                        extra,
                        exit: None,
                    });
                    env.pid().trace(self.stage.tracing.clone());
                    actix_rt::spawn(self.stage.clone().follow(process));
                    return Ok((process, checked));
                }
                Err(refusal) => refusal.at_start(),
            },
        };
        self.stage.write(format!("start_error {} {attempt} error {failed}", self.label));
        Err(StartError::Failed(ExitReason::Error(failed)))
    }
}

/// The start function of a worker.
async fn worker(
    stage: Arc<Stage>,
    parent: ProcessId,
    plan: Arc<ChildPlan>,
    label: String,
    env: ChildContext,
) -> Result<Host, StartError> {
    if stage.cast().failed.contains(&label) {
        // It is tried again after what has happened meanwhile.
        stage.queue(parent).await;
    }
    let _starting = Starting::begin(&stage, parent);
    let (number, attempt) = stage.next_attempt(&label, &plan);
    stage.is_under_way(
        parent,
        UnderWay {
            id: label.clone(),
            number,
            attempt: attempt.clone(),
            until: Instant::now() + attempt.delay,
            traps: plan.on_shutdown.clone(),
            pid: env.pid(),
        },
    );
    let started = stage.run(&label, number, &attempt).await;
    stage.is_done(parent);
    let extra = started?;
    let body = Body::Worker { traps: plan.on_shutdown.clone(), host: None, dying: None, told: None };
    let process = stage.cast().born(Process {
        id: label,
        attempt: number,
        parent: Some(parent),
        pid: env.pid(),
        body,
        linked: true,
        orphan: false,
        announced: false,
        extra,
        exit: None,
    });
    Ok(Host {
        stage,
        process,
        env,
        traps: plan.on_shutdown.clone(),
        exit_after: attempt.exit_after.map(|after| (after, attempt.reason.to_reason())),
        leaving: false,
        dying: false,
        told: false,
        ghost: None,
    })
}

impl Stage {
    fn next_attempt(&self, label: &str, plan: &ChildPlan) -> (u32, Attempt) {
        self.take_turns();
        self.cast().attempts.next(label, plan)
    }

    async fn start_function(
        self: &Arc<Self>,
        label: &str,
        plan: &ChildPlan,
    ) -> Result<(u32, bool), StartError> {
        let (number, attempt) = self.next_attempt(label, plan);
        self.run(label, number, &attempt).await.map(|extra| (number, extra))
    }

    /// What a start attempt does; whether it returns more than a process.
    async fn run(self: &Arc<Self>, label: &str, number: u32, attempt: &Attempt) -> Result<bool, StartError> {
        if attempt.delay == Duration::ZERO {
            // It waits for the child's word at least.
            tokio::task::yield_now().await;
        } else {
            pass(attempt.delay).await;
        }
        self.cast().failed.remove(label);
        let Some((line, failed)) = attempt.failure(label, number) else {
            return Ok(attempt.outcome == Outcome::Ok { extra: true });
        };
        self.write(line);
        let Some(reason) = failed else { return Err(StartError::Ignore) };
        self.cast().failed.insert(label.to_owned());
        if attempt.outcome == Outcome::Raise {
            // A panic that was meant: the hook, which would print it where a backtrace is asked for, is not called.
            resume_unwind(Box::new(attempt.reason.to_string()));
        }
        self.cast().learn(&reason);
        Err(StartError::Failed(reason))
    }

    fn is_under_way(&self, parent: ProcessId, start: UnderWay) {
        if let Some(supervisor) = self.cast().supervisor(parent) {
            supervisor.under_way = Some(start);
        }
    }

    fn is_done(&self, parent: ProcessId) {
        if let Some(supervisor) = self.cast().supervisor(parent) {
            supervisor.under_way = None;
        }
    }

    /// Sees a supervisor end.
    async fn follow(self: Arc<Self>, process: ProcessId) {
        let pid = self.cast().processes[process.0].pid.clone();
        let reason = pid.wait_exit().await;
        self.notice_deaths();
        if self.cast().processes[process.0].announced {
            return self.supervisor_ended(process, &reason);
        }
        let start = self.cast().supervisor(process).and_then(|known| known.start.take());
        drop(start);
        let line = {
            let mut cast = self.cast();
            let term = reason_text(&cast.learn(&reason));
            cast.processes[process.0].exit = Some(scripted(&reason));
            let known = &cast.processes[process.0];
            let line = format!("start_error {} {} error {term}", known.id, known.attempt);
            if known.parent.is_none() {
                cast.booted = Some(Booted::Error(term));
                None
            } else {
                Some(line)
            }
        };
        line.into_iter().for_each(|line| self.write(line));
        self.moved.notify_waiters();
    }
}

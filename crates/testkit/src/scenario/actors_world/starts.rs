//! Start functions, and the child specs that contain them.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{
    ChildContext, ChildRef, ChildRules, ChildSpec, DynamicRef, DynamicSupervisor, ExitReason, StartError,
    Supervisor, SupervisorRef,
};
use tokio::time::Instant;

use super::clock::elapse;
use super::state::scenario_reason;
use super::types::{
    self, Body, EventQueue, Process, Shared, StartGuard, StartInProgress, SupervisorHandle, WorkerActor,
};
use crate::scenario::check::{BAD_INIT, Checked, check};
use crate::scenario::plan::{Attempt, ChildPlan, Outcome, SupervisorPlan};
use crate::scenario::term::reason_text;
use crate::scenario::world::{Booted, ProcessId};

impl StartGuard {
    fn begin(shared: &Arc<Shared>, parent: ProcessId) -> Self {
        if let Some(supervisor) = shared.lock().supervisor(parent) {
            supervisor.running_starts += 1;
        }
        Self { shared: shared.clone(), parent }
    }
}

impl Drop for StartGuard {
    fn drop(&mut self) {
        if let Some(supervisor) = self.shared.lock().supervisor(self.parent) {
            supervisor.running_starts -= 1;
        }
        self.shared.changed.notify_waiters();
        self.shared.resume_delivery(self.parent);
    }
}

/// The spec of a child, with these rules.
pub(super) fn child(
    shared: &Arc<Shared>,
    parent: ProcessId,
    plan: &Arc<ChildPlan>,
    rules: &ChildRules,
) -> ChildSpec {
    let spec = match &plan.nested {
        Some(nested) => nested_supervisor(
            shared,
            Some((parent, plan.clone())),
            rules.id.as_str(),
            &Arc::new(nested.clone()),
        ),
        None => {
            let (shared, plan) = (shared.clone(), plan.clone());
            ChildRef::new().child_spec_async(rules.id.clone(), move |context| {
                worker(shared.clone(), parent, plan.clone(), plan.id.clone(), context)
            })
        }
    };
    let spec = spec.restart(rules.restart).shutdown(rules.shutdown).kind(rules.kind);
    if rules.significant { spec.significant() } else { spec }
}

/// A static supervisor with the children of the plan.
pub(super) fn supervisor(
    shared: &Arc<Shared>,
    own: ProcessId,
    checked: &Checked,
    plan: &SupervisorPlan,
) -> Supervisor {
    let supervisor = Supervisor::new(checked.flags.strategy)
        .intensity(checked.flags.intensity)
        .auto_shutdown(checked.flags.auto_shutdown);
    let children = plan.children.iter().zip(&checked.specs);
    children.fold(supervisor, |supervisor, (plan, rules)| supervisor.child(child(shared, own, plan, rules)))
}

/// A dynamic supervisor with the one child of the plan as its template.
pub(super) fn dynamic_supervisor(
    shared: &Arc<Shared>,
    own: ProcessId,
    checked: &Checked,
    plan: &SupervisorPlan,
) -> Option<DynamicSupervisor<String>> {
    let (template, rules) = (plan.children.first()?.clone(), checked.specs.first()?);
    let shared = shared.clone();
    let supervisor = match template.nested.clone().map(Arc::new) {
        Some(nested) => DynamicSupervisor::from_specs(move |_, label: String| {
            Ok(nested_supervisor(&shared, Some((own, template.clone())), &label, &nested))
        }),
        None => DynamicSupervisor::new_async(move |context, label: String| {
            worker(shared.clone(), own, template.clone(), label, context)
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

/// The spec of a supervisor: the top one (`parent` is `None`) or a nested one.
pub(super) fn nested_supervisor(
    shared: &Arc<Shared>,
    parent: Option<(ProcessId, Arc<ChildPlan>)>,
    id: &str,
    plan: &Arc<SupervisorPlan>,
) -> ChildSpec {
    let start = SupervisorStart { shared: shared.clone(), parent, label: id.to_owned(), plan: plan.clone() };
    if check(plan).is_ok_and(|checked| checked.dynamic) {
        let handle = DynamicRef::new();
        let start = Arc::new((start, SupervisorHandle::Dynamic(handle.clone())));
        return handle.child_spec_async(id, move |context| {
            let start = start.clone();
            async move {
                let (start, handle) = &*start;
                let (process, checked) = start.begin(context, handle.clone()).await?;
                dynamic_supervisor(&start.shared, process, &checked, &start.plan)
                    .ok_or(StartError::from("it was checked"))
            }
        });
    }
    let handle = SupervisorRef::new();
    let start = Arc::new((start, SupervisorHandle::Static(handle.clone())));
    handle.child_spec_async(id, move |context| {
        let start = start.clone();
        async move {
            let (start, handle) = &*start;
            let (process, checked) = start.begin(context, handle.clone()).await?;
            Ok(supervisor(&start.shared, process, &checked, &start.plan))
        }
    })
}

/// Start function of a supervisor.
struct SupervisorStart {
    shared: Arc<Shared>,
    parent: Option<(ProcessId, Arc<ChildPlan>)>,
    label: String,
    plan: Arc<SupervisorPlan>,
}

impl SupervisorStart {
    async fn begin(
        &self,
        context: ChildContext,
        handle: SupervisorHandle,
    ) -> Result<(ProcessId, Checked), StartError> {
        let (mut attempt, mut extra, mut starting) = (1, false, None);
        if let Some((parent, plan)) = &self.parent {
            starting = Some(StartGuard::begin(&self.shared, *parent));
            (attempt, extra) = self.shared.run_start(&self.label, plan).await?;
        }
        let failed = match self.plan.init() {
            Some("ignore") => {
                self.shared.write(format!("start_error {} {attempt} ignore", self.label));
                return Err(StartError::Ignore);
            }
            Some(_) => BAD_INIT.to_owned(),
            None => match check(&self.plan) {
                Ok(checked) => {
                    let body = Body::Supervisor(Box::new(types::Supervisor {
                        handle: handle.clone(),
                        checked: checked.clone(),
                        start: starting,
                        running_starts: 0,
                        start_in_progress: None,
                        stop_requested_at: None,
                        queue: EventQueue::default(),
                    }));
                    let process = self.shared.lock().add_process(Process {
                        id: self.label.clone(),
                        attempt,
                        parent: self.parent.as_ref().map(|(parent, _)| *parent),
                        pid: context.pid(),
                        body,
                        linked: true,
                        unsupervised: false,
                        start_recorded: false,
                        extra,
                        exit: None,
                    });
                    context.pid().trace(self.shared.tracing.clone());
                    actix_rt::spawn(self.shared.clone().watch_exit(process));
                    return Ok((process, checked));
                }
                Err(refusal) => refusal.at_start(),
            },
        };
        self.shared.write(format!("start_error {} {attempt} error {failed}", self.label));
        Err(StartError::Failed(ExitReason::Error(failed)))
    }
}

/// Start function of a worker.
async fn worker(
    shared: Arc<Shared>,
    parent: ProcessId,
    plan: Arc<ChildPlan>,
    label: String,
    context: ChildContext,
) -> Result<WorkerActor, StartError> {
    if shared.lock().failed.contains(&label) {
        // A second attempt comes after the events that have queued since the first one.
        shared.wait_until_idle(parent).await;
    }
    let _starting = StartGuard::begin(&shared, parent);
    let (number, attempt) = shared.next_attempt(&label, &plan);
    shared.begin_start(
        parent,
        StartInProgress {
            id: label.clone(),
            number,
            attempt: attempt.clone(),
            returns_at: Instant::now() + attempt.delay,
            on_shutdown: plan.on_shutdown.clone(),
            pid: context.pid(),
        },
    );
    let started = shared.run_attempt(&label, number, &attempt).await;
    shared.end_start(parent);
    let extra = started?;
    let body = Body::Worker {
        on_shutdown: plan.on_shutdown.clone(),
        actor: None,
        delayed_exit: None,
        stop_requested_at: None,
    };
    let process = shared.lock().add_process(Process {
        id: label,
        attempt: number,
        parent: Some(parent),
        pid: context.pid(),
        body,
        linked: true,
        unsupervised: false,
        start_recorded: false,
        extra,
        exit: None,
    });
    Ok(WorkerActor {
        shared,
        process,
        context,
        on_shutdown: plan.on_shutdown.clone(),
        exit_after: attempt.exit_after.map(|after| (after, attempt.reason.to_reason())),
        exiting: false,
        delayed_exit: false,
        stop_requested: false,
        hidden_exit: None,
    })
}

impl Shared {
    fn next_attempt(&self, label: &str, plan: &ChildPlan) -> (u32, Attempt) {
        self.deliver_answers();
        self.lock().attempts.next(label, plan)
    }

    async fn run_start(self: &Arc<Self>, label: &str, plan: &ChildPlan) -> Result<(u32, bool), StartError> {
        let (number, attempt) = self.next_attempt(label, plan);
        self.run_attempt(label, number, &attempt).await.map(|extra| (number, extra))
    }

    /// Runs a start attempt. Returns whether the start function returns `{ok, Pid, extra}`.
    async fn run_attempt(
        self: &Arc<Self>,
        label: &str,
        number: u32,
        attempt: &Attempt,
    ) -> Result<bool, StartError> {
        if attempt.delay == Duration::ZERO {
            // A start function without delay also waits for its child, so other tasks run meanwhile.
            tokio::task::yield_now().await;
        } else {
            elapse(attempt.delay).await;
        }
        self.lock().failed.remove(label);
        let Some((line, failed)) = attempt.failure(label, number) else {
            return Ok(attempt.outcome == Outcome::Ok { extra: true });
        };
        self.write(line);
        let Some(reason) = failed else { return Err(StartError::Ignore) };
        self.lock().failed.insert(label.to_owned());
        if attempt.outcome == Outcome::Raise {
            // `resume_unwind` skips the panic hook: the scenario asks for this panic, so it is not printed.
            resume_unwind(Box::new(attempt.reason.to_string()));
        }
        self.lock().remember_reason(&reason);
        Err(StartError::Failed(reason))
    }

    fn begin_start(&self, parent: ProcessId, start: StartInProgress) {
        if let Some(supervisor) = self.lock().supervisor(parent) {
            supervisor.start_in_progress = Some(start);
        }
    }

    fn end_start(&self, parent: ProcessId) {
        if let Some(supervisor) = self.lock().supervisor(parent) {
            supervisor.start_in_progress = None;
        }
    }

    /// Waits for the exit of a supervisor and records it.
    async fn watch_exit(self: Arc<Self>, process: ProcessId) {
        let pid = self.lock().processes[process.0].pid.clone();
        let reason = pid.wait_exit().await;
        self.record_exits();
        if self.lock().processes[process.0].start_recorded {
            return self.supervisor_exited(process, &reason);
        }
        let start = self.lock().supervisor(process).and_then(|known| known.start.take());
        drop(start);
        let line = {
            let mut state = self.lock();
            let term = reason_text(&state.remember_reason(&reason));
            state.processes[process.0].exit = Some(scenario_reason(&reason));
            let known = &state.processes[process.0];
            let line = format!("start_error {} {} error {term}", known.id, known.attempt);
            if known.parent.is_none() {
                state.booted = Some(Booted::Error(term));
                None
            } else {
                Some(line)
            }
        };
        line.into_iter().for_each(|line| self.write(line));
        self.changed.notify_waiters();
    }
}

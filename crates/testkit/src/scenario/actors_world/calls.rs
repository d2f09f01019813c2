//! Calls to supervisors.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use impresario_actor::{
    ChildInfo, ChildState, Counts, DynamicRef, ExitReason, Instance, Pid, RequestError, SupervisorError,
    SupervisorRef,
};

use super::starts;
use super::state::scenario_reason;
use super::types::{PendingCall, QueuedEvent, Shared, SupervisorHandle};
use crate::scenario::check::{check, spec};
use crate::scenario::plan::SupervisorPlan;
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, CallId, Listed, ProcessId, answer_text, error_text};

/// Yields between the arrival of an answer and its line in the trace. Tasks that already run finish first, as
/// in OTP.
const ANSWER_YIELDS: u32 = 6;

impl Shared {
    /// Sends a supervisor the stop request of its parent.
    pub(super) fn stop(self: &Arc<Self>, supervisor: ProcessId, reason: ExitReason) {
        let Some(handle) = self.lock().supervisor(supervisor).map(|known| known.handle.clone()) else {
            return;
        };
        actix_rt::spawn(async move {
            // An error means that the supervisor has exited.
            let _ = match handle {
                SupervisorHandle::Static(handle) => handle.stop(reason).await,
                SupervisorHandle::Dynamic(handle) => handle.stop(reason).await,
            };
        });
    }

    pub(super) fn new_call(&self, line_prefix: Option<String>) -> CallId {
        let mut state = self.lock();
        state.calls.push(PendingCall {
            line_prefix,
            future: None,
            waker: None,
            received: None,
            answer: None,
        });
        CallId(state.calls.len() - 1)
    }

    /// Calls a running supervisor.
    pub(super) fn send_call(self: &Arc<Self>, supervisor: ProcessId, call: CallId, operation: &Call) {
        let (shared, operation) = (self.clone(), operation.clone());
        self.spawn_call(call, async move { shared.answer(supervisor, &operation).await });
    }

    /// Sends a supervisor a message that it does not know. Actors have no such message. A count request takes
    /// its place in the queue, and the answer to it gives the time of the report.
    pub(super) fn send_unexpected(self: &Arc<Self>, supervisor: ProcessId) {
        let call = self.new_call(Some("report unexpected_message".to_owned()));
        if self.admit_or_queue(supervisor, || QueuedEvent::Unexpected(call)) {
            self.send_noop(supervisor, call);
        }
    }

    pub(super) fn send_noop(self: &Arc<Self>, supervisor: ProcessId, call: CallId) {
        let shared = self.clone();
        self.spawn_call(call, async move {
            let answer = shared.answer(supervisor, &Call::Count).await;
            if matches!(answer, Answer::Exit(_)) {
                // The supervisor exited before it read the message, so there is no report.
                shared.lock().calls[call.0].line_prefix = None;
            }
            Answer::Children(Vec::new())
        });
    }

    fn spawn_call(self: &Arc<Self>, call: CallId, future: impl Future<Output = Answer> + Send + 'static) {
        self.lock().calls[call.0].future = Some(Box::pin(future));
        // The first poll puts the request into the mailbox of the supervisor.
        self.poll_call(call, None);
        let shared = self.clone();
        actix_rt::spawn(async move {
            poll_fn(
                |cx| if shared.poll_call(call, Some(cx.waker())) { Poll::Ready(()) } else { Poll::Pending },
            )
            .await;
            for _ in 0..ANSWER_YIELDS {
                tokio::task::yield_now().await;
            }
            shared.deliver(call);
        });
    }

    /// Polls a call. Returns whether the answer has arrived.
    fn poll_call(&self, call: CallId, waker: Option<&Waker>) -> bool {
        let (future, waker) = {
            let known = &mut self.lock().calls[call.0];
            known.waker = waker.cloned().or(known.waker.take());
            (known.future.take(), known.waker.clone())
        };
        let Some(mut future) = future else {
            let state = self.lock();
            return state.calls[call.0].received.is_some() || state.calls[call.0].answer.is_some();
        };
        let waker = waker.unwrap_or_else(|| Waker::noop().clone());
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => {
                self.lock().calls[call.0].received = Some(answer);
                true
            }
            Poll::Pending => {
                self.lock().calls[call.0].future = Some(future);
                false
            }
        }
    }

    /// Writes the line of the answer and stores the answer.
    pub(super) fn deliver(&self, call: CallId) {
        let mut state = self.lock();
        let Some(answer) = state.calls[call.0].received.take() else { return };
        state.record_exits();
        if let Some(line_prefix) = state.calls[call.0].line_prefix.take() {
            let text = answer_text(&answer, |process| state.name(process));
            let line = line_prefix + &text;
            state.trace.push(if text.is_empty() { line.trim_end().to_owned() } else { line });
        }
        state.calls[call.0].answer = Some(answer);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Answers a call without a supervisor.
    pub(super) fn answer_call(&self, call: CallId, answer: Answer) {
        self.lock().calls[call.0].received = Some(answer);
        self.deliver(call);
    }

    /// Delivers all answers that have arrived. In OTP the callers run when the supervisor starts a child or
    /// reports.
    pub(super) fn deliver_answers(&self) {
        let open: Vec<_> = {
            let state = self.lock();
            (0..state.calls.len()).filter(|&call| state.calls[call].answer.is_none()).map(CallId).collect()
        };
        for call in open {
            self.poll_call(call, None);
            self.deliver(call);
        }
    }

    async fn answer(self: &Arc<Self>, supervisor: ProcessId, operation: &Call) -> Answer {
        let (handle, pid) = {
            let mut state = self.lock();
            let pid = state.processes[supervisor.0].pid.clone();
            let Some(known) = state.supervisor(supervisor) else { return Answer::Error("noproc".to_owned()) };
            (known.handle.clone(), pid)
        };
        let answer = match &handle {
            SupervisorHandle::Static(handle) => self.answer_static(supervisor, handle, operation).await,
            SupervisorHandle::Dynamic(handle) => {
                self.answer_dynamic(supervisor, handle, operation, &pid).await
            }
        };
        match answer {
            Ok(answer) => answer,
            // The exit of the supervisor, which follows, answers all open calls.
            Err(SupervisorError::NotRunning | SupervisorError::Refused(RequestError::ShuttingDown)) => {
                Answer::Exit(scenario_reason(&pid.wait_exit().await))
            }
            Err(SupervisorError::Refused(RequestError::AlreadyStarted(incarnation))) => {
                self.lock().child(supervisor, incarnation).map_or(Answer::Undefined, Answer::AlreadyStarted)
            }
            Err(SupervisorError::Refused(RequestError::StartFailed(reason))) => {
                Answer::Error(error_text(&RequestError::StartFailed(scenario_reason(&reason)), operation))
            }
            Err(SupervisorError::Refused(error)) => Answer::Error(error_text(&error, operation)),
            Err(error) => Answer::Error(error.to_string()),
        }
    }

    fn started(&self, pid: Option<Pid>) -> Answer {
        let state = self.lock();
        match pid.and_then(|pid| state.process_of(&pid)) {
            Some(process) => Answer::Started { process, extra: state.processes[process.0].extra },
            None => Answer::Undefined,
        }
    }

    async fn answer_static(
        self: &Arc<Self>,
        id: ProcessId,
        handle: &SupervisorRef,
        operation: &Call,
    ) -> Result<Answer, SupervisorError> {
        let error = |term: &str| Ok(Answer::Error(term.to_owned()));
        match operation {
            Call::StartChild(plan) => {
                let auto_shutdown = self.lock().supervisor(id).map(|known| known.checked.flags.auto_shutdown);
                match spec(&plan.spec, auto_shutdown.unwrap_or_default()) {
                    Ok(rules) => {
                        let child = starts::child(self, id, plan, &rules);
                        handle.start_child(child).await.map(|pid| self.started(pid))
                    }
                    Err(term) => error(&term),
                }
            }
            Call::StartInstance(label) => error(&format!("{{invalid_child_spec,[{label:?}]}}")),
            Call::Terminate(child) => handle.terminate_child(child.as_str()).await.map(|()| Answer::Done),
            Call::TerminateProcess(_) | Call::TerminateForeign => error("not_found"),
            Call::Restart(child) => handle.restart_child(child.as_str()).await.map(|pid| self.started(pid)),
            Call::Delete(child) => handle.delete_child(child.as_str()).await.map(|()| Answer::Done),
            Call::Which => {
                let children = handle.which_children().await?;
                let line = |child: &ChildInfo| (child.id.to_string(), self.listed(id, child.state));
                Ok(Answer::Children(children.iter().map(line).collect()))
            }
            Call::Count => {
                handle.count_children().await.map(|counts| Answer::Counts(self.counted(id, counts)))
            }
            Call::ChildSpec(child) => handle.child_rules(child.as_str()).await.map(Answer::Spec),
            Call::Upgrade(plan) if plan.init() == Some("ignore") => Ok(Answer::Done),
            Call::Upgrade(plan) => self.upgrade(id, handle, plan).await,
        }
    }

    async fn upgrade(
        self: &Arc<Self>,
        id: ProcessId,
        handle: &SupervisorRef,
        plan: &Arc<SupervisorPlan>,
    ) -> Result<Answer, SupervisorError> {
        let checked = match check(plan) {
            Ok(checked) => checked,
            Err(refusal) => return Ok(Answer::Error(refusal.at_upgrade())),
        };
        handle.replace(starts::supervisor(self, id, &checked, plan)).await?;
        if let Some(known) = self.lock().supervisor(id) {
            known.checked = checked;
        }
        Ok(Answer::Done)
    }

    fn listed(&self, id: ProcessId, state: ChildState) -> Listed {
        match state {
            ChildState::Down => Listed::Undefined,
            ChildState::Restarting => Listed::Restarting,
            ChildState::Running(incarnation) => {
                self.lock().child(id, incarnation).map_or(Listed::Undefined, Listed::Process)
            }
        }
    }

    /// Does not count processes that have exited while their actors still run.
    fn counted(&self, id: ProcessId, counts: Counts) -> Counts {
        let mut state = self.lock();
        state.record_exits();
        let children = state.processes.iter().filter(|process| process.parent == Some(id));
        let unseen = children.filter(|child| child.exit.is_some() && child.pid.is_alive()).count();
        Counts { active: counts.active.saturating_sub(unseen), ..counts }
    }

    async fn answer_dynamic(
        self: &Arc<Self>,
        id: ProcessId,
        handle: &DynamicRef<String>,
        operation: &Call,
        own: &Pid,
    ) -> Result<Answer, SupervisorError> {
        let error = |term: &str| Ok(Answer::Error(term.to_owned()));
        match operation {
            Call::StartInstance(label) => {
                handle.start_child(label.clone()).await.map(|pid| self.started(pid))
            }
            Call::StartChild(_) => error("badarg"),
            Call::Terminate(_) | Call::Restart(_) | Call::Delete(_) => error("simple_one_for_one"),
            Call::TerminateProcess(label) => {
                let pid = {
                    let state = self.lock();
                    state.latest.get(label).map(|process| state.processes[process.0].pid.clone())
                };
                match pid {
                    Some(pid) => self.terminate(id, handle, &pid).await,
                    None => error("simple_one_for_one"),
                }
            }
            // Its own pid is not one of its instances.
            Call::TerminateForeign => handle.terminate_child(own).await.map(|()| Answer::Done),
            Call::Which => handle.which_children().await.map(|instances| self.instances(&instances)),
            Call::Count => handle.count_children().await.map(Answer::Counts),
            Call::ChildSpec(child) => {
                let rules = handle.child_rules().await?;
                if rules.id.as_str() == child { Ok(Answer::Spec(rules)) } else { error("not_found") }
            }
            Call::Upgrade(plan) if plan.init() == Some("ignore") => Ok(Answer::Done),
            Call::Upgrade(plan) => self.upgrade_template(id, handle, plan).await,
        }
    }

    async fn terminate(
        self: &Arc<Self>,
        id: ProcessId,
        handle: &DynamicRef<String>,
        pid: &Pid,
    ) -> Result<Answer, SupervisorError> {
        let wait = |by: isize| {
            if let Some(known) = self.lock().supervisor(id) {
                known.queue.terminating = known.queue.terminating.saturating_add_signed(by);
            }
        };
        wait(1);
        let answer = handle.terminate_child(pid).await;
        wait(-1);
        self.changed.notify_waiters();
        self.resume_delivery(id);
        answer.map(|()| Answer::Done)
    }

    /// OTP lists instances by pid, restarting ones last.
    fn instances(&self, instances: &[Instance]) -> Answer {
        let state = self.lock();
        let listed = |instance: &Instance| match instance {
            Instance::Running(pid) => state.process_of(pid).map_or(Listed::Undefined, Listed::Process),
            Instance::Restarting(_) => Listed::Restarting,
        };
        let mut listed: Vec<Listed> = instances.iter().map(listed).collect();
        listed.sort_by_key(|listed| match listed {
            Listed::Process(process) => process.0,
            Listed::Restarting | Listed::Undefined => usize::MAX,
        });
        Answer::Children(listed.into_iter().map(|listed| ("undefined".to_owned(), listed)).collect())
    }

    async fn upgrade_template(
        self: &Arc<Self>,
        id: ProcessId,
        handle: &DynamicRef<String>,
        plan: &SupervisorPlan,
    ) -> Result<Answer, SupervisorError> {
        let checked = match check(plan) {
            Ok(checked) => checked,
            Err(refusal) => return Ok(Answer::Error(refusal.at_upgrade())),
        };
        let Some(with) = starts::dynamic_supervisor(self, id, &checked, plan) else {
            return Ok(Answer::Error("bad_start_spec".to_owned()));
        };
        handle.replace(with).await?;
        if let Some(known) = self.lock().supervisor(id) {
            known.checked = checked;
        }
        Ok(Answer::Done)
    }
}

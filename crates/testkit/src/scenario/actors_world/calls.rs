//! Calls to supervisors, and what they answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use impresario_actor::{
    ChildInfo, ChildState, Counts, DynamicRef, Instance, Pid, RequestError, SupervisorError, SupervisorRef,
};

use super::gate::Letter;
use super::stage::{Name, Stage, scripted};
use super::starts;
use crate::scenario::check::{check, spec};
use crate::scenario::plan::SupervisorPlan;
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, CallId, Listed, ProcessId, answer_text, error_text};

/// A call that was made.
pub(super) struct PendingCall {
    announce: Option<String>,
    asking: Option<Asking>,
    waker: Option<Waker>,
    /// It has come, and nobody has read it.
    pub(super) come: Option<Answer>,
    pub(super) answer: Option<Answer>,
}

type Asking = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Whoever calls has its turn after all that are in the middle of something.
const PATIENCE: u32 = 6;

impl Stage {
    pub(super) fn new_call(&self, announce: Option<String>) -> CallId {
        let mut cast = self.cast();
        cast.calls.push(PendingCall { announce, asking: None, waker: None, come: None, answer: None });
        CallId(cast.calls.len() - 1)
    }

    /// Makes a call to a supervisor that lives.
    pub(super) fn ask(self: &Arc<Self>, supervisor: ProcessId, call: CallId, what: &Call) {
        let (stage, what) = (self.clone(), what.clone());
        self.pursue(call, async move { stage.answer(supervisor, &what).await });
    }

    /// Sends a supervisor a message that it does not know. It knows no such thing, but it knows when the turn of that
    /// would be: when that of a question is.
    pub(super) fn unexpected(self: &Arc<Self>, supervisor: ProcessId) {
        let call = self.new_call(Some("report unexpected_message".to_owned()));
        if self.passes(supervisor, || Letter::Unexpected(call)) {
            self.ask_nothing(supervisor, call);
        }
    }

    pub(super) fn ask_nothing(self: &Arc<Self>, supervisor: ProcessId, call: CallId) {
        let stage = self.clone();
        self.pursue(call, async move {
            let answer = stage.answer(supervisor, &Call::Count).await;
            if matches!(answer, Answer::Exit(_)) {
                // It has not read it.
                stage.cast().calls[call.0].announce = None;
            }
            Answer::Children(Vec::new())
        });
    }

    fn pursue(self: &Arc<Self>, call: CallId, asking: impl Future<Output = Answer> + Send + 'static) {
        self.cast().calls[call.0].asking = Some(Box::pin(asking));
        // From here on it lies in the supervisor's mailbox.
        self.look(call, None);
        let stage = self.clone();
        actix_rt::spawn(async move {
            poll_fn(|cx| if stage.look(call, Some(cx.waker())) { Poll::Ready(()) } else { Poll::Pending })
                .await;
            for _ in 0..PATIENCE {
                tokio::task::yield_now().await;
            }
            stage.read(call);
        });
    }

    /// Whether the answer has come.
    fn look(&self, call: CallId, waker: Option<&Waker>) -> bool {
        let (asking, waker) = {
            let known = &mut self.cast().calls[call.0];
            known.waker = waker.cloned().or(known.waker.take());
            (known.asking.take(), known.waker.clone())
        };
        let Some(mut asking) = asking else {
            let cast = self.cast();
            return cast.calls[call.0].come.is_some() || cast.calls[call.0].answer.is_some();
        };
        let waker = waker.unwrap_or_else(|| Waker::noop().clone());
        match asking.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => {
                self.cast().calls[call.0].come = Some(answer);
                true
            }
            Poll::Pending => {
                self.cast().calls[call.0].asking = Some(asking);
                false
            }
        }
    }

    /// Whoever made the call reads the answer.
    pub(super) fn read(&self, call: CallId) {
        let mut cast = self.cast();
        let Some(answer) = cast.calls[call.0].come.take() else { return };
        cast.notice_deaths();
        if let Some(announce) = cast.calls[call.0].announce.take() {
            let text = answer_text(&answer, |process| cast.name(process));
            let line = announce + &text;
            cast.trace.push(if text.is_empty() { line.trim_end().to_owned() } else { line });
        }
        cast.calls[call.0].answer = Some(answer);
        drop(cast);
        self.moved.notify_waiters();
    }

    /// An answer that needs nobody.
    pub(super) fn answer_at_once(&self, call: CallId, answer: Answer) {
        self.cast().calls[call.0].come = Some(answer);
        self.read(call);
    }

    /// A supervisor lets others have their turn: whoever has got an answer reads it.
    pub(super) fn take_turns(&self) {
        let open: Vec<_> = {
            let cast = self.cast();
            (0..cast.calls.len()).filter(|&call| cast.calls[call].answer.is_none()).map(CallId).collect()
        };
        for call in open {
            self.look(call, None);
            self.read(call);
        }
    }

    async fn answer(self: &Arc<Self>, supervisor: ProcessId, what: &Call) -> Answer {
        let (name, pid) = {
            let mut cast = self.cast();
            let pid = cast.processes[supervisor.0].pid.clone();
            let Some(known) = cast.supervisor(supervisor) else { return Answer::Error("noproc".to_owned()) };
            (known.name.clone(), pid)
        };
        let answer = match &name {
            Name::Static(name) => self.answer_static(supervisor, name, what).await,
            Name::Dynamic(name) => self.answer_dynamic(supervisor, name, what, &pid).await,
        };
        match answer {
            Ok(answer) => answer,
            // Its end, which is near, answers all that it leaves open.
            Err(SupervisorError::NotRunning | SupervisorError::Refused(RequestError::ShuttingDown)) => {
                Answer::Exit(scripted(&pid.wait_exit().await))
            }
            Err(SupervisorError::Refused(RequestError::AlreadyStarted(life))) => {
                self.cast().child(supervisor, life).map_or(Answer::Undefined, Answer::AlreadyStarted)
            }
            Err(SupervisorError::Refused(RequestError::StartFailed(reason))) => {
                Answer::Error(error_text(&RequestError::StartFailed(scripted(&reason)), what))
            }
            Err(SupervisorError::Refused(error)) => Answer::Error(error_text(&error, what)),
            Err(error) => Answer::Error(error.to_string()),
        }
    }

    fn started(&self, pid: Option<Pid>) -> Answer {
        let cast = self.cast();
        match pid.and_then(|pid| cast.process_of(&pid)) {
            Some(process) => Answer::Started { process, extra: cast.processes[process.0].extra },
            None => Answer::Undefined,
        }
    }

    async fn answer_static(
        self: &Arc<Self>,
        id: ProcessId,
        name: &SupervisorRef,
        what: &Call,
    ) -> Result<Answer, SupervisorError> {
        let error = |term: &str| Ok(Answer::Error(term.to_owned()));
        match what {
            Call::StartChild(plan) => {
                let auto_shutdown = self.cast().supervisor(id).map(|known| known.checked.flags.auto_shutdown);
                match spec(&plan.spec, auto_shutdown.unwrap_or_default()) {
                    Ok(rules) => {
                        let child = starts::child(self, id, plan, &rules);
                        name.start_child(child).await.map(|pid| self.started(pid))
                    }
                    Err(term) => error(&term),
                }
            }
            Call::StartInstance(label) => error(&format!("{{invalid_child_spec,[{label:?}]}}")),
            Call::Terminate(child) => name.terminate_child(child.as_str()).await.map(|()| Answer::Done),
            Call::TerminateProcess(_) | Call::TerminateStranger => error("not_found"),
            Call::Restart(child) => name.restart_child(child.as_str()).await.map(|pid| self.started(pid)),
            Call::Delete(child) => name.delete_child(child.as_str()).await.map(|()| Answer::Done),
            Call::Which => {
                let children = name.which_children().await?;
                let line = |child: &ChildInfo| (child.id.to_string(), self.listed(id, child.state));
                Ok(Answer::Children(children.iter().map(line).collect()))
            }
            Call::Count => name.count_children().await.map(|counts| Answer::Counts(self.counted(id, counts))),
            Call::ChildSpec(child) => name.child_rules(child.as_str()).await.map(Answer::Spec),
            Call::Upgrade(plan) if plan.init() == Some("ignore") => Ok(Answer::Done),
            Call::Upgrade(plan) => self.upgrade(id, name, plan).await,
        }
    }

    async fn upgrade(
        self: &Arc<Self>,
        id: ProcessId,
        name: &SupervisorRef,
        plan: &Arc<SupervisorPlan>,
    ) -> Result<Answer, SupervisorError> {
        let checked = match check(plan) {
            Ok(checked) => checked,
            Err(refusal) => return Ok(Answer::Error(refusal.at_upgrade())),
        };
        name.replace(starts::supervisor(self, id, &checked, plan)).await?;
        if let Some(known) = self.cast().supervisor(id) {
            known.checked = checked;
        }
        Ok(Answer::Done)
    }

    fn listed(&self, id: ProcessId, state: ChildState) -> Listed {
        match state {
            ChildState::Down => Listed::Undefined,
            ChildState::Restarting => Listed::Restarting,
            ChildState::Running(life) => {
                self.cast().child(id, life).map_or(Listed::Undefined, Listed::Process)
            }
        }
    }

    /// Processes that are dead while their hosts live are none.
    fn counted(&self, id: ProcessId, counts: Counts) -> Counts {
        let mut cast = self.cast();
        cast.notice_deaths();
        let children = cast.processes.iter().filter(|process| process.parent == Some(id));
        let unseen = children.filter(|child| child.exit.is_some() && child.pid.is_alive()).count();
        Counts { active: counts.active.saturating_sub(unseen), ..counts }
    }

    async fn answer_dynamic(
        self: &Arc<Self>,
        id: ProcessId,
        name: &DynamicRef<String>,
        what: &Call,
        own: &Pid,
    ) -> Result<Answer, SupervisorError> {
        let error = |term: &str| Ok(Answer::Error(term.to_owned()));
        match what {
            Call::StartInstance(label) => name.start_child(label.clone()).await.map(|pid| self.started(pid)),
            Call::StartChild(_) => error("badarg"),
            Call::Terminate(_) | Call::Restart(_) | Call::Delete(_) => error("simple_one_for_one"),
            Call::TerminateProcess(label) => {
                let pid = {
                    let cast = self.cast();
                    cast.latest.get(label).map(|process| cast.processes[process.0].pid.clone())
                };
                match pid {
                    Some(pid) => self.terminate(id, name, &pid).await,
                    None => error("simple_one_for_one"),
                }
            }
            // It is no instance of its own.
            Call::TerminateStranger => name.terminate_child(own).await.map(|()| Answer::Done),
            Call::Which => name.which_children().await.map(|instances| self.instances(&instances)),
            Call::Count => name.count_children().await.map(Answer::Counts),
            Call::ChildSpec(child) => {
                let rules = name.child_rules().await?;
                if rules.id.as_str() == child { Ok(Answer::Spec(rules)) } else { error("not_found") }
            }
            Call::Upgrade(plan) if plan.init() == Some("ignore") => Ok(Answer::Done),
            Call::Upgrade(plan) => self.upgrade_template(id, name, plan).await,
        }
    }

    async fn terminate(
        self: &Arc<Self>,
        id: ProcessId,
        name: &DynamicRef<String>,
        pid: &Pid,
    ) -> Result<Answer, SupervisorError> {
        let wait = |by: isize| {
            if let Some(known) = self.cast().supervisor(id) {
                known.gate.terminating = known.gate.terminating.saturating_add_signed(by);
            }
        };
        wait(1);
        let answer = name.terminate_child(pid).await;
        wait(-1);
        self.moved.notify_waiters();
        self.reopen(id);
        answer.map(|()| Answer::Done)
    }

    /// OTP lists instances by process, the restarting ones last.
    fn instances(&self, instances: &[Instance]) -> Answer {
        let cast = self.cast();
        let listed = |instance: &Instance| match instance {
            Instance::Running(pid) => cast.process_of(pid).map_or(Listed::Undefined, Listed::Process),
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
        name: &DynamicRef<String>,
        plan: &SupervisorPlan,
    ) -> Result<Answer, SupervisorError> {
        let checked = match check(plan) {
            Ok(checked) => checked,
            Err(refusal) => return Ok(Answer::Error(refusal.at_upgrade())),
        };
        let Some(with) = starts::dynamic_supervisor(self, id, &checked, plan) else {
            return Ok(Answer::Error("bad_start_spec".to_owned()));
        };
        name.replace(with).await?;
        if let Some(known) = self.cast().supervisor(id) {
            known.checked = checked;
        }
        Ok(Answer::Done)
    }
}

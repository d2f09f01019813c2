//! Answers about incarnations: started, ignored, exited; and the time-outs of starts and stops.

use super::children::RunState;
use super::restart::Retry;
use super::{QueuedEvent, Supervisor, TransitionKind};
use crate::event::Action;
use crate::id::{ChildKey, Incarnation};
use crate::policy::spec::Restart;
use crate::reason::ExitReason;
use crate::report::ReportKind;
use crate::request::{Reply, RequestError};
use crate::time::Time;

impl Supervisor {
    /// The position of the child that starts as this incarnation and has not timed out.
    fn starting(&self, incarnation: Incarnation) -> Option<usize> {
        let at = self.incarnations.get(&incarnation).and_then(|key| self.children.position(*key))?;
        matches!(self.children[at].state, RunState::Starting { timed_out: false, .. }).then_some(at)
    }

    pub(super) fn started(&mut self, now: Time, incarnation: Incarnation) {
        let Some(at) = self.starting(incarnation) else { return };
        let child = &mut self.children[at];
        child.state = RunState::Running { since: now };
        let key = child.key;
        self.in_transition = None;
        self.reply_to_requester(key, Reply::Started(key, incarnation));
    }

    pub(super) fn ignored(&mut self, now: Time, incarnation: Incarnation) {
        let Some(at) = self.starting(incarnation) else { return self.ignored_late(now, incarnation) };
        self.incarnations.remove(&incarnation);
        let child = &mut self.children[at];
        child.state = RunState::Down;
        let key = child.key;
        self.in_transition = None;
        if child.spec.restart == Restart::Temporary {
            if let Some(transition) = &mut self.transition {
                transition.skip_current();
            }
            self.remove(at);
        }
        self.reply_to_requester(key, Reply::Ignored);
    }

    /// Handles `Ignored` that crossed a stop or a kill: it is the exit that was requested.
    fn ignored_late(&mut self, now: Time, incarnation: Incarnation) {
        let Some(at) = self.incarnations.get(&incarnation).and_then(|key| self.children.position(*key))
        else {
            return;
        };
        let child = &self.children[at];
        if matches!(child.state, RunState::Stopping { .. } | RunState::Starting { .. }) {
            let reason = child.spec.shutdown.expected_reason();
            self.exited(now, incarnation, reason);
        }
    }

    /// Replies to the request that started this child, if one did.
    fn reply_to_requester(&mut self, key: ChildKey, reply: Reply) {
        let requester = self
            .transition
            .as_mut()
            .and_then(|transition| transition.requester.take_if(|(_, child)| *child == key));
        self.actions.extend(requester.map(|(requester, _)| Action::Reply(requester, reply)));
    }

    /// Handles `Exited` and `StartFailed`.
    pub(super) fn exited(&mut self, now: Time, incarnation: Incarnation, reason: ExitReason) {
        let Some(at) = self.incarnations.remove(&incarnation).and_then(|key| self.children.position(key))
        else {
            return;
        };
        let child = &mut self.children[at];
        match std::mem::replace(&mut child.state, RunState::Down) {
            RunState::Starting { timed_out, .. } => {
                self.in_transition = None;
                let reason = if timed_out { ExitReason::StartTimeout } else { reason };
                self.start_failed(now, at, reason);
            }
            RunState::Stopping { .. } => {
                self.in_transition = None;
                self.stopped(at, reason);
            }
            RunState::Running { since } => {
                child.state = RunState::Exited { since, reason };
                self.queue.push_back(QueuedEvent::Exited(child.key, incarnation));
            }
            // Unreachable: an incarnation that exited is no longer in `incarnations`.
            state @ (RunState::Down | RunState::Exited { .. }) => child.state = state,
        }
    }

    fn start_failed(&mut self, now: Time, at: usize, reason: ExitReason) {
        let Some(transition) = self.transition.take() else { return };
        let kind = transition.kind;
        let retry = (kind == TransitionKind::Restart).then(|| self.plan_retry(now, at));
        // The requester of this start gets the reason as its reply; a report would repeat it.
        if !matches!(kind, TransitionKind::Start { .. }) {
            let delayed = retry.as_ref().and_then(Retry::delayed_restart);
            self.report_failure(ReportKind::StartError, at, reason.clone(), delayed);
        }
        if kind == (TransitionKind::Start { added: true }) {
            self.remove(at);
        }
        if let Some(requester) = transition.into_requester() {
            self.refuse(requester, RequestError::StartFailed(reason.clone()));
        }
        if let Some(retry) = retry {
            self.restart_failed(now, at, reason, &retry);
        } else if kind == TransitionKind::FirstStart {
            let child = self.children[at].spec.id.clone();
            self.begin_shutdown(ExitReason::FailedToStart { child, reason: Box::new(reason) });
        }
    }

    /// Kills the child that starts or stops if its deadline has passed. Its exit is still awaited.
    pub(super) fn check_child_deadline(&mut self, now: Time) {
        let Some(at) = self.in_transition_at() else { return };
        let child = &mut self.children[at];
        match &mut child.state {
            RunState::Starting { deadline: Some(deadline), timed_out }
            | RunState::Stopping { deadline: Some(deadline), timed_out }
                if !*timed_out && *deadline <= now =>
            {
                *timed_out = true;
                self.actions.push_back(Action::Kill(child.incarnation));
            }
            _ => {}
        }
    }
}

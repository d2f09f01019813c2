//! What lives say: they are ready, not needed, over, or silent for too long.

use super::children::RunState;
use super::{QueuedEvent, Supervisor, TransitionKind};
use crate::event::Action;
use crate::id::{ChildKey, Incarnation};
use crate::policy::spec::Restart;
use crate::reason::ExitReason;
use crate::report::ReportKind;
use crate::request::{Reply, RequestError};
use crate::time::Time;

impl Supervisor {
    /// The position of the child that starts as this life.
    fn starting(&self, incarnation: Incarnation) -> Option<usize> {
        let at = self.incarnations.get(&incarnation).and_then(|key| self.children.position(*key))?;
        matches!(self.children[at].state, RunState::Starting { timed_out: false, .. }).then_some(at)
    }

    pub(crate) fn started(&mut self, now: Time, incarnation: Incarnation) {
        let Some(at) = self.starting(incarnation) else { return };
        let child = &mut self.children[at];
        child.state = RunState::Running { since: now };
        let key = child.key;
        self.in_transition = None;
        self.reply_to_requester(key, Reply::Started(key, incarnation));
    }

    pub(crate) fn ignored(&mut self, now: Time, incarnation: Incarnation) {
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

    /// It was told to end when it said that it is not needed: it has, as it was told.
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

    /// Whoever asked for the start of this child gets its answer.
    fn reply_to_requester(&mut self, key: ChildKey, reply: Reply) {
        let requester = self
            .transition
            .as_mut()
            .and_then(|transition| transition.requester.take_if(|(_, child)| *child == key));
        self.actions.extend(requester.map(|(requester, _)| Action::Reply(requester, reply)));
    }

    /// A life is over, or never began.
    pub(crate) fn exited(&mut self, now: Time, incarnation: Incarnation, reason: ExitReason) {
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
            // The life was removed above, so it cannot have ended before.
            incarnation @ (RunState::Down | RunState::Exited { .. }) => child.state = incarnation,
        }
    }

    fn start_failed(&mut self, now: Time, at: usize, reason: ExitReason) {
        let Some(transition) = self.transition.take() else { return };
        // Who asked for this child alone gets an answer instead of a report.
        if !matches!(transition.kind, TransitionKind::Start { .. }) {
            self.report(ReportKind::StartError, at, reason.clone());
        }
        if transition.kind == (TransitionKind::Start { added: true }) {
            self.remove(at);
        }
        let kind = transition.kind;
        if let Some(requester) = transition.into_requester() {
            self.refuse(requester, RequestError::StartFailed(reason.clone()));
        }
        match kind {
            TransitionKind::FirstStart => {
                let child = self.children[at].spec.id.clone();
                self.begin_shutdown(ExitReason::FailedToStart { child, reason: Box::new(reason) });
            }
            TransitionKind::Restart => self.restart_failed(now, at, reason),
            TransitionKind::Start { .. }
            | TransitionKind::StopForBackoff
            | TransitionKind::Terminate
            | TransitionKind::Shutdown => {}
        }
    }

    /// The child that is waited for has had its time: kill it, and wait on.
    pub(crate) fn check_in_transition(&mut self, now: Time) {
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

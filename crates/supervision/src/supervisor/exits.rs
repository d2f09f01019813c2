//! What follows from what has happened, one thing at a time.

use std::time::Duration;

use super::children::{Child, RunState};
use super::{Phase, QueuedEvent, Supervisor, Transition, TransitionKind};
use crate::event::Action;
use crate::id::{ChildKey, Incarnation};
use crate::policy::spec::{AutoShutdown, Restart};
use crate::reason::ExitReason;
use crate::report::{Report, ReportKind};
use crate::request::RequestError;
use crate::time::Time;

/// How long a shutdown waits for starts that are under way before it stops them. In OTP it waits without end.
const SHUTDOWN_START_TIMEOUT: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Deals with what happened while the supervisor was busy, one thing at a time.
    pub(crate) fn handle_queued(&mut self, now: Time, item: QueuedEvent) {
        match item {
            QueuedEvent::Exited(key, incarnation) => self.handle_exit(now, key, incarnation),
            QueuedEvent::Retry(key, reason) => self.retry(now, key, reason),
            QueuedEvent::BackoffExpired(key, time) => self.backoff_expired(now, key, time),
            QueuedEvent::Request(id, request) => self.handle_request(id, request),
            QueuedEvent::Shutdown(reason) => self.begin_shutdown(reason),
        }
    }

    /// The heart of the rules: restart type x reason says what follows.
    fn handle_exit(&mut self, now: Time, key: ChildKey, incarnation: Incarnation) {
        let Some(at) = self.children.position(key) else { return };
        let child = &mut self.children[at];
        if child.incarnation != incarnation {
            return;
        }
        let RunState::Exited { since, reason } = std::mem::replace(&mut child.state, RunState::Down) else {
            return;
        };
        let (restart, significant) = (child.spec.restart, child.spec.significant);
        let wanted = restart.should_restart(&reason);
        if wanted || !reason.is_clean() {
            self.report(ReportKind::ChildTerminated, at, reason.clone());
        }
        if wanted {
            self.restart(now, at, since, reason);
            return;
        }
        if restart == Restart::Temporary {
            self.remove(at);
        }
        if significant {
            self.check_auto_shutdown();
        }
    }

    fn check_auto_shutdown(&mut self) {
        let ends = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                let present = |child: &Child| child.restarting || child.state != RunState::Down;
                !self.children.iter().any(|child| child.spec.significant && present(child))
            }
        };
        if ends {
            self.begin_shutdown(ExitReason::Shutdown);
        }
    }

    pub(crate) fn shutdown(&mut self, now: Time, reason: ExitReason) {
        match self.phase {
            // Nobody waits for the first start any more: what starts is stopped, not waited for.
            Phase::New | Phase::FirstStart => {
                self.begin_shutdown(reason);
                self.abandon_start(now);
            }
            Phase::Running => {
                self.queue.push_back(QueuedEvent::Shutdown(reason));
                self.start_deadline = self.start_deadline.or(Some(now + SHUTDOWN_START_TIMEOUT));
            }
            Phase::ShuttingDown(_) | Phase::Terminated => {}
        }
    }

    /// A shutdown overtakes a start that is under way for too long.
    pub(crate) fn check_start_deadline(&mut self, now: Time) {
        let starting = self
            .in_transition_at()
            .is_some_and(|at| matches!(self.children[at].state, RunState::Starting { .. }));
        if !starting || self.start_deadline.is_none_or(|end| end > now) {
            return;
        }
        let reason = self.queue.iter().find_map(|item| match item {
            QueuedEvent::Shutdown(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = reason {
            self.begin_shutdown(reason);
            self.abandon_start(now);
        }
    }

    pub(crate) fn give_up(&mut self, at: usize, reason: ExitReason) {
        let child = self.children[at].spec.id.clone();
        self.report(ReportKind::GaveUp, at, reason.clone());
        self.begin_shutdown(ExitReason::GaveUp { child, reason: Box::new(reason) });
    }

    /// From here on nothing is started: everything is taken down, then the supervisor exits.
    pub(crate) fn begin_shutdown(&mut self, reason: ExitReason) {
        if let Some(requester) = self.transition.take().and_then(Transition::into_requester) {
            self.refuse(requester, RequestError::ShuttingDown);
        }
        self.phase = Phase::ShuttingDown(reason);
        self.backoff_deadlines.clear();
        self.start_deadline = None;
        self.transition = Some(Transition::stop(0..self.children.len(), TransitionKind::Shutdown));
    }

    pub(crate) fn remove(&mut self, at: usize) {
        self.set_backoff_deadline(at, None);
        let child = self.children.remove(at);
        self.actions.push_back(Action::Forget(child.key));
    }

    pub(crate) fn report(&mut self, kind: ReportKind, at: usize, reason: ExitReason) {
        let child = &self.children[at];
        let report = Report::new(kind, &child.spec, Some(child.incarnation), reason);
        self.actions.push_back(Action::Report(report));
    }
}

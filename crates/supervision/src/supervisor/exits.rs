//! What follows from queued events: exits of children, shutdown, auto-shutdown, giving up.

use std::time::Duration;

use super::children::{Child, RunState};
use super::{Phase, QueuedEvent, Supervisor, Transition, TransitionKind};
use crate::event::Action;
use crate::id::{ChildKey, Incarnation};
use crate::policy::backoff::DelayedRestart;
use crate::policy::spec::{AutoShutdown, Restart};
use crate::reason::ExitReason;
use crate::report::{Report, ReportKind};
use crate::request::RequestError;
use crate::time::Time;

/// How long a shutdown waits for a start under way before it stops the child. OTP has no such bound.
const SHUTDOWN_START_TIMEOUT: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Handles the oldest queued event. No transition is under way.
    pub(super) fn handle_queued(&mut self, now: Time, event: QueuedEvent) {
        match event {
            QueuedEvent::Exited(key, incarnation) => self.handle_exit(now, key, incarnation),
            QueuedEvent::Retry(key, reason) => self.retry(now, key, reason),
            QueuedEvent::BackoffExpired(key, time) => self.backoff_expired(now, key, time),
            QueuedEvent::Request(id, request) => self.handle_request(id, request),
            QueuedEvent::Shutdown(reason) => self.begin_shutdown(reason),
        }
    }

    /// Decides by restart type and exit reason what follows when a child exited without a request.
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
        if restart.should_restart(&reason) {
            return self.restart(now, at, since, reason);
        }
        if !reason.is_clean() {
            self.report(ReportKind::ChildTerminated, at, reason);
        }
        if restart == Restart::Temporary {
            self.remove(at);
        }
        if significant {
            self.check_auto_shutdown();
        }
    }

    fn check_auto_shutdown(&mut self) {
        let shuts_down = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                let present = |child: &Child| child.restarting || child.state != RunState::Down;
                !self.children.iter().any(|child| child.spec.significant && present(child))
            }
        };
        if shuts_down {
            self.begin_shutdown(ExitReason::Shutdown);
        }
    }

    pub(super) fn shutdown(&mut self, now: Time, reason: ExitReason) {
        match self.phase {
            // `Action::Ready` can no longer follow, so the start under way is stopped immediately.
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

    /// Begins the queued shutdown before its turn if a start is still under way at `start_deadline`.
    pub(super) fn check_start_deadline(&mut self, now: Time) {
        let starting = self
            .in_transition_at()
            .is_some_and(|at| matches!(self.children[at].state, RunState::Starting { .. }));
        if !starting || self.start_deadline.is_none_or(|end| end > now) {
            return;
        }
        let reason = self.queue.iter().find_map(|event| match event {
            QueuedEvent::Shutdown(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = reason {
            self.begin_shutdown(reason);
            self.abandon_start(now);
        }
    }

    pub(super) fn give_up(&mut self, at: usize, reason: ExitReason) {
        let child = self.children[at].spec.id.clone();
        self.report(ReportKind::GaveUp, at, reason.clone());
        self.begin_shutdown(ExitReason::GaveUp { child, reason: Box::new(reason) });
    }

    /// Replaces any transition by the one that stops all children. No child is started from here on.
    pub(super) fn begin_shutdown(&mut self, reason: ExitReason) {
        if let Some(requester) = self.transition.take().and_then(Transition::into_requester) {
            self.refuse(requester, RequestError::ShuttingDown);
        }
        self.phase = Phase::ShuttingDown(reason);
        self.backoff_deadlines.clear();
        self.start_deadline = None;
        self.transition = Some(Transition::stop(0..self.children.len(), TransitionKind::Shutdown));
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.set_backoff_deadline(at, None);
        let child = self.children.remove(at);
        self.actions.push_back(Action::Forget(child.key));
    }

    pub(super) fn report(&mut self, kind: ReportKind, at: usize, reason: ExitReason) {
        self.report_failure(kind, at, reason, None);
    }

    pub(super) fn report_failure(
        &mut self,
        kind: ReportKind,
        at: usize,
        reason: ExitReason,
        delayed_restart: Option<DelayedRestart>,
    ) {
        let child = &self.children[at];
        let report = Report::new(kind, &child.spec, Some(child.incarnation), reason);
        self.actions.push_back(Action::Report(Report { delayed_restart, ..report }));
    }
}

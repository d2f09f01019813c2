//! What follows from what has happened, one thing at a time.

use std::time::Duration;

use crate::children::{Child, Life};
use crate::supervisor::{Item, Phase};
use crate::turn::{Purpose, Turn};
use crate::{
    Action, AutoShutdown, ChildKey, ExitReason, Incarnation, Report, ReportKind, RequestError, Restart,
    Supervisor, Time,
};

/// How long a shutdown waits for starts that are under way before it stops them. In OTP it waits without end.
const START_PATIENCE: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Deals with what happened while the supervisor was busy, one thing at a time.
    pub(crate) fn decide(&mut self, now: Time, item: Item) {
        match item {
            Item::Exited(key, life) => self.decide_exit(now, key, life),
            Item::Retry(key, reason) => self.retry(now, key, reason),
            Item::Woken(key, time) => self.woken(now, key, time),
            Item::Request(id, request) => self.serve(id, request),
            Item::Shutdown(reason) => self.leave(reason),
        }
    }

    /// The heart of the rules: restart type x reason says what follows.
    fn decide_exit(&mut self, now: Time, key: ChildKey, life: Incarnation) {
        let Some(at) = self.children.position(key) else { return };
        let child = &mut self.children[at];
        if child.incarnation != life {
            return;
        }
        let Life::Dead { since, reason } = std::mem::replace(&mut child.life, Life::Down) else { return };
        let (restart, significant) = (child.spec.restart, child.spec.significant);
        let wanted = restart.wants(&reason);
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
            self.auto_shutdown();
        }
    }

    fn auto_shutdown(&mut self) {
        let ends = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                let present = |child: &Child| child.restarting || child.life != Life::Down;
                !self.children.iter().any(|child| child.spec.significant && present(child))
            }
        };
        if ends {
            self.leave(ExitReason::Shutdown);
        }
    }

    pub(crate) fn shutdown(&mut self, now: Time, reason: ExitReason) {
        match self.phase {
            // Nobody waits for the first start any more: what starts is stopped, not waited for.
            Phase::New | Phase::FirstStart => {
                self.leave(reason);
                self.abandon_start(now);
            }
            Phase::Running => {
                self.inbox.push_back(Item::Shutdown(reason));
                self.patience = self.patience.or(Some(now + START_PATIENCE));
            }
            Phase::Leaving(_) | Phase::Gone => {}
        }
    }

    /// A shutdown overtakes a start that is under way for too long.
    pub(crate) fn lose_patience(&mut self, now: Time) {
        let starting =
            self.busy_at().is_some_and(|at| matches!(self.children[at].life, Life::Starting { .. }));
        if !starting || self.patience.is_none_or(|end| end > now) {
            return;
        }
        let reason = self.inbox.iter().find_map(|item| match item {
            Item::Shutdown(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = reason {
            self.leave(reason);
            self.abandon_start(now);
        }
    }

    pub(crate) fn give_up(&mut self, at: usize, reason: ExitReason) {
        let child = self.children[at].spec.id.clone();
        self.report(ReportKind::GaveUp, at, reason.clone());
        self.leave(ExitReason::GaveUp { child, reason: Box::new(reason) });
    }

    /// From here on nothing is started: everything is taken down, then the supervisor exits.
    pub(crate) fn leave(&mut self, reason: ExitReason) {
        if let Some(asker) = self.turn.take().and_then(Turn::into_asker) {
            self.refuse(asker, RequestError::ShuttingDown);
        }
        self.phase = Phase::Leaving(reason);
        self.wakeups.clear();
        self.patience = None;
        self.turn = Some(Turn::take_down(0..self.children.len(), Purpose::Leave));
    }

    pub(crate) fn remove(&mut self, at: usize) {
        self.wait_until(at, None);
        let child = self.children.remove(at);
        self.actions.push_back(Action::Forget(child.key));
    }

    pub(crate) fn report(&mut self, kind: ReportKind, at: usize, reason: ExitReason) {
        let child = &self.children[at];
        let report = Report::new(kind, &child.spec, Some(child.incarnation), reason);
        self.actions.push_back(Action::Report(report));
    }
}

//! Restarts: which children restart together, and when.

use std::ops::Range;
use std::time::Duration;

use super::{QueuedEvent, Supervisor, Transition, TransitionKind};
use crate::id::ChildKey;
use crate::policy::backoff::DelayedRestart;
use crate::policy::spec::Strategy;
use crate::reason::ExitReason;
use crate::report::ReportKind;
use crate::time::Time;

/// What follows a failed restart.
pub(super) enum Retry {
    /// It is retried after the events that are queued now. It counts against the intensity then, as in OTP.
    Queued,
    /// It is retried after the child's backoff, and was counted.
    Delayed(DelayedRestart),
    /// It would exceed the intensity.
    Refused,
}

impl Retry {
    pub(super) fn delayed_restart(&self) -> Option<DelayedRestart> {
        match self {
            Self::Delayed(restart) => Some(*restart),
            Self::Queued | Self::Refused => None,
        }
    }
}

impl Supervisor {
    /// Restarts a child that exited and was ready since `since`: counts the restart, then stops and starts its range.
    pub(super) fn restart(&mut self, now: Time, at: usize, since: Time, reason: ExitReason) {
        if self.window.allow(now, self.flags.intensity) {
            let restart = self.next_restart(now, at, Some(since));
            let delayed = Some(restart).filter(|restart| !restart.delay.is_zero());
            self.report_failure(ReportKind::ChildTerminated, at, reason, delayed);
            self.begin_restart(now, at, now + restart.delay);
        } else {
            self.report(ReportKind::ChildTerminated, at, reason.clone());
            self.give_up(at, reason);
        }
    }

    /// Counts the failed restart of a child and decides when it is retried.
    pub(super) fn plan_retry(&mut self, now: Time, at: usize) -> Retry {
        let restart = self.next_restart(now, at, None);
        if restart.delay.is_zero() {
            Retry::Queued
        } else if self.window.allow(now, self.flags.intensity) {
            Retry::Delayed(restart)
        } else {
            Retry::Refused
        }
    }

    pub(super) fn restart_failed(&mut self, now: Time, at: usize, reason: ExitReason, retry: &Retry) {
        self.children[at].restarting = true;
        match retry {
            Retry::Queued => self.queue.push_back(QueuedEvent::Retry(self.children[at].key, reason)),
            Retry::Delayed(restart) => self.set_backoff_deadline(at, Some(now + restart.delay)),
            Retry::Refused => self.give_up(at, reason),
        }
    }

    pub(super) fn retry(&mut self, now: Time, key: ChildKey, reason: ExitReason) {
        let Some(at) = self.children.position(key).filter(|&at| self.children[at].restarting) else { return };
        if self.window.allow(now, self.flags.intensity) {
            self.begin_restart(now, at, now);
        } else {
            self.give_up(at, reason);
        }
    }

    /// Restarts the child, if this is still the deadline of its backoff.
    ///
    /// While the event was queued, the backoff may have been cancelled or replaced. Then nothing follows.
    pub(super) fn backoff_expired(&mut self, now: Time, key: ChildKey, time: Time) {
        let at = self.children.position(key).filter(|&at| self.children[at].not_before == Some(time));
        if let Some(at) = at {
            self.begin_restart(now, at, now);
        }
    }

    /// Stops the child's range, and starts it when the longest backoff within the range has expired.
    ///
    /// One child carries the restart of its whole range: pending restarts of the others are cancelled.
    fn begin_restart(&mut self, now: Time, at: usize, not_before: Time) {
        let range = self.range(at);
        let mut latest = not_before;
        for other in range.clone().filter(|&other| other != at) {
            latest = latest.max(self.children[other].not_before.unwrap_or_default());
            self.cancel_restart(other);
        }
        self.children[at].restarting = true;
        if latest > now {
            self.set_backoff_deadline(at, Some(latest));
            self.transition = Some(Transition::stop(range, TransitionKind::StopForBackoff));
        } else {
            self.transition = Some(Transition::stop(range, TransitionKind::Restart));
        }
    }

    /// The transition that restarts a child, with its range, without waiting for its backoff.
    pub(super) fn restart_now(&mut self, at: usize) -> Transition {
        let range = self.range(at);
        range.clone().for_each(|other| self.cancel_restart(other));
        self.children[at].restarting = true;
        Transition::stop(range, TransitionKind::Restart)
    }

    pub(super) fn cancel_restart(&mut self, at: usize) {
        self.children[at].restarting = false;
        self.set_backoff_deadline(at, None);
    }

    /// Sets or clears the end of the child's backoff, here and in `backoff_deadlines`.
    pub(super) fn set_backoff_deadline(&mut self, at: usize, time: Option<Time>) {
        let child = &mut self.children[at];
        let earlier = std::mem::replace(&mut child.not_before, time);
        if let Some(earlier) = earlier {
            self.backoff_deadlines.remove(&(earlier, child.key));
        }
        self.backoff_deadlines.extend(time.map(|time| (time, child.key)));
    }

    /// Records the failure in the child's backoff; the delay is zero without one.
    fn next_restart(&mut self, now: Time, at: usize, since: Option<Time>) -> DelayedRestart {
        let child = &mut self.children[at];
        match child.spec.backoff {
            Some(backoff) => child.backoff_state.failed(now, since, &backoff, &mut self.rng),
            None => DelayedRestart { delay: Duration::ZERO, attempt: 1 },
        }
    }

    /// The positions of the children that restart together with this one: the whole meaning of a strategy.
    fn range(&self, at: usize) -> Range<usize> {
        match self.flags.strategy {
            Strategy::OneForOne => at..at + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => at..self.children.len(),
        }
    }
}

//! When a child that failed is started again, and who goes with it.

use std::ops::Range;
use std::time::Duration;

use super::{QueuedEvent, Supervisor, Transition, TransitionKind};
use crate::id::ChildKey;
use crate::policy::spec::Strategy;
use crate::reason::ExitReason;
use crate::time::Time;

impl Supervisor {
    /// A child that lived since then failed and is wanted: count, then take its range down and bring it up.
    pub(crate) fn restart(&mut self, now: Time, at: usize, since: Time, reason: ExitReason) {
        if self.window.allow(now, self.flags.intensity) {
            let delay = self.delay(now, at, Some(since));
            self.begin_restart(now, at, now + delay);
        } else {
            self.give_up(at, reason);
        }
    }

    /// A restart did not succeed: later, after what is queued by now, or after its backoff.
    pub(crate) fn restart_failed(&mut self, now: Time, at: usize, reason: ExitReason) {
        let delay = self.delay(now, at, None);
        self.children[at].restarting = true;
        if delay.is_zero() {
            self.queue.push_back(QueuedEvent::Retry(self.children[at].key, reason));
        } else if self.window.allow(now, self.flags.intensity) {
            self.set_backoff_deadline(at, Some(now + delay));
        } else {
            self.give_up(at, reason);
        }
    }

    pub(crate) fn retry(&mut self, now: Time, key: ChildKey, reason: ExitReason) {
        let Some(at) = self.children.position(key).filter(|&at| self.children[at].restarting) else { return };
        if self.window.allow(now, self.flags.intensity) {
            self.begin_restart(now, at, now);
        } else {
            self.give_up(at, reason);
        }
    }

    /// The backoff is over, unless it has come to nothing or was replaced by another while this waited in the inbox.
    pub(crate) fn backoff_expired(&mut self, now: Time, key: ChildKey, time: Time) {
        let at = self.children.position(key).filter(|&at| self.children[at].not_before == Some(time));
        if let Some(at) = at {
            self.begin_restart(now, at, now);
        }
    }

    /// Takes the child's range down, and brings it up when the longest backoff in it is over. From here on the
    /// child speaks for its range: others in it that were about to be restarted are not any more.
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

    /// Brings a child that waits for its backoff back at once, with its range.
    pub(crate) fn restart_now(&mut self, at: usize) -> Transition {
        let range = self.range(at);
        range.clone().for_each(|other| self.cancel_restart(other));
        self.children[at].restarting = true;
        Transition::stop(range, TransitionKind::Restart)
    }

    /// Nobody is about to start this child again.
    pub(crate) fn cancel_restart(&mut self, at: usize) {
        self.children[at].restarting = false;
        self.set_backoff_deadline(at, None);
    }

    pub(crate) fn set_backoff_deadline(&mut self, at: usize, time: Option<Time>) {
        let child = &mut self.children[at];
        let earlier = std::mem::replace(&mut child.not_before, time);
        if let Some(earlier) = earlier {
            self.backoff_deadlines.remove(&(earlier, child.key));
        }
        self.backoff_deadlines.extend(time.map(|time| (time, child.key)));
    }

    fn delay(&mut self, now: Time, at: usize, since: Option<Time>) -> Duration {
        let child = &mut self.children[at];
        match child.spec.backoff {
            Some(backoff) => child.backoff_state.failed(now, since, &backoff, &mut self.rng),
            None => Duration::ZERO,
        }
    }

    /// A strategy is nothing but the range of children that share a fate.
    fn range(&self, at: usize) -> Range<usize> {
        match self.flags.strategy {
            Strategy::OneForOne => at..at + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => at..self.children.len(),
        }
    }
}

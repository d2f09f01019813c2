//! When a child that failed is started again, and who goes with it.

use std::ops::Range;
use std::time::Duration;

use crate::supervisor::Item;
use crate::turn::{Purpose, Turn};
use crate::{ChildKey, ExitReason, Strategy, Supervisor, Time};

impl Supervisor {
    /// A child that lived since then failed and is wanted: count, then take its range down and bring it up.
    pub(crate) fn restart(&mut self, now: Time, at: usize, since: Time, reason: ExitReason) {
        if self.window.allow(now, self.flags.intensity) {
            let delay = self.delay(now, at, Some(since));
            self.bring_back(now, at, now + delay);
        } else {
            self.give_up(at, reason);
        }
    }

    /// A restart did not succeed: later, after what is queued by now, or after its backoff.
    pub(crate) fn restart_failed(&mut self, now: Time, at: usize, reason: ExitReason) {
        let delay = self.delay(now, at, None);
        self.children[at].restarting = true;
        if delay.is_zero() {
            self.inbox.push_back(Item::Retry(self.children[at].key, reason));
        } else if self.window.allow(now, self.flags.intensity) {
            self.wait_until(at, Some(now + delay));
        } else {
            self.give_up(at, reason);
        }
    }

    pub(crate) fn retry(&mut self, now: Time, key: ChildKey, reason: ExitReason) {
        let Some(at) = self.children.position(key).filter(|&at| self.children[at].restarting) else { return };
        if self.window.allow(now, self.flags.intensity) {
            self.bring_back(now, at, now);
        } else {
            self.give_up(at, reason);
        }
    }

    /// The backoff is over, unless it has come to nothing or was replaced by another while this waited in the inbox.
    pub(crate) fn woken(&mut self, now: Time, key: ChildKey, time: Time) {
        let at = self.children.position(key).filter(|&at| self.children[at].not_before == Some(time));
        if let Some(at) = at {
            self.bring_back(now, at, now);
        }
    }

    /// Takes the child's range down, and brings it up when the longest backoff in it is over. From here on the
    /// child speaks for its range: others in it that were about to be restarted are not any more.
    fn bring_back(&mut self, now: Time, at: usize, not_before: Time) {
        let range = self.range(at);
        let mut latest = not_before;
        for other in range.clone().filter(|&other| other != at) {
            latest = latest.max(self.children[other].not_before.unwrap_or_default());
            self.calm(other);
        }
        self.children[at].restarting = true;
        if latest > now {
            self.wait_until(at, Some(latest));
            self.turn = Some(Turn::take_down(range, Purpose::Park));
        } else {
            self.turn = Some(Turn::take_down(range, Purpose::Restart));
        }
    }

    /// Brings a child that waits for its backoff back at once, with its range.
    pub(crate) fn wake(&mut self, at: usize) -> Turn {
        let range = self.range(at);
        range.clone().for_each(|other| self.calm(other));
        self.children[at].restarting = true;
        Turn::take_down(range, Purpose::Restart)
    }

    /// Nobody is about to start this child again.
    pub(crate) fn calm(&mut self, at: usize) {
        self.children[at].restarting = false;
        self.wait_until(at, None);
    }

    pub(crate) fn wait_until(&mut self, at: usize, time: Option<Time>) {
        let child = &mut self.children[at];
        let earlier = std::mem::replace(&mut child.not_before, time);
        if let Some(earlier) = earlier {
            self.wakeups.remove(&(earlier, child.key));
        }
        self.wakeups.extend(time.map(|time| (time, child.key)));
    }

    fn delay(&mut self, now: Time, at: usize, since: Option<Time>) -> Duration {
        let child = &mut self.children[at];
        match child.spec.backoff {
            Some(backoff) => child.row.failed(now, since, &backoff, &mut self.luck),
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

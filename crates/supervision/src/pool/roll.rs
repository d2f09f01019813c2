//! Rolling restart: the workers of one generation are replaced by those of the next.

use super::event::Action;
use super::id::Generation;
use super::report::{Report, RollAbort};
use super::{Generations, Phase, WorkerPool};
use crate::reason::ExitReason;
use crate::time::Time;

impl Generations {
    pub(super) fn new() -> Self {
        let first = Generation(1);
        Self { current: first, stable: first, latest: first, failures: 0, known: vec![first] }
    }

    pub(super) fn is_rolling(&self) -> bool {
        self.current != self.stable
    }
}

impl WorkerPool {
    /// Begins a rolling restart: workers of a new generation become ready, then those of the old one are retired
    /// (Unit: `restart`; nginx: reload).
    ///
    /// Exactly one [`Report::Rolled`] or [`Report::RollAborted`] follows. A pool that needs no workers completes the
    /// restart immediately.
    ///
    /// Returns `None` if the pool was not started or is stopping.
    pub fn restart(&mut self, now: Time) -> Option<Generation> {
        if !matches!(self.phase, Phase::Running | Phase::Drained) {
            return None;
        }
        self.abort_roll(RollAbort::Superseded);
        let generations = &mut self.generations;
        let next = Generation(generations.latest.0.saturating_add(1));
        generations.latest = next;
        generations.current = next;
        generations.known.push(next);
        // The new generation may repair the cause of the failures, so it starts without their backoffs.
        self.slot_backoffs.clear();
        self.report(Report::Rolling(next));
        self.advance(now);
        Some(next)
    }

    /// Aborts the rolling restart under way, if there is one.
    pub(super) fn abort_roll(&mut self, why: RollAbort) {
        let aborted = self.generations.current;
        if self.generations.is_rolling() {
            self.generations.current = self.generations.stable;
            self.generations.failures = 0;
            self.slot_backoffs.clear();
            self.report(Report::RollAborted(aborted, why));
        }
    }

    /// Counts a failure of a worker of the current generation. Aborts the roll at the limit.
    pub(super) fn roll_failed(&mut self, reason: ExitReason) {
        if self.generations.is_rolling() {
            self.generations.failures += 1;
            if self.generations.failures >= self.settings.roll.failures {
                self.abort_roll(RollAbort::Failed(reason));
            }
        }
    }

    /// Completes the roll when all other generations are retired and no worker of the new one is missing or starting.
    pub(super) fn finish_roll(&mut self) {
        if !self.generations.is_rolling() {
            return;
        }
        let (counts, missing) = (self.pool_counts(), self.missing());
        let alone = counts.of_other_generation == 0;
        if alone && counts.starting_fresh == 0 && missing.waiting == 0 && missing.slots.is_empty() {
            self.generations.stable = self.generations.current;
            self.generations.failures = 0;
            self.report(Report::Rolled(self.generations.current));
        }
    }

    /// Queues `Action::Forget` for generations that no worker runs or will be started from.
    pub(super) fn forget(&mut self) {
        let Generations { current, stable, known, .. } = &mut self.generations;
        known.retain(|&generation| {
            let kept = generation == *current
                || generation == *stable
                || self.workers.iter().any(|worker| worker.generation == generation);
            if !kept {
                self.actions.push_back(Action::Forget(generation));
            }
            kept
        });
    }
}

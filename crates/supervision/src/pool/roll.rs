//! Generations: which one is wanted, which one is proven, and the way from one to the other.

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
    /// Begins a new generation: it is ready first, then the old one leaves (Unit: `restart`; nginx: reload).
    ///
    /// [`Report::Rolled`] or [`Report::RollAborted`] tells how it went, exactly once. `None` when the pool has not
    /// been started or is stopping. A generation that nobody needs yet, because there is no load, is ready at once.
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
        // What kept failing before may be what the new generation repairs.
        self.slot_backoffs.clear();
        self.report(Report::Rolling(next));
        self.advance(now);
        Some(next)
    }

    /// Gives up the generation that is being rolled in, if one is.
    pub(super) fn abort_roll(&mut self, why: RollAbort) {
        let given_up = self.generations.current;
        if self.generations.is_rolling() {
            self.generations.current = self.generations.stable;
            self.generations.failures = 0;
            self.slot_backoffs.clear();
            self.report(Report::RollAborted(given_up, why));
        }
    }

    /// One worker of the current generation failed.
    pub(super) fn roll_failed(&mut self, reason: ExitReason) {
        if self.generations.is_rolling() {
            self.generations.failures += 1;
            if self.generations.failures >= self.settings.roll.failures {
                self.abort_roll(RollAbort::Failed(reason));
            }
        }
    }

    /// A roll is done when nobody of another generation is wanted and nobody of the new one is missing.
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

    /// Lets the driver drop what nobody will be started from again.
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

//! From what is to what should be: the steps after every input, in their order.

use std::cmp::Reverse;

use super::event::Action;
use super::reason::RetireReason;
use super::report::Report;
use super::worker::{Idle, State};
use super::{Phase, WorkerPool};
use crate::time::Time;

impl WorkerPool {
    pub(super) fn advance(&mut self, now: Time) {
        if let Phase::New | Phase::Terminated = self.phase {
            return;
        }
        self.expire(now);
        self.slot_backoffs
            .values_mut()
            .for_each(|attempts| attempts.until = attempts.until.filter(|&until| until > now));
        if self.phase == Phase::Running {
            self.recycle(now);
            self.mark_spares(now);
            self.retire_surplus(now);
            self.start_missing(now);
            self.retire_outdated(now);
            self.retire_idle(now);
        } else {
            self.retire_all(now);
        }
        self.emit_completions();
    }

    /// Whose turn it is to be recycled: one at a time, the one that has waited longest.
    fn recycle(&mut self, now: Time) {
        let (recycling, limit_rng) = (self.settings.recycling, self.limit_rng);
        for worker in self.workers.iter_mut().filter(|worker| worker.is_ready() && worker.due.is_none()) {
            worker.due = recycling.cause(worker, now, limit_rng).map(|cause| (now, cause));
        }
        // Its turn lasts until it is gone, not only until its replacement is ready.
        let somebody_else = self.workers.iter().any(|worker| worker.recycled);
        if somebody_else || self.pool_counts().ready_outdated > 0 {
            return;
        }
        let waiting = self.workers.iter_mut().filter(|worker| worker.is_ready());
        let first = waiting.filter_map(|worker| worker.due.map(|(since, cause)| (since, worker, cause)));
        if let Some((_, worker, cause)) = first.min_by_key(|(since, worker, _)| (*since, worker.id)) {
            worker.recycled = true;
            let id = worker.id;
            self.report(Report::Recycling(id, cause));
        }
    }

    /// Which idle workers are the spare ones. One that becomes one is the last that was used; one that is no more,
    /// the one that has been idle longest, begins its idle time now.
    pub(super) fn mark_spares(&mut self, now: Time) {
        let spare = self.size.spare() as usize;
        let mut reserved = Vec::new();
        let mut others = Vec::new();
        for (at, worker) in self.workers.iter().enumerate() {
            match worker.idle() {
                _ if self.is_outdated(at) => {}
                Some(Idle { since, surplus: None }) => reserved.push((since, at)),
                Some(Idle { since, surplus: Some(_) }) => others.push((since, at)),
                None => {}
            }
        }
        let (many, few) = (reserved.len().saturating_sub(spare), spare.saturating_sub(reserved.len()));
        reserved.sort_unstable();
        others.sort_unstable();
        for (since, at) in reserved.into_iter().take(many) {
            self.workers[at].set_idle(Idle { since, surplus: Some(now) });
        }
        for (since, at) in others.into_iter().rev().take(few) {
            self.workers[at].set_idle(Idle { since, surplus: None });
        }
    }

    /// Tells those to leave that nobody needs to wait for: starts that are outdated before they are done, and what
    /// is above the maximum.
    fn retire_surplus(&mut self, now: Time) {
        for at in 0..self.workers.len() {
            if self.workers[at].is_starting() && self.is_outdated(at) {
                self.retire(now, at, self.retire_reason(at));
            }
        }
        let counts = self.pool_counts();
        let above = (counts.starting_fresh + counts.ready_fresh).saturating_sub(self.size.max());
        if above == 0 {
            return;
        }
        // First who is not ready yet, the latest first; then who has been idle longest; then who has least to do.
        let fresh =
            (0..self.workers.len()).filter(|&at| self.workers[at].is_present() && !self.is_outdated(at));
        let mut order: Vec<usize> = fresh.collect();
        order.sort_by_key(|&at| {
            let worker = &self.workers[at];
            let newest = worker.is_starting().then_some(Reverse(worker.id.life));
            (worker.is_ready(), newest, worker.active, worker.idle().map(|idle| idle.since), worker.id.life)
        });
        for &at in order.iter().take(above as usize) {
            self.retire(now, at, RetireReason::Surplus);
        }
    }

    /// Starts what is missing, all at once as far as the bounds allow.
    fn start_missing(&mut self, now: Time) {
        let counts = self.pool_counts();
        let surge = if counts.of_other_generation > 0 {
            self.settings.surge(self.size)
        } else {
            u32::from(counts.ready_outdated > 0)
        };
        self.ceiling = self.ceiling.max(self.size.max().saturating_add(surge));
        let room = self.ceiling.saturating_sub(counts.lives);
        let parallel = self.settings.parallel_starts.saturating_sub(counts.starting_fresh);
        let generation = self.generations.current;
        for slot in self.missing().slots.into_iter().take(room.min(parallel) as usize) {
            self.start(now, slot, generation);
        }
    }

    /// Tells outdated workers to leave, never more than are ready above what is wanted. In a roll the new ones that
    /// can be started are all ready before any old one leaves.
    fn retire_outdated(&mut self, now: Time) {
        let counts = self.pool_counts();
        let unfinished = || counts.starting_fresh > 0 || self.missing().waiting > 0;
        if counts.ready_outdated == 0 || (self.generations.is_rolling() && unfinished()) {
            return;
        }
        let above = (counts.ready_fresh + counts.ready_outdated).saturating_sub(self.wanted());
        let outdated =
            (0..self.workers.len()).filter(|&at| self.workers[at].is_ready() && self.is_outdated(at));
        // First whose slot has a ready replacement, then who has least to do, then the oldest.
        let mut order: Vec<usize> = outdated.collect();
        order.sort_by_key(|&at| {
            (!self.has_replacement(at), self.workers[at].active, self.workers[at].id.life)
        });
        for &at in order.iter().take(above as usize) {
            self.retire(now, at, self.retire_reason(at));
        }
    }

    fn has_replacement(&self, at: usize) -> bool {
        let slot = self.workers[at].id.slot;
        let mut same = (0..self.workers.len()).filter(|&other| self.workers[other].id.slot == slot);
        same.any(|other| self.workers[other].is_ready() && !self.is_outdated(other))
    }

    fn retire_reason(&self, at: usize) -> RetireReason {
        let worker = &self.workers[at];
        match worker.due {
            _ if worker.generation != self.generations.current => RetireReason::Replaced,
            Some((_, cause)) if worker.recycled => RetireReason::Recycled(cause),
            _ => RetireReason::Surplus,
        }
    }

    /// Tells idle workers above the spare ones to leave when their time is over, the longest idle first.
    fn retire_idle(&mut self, now: Time) {
        let Some(timeout) = self.size.idle_timeout() else { return };
        let above = self.surplus() as usize;
        let mut order: Vec<(Time, usize)> =
            self.idle_surplus().filter(|(since, _)| *since + timeout <= now).collect();
        order.sort_unstable();
        for &(_, at) in order.iter().take(above) {
            self.retire(now, at, RetireReason::Idle);
        }
    }

    /// How many more fresh workers are ready than are wanted.
    pub(super) fn surplus(&self) -> u32 {
        self.pool_counts().ready_fresh.saturating_sub(self.wanted())
    }

    /// Who may leave for being idle, and since when their time counts.
    pub(super) fn idle_surplus(&self) -> impl Iterator<Item = (Time, usize)> + '_ {
        let idle = self.workers.iter().enumerate().filter(|(at, _)| !self.is_outdated(*at));
        idle.filter_map(|(at, worker)| worker.idle().and_then(|idle| idle.surplus).map(|since| (since, at)))
    }

    fn retire_all(&mut self, now: Time) {
        let leave = if self.phase == Phase::Drained { RetireReason::Drained } else { RetireReason::Stopped };
        for at in 0..self.workers.len() {
            self.retire(now, at, leave);
        }
    }

    /// Says what has come to its end.
    fn emit_completions(&mut self) {
        self.finish_roll();
        self.forget();
        let ready = self.workers.iter().filter(|worker| matches!(worker.state, State::Ready { .. })).count();
        if self.phase == Phase::Running && !self.announced && ready >= self.size.spare() as usize {
            self.announced = true;
            self.actions.push_back(Action::Ready);
        }
        if self.phase == Phase::Stopping && self.workers.is_empty() {
            self.phase = Phase::Terminated;
            self.actions.push_back(Action::Exit);
        }
        // Lives that were allowed once are put up with until they are gone, and in their place may come others.
        let lives = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        self.ceiling = self.ceiling.min(lives).max(self.size.max());
    }
}

//! The steps after every event that bring the workers to the wanted number.

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
            .for_each(|backoff| backoff.until = backoff.until.filter(|&until| until > now));
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

    /// Begins to recycle the worker that has waited longest, unless another one is being recycled.
    fn recycle(&mut self, now: Time) {
        let (recycling, limit_rng) = (self.settings.recycling, self.limit_rng);
        for worker in self.workers.iter_mut().filter(|worker| worker.is_ready() && worker.due.is_none()) {
            worker.due = recycling.reason(worker, now, limit_rng).map(|reason| (now, reason));
        }
        // A recycled worker counts until it has exited, not only until its replacement is ready.
        let under_way = self.workers.iter().any(|worker| worker.recycled);
        if under_way || self.pool_counts().ready_outdated > 0 {
            return;
        }
        let waiting = self.workers.iter_mut().filter(|worker| worker.is_ready());
        let first = waiting.filter_map(|worker| worker.due.map(|(since, reason)| (since, worker, reason)));
        if let Some((_, worker, reason)) = first.min_by_key(|(since, worker, _)| (*since, worker.id)) {
            worker.recycled = true;
            let id = worker.id;
            self.report(Report::Recycling(id, reason));
        }
    }

    /// Marks as many idle workers as spares as the size says.
    ///
    /// The most recently used ones become spares first. The longest idle ones stop being spares first; their idle time
    /// begins now.
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

    /// Retires workers that need no ready replacement: outdated ones that are still starting, and those above the
    /// maximum.
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
        // Starting workers first, the latest of them first; then the longest idle; then those with the least load.
        let fresh =
            (0..self.workers.len()).filter(|&at| self.workers[at].is_present() && !self.is_outdated(at));
        let mut order: Vec<usize> = fresh.collect();
        order.sort_by_key(|&at| {
            let worker = &self.workers[at];
            let newest = worker.is_starting().then_some(Reverse(worker.id.incarnation));
            (
                worker.is_ready(),
                newest,
                worker.active,
                worker.idle().map(|idle| idle.since),
                worker.id.incarnation,
            )
        });
        for &at in order.iter().take(above as usize) {
            self.retire(now, at, RetireReason::Surplus);
        }
    }

    /// Starts missing workers in parallel, up to `ceiling` and `parallel_starts`.
    fn start_missing(&mut self, now: Time) {
        let counts = self.pool_counts();
        let surge = if counts.of_other_generation > 0 {
            self.settings.surge(self.size)
        } else {
            u32::from(counts.ready_outdated > 0)
        };
        self.ceiling = self.ceiling.max(self.size.max().saturating_add(surge));
        let capacity = self.ceiling.saturating_sub(counts.total);
        let parallel = self.settings.parallel_starts.saturating_sub(counts.starting_fresh);
        let generation = self.generations.current;
        for slot in self.missing().slots.into_iter().take(capacity.min(parallel) as usize) {
            self.start(now, slot, generation);
        }
    }

    /// Retires outdated workers, but only as many as there are ready workers above the wanted number.
    ///
    /// In a roll no old worker is retired before all new ones that can be started are ready.
    fn retire_outdated(&mut self, now: Time) {
        let counts = self.pool_counts();
        let unfinished = || counts.starting_fresh > 0 || self.missing().waiting > 0;
        if counts.ready_outdated == 0 || (self.generations.is_rolling() && unfinished()) {
            return;
        }
        let above = (counts.ready_fresh + counts.ready_outdated).saturating_sub(self.wanted());
        let outdated =
            (0..self.workers.len()).filter(|&at| self.workers[at].is_ready() && self.is_outdated(at));
        // Workers with a ready replacement in their slot first; then those with the least load; then the oldest.
        let mut order: Vec<usize> = outdated.collect();
        order.sort_by_key(|&at| {
            (!self.has_replacement(at), self.workers[at].active, self.workers[at].id.incarnation)
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
            Some((_, reason)) if worker.recycled => RetireReason::Recycled(reason),
            _ => RetireReason::Surplus,
        }
    }

    /// Retires idle workers that are not spares after `idle_timeout`, the longest idle first.
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

    /// The number of fresh ready workers above the wanted number.
    pub(super) fn surplus(&self) -> u32 {
        self.pool_counts().ready_fresh.saturating_sub(self.wanted())
    }

    /// Idle workers that are not spares: since when, and their index.
    pub(super) fn idle_surplus(&self) -> impl Iterator<Item = (Time, usize)> + '_ {
        let idle = self.workers.iter().enumerate().filter(|(at, _)| !self.is_outdated(*at));
        idle.filter_map(|(at, worker)| worker.idle().and_then(|idle| idle.surplus).map(|since| (since, at)))
    }

    fn retire_all(&mut self, now: Time) {
        let reason = if self.phase == Phase::Drained { RetireReason::Drained } else { RetireReason::Stopped };
        for at in 0..self.workers.len() {
            self.retire(now, at, reason);
        }
    }

    /// Completes what has come to its end: the roll, generations without workers, `Ready`, `Exit`.
    fn emit_completions(&mut self) {
        self.finish_roll();
        self.forget();
        let ready = self.workers.iter().filter(|worker| matches!(worker.state, State::Ready { .. })).count();
        if self.phase == Phase::Running && !self.ready_emitted && ready >= self.size.spare() as usize {
            self.ready_emitted = true;
            self.actions.push_back(Action::Ready);
        }
        if self.phase == Phase::Stopping && self.workers.is_empty() {
            self.phase = Phase::Terminated;
            self.actions.push_back(Action::Exit);
        }
        // Workers above the maximum may stay until they exit; `ceiling` never falls below their number.
        let total = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        self.ceiling = self.ceiling.min(total).max(self.size.max());
    }
}

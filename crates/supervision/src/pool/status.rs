//! Counts of workers by state.
//!
//! Every number is counted from the list of workers when it is needed. No counter is kept, so none can drift.

use super::id::{Generation, WorkerId};
use super::size::PoolSize;
use super::worker::State;
use super::{Phase, WorkerPool};

/// The number of workers in each state, and the load (Unit: `/status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Started and not ready yet.
    pub starting: u32,
    /// Ready, without load.
    pub idle: u32,
    /// Ready, with load.
    pub busy: u32,
    /// Retired or killed, and not exited yet.
    pub retiring: u32,
    /// Missing workers: their slots wait for a backoff.
    pub waiting: u32,
    /// Requests or connections that workers have, retiring ones included.
    pub active: u32,
    /// Requests or connections that wait for a worker.
    pub queued: u32,
}

impl Counts {
    /// The number of workers that run, in any state.
    pub const fn total(&self) -> u32 {
        self.starting + self.ready() + self.retiring
    }

    /// The number of workers that can take requests.
    pub const fn ready(&self) -> u32 {
        self.idle + self.busy
    }
}

/// The state of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Started and not ready yet.
    Starting,
    /// Ready: it can take requests.
    Ready,
    /// Retired or killed.
    Retiring,
}

/// One entry of [`WorkerPool::workers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Slot and incarnation.
    pub id: WorkerId,
    /// The generation that it was started from.
    pub generation: Generation,
    /// Its state.
    pub state: WorkerState,
    /// Requests or connections that it has.
    pub active: u32,
}

/// Counts for the rules. An outdated worker is to be replaced; a fresh one is not (see `is_outdated`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolCounts {
    /// Workers in any state.
    pub(super) total: u32,
    pub(super) starting_fresh: u32,
    pub(super) ready_fresh: u32,
    pub(super) ready_outdated: u32,
    /// Starting and ready workers of a generation that is not the current one.
    pub(super) of_other_generation: u32,
}

/// Slots without a fresh worker that should have one.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    /// Slots that can be started now.
    pub(super) slots: Vec<u32>,
    /// The number of further slots, which wait for a backoff.
    pub(super) waiting: u32,
}

impl WorkerPool {
    /// The number of workers in each state. Cost: linear in their number.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { waiting: self.missing().waiting, queued: self.queued, ..Counts::default() };
        for worker in &self.workers {
            counts.active = counts.active.saturating_add(worker.active);
            match worker.state {
                State::Starting { .. } => counts.starting += 1,
                State::Ready { idle: Some(_), .. } => counts.idle += 1,
                State::Ready { idle: None, .. } => counts.busy += 1,
                State::Retiring { .. } | State::Killed { .. } => counts.retiring += 1,
            }
        }
        counts
    }

    /// All workers that have not exited, oldest first.
    pub fn workers(&self) -> impl Iterator<Item = WorkerInfo> + '_ {
        self.workers.iter().map(|worker| WorkerInfo {
            id: worker.id,
            generation: worker.generation,
            active: worker.active,
            state: match worker.state {
                State::Starting { .. } => WorkerState::Starting,
                State::Ready { .. } => WorkerState::Ready,
                State::Retiring { .. } | State::Killed { .. } => WorkerState::Retiring,
            },
        })
    }

    /// The workers that can take requests: ready and not retired. Oldest first.
    pub fn serving(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.workers.iter().filter(|worker| worker.is_ready()).map(|worker| worker.id)
    }

    /// The number of ready workers that the load needs now.
    pub(super) fn wanted(&self) -> u32 {
        if self.phase != Phase::Running {
            return 0;
        }
        let present = self.workers.iter().filter(|worker| worker.is_present());
        let load = present.fold(self.queued, |load, worker| load.saturating_add(worker.active));
        self.size.wanted(load.div_ceil(self.settings.capacity))
    }

    /// Whether the worker at this index is to be replaced or retired.
    pub(super) fn is_outdated(&self, at: usize) -> bool {
        let worker = &self.workers[at];
        // The slots of a static pool are those below its size.
        let misplaced = matches!(self.size, PoolSize::Static(all) if worker.id.slot >= all);
        worker.generation != self.generations.current || worker.recycled || misplaced
    }

    pub(super) fn pool_counts(&self) -> PoolCounts {
        let total = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        let mut counts = PoolCounts { total, ..PoolCounts::default() };
        for (at, worker) in self.workers.iter().enumerate().filter(|(_, worker)| worker.is_present()) {
            match (worker.is_ready(), self.is_outdated(at)) {
                (false, false) => counts.starting_fresh += 1,
                (true, false) => counts.ready_fresh += 1,
                (true, true) => counts.ready_outdated += 1,
                (false, true) => {}
            }
            counts.of_other_generation += u32::from(worker.generation != self.generations.current);
        }
        counts
    }

    /// The lowest free slots, one per missing fresh worker.
    pub(super) fn missing(&self) -> Missing {
        let wanted = self.wanted();
        let counts = self.pool_counts();
        let mut deficit = wanted.saturating_sub(counts.starting_fresh + counts.ready_fresh);
        let mut missing = Missing::default();
        if deficit == 0 {
            return missing;
        }
        let mut taken = vec![false; wanted as usize];
        for (at, worker) in self.workers.iter().enumerate() {
            if worker.is_present() && !self.is_outdated(at) {
                taken.get_mut(worker.id.slot as usize).into_iter().for_each(|taken| *taken = true);
            }
        }
        for slot in (0..wanted).filter(|slot| !taken[*slot as usize]) {
            if deficit == 0 {
                break;
            }
            deficit -= 1;
            if self.slot_backoffs.get(&slot).is_some_and(|backoff| backoff.until.is_some()) {
                missing.waiting += 1;
            } else {
                missing.slots.push(slot);
            }
        }
        missing
    }
}

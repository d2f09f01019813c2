//! Counting. Nothing is ever added up and taken off again: every number is counted from the lives that are known,
//! so none can be wrong for longer than a life.

use super::id::{Generation, WorkerId};
use super::size::PoolSize;
use super::worker::State;
use super::{Phase, WorkerPool};

/// How many workers are in which state (Unit: `/status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Started and not ready yet.
    pub starting: u32,
    /// Ready, without load.
    pub idle: u32,
    /// Ready, with load.
    pub busy: u32,
    /// Told to leave or killed, and not gone yet.
    pub retiring: u32,
    /// Missing: they wait for a backoff. No lives.
    pub waiting: u32,
    /// The requests or connections that workers have, retiring ones included.
    pub active: u32,
    /// The requests or connections that wait for a worker.
    pub queued: u32,
}

impl Counts {
    /// How many lives there are, in whatever state.
    pub const fn lives(&self) -> u32 {
        self.starting + self.ready() + self.retiring
    }

    /// How many workers can be given something to do.
    pub const fn ready(&self) -> u32 {
        self.idle + self.busy
    }
}

/// How a worker is, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Started and not ready yet.
    Starting,
    /// Ready; it may be given something to do.
    Ready,
    /// Told to leave or killed.
    Retiring,
}

/// One line of [`WorkerPool::workers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Which life.
    pub id: WorkerId,
    /// What it was started from.
    pub generation: Generation,
    /// How it is.
    pub state: WorkerState,
    /// How many requests or connections it has.
    pub active: u32,
}

/// What the rules look at. A fresh worker is one that may stay; an outdated one is there until it is replaced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolCounts {
    pub(super) lives: u32,
    pub(super) starting_fresh: u32,
    pub(super) ready_fresh: u32,
    pub(super) ready_outdated: u32,
    /// Present ones of a generation that is not the current one.
    pub(super) of_other_generation: u32,
}

/// Which slots are missing a worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    /// These can be started.
    pub(super) slots: Vec<u32>,
    /// So many more wait for a backoff.
    pub(super) waiting: u32,
}

impl WorkerPool {
    /// How many workers are in which state. Counted anew every time.
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

    /// All lives, oldest first.
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

    /// The workers that may be given something new: ready, and not told to leave. Oldest first.
    pub fn serving(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.workers.iter().filter(|worker| worker.is_ready()).map(|worker| worker.id)
    }

    /// How many ready workers there should be now.
    pub(super) fn wanted(&self) -> u32 {
        if self.phase != Phase::Running {
            return 0;
        }
        let present = self.workers.iter().filter(|worker| worker.is_present());
        let load = present.fold(self.queued, |load, worker| load.saturating_add(worker.active));
        self.size.wanted(load.div_ceil(self.settings.capacity))
    }

    /// Whether a worker is there only until it is replaced, by its index.
    pub(super) fn is_outdated(&self, at: usize) -> bool {
        let worker = &self.workers[at];
        // A static pool has a meaning for each slot; those beyond its size have none.
        let misplaced = matches!(self.size, PoolSize::Static(all) if worker.id.slot >= all);
        worker.generation != self.generations.current || worker.recycled || misplaced
    }

    pub(super) fn pool_counts(&self) -> PoolCounts {
        let lives = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        let mut counts = PoolCounts { lives, ..PoolCounts::default() };
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

    /// The lowest free slots, as many as fresh workers are missing.
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
            if self.slot_backoffs.get(&slot).is_some_and(|attempts| attempts.until.is_some()) {
                missing.waiting += 1;
            } else {
                missing.slots.push(slot);
            }
        }
        missing
    }
}

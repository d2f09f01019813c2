//! How many workers a pool has: a pure function of load and time, in the grammar of the supervisors.
//!
//! A [`WorkerPool`] decides when a worker is started, when it is told to leave and when it is killed. Who starts it, what
//! it is (a process, an actor) and how its load is known is the driver's business. The formulas are Unit's, as far
//! as they are good (`processes`, `spare`, `max`, `idle_timeout`), with what its users missed: starts in parallel,
//! failed starts tried again, recycling and restarts without a dip.
//!
//! Three types to know:
//!
//! * [`PoolSize`]: how many workers, fixed or by load; together with the rest of the wishes in [`Settings`].
//! * [`WorkerPool`]: the rules. Unlike a supervisor it never gives up; a failing slot backs off and is tried again.
//! * [`WorkerId`]: one life in one slot, the name under which everything about a worker is said.

mod advance;
mod error;
mod event;
mod id;
mod lifecycle;
mod reason;
mod recycling;
mod report;
mod roll;
mod settings;
mod size;
mod status;
mod worker;

use std::collections::{BTreeMap, VecDeque};

use crate::policy::rng::SplitMix64;
use crate::time::Time;
use worker::{SlotBackoff, Worker};

pub use error::PoolError;
pub use event::{Action, Event};
pub use id::{Generation, WorkerId};
pub use reason::{RecycleReason, RetireReason};
pub use recycling::{RECYCLING_JITTER, Recycling};
pub use report::{Report, RollAbort, StartOutcome};
pub use settings::{PARALLEL_STARTS, RETIRE_TIMEOUT, ROLL_FAILURES, RollingRestart, START_TIMEOUT, Settings};
pub use size::{IDLE_TIMEOUT, MAX_WORKERS, PoolSize};
pub use status::{Counts, WorkerInfo, WorkerState};

/// The rules of one pool of workers (Unit: the router's application processes; php-fpm: a pool).
///
/// Call [`handle`](Self::handle), then drain [`poll_action`](Self::poll_action) until `None`, then ask
/// [`poll_timeout`](Self::poll_timeout) when to come back with [`Event::Timeout`] if nothing else happens first. An
/// input costs time in proportion to the number of workers, but for the load of a static pool.
///
/// ```
/// use impresario_supervision::pool::{Action, Event, PoolSize, Report, StartOutcome, WorkerPool};
/// use impresario_supervision::{ExitReason, Time};
///
/// let now = Time::START;
/// let mut pool = WorkerPool::new(PoolSize::Static(1), 0).unwrap();
/// pool.handle(now, Event::Start);
/// let Some(Action::Start(first, _)) = pool.poll_action() else { panic!() };
/// pool.handle(now, Event::Started(first));
/// assert_eq!(pool.poll_action(), Some(Action::Report(Report::Start(first, StartOutcome::Ready))));
/// assert_eq!(pool.poll_action(), Some(Action::Ready));
///
/// pool.handle(now, Event::Exited(first, ExitReason::Killed));
/// assert!(matches!(pool.poll_action(), Some(Action::Report(Report::Died(..)))));
/// let Some(Action::Start(second, _)) = pool.poll_action() else { panic!() };
/// assert!(second.slot == first.slot && second.life > first.life);
/// ```
#[derive(Clone, Debug)]
pub struct WorkerPool {
    settings: Settings,
    /// The size of the settings, scaled by `shift` workers.
    size: PoolSize,
    shift: i32,
    limit_rng: SplitMix64,
    rng: SplitMix64,
    phase: Phase,
    /// Every life that is known, oldest first.
    workers: Vec<Worker>,
    queued: u32,
    /// The slots whose workers have failed lately.
    slot_backoffs: BTreeMap<u32, SlotBackoff>,
    generations: Generations,
    /// How many lives there may be: the maximum, and what was above it and is not gone yet.
    ceiling: u32,
    /// Whether [`Action::Ready`] has been said.
    announced: bool,
    next_incarnation: u64,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug)]
struct Generations {
    /// What workers are started from.
    current: Generation,
    /// The last one that was ready and alone; where to go back to. The same as `current` unless a roll is under way.
    stable: Generation,
    latest: Generation,
    /// How many workers of `current` have failed since the roll began.
    failures: u32,
    /// Those that have not been forgotten.
    known: Vec<Generation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    Drained,
    Stopping,
    Terminated,
}

impl WorkerPool {
    /// Checks everything, starts nothing. `seed` is any number; the chance in the limits of [`Recycling`] and in
    /// the backoff comes from it, so two pools that should not move in step get different ones.
    ///
    /// # Errors
    ///
    /// A [`PoolError`] that names the value.
    pub fn new(settings: impl Into<Settings>, seed: u64) -> Result<Self, PoolError> {
        let settings = settings.into();
        settings.check()?;
        Ok(Self {
            settings,
            size: settings.size,
            shift: 0,
            limit_rng: SplitMix64(seed),
            rng: SplitMix64(seed),
            phase: Phase::New,
            workers: Vec::new(),
            queued: 0,
            slot_backoffs: BTreeMap::new(),
            generations: Generations::new(),
            ceiling: settings.size.max(),
            announced: false,
            next_incarnation: 1,
            actions: VecDeque::new(),
        })
    }

    /// What the pool was told about itself.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The size it has now: that of its settings, with what was scaled since.
    pub fn size(&self) -> PoolSize {
        self.size
    }

    /// What workers are started from now.
    pub fn generation(&self) -> Generation {
        self.generations.current
    }

    /// Whether a new generation is on its way and may still be given up.
    pub fn is_rolling(&self) -> bool {
        self.generations.is_rolling()
    }

    /// Tells what has happened. Drain [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Start => {
                if let Phase::New | Phase::Drained = self.phase {
                    self.phase = Phase::Running;
                }
            }
            Event::Started(id) => self.started(now, id),
            Event::StartFailed(id, reason) | Event::Exited(id, reason) => self.exited(now, id, reason),
            Event::Load { worker, active, queued } => {
                self.load(now, worker, active);
                return self.queue(now, queued);
            }
            Event::Queued(queued) => return self.queue(now, queued),
            Event::Usage { worker, requests, memory } => self.usage(worker, requests, memory),
            Event::Recycle(id) => self.recycle_asked(now, id),
            Event::ScaleUp => self.scale(1),
            Event::ScaleDown => self.scale(-1),
            Event::Drain => {
                if self.phase == Phase::Running {
                    self.abort_roll(RollAbort::Stopped);
                    self.phase = Phase::Drained;
                }
            }
            Event::Stop => self.stop(),
            Event::Kill => {
                self.stop();
                self.kill_all();
            }
            Event::Timeout => {}
        }
        self.advance(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let bounds = self.workers.iter().filter_map(Worker::deadline);
        if self.phase != Phase::Running {
            return bounds.min();
        }
        let waits = self.slot_backoffs.values().filter_map(|attempts| attempts.until);
        let idle_timeout = self.size.idle_timeout().filter(|_| self.surplus() > 0);
        let idle =
            idle_timeout.and_then(|timeout| self.idle_surplus().map(|(since, _)| since + timeout).min());
        let young = self.workers.iter().filter(|worker| worker.due.is_none());
        let ages = young.filter_map(|worker| self.settings.recycling.deadline(worker, self.limit_rng));
        bounds.chain(waits).chain(idle).chain(ages).min()
    }

    /// Takes new settings in place of the old ones; workers that fit them stay. What was scaled is forgotten.
    ///
    /// # Errors
    ///
    /// A [`PoolError`] that names the value; the pool is then as it was.
    pub fn reconfigure(&mut self, now: Time, settings: impl Into<Settings>) -> Result<(), PoolError> {
        let settings = settings.into();
        settings.check()?;
        // Who was a spare one up to now has no idle time behind it.
        self.mark_spares(now);
        self.settings = settings;
        self.size = settings.size;
        self.shift = 0;
        // The limits may have changed: who waits for its turn because of one is looked at again.
        for worker in self.workers.iter_mut().filter(|worker| !worker.recycled) {
            worker.due = worker.due.filter(|(_, cause)| *cause == RecycleReason::Asked);
        }
        self.advance(now);
        Ok(())
    }

    /// Loads come often, and a static pool does the same whatever they are.
    fn queue(&mut self, now: Time, queued: u32) {
        self.queued = queued;
        if !matches!(self.size, PoolSize::Static(_)) {
            self.advance(now);
        }
    }

    fn scale(&mut self, by: i32) {
        if let Phase::Stopping | Phase::Terminated = self.phase {
            return;
        }
        match self.settings.size.shifted(self.shift + by) {
            Some(size) => {
                self.size = size;
                self.shift += by;
                self.report(Report::Scaled(size));
            }
            None => self.report(Report::ScaleRefused(self.size)),
        }
    }

    fn stop(&mut self) {
        if self.phase != Phase::Terminated {
            self.abort_roll(RollAbort::Stopped);
            self.phase = Phase::Stopping;
        }
    }
}

//! The size of a pool of workers, decided from load and time, as a pure state machine.
//!
//! * [`WorkerPool`]: the rules. It decides when a worker is started, retired and killed.
//! * [`PoolSize`] and [`Settings`]: how many workers, fixed or by load; bounds, time-outs, recycling.
//! * [`WorkerId`]: one incarnation in one slot.
//!
//! The driver starts workers, observes their load and executes the actions. A worker may be a process or an actor.
//! There is no driver yet.
//!
//! The settings `processes`, `spare`, `max` and `idle_timeout` are those of Unit. In addition a pool starts workers in
//! parallel, retries failed starts, recycles workers, and replaces a generation without fewer ready workers meanwhile.
//! It never gives up: a slot backs off when its workers fail, and is retried.
//!
//! The folder knows `policy` and ids, reasons and times of the root. It knows no supervisor.

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
/// Call [`handle`](Self::handle), drain [`poll_action`](Self::poll_action), then set a timer to
/// [`poll_timeout`](Self::poll_timeout). If it fires before another event, pass [`Event::Timeout`].
///
/// Cost: linear in the number of workers per event; constant for the load of a static pool.
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
/// assert!(second.slot == first.slot && second > first);
/// ```
#[derive(Clone, Debug)]
pub struct WorkerPool {
    settings: Settings,
    /// `settings.size`, shifted by `shift` workers.
    size: PoolSize,
    /// The sum of `ScaleUp` and `ScaleDown` since the last `reconfigure`.
    shift: i32,
    /// Draws the jitter of recycling limits: number `n` is that of incarnation `n`.
    limit_rng: SplitMix64,
    /// Draws the jitter of backoffs.
    rng: SplitMix64,
    phase: Phase,
    /// Every worker that has not exited, sorted by incarnation.
    workers: Vec<Worker>,
    /// Requests or connections that wait for any worker.
    queued: u32,
    /// The backoff of each slot in which a worker failed.
    slot_backoffs: BTreeMap<u32, SlotBackoff>,
    generations: Generations,
    /// The bound on workers in any state: the maximum, plus those above it that have not exited yet.
    ceiling: u32,
    /// Whether [`Action::Ready`] was queued.
    ready_emitted: bool,
    next_incarnation: u64,
    actions: VecDeque<Action>,
}

/// The generations of a pool and the rolling restart under way.
#[derive(Clone, Debug)]
struct Generations {
    /// New workers are started from this one.
    current: Generation,
    /// The last one that was completely ready. An aborted roll returns to it. Equal to `current` unless a roll is
    /// under way.
    stable: Generation,
    /// The one with the highest number.
    latest: Generation,
    /// Failures of workers of `current` since the roll began.
    failures: u32,
    /// Those for which `Action::Forget` was not queued yet.
    known: Vec<Generation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before `Event::Start`.
    New,
    Running,
    /// All workers are retired and none is started, until `Event::Start`.
    Drained,
    /// All workers are retired or killed and none is started; `Action::Exit` follows.
    Stopping,
    /// `Action::Exit` was queued.
    Terminated,
}

impl WorkerPool {
    /// Checks the settings. [`Event::Start`] starts the workers.
    ///
    /// `seed`: any number. The jitter of [`Recycling`] limits and of backoffs follows from it. Two pools with the same
    /// seed recycle and retry in step.
    ///
    /// # Errors
    ///
    /// A [`PoolError`] that names the invalid value.
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
            ready_emitted: false,
            next_incarnation: 1,
            actions: VecDeque::new(),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The current size: that of the settings, changed by [`Event::ScaleUp`] and [`Event::ScaleDown`].
    pub fn size(&self) -> PoolSize {
        self.size
    }

    /// The generation that new workers are started from.
    pub fn generation(&self) -> Generation {
        self.generations.current
    }

    /// Whether a rolling restart is under way, which may still be aborted.
    pub fn is_rolling(&self) -> bool {
        self.generations.is_rolling()
    }

    /// Handles an event. Drain [`poll_action`](Self::poll_action) afterwards.
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
            Event::Recycle(id) => self.recycle_on_request(now, id),
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

    /// The next action; `None` when all are taken.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to pass [`Event::Timeout`], unless another event comes first. `None`: no timer is needed.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadlines = self.workers.iter().filter_map(Worker::deadline);
        if self.phase != Phase::Running {
            return deadlines.min();
        }
        let backoffs = self.slot_backoffs.values().filter_map(|backoff| backoff.until);
        let idle_timeout = self.size.idle_timeout().filter(|_| self.surplus() > 0);
        let idle =
            idle_timeout.and_then(|timeout| self.idle_surplus().map(|(since, _)| since + timeout).min());
        let not_due = self.workers.iter().filter(|worker| worker.due.is_none());
        let ages = not_due.filter_map(|worker| self.settings.recycling.deadline(worker, self.limit_rng));
        deadlines.chain(backoffs).chain(idle).chain(ages).min()
    }

    /// Replaces the settings; workers that fit the new ones stay. Undoes `ScaleUp` and `ScaleDown`.
    ///
    /// # Errors
    ///
    /// A [`PoolError`] that names the invalid value; then nothing is replaced.
    pub fn reconfigure(&mut self, now: Time, settings: impl Into<Settings>) -> Result<(), PoolError> {
        let settings = settings.into();
        settings.check()?;
        // Marks the spares by the old size first: the idle time of one that stops being a spare begins now.
        self.mark_spares(now);
        self.settings = settings;
        self.size = settings.size;
        self.shift = 0;
        // The limits may have changed, so workers that wait because of one are checked again.
        for worker in self.workers.iter_mut().filter(|worker| !worker.recycled) {
            worker.due = worker.due.filter(|(_, reason)| *reason == RecycleReason::Asked);
        }
        self.advance(now);
        Ok(())
    }

    /// Sets the queue length. Load does not change a static pool, so there the linear `advance` is skipped.
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

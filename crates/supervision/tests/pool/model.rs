//! A model of a pool: a list of workers. After every event it asserts the invariants of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use impresario_supervision::pool::{
    Action, Counts, Event, Generation, PoolSize, Report, RetireReason, Settings, StartOutcome, WorkerId,
    WorkerPool,
};
use impresario_supervision::{ExitReason, Incarnation, Time};
use proptest::sample::Index;

/// An event about one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WorkerEvent {
    Started,
    StartFailed,
    /// Whether the exit reason is clean.
    Exited(bool),
    Load(u32, u32),
    Usage(u64, u64),
    Recycle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Retiring,
    Killed,
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    generation: Generation,
    phase: Phase,
    active: u32,
}

pub(crate) struct Model {
    pool: WorkerPool,
    now: Time,
    workers: BTreeMap<Incarnation, Worker>,
    exited_ids: Vec<WorkerId>,
    queued: u32,
    /// Starts without an outcome.
    open_starts: BTreeSet<Incarnation>,
    open_rolls: BTreeSet<Generation>,
    forgotten: BTreeSet<Generation>,
    recycling: Option<WorkerId>,
    latest: u64,
    largest_max: u32,
    /// The highest permitted number of workers above the maximum, from the events so far.
    largest_surge: u32,
    has_rolled: bool,
    running: bool,
    stopping: bool,
    ready_emitted: bool,
    exited: bool,
}

impl Model {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        let mut model = Self {
            pool: WorkerPool::new(settings, seed).expect("the settings are valid"),
            now: Time::START,
            workers: BTreeMap::new(),
            exited_ids: Vec::new(),
            queued: 0,
            open_starts: BTreeSet::new(),
            open_rolls: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            recycling: None,
            latest: 0,
            largest_max: settings.size.max(),
            largest_surge: 0,
            has_rolled: false,
            running: false,
            stopping: false,
            ready_emitted: false,
            exited: false,
        };
        model.request_start();
        model
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.exited
    }

    pub(crate) fn worker_event(&mut self, index: Index, event: WorkerEvent) {
        let workers: Vec<WorkerId> = self.workers.values().map(|worker| worker.id).collect();
        if !workers.is_empty() {
            self.apply(*index.get(&workers), event);
        }
    }

    /// An event about an exited worker changes nothing but the queue length.
    pub(crate) fn stale_event(&mut self, index: Index, event: WorkerEvent) {
        if self.exited_ids.is_empty() {
            return;
        }
        let id = *index.get(&self.exited_ids);
        let event = match event {
            WorkerEvent::Load(active, _) => WorkerEvent::Load(active, self.queued),
            event => event,
        };
        self.time_out_now();
        let before = format!("{:?}", self.pool);
        self.pool.handle(self.now, to_event(id, event));
        assert_eq!(format!("{:?}", self.pool), before);
    }

    pub(crate) fn newest_exits(&mut self) {
        if let Some(id) = self.workers.values().next_back().map(|worker| worker.id) {
            self.apply(id, WorkerEvent::Exited(false));
        }
    }

    pub(crate) fn answer_all(&mut self) {
        let workers: Vec<WorkerId> = self.workers.values().map(|worker| worker.id).collect();
        for id in workers {
            match self.workers.get(&id.incarnation).map(|worker| worker.phase) {
                Some(Phase::Starting) => self.apply(id, WorkerEvent::Started),
                Some(Phase::Retiring | Phase::Killed) => self.apply(id, WorkerEvent::Exited(true)),
                Some(Phase::Ready) | None => {}
            }
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        self.now = self.pool.poll_timeout().map_or(end, |at| at.clamp(self.now, end));
    }

    pub(crate) fn time_out(&mut self) {
        if let Some(at) = self.pool.poll_timeout() {
            self.now = self.now.max(at);
        }
        self.time_out_now();
    }

    fn time_out_now(&mut self) {
        self.handle(Event::Timeout);
        let next = self.pool.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "a timer that has expired already");
    }

    pub(crate) fn queued(&mut self, queued: u32) {
        self.queued = queued;
        self.handle(Event::Queued(queued));
    }

    pub(crate) fn restart(&mut self) {
        if let Some(generation) = self.pool.restart(self.now) {
            self.has_rolled = true;
            self.largest_surge = self.largest_surge.max(self.surge());
            let actions = self.drain();
            assert!(actions.contains(&Action::Report(Report::Rolling(generation))));
        }
    }

    pub(crate) fn scale(&mut self, up: bool) {
        self.pool.handle(self.now, if up { Event::ScaleUp } else { Event::ScaleDown });
        self.resized();
    }

    pub(crate) fn reconfigure(&mut self, settings: Settings) {
        self.pool.reconfigure(self.now, settings).expect("the settings are valid");
        self.resized();
    }

    fn resized(&mut self) {
        self.largest_max = self.largest_max.max(self.pool.size().max());
        // Workers in slots above a static size are replaced one at a time.
        self.largest_surge = self.largest_surge.max(if self.has_rolled { self.surge() } else { 1 });
        self.drain();
    }

    fn surge(&self) -> u32 {
        self.pool.settings().roll.surge.unwrap_or(self.pool.size().max())
    }

    pub(crate) fn request_drain(&mut self) {
        self.running = false;
        self.handle(Event::Drain);
    }

    pub(crate) fn request_start(&mut self) {
        self.running = !self.stopping;
        self.handle(Event::Start);
    }

    pub(crate) fn request_stop(&mut self, kill: bool) {
        (self.stopping, self.running) = (true, false);
        self.handle(if kill { Event::Kill } else { Event::Stop });
        assert!(self.workers.values().all(|worker| worker.phase == Phase::Killed || !kill));
    }

    /// Answers everything immediately and passes all deadlines, until nothing is under way.
    pub(crate) fn run_until_idle(&mut self) {
        for _ in 0..1_000 {
            self.answer_all();
            let counts = self.pool.counts();
            if counts.starting + counts.retiring + counts.waiting == 0 && !self.pool.is_rolling() {
                return self.check_idle(counts);
            }
            if counts.starting + counts.retiring == 0 {
                self.time_out();
            }
        }
        panic!("not idle after 1,000 rounds: {:?}", self.pool);
    }

    fn check_idle(&self, counts: Counts) {
        assert!(counts.ready() >= self.wanted(), "{counts:?}");
        assert!(counts.ready() <= self.pool.size().max(), "{counts:?}");
        assert!(self.open_starts.is_empty() && self.open_rolls.is_empty() && self.ready_emitted);
        let current = self.pool.generation();
        assert!(self.workers.values().all(|worker| worker.generation == current));
        assert!(!self.forgotten.contains(&current));
        if let PoolSize::Static(all) = self.pool.size() {
            let slots: Vec<u32> = self.workers.values().map(|worker| worker.id.slot).collect();
            assert_eq!(slots.iter().copied().collect::<BTreeSet<_>>(), (0..all).collect(), "{slots:?}");
            assert_eq!(slots.len(), all as usize);
        }
    }

    /// The wanted number of ready workers, computed here by the same formula.
    fn wanted(&self) -> u32 {
        let present =
            self.workers.values().filter(|worker| matches!(worker.phase, Phase::Starting | Phase::Ready));
        let load = present.map(|worker| worker.active).sum::<u32>() + self.queued;
        let busy = load.div_ceil(self.pool.settings().capacity);
        match self.pool.size() {
            PoolSize::Static(all) => all,
            size => (busy + size.spare()).min(size.max()),
        }
    }

    fn apply(&mut self, id: WorkerId, event: WorkerEvent) {
        let worker = self.workers.get_mut(&id.incarnation).expect("it runs");
        match event {
            WorkerEvent::Started if worker.phase == Phase::Starting => worker.phase = Phase::Ready,
            WorkerEvent::StartFailed | WorkerEvent::Exited(_) => {
                self.workers.remove(&id.incarnation);
                self.exited_ids.push(id);
                self.recycling = self.recycling.filter(|&recycling| recycling != id);
            }
            WorkerEvent::Load(active, queued) => {
                if worker.phase != Phase::Starting {
                    worker.active = active;
                }
                self.queued = queued;
            }
            WorkerEvent::Started | WorkerEvent::Usage(..) | WorkerEvent::Recycle => {}
        }
        self.handle(to_event(id, event));
    }

    fn handle(&mut self, event: Event) {
        self.pool.handle(self.now, event);
        self.drain();
    }

    fn drain(&mut self) -> Vec<Action> {
        let actions: Vec<Action> = std::iter::from_fn(|| self.pool.poll_action()).collect();
        for action in &actions {
            assert!(!self.exited, "an action after the exit");
            self.check(action);
        }
        let ready = self.workers.values().filter(|worker| worker.phase == Phase::Ready).count();
        if self.replaces_a_ready_worker(&actions) {
            assert!(ready >= self.wanted() as usize, "fewer ready workers than wanted: {actions:?}");
        }
        self.check_counts();
        actions
    }

    /// Whether a ready worker was retired in favour of another one.
    fn replaces_a_ready_worker(&self, actions: &[Action]) -> bool {
        let is_static = matches!(self.pool.size(), PoolSize::Static(_));
        let replaced = actions.iter().filter_map(|action| match action {
            Action::Retire(id, RetireReason::Recycled(_) | RetireReason::Replaced) => Some(*id),
            Action::Retire(id, RetireReason::Surplus) if is_static => Some(*id),
            _ => None,
        });
        let was_starting = |id: WorkerId| {
            let failed_start = Action::Report(Report::Start(id, StartOutcome::Failed(ExitReason::Shutdown)));
            actions.contains(&failed_start)
        };
        replaced.into_iter().any(|id| !was_starting(id))
    }

    fn check_counts(&self) {
        let counts = self.pool.counts();
        let count = |phase| self.workers.values().filter(|worker| worker.phase == phase).count() as u32;
        assert_eq!(counts.total() as usize, self.workers.len());
        assert_eq!((counts.starting, counts.ready()), (count(Phase::Starting), count(Phase::Ready)));
        assert_eq!(counts.active, self.workers.values().map(|worker| worker.active).sum::<u32>());
        assert_eq!(counts.queued, self.queued);
        assert_eq!(self.open_starts.len(), counts.starting as usize, "an outcome of a start is missing");
        let serving: Vec<WorkerId> = self.pool.serving().collect();
        let ready = self.workers.values().filter(|worker| worker.phase == Phase::Ready);
        assert_eq!(serving, ready.map(|worker| worker.id).collect::<Vec<_>>());
    }

    fn check(&mut self, action: &Action) {
        match action {
            Action::Start(id, generation) => self.check_start(*id, *generation),
            Action::Retire(id, _) => {
                let worker = self.workers.get_mut(&id.incarnation).expect("retired worker does not run");
                assert!(matches!(worker.phase, Phase::Starting | Phase::Ready), "retired twice");
                worker.phase = Phase::Retiring;
            }
            Action::Kill(id) => {
                let worker = self.workers.get_mut(&id.incarnation).expect("killed worker does not run");
                assert_ne!(worker.phase, Phase::Killed, "killed twice");
                worker.phase = Phase::Killed;
            }
            Action::Forget(generation) => {
                assert!(self.workers.values().all(|worker| worker.generation != *generation));
                assert!(self.forgotten.insert(*generation), "forgotten twice");
            }
            Action::Report(report) => self.check_report(report),
            Action::Ready => assert!(!std::mem::replace(&mut self.ready_emitted, true), "ready twice"),
            Action::Exit => {
                assert!(self.workers.is_empty() && self.open_rolls.is_empty() && self.open_starts.is_empty());
                self.exited = true;
            }
            _ => panic!("unexpected action {action:?}"),
        }
    }

    fn check_start(&mut self, id: WorkerId, generation: Generation) {
        assert!(
            id.incarnation.number() > self.latest && self.running,
            "incarnation does not increase, or start while stopped"
        );
        self.latest = id.incarnation.number();
        assert!(generation == self.pool.generation() && !self.forgotten.contains(&generation));
        let worker = Worker { id, generation, phase: Phase::Starting, active: 0 };
        self.workers.insert(id.incarnation, worker);
        self.open_starts.insert(id.incarnation);
        let bound = self.largest_max + self.largest_surge;
        assert!(self.workers.len() <= bound as usize, "{} workers, bound {bound}", self.workers.len());
        let starting = self.workers.values().filter(|worker| worker.phase == Phase::Starting).count();
        assert!(
            starting <= self.pool.settings().parallel_starts as usize,
            "{starting} starts at the same time"
        );
    }

    fn check_report(&mut self, report: &Report) {
        match report {
            Report::Start(id, _) => {
                assert!(self.open_starts.remove(&id.incarnation), "two outcomes of one start");
            }
            Report::Rolling(generation) => {
                self.open_rolls.insert(*generation);
            }
            Report::Rolled(generation) | Report::RollAborted(generation, _) => {
                assert!(self.open_rolls.remove(generation), "two results of one roll");
            }
            Report::Recycling(id, _) => {
                assert_eq!(self.recycling, None, "two recycled at the same time");
                self.recycling = Some(*id);
                self.largest_surge = self.largest_surge.max(1);
            }
            _ => {}
        }
    }
}

fn to_event(id: WorkerId, event: WorkerEvent) -> Event {
    match event {
        WorkerEvent::Started => Event::Started(id),
        WorkerEvent::StartFailed => Event::StartFailed(id, ExitReason::Code(3)),
        WorkerEvent::Exited(true) => Event::Exited(id, ExitReason::Normal),
        WorkerEvent::Exited(false) => Event::Exited(id, ExitReason::Killed),
        WorkerEvent::Load(active, queued) => Event::Load { worker: id, active, queued },
        WorkerEvent::Usage(requests, memory) => Event::Usage { worker: id, requests, memory },
        WorkerEvent::Recycle => Event::Recycle(id),
    }
}

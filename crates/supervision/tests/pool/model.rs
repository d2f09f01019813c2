//! A model of the pool that only keeps a list of workers. Every check is an invariant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use impresario_supervision::pool::{
    Action, Counts, Event, Generation, PoolSize, Report, RetireReason, Settings, StartOutcome, WorkerId,
    WorkerPool,
};
use impresario_supervision::{ExitReason, Incarnation, Time};
use proptest::sample::Index;

/// What a worker may send.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Started,
    StartFailed,
    /// Whether its exit is clean.
    Exited(bool),
    Load(u32, u32),
    Usage(u64, u64),
    Recycle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Leaving,
    Killed,
}

#[derive(Clone, Debug)]
struct Life {
    id: WorkerId,
    generation: Generation,
    phase: Phase,
    active: u32,
}

pub(crate) struct Model {
    pool: WorkerPool,
    now: Time,
    lives: BTreeMap<Incarnation, Life>,
    dead: Vec<WorkerId>,
    queued: u32,
    /// Starts without an outcome.
    open_starts: BTreeSet<Incarnation>,
    open_rolls: BTreeSet<Generation>,
    forgotten: BTreeSet<Generation>,
    recycling: Option<WorkerId>,
    latest: u64,
    largest_max: u32,
    /// Allowed number of workers above the maximum, from the requests so far.
    largest_surge: u32,
    has_rolled: bool,
    running: bool,
    stopping: bool,
    ready_said: bool,
    exited: bool,
}

impl Model {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        let mut model = Self {
            pool: WorkerPool::new(settings, seed).expect("the settings are good"),
            now: Time::START,
            lives: BTreeMap::new(),
            dead: Vec::new(),
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
            ready_said: false,
            exited: false,
        };
        model.starts();
        model
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.exited
    }

    pub(crate) fn says(&mut self, index: Index, said: Said) {
        let lives: Vec<WorkerId> = self.lives.values().map(|life| life.id).collect();
        if !lives.is_empty() {
            self.hear(*index.get(&lives), said);
        }
    }

    /// Events of exited workers may change only the length of the queue.
    pub(crate) fn ghost(&mut self, index: Index, said: Said) {
        if self.dead.is_empty() {
            return;
        }
        let id = *index.get(&self.dead);
        let said = match said {
            Said::Load(active, _) => Said::Load(active, self.queued),
            said => said,
        };
        self.times_out_now();
        let before = format!("{:?}", self.pool);
        self.pool.handle(self.now, event(id, said));
        assert_eq!(format!("{:?}", self.pool), before);
    }

    pub(crate) fn newest_dies(&mut self) {
        if let Some(id) = self.lives.values().next_back().map(|life| life.id) {
            self.hear(id, Said::Exited(false));
        }
    }

    pub(crate) fn all_obey(&mut self) {
        let lives: Vec<WorkerId> = self.lives.values().map(|life| life.id).collect();
        for id in lives {
            match self.lives.get(&id.life).map(|life| life.phase) {
                Some(Phase::Starting) => self.hear(id, Said::Started),
                Some(Phase::Leaving | Phase::Killed) => self.hear(id, Said::Exited(true)),
                Some(Phase::Ready) | None => {}
            }
        }
    }

    pub(crate) fn waits(&mut self, time: Duration) {
        let end = self.now + time;
        self.now = self.pool.poll_timeout().map_or(end, |at| at.clamp(self.now, end));
    }

    pub(crate) fn times_out(&mut self) {
        if let Some(at) = self.pool.poll_timeout() {
            self.now = self.now.max(at);
        }
        self.times_out_now();
    }

    fn times_out_now(&mut self) {
        self.tell(Event::Timeout);
        let next = self.pool.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "it asks to be asked again at once");
    }

    pub(crate) fn queued(&mut self, queued: u32) {
        self.queued = queued;
        self.tell(Event::Queued(queued));
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

    pub(crate) fn reshape(&mut self, settings: Settings) {
        self.pool.reconfigure(self.now, settings).expect("the settings are good");
        self.resized();
    }

    fn resized(&mut self) {
        self.largest_max = self.largest_max.max(self.pool.size().max());
        // Those in slots that a static pool does not have are replaced one by one.
        self.largest_surge = self.largest_surge.max(if self.has_rolled { self.surge() } else { 1 });
        self.drain();
    }

    fn surge(&self) -> u32 {
        self.pool.settings().roll.surge.unwrap_or(self.pool.size().max())
    }

    pub(crate) fn drains(&mut self) {
        self.running = false;
        self.tell(Event::Drain);
    }

    pub(crate) fn starts(&mut self) {
        self.running = !self.stopping;
        self.tell(Event::Start);
    }

    pub(crate) fn stops(&mut self, kill: bool) {
        (self.stopping, self.running) = (true, false);
        self.tell(if kill { Event::Kill } else { Event::Stop });
        assert!(self.lives.values().all(|life| life.phase == Phase::Killed || !kill));
    }

    /// From here on every worker obeys, and only timers of the pool take time.
    pub(crate) fn calms_down(&mut self) {
        for _ in 0..1_000 {
            self.all_obey();
            let counts = self.pool.counts();
            if counts.starting + counts.retiring + counts.waiting == 0 && !self.pool.is_rolling() {
                return self.is_calm(counts);
            }
            if counts.starting + counts.retiring == 0 {
                self.times_out();
            }
        }
        panic!("it does not come to rest: {:?}", self.pool);
    }

    fn is_calm(&self, counts: Counts) {
        assert!(counts.ready() >= self.wanted(), "{counts:?}");
        assert!(counts.ready() <= self.pool.size().max(), "{counts:?}");
        assert!(self.open_starts.is_empty() && self.open_rolls.is_empty() && self.ready_said);
        let current = self.pool.generation();
        assert!(self.lives.values().all(|life| life.generation == current));
        assert!(!self.forgotten.contains(&current));
        if let PoolSize::Static(all) = self.pool.size() {
            let slots: Vec<u32> = self.lives.values().map(|life| life.id.slot).collect();
            assert_eq!(slots.iter().copied().collect::<BTreeSet<_>>(), (0..all).collect(), "{slots:?}");
            assert_eq!(slots.len(), all as usize);
        }
    }

    /// Number of ready workers that there should be, by the same formula, computed here.
    fn wanted(&self) -> u32 {
        let present = self.lives.values().filter(|life| matches!(life.phase, Phase::Starting | Phase::Ready));
        let load = present.map(|life| life.active).sum::<u32>() + self.queued;
        let busy = load.div_ceil(self.pool.settings().capacity);
        match self.pool.size() {
            PoolSize::Static(all) => all,
            size => (busy + size.spare()).min(size.max()),
        }
    }

    fn hear(&mut self, id: WorkerId, said: Said) {
        let life = self.lives.get_mut(&id.life).expect("it lives");
        match said {
            Said::Started if life.phase == Phase::Starting => life.phase = Phase::Ready,
            Said::StartFailed | Said::Exited(_) => {
                self.lives.remove(&id.life);
                self.dead.push(id);
                self.recycling = self.recycling.filter(|&recycling| recycling != id);
            }
            Said::Load(active, queued) => {
                if life.phase != Phase::Starting {
                    life.active = active;
                }
                self.queued = queued;
            }
            Said::Started | Said::Usage(..) | Said::Recycle => {}
        }
        self.tell(event(id, said));
    }

    fn tell(&mut self, event: Event) {
        self.pool.handle(self.now, event);
        self.drain();
    }

    fn drain(&mut self) -> Vec<Action> {
        let actions: Vec<Action> = std::iter::from_fn(|| self.pool.poll_action()).collect();
        for action in &actions {
            assert!(!self.exited, "nothing comes after exit");
            self.check(action);
        }
        let ready = self.lives.values().filter(|life| life.phase == Phase::Ready).count();
        if self.was_exchanged(&actions) {
            assert!(ready >= self.wanted() as usize, "a dip: {actions:?}");
        }
        self.counts_agree();
        actions
    }

    /// Whether a ready worker was retired because it has, or should have, a replacement.
    fn was_exchanged(&self, actions: &[Action]) -> bool {
        let is_static = matches!(self.pool.size(), PoolSize::Static(_));
        let exchanged = actions.iter().filter_map(|action| match action {
            Action::Retire(id, RetireReason::Recycled(_) | RetireReason::Replaced) => Some(*id),
            Action::Retire(id, RetireReason::Surplus) if is_static => Some(*id),
            _ => None,
        });
        let was_starting = |id: WorkerId| {
            let withdrawn = Action::Report(Report::Start(id, StartOutcome::Failed(ExitReason::Shutdown)));
            actions.contains(&withdrawn)
        };
        exchanged.into_iter().any(|id| !was_starting(id))
    }

    fn counts_agree(&self) {
        let counts = self.pool.counts();
        let count = |phase| self.lives.values().filter(|life| life.phase == phase).count() as u32;
        assert_eq!(counts.lives() as usize, self.lives.len());
        assert_eq!((counts.starting, counts.ready()), (count(Phase::Starting), count(Phase::Ready)));
        assert_eq!(counts.active, self.lives.values().map(|life| life.active).sum::<u32>());
        assert_eq!(counts.queued, self.queued);
        assert_eq!(self.open_starts.len(), counts.starting as usize, "each other start has its outcome");
        let serving: Vec<WorkerId> = self.pool.serving().collect();
        let ready = self.lives.values().filter(|life| life.phase == Phase::Ready);
        assert_eq!(serving, ready.map(|life| life.id).collect::<Vec<_>>());
    }

    fn check(&mut self, action: &Action) {
        match action {
            Action::Start(id, generation) => self.check_start(*id, *generation),
            Action::Retire(id, _) => {
                let life = self.lives.get_mut(&id.life).expect("only who lives is told to leave");
                assert!(matches!(life.phase, Phase::Starting | Phase::Ready), "told to leave twice");
                life.phase = Phase::Leaving;
            }
            Action::Kill(id) => {
                let life = self.lives.get_mut(&id.life).expect("only who lives is killed");
                assert_ne!(life.phase, Phase::Killed, "killed twice");
                life.phase = Phase::Killed;
            }
            Action::Forget(generation) => {
                assert!(self.lives.values().all(|life| life.generation != *generation));
                assert!(self.forgotten.insert(*generation), "forgotten twice");
            }
            Action::Report(report) => self.check_report(report),
            Action::Ready => assert!(!std::mem::replace(&mut self.ready_said, true), "ready twice"),
            Action::Exit => {
                assert!(self.lives.is_empty() && self.open_rolls.is_empty() && self.open_starts.is_empty());
                self.exited = true;
            }
            _ => panic!("{action:?} is not known here"),
        }
    }

    fn check_start(&mut self, id: WorkerId, generation: Generation) {
        assert!(id.life.number() > self.latest && self.running, "a new life, and only when it may be");
        self.latest = id.life.number();
        assert!(generation == self.pool.generation() && !self.forgotten.contains(&generation));
        let life = Life { id, generation, phase: Phase::Starting, active: 0 };
        self.lives.insert(id.life, life);
        self.open_starts.insert(id.life);
        let bound = self.largest_max + self.largest_surge;
        assert!(self.lives.len() <= bound as usize, "{} lives, allowed are {bound}", self.lives.len());
        let starting = self.lives.values().filter(|life| life.phase == Phase::Starting).count();
        assert!(starting <= self.pool.settings().parallel_starts as usize, "{starting} at the same time");
    }

    fn check_report(&mut self, report: &Report) {
        match report {
            Report::Start(id, _) => assert!(self.open_starts.remove(&id.life), "two outcomes"),
            Report::Rolling(generation) => {
                self.open_rolls.insert(*generation);
            }
            Report::Rolled(generation) | Report::RollAborted(generation, _) => {
                assert!(self.open_rolls.remove(generation), "two answers");
            }
            Report::Recycling(id, _) => {
                assert_eq!(self.recycling, None, "two at once");
                self.recycling = Some(*id);
                self.largest_surge = self.largest_surge.max(1);
            }
            _ => {}
        }
    }
}

fn event(id: WorkerId, said: Said) -> Event {
    match said {
        Said::Started => Event::Started(id),
        Said::StartFailed => Event::StartFailed(id, ExitReason::Code(3)),
        Said::Exited(true) => Event::Exited(id, ExitReason::Normal),
        Said::Exited(false) => Event::Exited(id, ExitReason::Killed),
        Said::Load(active, queued) => Event::Load { worker: id, active, queued },
        Said::Usage(requests, memory) => Event::Usage { worker: id, requests, memory },
        Said::Recycle => Event::Recycle(id),
    }
}

//! A virtual world: workers that take time to boot and to exit, a router that hands out requests, and a clock
//! that jumps to the next event. It records what happens.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use impresario_supervision::pool::{Action, Event, Report, Settings, StartOutcome, WorkerId, WorkerPool};
use impresario_supervision::{ExitReason, Time};

/// Result of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Ready,
    Fails,
    Hangs,
}

#[derive(Clone, Debug)]
enum Due {
    Tell(Event),
    Boots(WorkerId),
    Finishes(WorkerId),
}

#[derive(Clone, Debug)]
struct Life {
    id: WorkerId,
    active: u32,
    leaving: bool,
}

pub(crate) struct World {
    pub(crate) pool: WorkerPool,
    /// How long a start takes.
    pub(crate) boot: Duration,
    /// How long a worker takes to exit once it is idle; `None`: it never exits.
    pub(crate) leave: Option<Duration>,
    /// Results of the next starts; later ones become ready.
    pub(crate) boots: VecDeque<Boot>,
    /// How many milliseconds each waiting request takes.
    queue: VecDeque<u64>,
    now: Time,
    agenda: BTreeMap<(Time, u64), Due>,
    entries: u64,
    lives: BTreeMap<u64, Life>,
    trace: Vec<String>,
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl World {
    /// A started pool with workers that boot in 10 ms. None is ready before time passes.
    pub(crate) fn new(settings: impl Into<Settings>) -> Self {
        Self::booting(ms(10), settings)
    }

    /// The same with another boot time.
    pub(crate) fn booting(boot: Duration, settings: impl Into<Settings>) -> Self {
        let mut world = Self {
            pool: WorkerPool::new(settings, 7).expect("the settings are good"),
            boot,
            leave: Some(ms(1)),
            boots: VecDeque::new(),
            queue: VecDeque::new(),
            now: Time::START,
            agenda: BTreeMap::new(),
            entries: 0,
            lives: BTreeMap::new(),
            trace: Vec::new(),
        };
        world.tell(Event::Start);
        world
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// One event at this moment.
    pub(crate) fn tell(&mut self, event: Event) {
        self.pool.handle(self.now, event);
        self.drain();
    }

    /// Executes all pending actions of the pool.
    pub(crate) fn drain(&mut self) {
        while let Some(action) = self.pool.poll_action() {
            self.act(action);
        }
        self.dispatch();
    }

    /// Advances the clock by this duration.
    pub(crate) fn run(&mut self, time: u64) {
        let end = self.now + ms(time);
        loop {
            let due = self.agenda.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= end);
            let timeout = self.pool.poll_timeout().filter(|&at| at <= end);
            match (due, timeout) {
                (Some(key), _) if timeout.is_none_or(|timeout| key.0 <= timeout) => {
                    self.now = self.now.max(key.0);
                    let due = self.agenda.remove(&key).expect("it was there");
                    self.happen(due);
                }
                (_, Some(timeout)) => {
                    self.now = self.now.max(timeout);
                    self.tell(Event::Timeout);
                    let next = self.pool.poll_timeout();
                    assert!(next.is_none_or(|next| next > self.now), "asks for {next:?} at {:?}", self.now);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// A request with this duration. It goes to the idle worker that became ready first, or waits.
    pub(crate) fn request(&mut self, time: u64) {
        self.queue.push_back(time);
        let queued = self.queued();
        self.tell(Event::Queued(queued));
    }

    /// The newest worker of a slot.
    pub(crate) fn id(&self, slot: u32) -> WorkerId {
        let newest = self.lives.values().rev().find(|life| life.id.slot == slot && !life.leaving);
        newest.expect("somebody is in the slot").id
    }

    /// Ends a worker from outside, as `kill -9` does.
    pub(crate) fn shoot(&mut self, id: WorkerId) {
        self.exits(id, ExitReason::Signal { number: 9, core_dumped: false });
    }

    /// A worker exits by itself.
    pub(crate) fn exits(&mut self, id: WorkerId, reason: ExitReason) {
        self.lives.remove(&id.life.number()).expect("it lives");
        self.tell(Event::Exited(id, reason));
    }

    /// The ready workers, as `slot#incarnation`.
    pub(crate) fn ready(&self) -> String {
        self.pool.serving().map(name).collect::<Vec<_>>().join(" ")
    }

    /// Compares the records since the last call with the expected ones.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) {
        let happened = std::mem::take(&mut self.trace);
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(happened == expected, "this happened:\n{}\n", happened.join("\n"));
        let counts = self.pool.counts();
        assert_eq!(counts.lives() as usize, self.lives.len(), "{counts:?}");
    }

    /// Advances the clock without a comparison.
    pub(crate) fn skip(&mut self, time: u64) {
        self.run(time);
        self.trace.clear();
    }

    fn queued(&self) -> u32 {
        u32::try_from(self.queue.len()).expect("a short queue")
    }

    fn note(&mut self, text: fmt::Arguments<'_>) {
        self.trace.push(format!("{} {text}", self.now.since_start().as_millis()));
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.entries += 1;
        self.agenda.insert((self.now + after, self.entries), due);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(id, generation) => {
                self.note(format_args!("start {} g{}", name(id), generation.number()));
                self.lives.insert(id.life.number(), Life { id, active: 0, leaving: false });
                self.later(self.boot, Due::Boots(id));
            }
            Action::Retire(id, leave) => {
                self.note(format_args!("retire {}: {leave}", name(id)));
                let life = self.lives.get_mut(&id.life.number()).expect("only who lives is told to leave");
                assert!(!std::mem::replace(&mut life.leaving, true), "told to leave twice");
                if life.active == 0 {
                    self.leaves(id);
                }
            }
            Action::Kill(id) => {
                self.note(format_args!("kill {}", name(id)));
                assert!(self.lives.contains_key(&id.life.number()), "only who lives is killed");
                self.later(Duration::ZERO, Due::Tell(Event::Exited(id, ExitReason::Killed)));
            }
            Action::Forget(generation) => self.note(format_args!("forget g{}", generation.number())),
            Action::Report(Report::Start(id, StartOutcome::Ready)) => {
                self.note(format_args!("ready {}", name(id)));
            }
            Action::Report(report) => self.note(format_args!("report {report}")),
            Action::Ready => self.note(format_args!("READY")),
            Action::Exit => self.note(format_args!("EXIT")),
            _ => panic!("{action:?} is not known here"),
        }
    }

    fn leaves(&mut self, id: WorkerId) {
        if let Some(after) = self.leave {
            self.later(after, Due::Tell(Event::Exited(id, ExitReason::Shutdown)));
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tell(Event::Exited(id, reason)) => {
                if self.lives.remove(&id.life.number()).is_some() {
                    self.note(format_args!("exited {}", name(id)));
                }
                self.tell(Event::Exited(id, reason));
            }
            Due::Tell(event) => self.tell(event),
            Due::Boots(id) if !self.lives.contains_key(&id.life.number()) => {}
            Due::Boots(id) => match self.boots.pop_front().unwrap_or(Boot::Ready) {
                Boot::Ready => self.tell(Event::Started(id)),
                Boot::Hangs => {}
                Boot::Fails => {
                    self.lives.remove(&id.life.number());
                    self.tell(Event::StartFailed(id, ExitReason::Code(3)));
                }
            },
            Due::Finishes(id) => {
                let Some(life) = self.lives.get_mut(&id.life.number()) else { return };
                life.active -= 1;
                let (active, last) = (life.active, life.leaving && life.active == 0);
                let queued = self.queued();
                self.tell(Event::Load { worker: id, active, queued });
                if last {
                    self.leaves(id);
                }
            }
        }
    }

    /// The router: gives queued requests to idle workers.
    fn dispatch(&mut self) {
        let capacity = self.pool.settings().capacity;
        while let Some(&time) = self.queue.front() {
            let least =
                |id: &WorkerId| self.lives.get(&id.life.number()).map_or(u32::MAX, |life| life.active);
            let Some(worker) = self.pool.serving().min_by_key(least).filter(|id| least(id) < capacity) else {
                return;
            };
            self.queue.pop_front();
            let life = self.lives.get_mut(&worker.life.number()).expect("who serves lives");
            life.active += 1;
            let (active, queued) = (life.active, self.queued());
            self.later(ms(time), Due::Finishes(worker));
            self.pool.handle(self.now, Event::Load { worker, active, queued });
            while let Some(action) = self.pool.poll_action() {
                self.act(action);
            }
        }
    }
}

fn name(id: WorkerId) -> String {
    format!("{}#{}", id.slot, id.life.number())
}

//! A simulation: workers with boot and exit times, a router that assigns requests, and virtual time. It records what
//! happens as lines of text.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use impresario_supervision::pool::{Action, Event, Report, Settings, StartOutcome, WorkerId, WorkerPool};
use impresario_supervision::{ExitReason, Time};

/// The outcome of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Ready,
    Fail,
    Hang,
}

#[derive(Clone, Debug)]
enum Due {
    Event(Event),
    StartEnds(WorkerId),
    RequestEnds(WorkerId),
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    active: u32,
    retiring: bool,
}

pub(crate) struct World {
    pub(crate) pool: WorkerPool,
    /// The duration of a start.
    pub(crate) boot: Duration,
    /// The time from the last request of a retired worker to its exit; `None`: it never exits.
    pub(crate) exit_delay: Option<Duration>,
    /// The outcomes of the next starts; later ones are `Ready`.
    pub(crate) boots: VecDeque<Boot>,
    /// The duration of each queued request. Unit: milliseconds.
    queue: VecDeque<u64>,
    now: Time,
    scheduled: BTreeMap<(Time, u64), Due>,
    entries: u64,
    workers: BTreeMap<u64, Worker>,
    trace: Vec<String>,
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl World {
    /// A started pool. Its workers boot in 10 ms.
    pub(crate) fn new(settings: impl Into<Settings>) -> Self {
        Self::booting(ms(10), settings)
    }

    /// As `new`, with another boot time.
    pub(crate) fn booting(boot: Duration, settings: impl Into<Settings>) -> Self {
        let mut world = Self {
            pool: WorkerPool::new(settings, 7).expect("the settings are valid"),
            boot,
            exit_delay: Some(ms(1)),
            boots: VecDeque::new(),
            queue: VecDeque::new(),
            now: Time::START,
            scheduled: BTreeMap::new(),
            entries: 0,
            workers: BTreeMap::new(),
            trace: Vec::new(),
        };
        world.handle(Event::Start);
        world
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Passes an event, then executes the actions.
    pub(crate) fn handle(&mut self, event: Event) {
        self.pool.handle(self.now, event);
        self.execute_actions();
    }

    /// Executes all actions, then assigns queued requests.
    pub(crate) fn execute_actions(&mut self) {
        while let Some(action) = self.pool.poll_action() {
            self.execute(action);
        }
        self.dispatch();
    }

    /// Runs the simulation for `time` milliseconds.
    pub(crate) fn run(&mut self, time: u64) {
        let end = self.now + ms(time);
        loop {
            let due = self.scheduled.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= end);
            let timeout = self.pool.poll_timeout().filter(|&at| at <= end);
            match (due, timeout) {
                (Some(key), _) if timeout.is_none_or(|timeout| key.0 <= timeout) => {
                    self.now = self.now.max(key.0);
                    let due = self.scheduled.remove(&key).expect("the key was just read");
                    self.perform(due);
                }
                (_, Some(timeout)) => {
                    self.now = self.now.max(timeout);
                    self.handle(Event::Timeout);
                    let next = self.pool.poll_timeout();
                    assert!(
                        next.is_none_or(|next| next > self.now),
                        "timer {next:?} is not after {:?}",
                        self.now
                    );
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// Queues a request of `time` milliseconds for the first ready worker with the least load.
    pub(crate) fn request(&mut self, time: u64) {
        self.queue.push_back(time);
        let queued = self.queued();
        self.handle(Event::Queued(queued));
    }

    /// The newest worker in a slot that is not retiring.
    pub(crate) fn id(&self, slot: u32) -> WorkerId {
        let newest = self.workers.values().rev().find(|worker| worker.id.slot == slot && !worker.retiring);
        newest.expect("the slot has a worker").id
    }

    /// Kills a worker from outside, as `kill -9` does.
    pub(crate) fn kill(&mut self, id: WorkerId) {
        self.exit(id, ExitReason::Signal { number: 9, core_dumped: false });
    }

    /// A worker exits without a request.
    pub(crate) fn exit(&mut self, id: WorkerId, reason: ExitReason) {
        self.workers.remove(&id.incarnation.number()).expect("it runs");
        self.handle(Event::Exited(id, reason));
    }

    /// The ready workers, as `slot#incarnation`.
    pub(crate) fn ready(&self) -> String {
        self.pool.serving().map(name).collect::<Vec<_>>().join(" ")
    }

    /// Compares the lines since the last call with `expected`.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) {
        let happened = std::mem::take(&mut self.trace);
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(happened == expected, "actual lines:\n{}\n", happened.join("\n"));
        let counts = self.pool.counts();
        assert_eq!(counts.total() as usize, self.workers.len(), "{counts:?}");
    }

    /// Runs for `time` milliseconds and discards the lines.
    pub(crate) fn skip(&mut self, time: u64) {
        self.run(time);
        self.trace.clear();
    }

    fn queued(&self) -> u32 {
        u32::try_from(self.queue.len()).expect("fewer than 2^32 requests")
    }

    fn record(&mut self, text: fmt::Arguments<'_>) {
        self.trace.push(format!("{} {text}", self.now.since_start().as_millis()));
    }

    fn schedule(&mut self, after: Duration, due: Due) {
        self.entries += 1;
        self.scheduled.insert((self.now + after, self.entries), due);
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Start(id, generation) => {
                self.record(format_args!("start {} g{}", name(id), generation.number()));
                self.workers.insert(id.incarnation.number(), Worker { id, active: 0, retiring: false });
                self.schedule(self.boot, Due::StartEnds(id));
            }
            Action::Retire(id, reason) => {
                self.record(format_args!("retire {}: {reason}", name(id)));
                let worker =
                    self.workers.get_mut(&id.incarnation.number()).expect("retired worker does not run");
                assert!(!std::mem::replace(&mut worker.retiring, true), "retired twice");
                if worker.active == 0 {
                    self.exit_later(id);
                }
            }
            Action::Kill(id) => {
                self.record(format_args!("kill {}", name(id)));
                assert!(self.workers.contains_key(&id.incarnation.number()), "killed worker does not run");
                self.schedule(Duration::ZERO, Due::Event(Event::Exited(id, ExitReason::Killed)));
            }
            Action::Forget(generation) => self.record(format_args!("forget g{}", generation.number())),
            Action::Report(Report::Start(id, StartOutcome::Ready)) => {
                self.record(format_args!("ready {}", name(id)));
            }
            Action::Report(report) => self.record(format_args!("report {report}")),
            Action::Ready => self.record(format_args!("READY")),
            Action::Exit => self.record(format_args!("EXIT")),
            _ => panic!("unexpected action {action:?}"),
        }
    }

    fn exit_later(&mut self, id: WorkerId) {
        if let Some(after) = self.exit_delay {
            self.schedule(after, Due::Event(Event::Exited(id, ExitReason::Shutdown)));
        }
    }

    fn perform(&mut self, due: Due) {
        match due {
            Due::Event(Event::Exited(id, reason)) => {
                if self.workers.remove(&id.incarnation.number()).is_some() {
                    self.record(format_args!("exited {}", name(id)));
                }
                self.handle(Event::Exited(id, reason));
            }
            Due::Event(event) => self.handle(event),
            Due::StartEnds(id) if !self.workers.contains_key(&id.incarnation.number()) => {}
            Due::StartEnds(id) => match self.boots.pop_front().unwrap_or(Boot::Ready) {
                Boot::Ready => self.handle(Event::Started(id)),
                Boot::Hang => {}
                Boot::Fail => {
                    self.workers.remove(&id.incarnation.number());
                    self.handle(Event::StartFailed(id, ExitReason::Code(3)));
                }
            },
            Due::RequestEnds(id) => {
                let Some(worker) = self.workers.get_mut(&id.incarnation.number()) else { return };
                worker.active -= 1;
                let (active, last) = (worker.active, worker.retiring && worker.active == 0);
                let queued = self.queued();
                self.handle(Event::Load { worker: id, active, queued });
                if last {
                    self.exit_later(id);
                }
            }
        }
    }

    /// The router: assigns queued requests to the workers with the least load below `capacity`.
    fn dispatch(&mut self) {
        let capacity = self.pool.settings().capacity;
        while let Some(&time) = self.queue.front() {
            let least = |id: &WorkerId| {
                self.workers.get(&id.incarnation.number()).map_or(u32::MAX, |worker| worker.active)
            };
            let Some(id) = self.pool.serving().min_by_key(least).filter(|id| least(id) < capacity) else {
                return;
            };
            self.queue.pop_front();
            let worker = self.workers.get_mut(&id.incarnation.number()).expect("a serving worker runs");
            worker.active += 1;
            let (active, queued) = (worker.active, self.queued());
            self.schedule(ms(time), Due::RequestEnds(id));
            self.pool.handle(self.now, Event::Load { worker: id, active, queued });
            while let Some(action) = self.pool.poll_action() {
                self.execute(action);
            }
        }
    }
}

fn name(id: WorkerId) -> String {
    format!("{}#{}", id.slot, id.incarnation.number())
}

//! A minimal driver: answers starts and stops immediately by default, and records the actions.

use std::collections::HashMap;
use std::time::Duration;

use impresario_supervision::{
    Action, ChildId, ChildKey, ChildRules, Event, ExitReason, Flags, Incarnation, Intensity, Request,
    RequestId, Strategy, Supervisor, Time,
};

/// What a child does at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Fail,
    Ignore,
}

pub(crate) struct World {
    pub(crate) rules: Supervisor,
    pub(crate) now: Time,
    names: HashMap<ChildKey, ChildId>,
    pub(crate) lives: HashMap<ChildId, Incarnation>,
    /// What the next starts of a child do, before it starts well again.
    pub(crate) starts: HashMap<&'static str, Vec<Start>>,
    /// Children that do not answer a stop, or a start.
    pub(crate) stuck: Vec<&'static str>,
    trace: Vec<String>,
}

impl World {
    pub(crate) fn new(flags: Flags, specs: Vec<ChildRules>) -> Self {
        Self::of(Supervisor::new(flags, specs).expect("the specs are good"))
    }

    pub(crate) fn of(rules: Supervisor) -> Self {
        let known = |key| (key, rules.spec(key).expect("it was just listed").id.clone());
        let names = rules.keys().map(known).collect();
        Self {
            rules,
            now: Time::START,
            names,
            lives: HashMap::new(),
            starts: HashMap::new(),
            stuck: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// Three permanent workers, running.
    pub(crate) fn abc(strategy: Strategy, restarts: u32) -> Self {
        let mut world = World::new(flags(strategy, restarts), workers());
        world.tell(Event::Start);
        assert_eq!(world.take(), "+a +b +c ready");
        world
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.rules.handle(self.now, event);
        self.play();
    }

    pub(crate) fn ask(&mut self, id: u64, request: Request) {
        self.rules.request(self.now, RequestId(id), request);
        self.play();
    }

    pub(crate) fn life(&self, name: &str) -> Incarnation {
        self.lives[&ChildId::from(name)]
    }

    pub(crate) fn exit(&mut self, name: &str, reason: ExitReason) {
        let life = self.life(name);
        self.tell(Event::Exited(life, reason));
    }

    pub(crate) fn crash(&mut self, name: &str) {
        self.exit(name, boom());
    }

    /// Answers the start of a child that is stuck in it.
    pub(crate) fn finish_start(&mut self, name: &str) {
        let life = self.life(name);
        self.tell(Event::Started(life));
    }

    fn name_of(&self, life: Incarnation) -> ChildId {
        let found = self.lives.iter().find(|(_, known)| **known == life);
        found.map(|(name, _)| name.clone()).expect("only started lives are told anything")
    }

    fn is_stuck(&self, name: &ChildId) -> bool {
        self.stuck.contains(&name.as_str())
    }

    fn play(&mut self) {
        while let Some(action) = self.rules.poll_action() {
            let line = match action {
                Action::Start(key, life) => self.start(key, life),
                Action::Stop(life) => {
                    let name = self.name_of(life);
                    if !self.is_stuck(&name) {
                        self.rules.handle(self.now, Event::Exited(life, ExitReason::Shutdown));
                    }
                    format!("-{name}")
                }
                Action::Kill(life) => {
                    self.rules.handle(self.now, Event::Exited(life, ExitReason::Killed));
                    format!("x{}", self.name_of(life))
                }
                Action::Added(_, key) => {
                    let id = self.rules.spec(key).expect("it was just added").id.clone();
                    self.names.insert(key, id.clone());
                    format!("added:{id}")
                }
                Action::Forget(key) => format!("forget:{}", self.names[&key]),
                Action::Reply(id, reply) => format!("{}:{reply:?}", id.0),
                Action::Report(report) => {
                    format!("{}({},{})", report.kind.name(), report.child, report.reason)
                }
                Action::Ready => "ready".into(),
                Action::Exit(reason) => format!("exit({reason})"),
            };
            self.trace.push(line);
        }
    }

    fn start(&mut self, key: ChildKey, life: Incarnation) -> String {
        let name =
            self.names.entry(key).or_insert_with(|| self.rules.spec(key).expect("it is there").id.clone());
        let name = name.clone();
        self.lives.insert(name.clone(), life);
        let next = self.starts.get_mut(name.as_str()).filter(|starts| !starts.is_empty());
        let (sign, event) = match next.map(|starts| starts.remove(0)) {
            Some(Start::Fail) => ("!", Event::StartFailed(life, no())),
            Some(Start::Ignore) => ("~", Event::Ignored(life)),
            None => ("+", Event::Started(life)),
        };
        if !self.is_stuck(&name) {
            self.rules.handle(self.now, event);
        }
        format!("{sign}{name}")
    }

    /// Jumps to the next deadline.
    pub(crate) fn skip(&mut self) -> Duration {
        let next = self.rules.poll_timeout().expect("there is a deadline");
        let slept = next.saturating_since(self.now);
        self.now = next;
        self.tell(Event::Timeout);
        slept
    }

    /// Lets time pass without telling.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.trace).join(" ")
    }
}

/// What a group shares: the strategy and a limit within 5 s.
pub(crate) fn flags(strategy: Strategy, restarts: u32) -> Flags {
    let intensity = Intensity::new(restarts, Duration::from_secs(5));
    Flags { strategy, intensity, ..Flags::default() }
}

pub(crate) fn workers() -> Vec<ChildRules> {
    ["a", "b", "c"].map(ChildRules::worker).to_vec()
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The reason of a crash.
pub(crate) fn boom() -> ExitReason {
    ExitReason::Error("boom".into())
}

/// The reason of a failed start.
pub(crate) fn no() -> ExitReason {
    ExitReason::Error("no".into())
}

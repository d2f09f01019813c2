//! A synchronous driver: answers starts and stops immediately unless set otherwise, and records the actions as text.

use std::collections::HashMap;
use std::time::Duration;

use impresario_supervision::{
    Action, ChildId, ChildKey, ChildRules, DelayedRestart, Event, ExitReason, Flags, Incarnation, Intensity,
    Request, RequestId, Strategy, Supervisor, Time,
};

/// The answer to a start, other than `Started`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Fail,
    Ignore,
}

pub(crate) struct World {
    pub(crate) rules: Supervisor,
    pub(crate) now: Time,
    names: HashMap<ChildKey, ChildId>,
    pub(crate) incarnations: HashMap<ChildId, Incarnation>,
    /// The answers to the next starts of a child; afterwards starts succeed.
    pub(crate) starts: HashMap<&'static str, Vec<Start>>,
    /// Children that answer neither starts nor stops.
    pub(crate) stuck: Vec<&'static str>,
    /// The delayed restarts in the reports so far.
    pub(crate) delayed_restarts: Vec<DelayedRestart>,
    trace: Vec<String>,
}

impl World {
    pub(crate) fn new(flags: Flags, specs: Vec<ChildRules>) -> Self {
        Self::of(Supervisor::new(flags, specs).expect("the specs are valid"))
    }

    pub(crate) fn of(rules: Supervisor) -> Self {
        let known = |key| (key, rules.spec(key).expect("the key is listed").id.clone());
        let names = rules.keys().map(known).collect();
        Self {
            rules,
            now: Time::START,
            names,
            incarnations: HashMap::new(),
            starts: HashMap::new(),
            stuck: Vec::new(),
            delayed_restarts: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// Three permanent workers `a`, `b` and `c`, started.
    pub(crate) fn abc(strategy: Strategy, restarts: u32) -> Self {
        let mut world = World::new(flags(strategy, restarts), workers());
        world.handle(Event::Start);
        assert_eq!(world.take(), "+a +b +c ready");
        world
    }

    pub(crate) fn handle(&mut self, event: Event) {
        self.rules.handle(self.now, event);
        self.execute_actions();
    }

    pub(crate) fn request(&mut self, id: u64, request: Request) {
        self.rules.request(self.now, RequestId(id), request);
        self.execute_actions();
    }

    pub(crate) fn incarnation(&self, name: &str) -> Incarnation {
        self.incarnations[&ChildId::from(name)]
    }

    pub(crate) fn exit(&mut self, name: &str, reason: ExitReason) {
        let incarnation = self.incarnation(name);
        self.handle(Event::Exited(incarnation, reason));
    }

    pub(crate) fn crash(&mut self, name: &str) {
        self.exit(name, boom());
    }

    /// Answers the start of a child in `stuck`.
    pub(crate) fn finish_start(&mut self, name: &str) {
        let incarnation = self.incarnation(name);
        self.handle(Event::Started(incarnation));
    }

    fn name_of(&self, incarnation: Incarnation) -> ChildId {
        let found = self.incarnations.iter().find(|(_, known)| **known == incarnation);
        found.map(|(name, _)| name.clone()).expect("the incarnation was started")
    }

    fn is_stuck(&self, name: &ChildId) -> bool {
        self.stuck.contains(&name.as_str())
    }

    fn execute_actions(&mut self) {
        while let Some(action) = self.rules.poll_action() {
            let line = match action {
                Action::Start(key, incarnation) => self.start(key, incarnation),
                Action::Stop(incarnation) => {
                    let name = self.name_of(incarnation);
                    if !self.is_stuck(&name) {
                        self.rules.handle(self.now, Event::Exited(incarnation, ExitReason::Shutdown));
                    }
                    format!("-{name}")
                }
                Action::Kill(incarnation) => {
                    self.rules.handle(self.now, Event::Exited(incarnation, ExitReason::Killed));
                    format!("x{}", self.name_of(incarnation))
                }
                Action::Added(_, key) => {
                    let id = self.rules.spec(key).expect("the key is listed").id.clone();
                    self.names.insert(key, id.clone());
                    format!("added:{id}")
                }
                Action::Forget(key) => format!("forget:{}", self.names[&key]),
                Action::Reply(id, reply) => format!("{}:{reply:?}", id.0),
                Action::Report(report) => {
                    self.delayed_restarts.extend(report.delayed_restart);
                    format!("{}({},{})", report.kind.name(), report.child, report.reason)
                }
                Action::Ready => "ready".into(),
                Action::Exit(reason) => format!("exit({reason})"),
            };
            self.trace.push(line);
        }
    }

    fn start(&mut self, key: ChildKey, incarnation: Incarnation) -> String {
        let name = self
            .names
            .entry(key)
            .or_insert_with(|| self.rules.spec(key).expect("the key is listed").id.clone());
        let name = name.clone();
        self.incarnations.insert(name.clone(), incarnation);
        let next = self.starts.get_mut(name.as_str()).filter(|starts| !starts.is_empty());
        let (sign, event) = match next.map(|starts| starts.remove(0)) {
            Some(Start::Fail) => ("!", Event::StartFailed(incarnation, no())),
            Some(Start::Ignore) => ("~", Event::Ignored(incarnation)),
            None => ("+", Event::Started(incarnation)),
        };
        if !self.is_stuck(&name) {
            self.rules.handle(self.now, event);
        }
        format!("{sign}{name}")
    }

    /// Passes the next deadline; returns the time until it.
    pub(crate) fn skip(&mut self) -> Duration {
        let next = self.rules.poll_timeout().expect("there is a deadline");
        let waited = next.saturating_since(self.now);
        self.now = next;
        self.handle(Event::Timeout);
        waited
    }

    /// Advances the time without `Event::Timeout`.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.trace).join(" ")
    }
}

/// Flags with this strategy and at most `restarts` in 5 s.
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

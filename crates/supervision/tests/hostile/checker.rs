//! Invariants of one supervisor, asserted after every event.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use impresario_supervision::{
    Action, ChildKey, ChildRules, ChildState, ExitReason, Incarnation, RequestId, Shutdown, Time,
};

use crate::rules::Rules;

#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Incarnations that have not exited.
    pub(crate) alive: BTreeMap<Incarnation, Alive>,
    of: HashMap<ChildKey, Incarnation>,
    last: u64,
    forgotten: HashSet<ChildKey>,
    /// Number of replies to each request.
    replies: HashMap<RequestId, u32>,
    ready: u32,
    pub(crate) exit: Option<ExitReason>,
}

/// One incarnation and the requests that it got.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) key: ChildKey,
    pub(crate) ready: bool,
    pub(crate) since: Time,
    pub(crate) told: Option<Time>,
    pub(crate) killed: bool,
}

impl Alive {
    fn is_awaited(&self) -> bool {
        !self.ready || self.told.is_some() || self.killed
    }

    /// When it is killed if it does not answer.
    pub(crate) fn end(&self, spec: &ChildRules) -> Option<Time> {
        match (self.told, spec.shutdown) {
            _ if self.killed => None,
            (Some(told), Shutdown::Timeout(after)) => Some(told + after),
            (Some(_), _) => None,
            (None, _) => spec.start_timeout.filter(|_| !self.ready).map(|after| self.since + after),
        }
    }
}

impl Checker {
    pub(crate) fn asked(&mut self, request: RequestId) {
        assert!(self.replies.insert(request, 0).is_none(), "{request:?} is asked once");
    }

    /// Refused immediately, without an action.
    pub(crate) fn refused(&mut self, request: RequestId) {
        assert_eq!(self.replies.remove(&request), Some(0));
    }

    pub(crate) fn started(&mut self, life: Incarnation) {
        self.alive.get_mut(&life).expect("only a living one is ready").ready = true;
    }

    /// Exactly one exit per start: the world ends an incarnation once, and the supervisor must have started it.
    pub(crate) fn ended(&mut self, life: Incarnation) {
        let ended = self.alive.remove(&life).expect("a life ends once");
        assert_eq!(self.of.remove(&ended.key), Some(life));
    }

    pub(crate) fn check(&mut self, rules: &Rules, now: Time, action: &Action) {
        if let Action::Reply(request, _) = action {
            let replies = self.replies.get_mut(request).expect("it was asked");
            *replies += 1;
            assert_eq!(*replies, 1, "{request:?} is answered once");
            return;
        }
        assert_eq!(self.exit, None, "after the exit comes nothing, but {action:?} did");
        match action {
            Action::Start(key, life) => self.start(now, *key, *life),
            Action::Stop(life) => {
                let alive = self.alive.get_mut(life).expect("only the living are told");
                assert!(
                    alive.told.is_none() && !alive.killed,
                    "{life:?} is told once, and not after its kill"
                );
                alive.told = Some(now);
            }
            Action::Kill(life) => {
                let alive = self.alive.get_mut(life).expect("only the living are killed");
                assert!(!std::mem::replace(&mut alive.killed, true), "{life:?} is killed once");
            }
            Action::Forget(key) => {
                assert!(!self.of.contains_key(key), "a child that lives is not forgotten");
                assert!(self.forgotten.insert(*key), "{key:?} is forgotten once");
            }
            Action::Exit(reason) => {
                assert!(self.alive.is_empty(), "{:?} outlive their supervisor", self.alive);
                self.exit = Some(reason.clone());
            }
            Action::Ready => {
                self.ready += 1;
                assert_eq!(self.ready, 1, "it is ready once");
            }
            Action::Added(request, _) => assert!(self.replies.contains_key(request)),
            Action::Report(report) => {
                assert!(report.lives > 0);
                let life = report.incarnation.map(Incarnation::number);
                // Only reports of a dynamic supervisor about all its instances have no incarnation.
                assert!(
                    life.map_or(rules.is_dynamic(), |life| (1..=self.last).contains(&life)),
                    "{report:?}"
                );
            }
            Action::Reply(..) => {}
        }
        if !rules.is_dynamic() {
            let awaited = self.alive.values().filter(|alive| alive.is_awaited()).count();
            assert!(awaited <= 1, "it does one thing at a time, but waits for {:?}", self.alive);
        }
    }

    fn start(&mut self, now: Time, key: ChildKey, life: Incarnation) {
        assert!(life.number() > self.last, "every life has a new name");
        self.last = life.number();
        assert!(!self.forgotten.contains(&key), "{key:?} was forgotten");
        assert_eq!(self.of.insert(key, life), None, "never two lives of a child at once");
        let alive = Alive { key, ready: false, since: now, told: None, killed: false };
        self.alive.insert(life, alive);
    }

    /// Every wait with a deadline is known to the timer.
    pub(crate) fn check_timer(&self, rules: &Rules) {
        let timer = rules.poll_timeout();
        assert!(self.exit.is_none() || timer.is_none(), "after the exit nothing is waited for");
        for (life, alive) in &self.alive {
            let Some(end) = rules.spec(alive.key).and_then(|spec| alive.end(spec)) else { continue };
            assert!(
                timer.is_some_and(|timer| timer <= end),
                "nobody looks after {life:?} at {end:?}: {timer:?}"
            );
        }
    }

    /// After a timeout: every child with an expired deadline is done or was killed. A child that started only
    /// now with no time at
    /// all belongs to the next check.
    pub(crate) fn check_overdue(&self, rules: &Rules, now: Time) {
        for (life, alive) in self.alive.iter().filter(|(_, alive)| alive.told.unwrap_or(alive.since) < now) {
            let end = rules.spec(alive.key).and_then(|spec| alive.end(spec));
            assert!(end.is_none_or(|end| end > now), "{life:?} is overdue since {end:?}: {alive:?}");
        }
    }

    /// For a world in which every child has answered: the supervisor knows all running children, no answer is
    /// pending, and each
    /// request was answered.
    pub(crate) fn check_at_rest(&self, states: &[ChildState]) {
        let alive: BTreeSet<Incarnation> = self.alive.keys().copied().collect();
        let known = states.iter().filter_map(|state| match state {
            ChildState::Running(life) => Some(*life),
            _ => None,
        });
        assert_eq!(known.collect::<BTreeSet<_>>(), alive, "it knows who lives");
        assert!(!states.contains(&ChildState::Restarting), "who is to come back has come: {states:?}");
        self.check_all_answered();
    }

    pub(crate) fn check_all_answered(&self) {
        let open: Vec<_> = self.replies.iter().filter(|(_, replies)| **replies == 0).collect();
        assert!(open.is_empty(), "{open:?} were never answered");
    }
}

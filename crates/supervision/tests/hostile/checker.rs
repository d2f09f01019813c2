//! The invariants of a single supervisor, asserted after every event.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use impresario_supervision::{
    Action, ChildKey, ChildRules, ChildState, ExitReason, Incarnation, RequestId, Shutdown, Time,
};

use crate::rules::Rules;

#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// The incarnations that were started and have not exited.
    pub(crate) running: BTreeMap<Incarnation, RunningChild>,
    current: HashMap<ChildKey, Incarnation>,
    last: u64,
    forgotten: HashSet<ChildKey>,
    /// The number of replies to each request.
    replies: HashMap<RequestId, u32>,
    ready: u32,
    pub(crate) exit: Option<ExitReason>,
}

/// A running incarnation, and what the supervisor has requested of it.
#[derive(Debug)]
pub(crate) struct RunningChild {
    pub(crate) key: ChildKey,
    pub(crate) ready: bool,
    pub(crate) since: Time,
    pub(crate) stop_requested: Option<Time>,
    pub(crate) killed: bool,
}

impl RunningChild {
    fn is_awaited(&self) -> bool {
        !self.ready || self.stop_requested.is_some() || self.killed
    }

    /// When the supervisor kills it if it does not answer; `None`: never, or it was killed already.
    pub(crate) fn kill_deadline(&self, spec: &ChildRules) -> Option<Time> {
        match (self.stop_requested, spec.shutdown) {
            _ if self.killed => None,
            (Some(stop_requested), Shutdown::Timeout(after)) => Some(stop_requested + after),
            (Some(_), _) => None,
            (None, _) => spec.start_timeout.filter(|_| !self.ready).map(|after| self.since + after),
        }
    }
}

impl Checker {
    pub(crate) fn requested(&mut self, request: RequestId) {
        assert!(self.replies.insert(request, 0).is_none(), "{request:?} is used twice");
    }

    /// The request was refused by its return value, so no reply follows.
    pub(crate) fn refused(&mut self, request: RequestId) {
        assert_eq!(self.replies.remove(&request), Some(0));
    }

    pub(crate) fn started(&mut self, incarnation: Incarnation) {
        self.running.get_mut(&incarnation).expect("ready without a start").ready = true;
    }

    /// Records an exit. Each start has exactly one exit.
    pub(crate) fn exited(&mut self, incarnation: Incarnation) {
        let child = self.running.remove(&incarnation).expect("exited without a start");
        assert_eq!(self.current.remove(&child.key), Some(incarnation));
    }

    pub(crate) fn check(&mut self, rules: &Rules, now: Time, action: &Action) {
        if let Action::Reply(request, _) = action {
            let replies = self.replies.get_mut(request).expect("reply without a request");
            *replies += 1;
            assert_eq!(*replies, 1, "{request:?} has two replies");
            return;
        }
        assert_eq!(self.exit, None, "{action:?} after the exit");
        match action {
            Action::Start(key, incarnation) => self.start(now, *key, *incarnation),
            Action::Stop(incarnation) => {
                let child =
                    self.running.get_mut(incarnation).expect("stop of an incarnation that does not run");
                assert!(
                    child.stop_requested.is_none() && !child.killed,
                    "{incarnation:?} is stopped twice or after its kill"
                );
                child.stop_requested = Some(now);
            }
            Action::Kill(incarnation) => {
                let child =
                    self.running.get_mut(incarnation).expect("kill of an incarnation that does not run");
                assert!(!std::mem::replace(&mut child.killed, true), "{incarnation:?} is killed twice");
            }
            Action::Forget(key) => {
                assert!(!self.current.contains_key(key), "{key:?} is forgotten while it runs");
                assert!(self.forgotten.insert(*key), "{key:?} is forgotten twice");
            }
            Action::Exit(reason) => {
                assert!(self.running.is_empty(), "{:?} run after the exit of their supervisor", self.running);
                self.exit = Some(reason.clone());
            }
            Action::Ready => {
                self.ready += 1;
                assert_eq!(self.ready, 1, "ready twice");
            }
            Action::Added(request, _) => assert!(self.replies.contains_key(request)),
            Action::Report(report) => {
                assert!(report.instances > 0);
                let incarnation = report.incarnation.map(Incarnation::number);
                // Only a dynamic supervisor has reports without incarnation: they summarize instances.
                assert!(
                    incarnation
                        .map_or(rules.is_dynamic(), |incarnation| (1..=self.last).contains(&incarnation)),
                    "{report:?}"
                );
            }
            Action::Reply(..) => {}
        }
        if !rules.is_dynamic() {
            let awaited = self.running.values().filter(|child| child.is_awaited()).count();
            assert!(awaited <= 1, "a static supervisor waits for {:?}, more than one", self.running);
        }
    }

    fn start(&mut self, now: Time, key: ChildKey, incarnation: Incarnation) {
        assert!(incarnation.number() > self.last, "incarnations do not increase");
        self.last = incarnation.number();
        assert!(!self.forgotten.contains(&key), "start of {key:?}, which was forgotten");
        assert_eq!(self.current.insert(key, incarnation), None, "two incarnations of {key:?} run");
        let child = RunningChild { key, ready: false, since: now, stop_requested: None, killed: false };
        self.running.insert(incarnation, child);
    }

    /// Checks that `poll_timeout` covers the deadline of every running incarnation.
    pub(crate) fn check_timer(&self, rules: &Rules) {
        let timer = rules.poll_timeout();
        assert!(self.exit.is_none() || timer.is_none(), "a timer after the exit");
        for (incarnation, child) in &self.running {
            let Some(end) = rules.spec(child.key).and_then(|spec| child.kill_deadline(spec)) else {
                continue;
            };
            assert!(
                timer.is_some_and(|timer| timer <= end),
                "the timer {timer:?} misses {incarnation:?}, due at {end:?}"
            );
        }
    }

    /// Checks after `Event::Timeout` that no deadline is overdue.
    ///
    /// A child that was started or stopped only now may have a time-out of 0. That is for the next `Event::Timeout`.
    pub(crate) fn check_overdue(&self, rules: &Rules, now: Time) {
        for (incarnation, child) in
            self.running.iter().filter(|(_, child)| child.stop_requested.unwrap_or(child.since) < now)
        {
            let end = rules.spec(child.key).and_then(|spec| child.kill_deadline(spec));
            assert!(end.is_none_or(|end| end > now), "{incarnation:?} is overdue since {end:?}: {child:?}");
        }
    }

    /// Checks a supervisor without unanswered actions: the children that it lists are those that run, none is about
    /// to be restarted, and every request was answered.
    pub(crate) fn check_at_rest(&self, states: &[ChildState]) {
        let running: BTreeSet<Incarnation> = self.running.keys().copied().collect();
        let known = states.iter().filter_map(|state| match state {
            ChildState::Running(incarnation) => Some(*incarnation),
            _ => None,
        });
        assert_eq!(known.collect::<BTreeSet<_>>(), running, "it lists other incarnations than run");
        assert!(!states.contains(&ChildState::Restarting), "a restart is still pending: {states:?}");
        self.check_all_answered();
    }

    pub(crate) fn check_all_answered(&self) {
        let open: Vec<_> = self.replies.iter().filter(|(_, replies)| **replies == 0).collect();
        assert!(open.is_empty(), "{open:?} have no reply");
    }
}

//! The static supervisor: what it is told, what it decides, and when to come back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;

use crate::children::{Children, Life};
use crate::intensity::Window;
use crate::turn::{Purpose, Turn};
use crate::{
    Action, AutoShutdown, ChildKey, ChildSpec, Event, ExitReason, Flags, Incarnation, Report, ReportKind,
    Request, RequestId, Restart, SpecError, Strategy, Time,
};

/// A supervisor of a list of children: started in order, stopped in reverse, restarted by a strategy.
///
/// It does one thing at a time, as OTP's does: while a child starts or stops, everything else that happens waits
/// in the order in which it happened. So the driver may tell it anything at any time.
///
/// ```
/// use impresario_supervision::{Action, ChildSpec, Event, ExitReason, Flags, Supervisor, Time};
///
/// let now = Time::START;
/// let mut rules = Supervisor::new(Flags::default(), vec![ChildSpec::worker("cache")]).unwrap();
/// rules.handle(now, Event::Start);
/// let Some(Action::Start(cache, first)) = rules.poll_action() else { panic!() };
/// rules.handle(now, Event::Started(first));
/// assert_eq!(rules.poll_action(), Some(Action::Ready));
///
/// rules.handle(now, Event::Exited(first, ExitReason::Killed));
/// assert!(matches!(rules.poll_action(), Some(Action::Report(_))));
/// let Some(Action::Start(again, second)) = rules.poll_action() else { panic!() };
/// assert!(again == cache && second > first);
/// ```
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) flags: Flags,
    pub(crate) children: Children,
    pub(crate) phase: Phase,
    window: Window,
    /// Lives that may still be heard of. An answer about any other life changes nothing.
    pub(crate) lives: HashMap<Incarnation, ChildKey>,
    next_incarnation: u64,
    /// The work under way; at most one child of it starts or stops at a time.
    pub(crate) turn: Option<Turn>,
    pub(crate) busy: Option<ChildKey>,
    /// What waits until the work under way is done.
    pub(crate) inbox: VecDeque<Item>,
    /// Ends of backoffs.
    pub(crate) wakeups: BTreeSet<(Time, ChildKey)>,
    pub(crate) actions: VecDeque<Action>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    New,
    FirstStart,
    Running,
    /// On the way out, with this reason at the end.
    Leaving(ExitReason),
    Gone,
}

/// What waits in the inbox, in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Exited(ChildKey, Incarnation),
    /// A restart failed; try again, after what was queued before.
    Retry(ChildKey, ExitReason),
    /// A backoff is over.
    Woken(ChildKey),
    Request(RequestId, Request),
    Shutdown(ExitReason),
}

impl Supervisor {
    /// Checks everything, starts nothing.
    ///
    /// # Errors
    ///
    /// A [`SpecError`] that names the child and the value.
    pub fn new(flags: Flags, specs: Vec<ChildSpec>) -> Result<Self, SpecError> {
        flags.check()?;
        let mut children = Children::default();
        for spec in specs {
            spec.check(flags.auto_shutdown)?;
            if children.position_of(&spec.id).is_some() {
                return Err(SpecError::DuplicateId { child: spec.id });
            }
            children.push(spec);
        }
        Ok(Self {
            flags,
            children,
            phase: Phase::New,
            window: Window::default(),
            lives: HashMap::new(),
            next_incarnation: 1,
            turn: None,
            busy: None,
            inbox: VecDeque::new(),
            wakeups: BTreeSet::new(),
            actions: VecDeque::new(),
        })
    }

    /// The keys of all children, in start order.
    pub fn keys(&self) -> impl Iterator<Item = ChildKey> + '_ {
        self.children.iter().map(|child| child.key)
    }

    /// The spec behind a key, while there is one.
    pub fn spec(&self, key: ChildKey) -> Option<&ChildSpec> {
        self.children.position(key).map(|at| &self.children[at].spec)
    }

    /// Tells what has happened. Drain [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Start => self.begin(),
            Event::Started(life) => self.started(now, life),
            Event::Ignored(life) => self.ignored(life),
            Event::StartFailed(life, reason) | Event::Exited(life, reason) => self.ended(now, life, reason),
            Event::Shutdown(reason) => self.shutdown(now, reason),
            Event::Timeout => self.timeout(now),
        }
        self.advance(now);
    }

    /// Asks for something; exactly one [`Action::Reply`] with this id answers, perhaps later.
    pub fn request(&mut self, now: Time, id: RequestId, request: Request) {
        self.inbox.push_back(Item::Request(id, request));
        self.advance(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let busy = self.busy.and_then(|key| self.children.position(key)).and_then(|at| {
            match self.children[at].life {
                Life::Starting { deadline, timed_out: false }
                | Life::Stopping { deadline, timed_out: false } => deadline,
                _ => None,
            }
        });
        let woken = self.wakeups.first().map(|(time, _)| *time);
        busy.into_iter().chain(woken).min()
    }

    fn begin(&mut self) {
        if self.phase == Phase::New {
            self.phase = Phase::FirstStart;
            self.turn = Some(Turn::bring_up(0..self.children.len(), Purpose::FirstStart));
        }
    }

    pub(crate) fn new_life(&mut self, key: ChildKey) -> Incarnation {
        let life = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.lives.insert(life, key);
        life
    }

    fn shutdown(&mut self, now: Time, reason: ExitReason) {
        match self.phase {
            // Nobody waits for the first start any more: what starts is stopped, not waited for.
            Phase::New | Phase::FirstStart => {
                self.leave(reason);
                self.abandon_start(now);
            }
            Phase::Running => self.inbox.push_back(Item::Shutdown(reason)),
            Phase::Leaving(_) | Phase::Gone => {}
        }
    }

    fn timeout(&mut self, now: Time) {
        self.busy_timeout(now);
        while let Some(&(time, key)) = self.wakeups.first()
            && time <= now
        {
            self.wakeups.pop_first();
            self.inbox.push_back(Item::Woken(key));
        }
    }

    /// Deals with what happened while the supervisor was busy, one thing at a time.
    pub(crate) fn decide(&mut self, now: Time, item: Item) {
        match item {
            Item::Exited(key, life) => self.decide_exit(now, key, life),
            Item::Retry(key, reason) => self.retry(now, key, reason),
            Item::Woken(key) => self.woken(now, key),
            Item::Request(id, request) => self.serve(now, id, request),
            Item::Shutdown(reason) => self.leave(reason),
        }
    }

    /// The heart of the rules: restart type x reason says what follows.
    fn decide_exit(&mut self, now: Time, key: ChildKey, life: Incarnation) {
        let Some(at) = self.children.position(key) else { return };
        let child = &mut self.children[at];
        if child.incarnation != life {
            return;
        }
        let Life::Dead { since, reason } = std::mem::replace(&mut child.life, Life::Down) else { return };
        let (restart, significant) = (child.spec.restart, child.spec.significant);
        let wanted = match restart {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_clean(),
            Restart::Temporary => false,
        };
        if wanted || !reason.is_clean() {
            self.report(ReportKind::ChildTerminated, at, reason.clone());
        }
        if wanted {
            self.restart(now, at, Some(since), reason);
            return;
        }
        if restart == Restart::Temporary {
            self.remove(at);
        }
        if significant {
            self.auto_shutdown();
        }
    }

    fn auto_shutdown(&mut self) {
        let ends = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                let present = |child: &crate::children::Child| child.restarting || child.life != Life::Down;
                !self.children.iter().any(|child| child.spec.significant && present(child))
            }
        };
        if ends {
            self.leave(ExitReason::Shutdown);
        }
    }

    /// A child failed and is wanted: count, then take its range down and bring it up, perhaps later.
    fn restart(&mut self, now: Time, at: usize, since: Option<Time>, reason: ExitReason) {
        if !self.window.allow(now, self.flags.intensity) {
            self.give_up(at, reason);
            return;
        }
        let delay = self.delay(now, at, since);
        let range = self.range(at);
        let child = &mut self.children[at];
        child.restarting = true;
        if delay.is_zero() {
            self.turn = Some(Turn::take_down(range, Purpose::Restart));
        } else {
            child.not_before = Some(now + delay);
            self.wakeups.insert((now + delay, child.key));
            self.turn = Some(Turn::take_down(range, Purpose::Park));
        }
    }

    fn delay(&mut self, now: Time, at: usize, since: Option<Time>) -> std::time::Duration {
        let child = &mut self.children[at];
        match child.spec.backoff {
            Some(backoff) => child.row.failed(now, since, &backoff),
            None => std::time::Duration::ZERO,
        }
    }

    /// A restart did not succeed: later, after what is queued by now, or after its backoff.
    pub(crate) fn restart_failed(&mut self, now: Time, at: usize, reason: ExitReason) {
        let delay = self.delay(now, at, None);
        let child = &mut self.children[at];
        child.restarting = true;
        if delay.is_zero() {
            self.inbox.push_back(Item::Retry(child.key, reason));
        } else if !self.window.allow(now, self.flags.intensity) {
            self.give_up(at, reason);
        } else {
            child.not_before = Some(now + delay);
            self.wakeups.insert((now + delay, child.key));
        }
    }

    fn retry(&mut self, now: Time, key: ChildKey, reason: ExitReason) {
        let Some(at) = self.children.position(key).filter(|&at| self.children[at].restarting) else { return };
        if self.window.allow(now, self.flags.intensity) {
            self.turn = Some(Turn::take_down(self.range(at), Purpose::Restart));
        } else {
            self.give_up(at, reason);
        }
    }

    fn woken(&mut self, now: Time, key: ChildKey) {
        let Some(at) = self.children.position(key).filter(|&at| self.children[at].restarting) else { return };
        let range = self.range(at);
        // A group waits for the longest of its delays: that child's own wake-up brings all of it up.
        let waits = |other: usize| self.children[other].not_before.is_some_and(|time| time > now);
        if !range.clone().any(waits) {
            self.turn = Some(Turn::take_down(range, Purpose::Restart));
        }
    }

    /// A strategy is nothing but the range of children that share a fate.
    fn range(&self, at: usize) -> Range<usize> {
        match self.flags.strategy {
            Strategy::OneForOne => at..at + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => at..self.children.len(),
        }
    }

    fn give_up(&mut self, at: usize, reason: ExitReason) {
        let child = self.children[at].spec.id.clone();
        self.children[at].restarting = false;
        self.report(ReportKind::GaveUp, at, reason.clone());
        self.leave(ExitReason::GaveUp { child, reason: Box::new(reason) });
    }

    /// From here on nothing is started: everything is taken down, then the supervisor exits.
    pub(crate) fn leave(&mut self, reason: ExitReason) {
        self.phase = Phase::Leaving(reason);
        self.wakeups.clear();
        self.turn = Some(Turn::take_down(0..self.children.len(), Purpose::Leave));
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let child = self.children.remove(at);
        self.actions.push_back(Action::Forget(child.key));
    }

    pub(crate) fn report(&mut self, kind: ReportKind, at: usize, reason: ExitReason) {
        let child = &self.children[at];
        let incarnation = Some(child.incarnation).filter(|life| life.number() > 0);
        let child = child.spec.id.clone();
        self.actions.push_back(Action::Report(Report { kind, child, incarnation, lives: 1, reason }));
    }
}

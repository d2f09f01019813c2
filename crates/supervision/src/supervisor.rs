//! The static supervisor: what it is told, and when to come back.

use std::collections::{BTreeSet, VecDeque};

use crate::children::{Children, Life};
use crate::intensity::Window;
use crate::luck::Luck;
use crate::spec::check_all;
use crate::turn::{Purpose, Turn};
use crate::{
    Action, ChildKey, ChildRules, Event, ExitReason, Flags, IdMap, Incarnation, Request, RequestError,
    RequestId, SpecError, Time,
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
#[doc(alias = "one_for_one")]
#[doc(alias = "one_for_all")]
#[doc(alias = "rest_for_one")]
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) flags: Flags,
    pub(crate) children: Children,
    pub(crate) phase: Phase,
    pub(crate) window: Window,
    pub(crate) luck: Luck,
    /// Lives that may still be heard of. An answer about any other life changes nothing.
    pub(crate) lives: IdMap<Incarnation, ChildKey>,
    next_incarnation: u64,
    /// The work under way; at most one child of it starts or stops at a time.
    pub(crate) turn: Option<Turn>,
    pub(crate) busy: Option<ChildKey>,
    /// What waits until the work under way is done.
    pub(crate) inbox: VecDeque<Item>,
    /// Ends of backoffs.
    pub(crate) wakeups: BTreeSet<(Time, ChildKey)>,
    /// When a shutdown that waits for a start waits no longer.
    pub(crate) patience: Option<Time>,
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
    /// The backoff that was to end then is over.
    Woken(ChildKey, Time),
    Request(RequestId, Request),
    Shutdown(ExitReason),
}

impl Supervisor {
    /// Checks everything, starts nothing (OTP: `check_childspecs`).
    ///
    /// # Errors
    ///
    /// A [`SpecError`] that names the child and the value.
    #[doc(alias = "check_childspecs")]
    pub fn new(flags: Flags, specs: Vec<ChildRules>) -> Result<Self, SpecError> {
        check_all(&flags, &specs)?;
        let mut children = Children::with_capacity(specs.len());
        for spec in specs {
            children.push(spec);
        }
        Ok(Self {
            flags,
            children,
            phase: Phase::New,
            window: Window::default(),
            luck: Luck::default(),
            lives: IdMap::default(),
            next_incarnation: 1,
            turn: None,
            busy: None,
            inbox: VecDeque::new(),
            wakeups: BTreeSet::new(),
            patience: None,
            actions: VecDeque::new(),
        })
    }

    /// Gives it the number from which the jitter of all backoffs follows. Without it the number is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.luck = Luck(seed);
        self
    }

    /// The keys of all children, in start order.
    pub fn keys(&self) -> impl Iterator<Item = ChildKey> + '_ {
        self.children.iter().map(|child| child.key)
    }

    /// The spec behind a key, while there is one.
    pub fn spec(&self, key: ChildKey) -> Option<&ChildRules> {
        self.children.position(key).map(|at| &self.children[at].spec)
    }

    /// Tells what has happened. Drain [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Start => self.begin(),
            Event::Started(life) => self.started(now, life),
            Event::Ignored(life) => self.ignored(now, life),
            Event::StartFailed(life, reason) | Event::Exited(life, reason) => self.ended(now, life, reason),
            Event::Shutdown(reason) => self.shutdown(now, reason),
            Event::Timeout => self.timeout(now),
        }
        self.advance(now);
    }

    /// Asks for something; exactly one [`Action::Reply`] with this id answers, perhaps later.
    ///
    /// It is served in its turn, when nothing starts or stops, and in any case not before [`Event::Start`]. What was
    /// not served when the supervisor exits is refused with [`RequestError::ShuttingDown`].
    pub fn request(&mut self, now: Time, id: RequestId, request: Request) {
        if self.phase == Phase::Gone {
            return self.refuse(id, RequestError::ShuttingDown);
        }
        self.inbox.push_back(Item::Request(id, request));
        self.advance(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let child = self.busy_at().map(|at| &self.children[at].life);
        let busy = child.and_then(|life| match life {
            Life::Starting { deadline, timed_out: false } | Life::Stopping { deadline, timed_out: false } => {
                *deadline
            }
            _ => None,
        });
        let patience = self.patience.filter(|_| matches!(child, Some(Life::Starting { .. })));
        let woken = self.wakeups.first().map(|(time, _)| *time);
        [busy, patience, woken].into_iter().flatten().min()
    }

    fn begin(&mut self) {
        if self.phase == Phase::New {
            self.phase = Phase::FirstStart;
            self.turn = Some(Turn::bring_up(0..self.children.len(), Purpose::FirstStart));
        }
    }

    /// The position of the child that starts or stops.
    pub(crate) fn busy_at(&self) -> Option<usize> {
        self.busy.and_then(|key| self.children.position(key))
    }

    pub(crate) fn new_life(&mut self, key: ChildKey) -> Incarnation {
        let life = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.lives.insert(life, key);
        life
    }

    fn timeout(&mut self, now: Time) {
        self.busy_timeout(now);
        self.lose_patience(now);
        while let Some(&(time, key)) = self.wakeups.first()
            && time <= now
        {
            self.wakeups.pop_first();
            self.inbox.push_back(Item::Woken(key, time));
        }
    }
}

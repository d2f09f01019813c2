//! The static supervisor: what it is told, and when to come back.

mod children;
mod exits;
mod lifecycle;
mod requests;
mod restart;
mod transition;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use crate::event::{Action, Event};
use crate::id::{ChildKey, Incarnation};
use crate::id_map::IdMap;
use crate::policy::intensity::RestartWindow;
use crate::policy::rng::SplitMix64;
use crate::policy::spec::{ChildRules, Flags, check_all};
use crate::policy::spec_error::SpecError;
use crate::reason::ExitReason;
use crate::request::{Request, RequestError, RequestId};
use crate::status::ChildStatus;
use crate::time::Time;
use children::{Child, Children, RunState};

/// A supervisor of a list of children: started in order, stopped in reverse, restarted by a strategy.
///
/// It does one thing at a time, as OTP's does: while a child starts or stops, everything else that happens waits
/// in the order in which it happened. So the driver may tell it anything at any time.
///
/// ```
/// use impresario_supervision::{Action, ChildRules, Event, ExitReason, Flags, Supervisor, Time};
///
/// let now = Time::START;
/// let mut rules = Supervisor::new(Flags::default(), vec![ChildRules::worker("cache")]).unwrap();
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
    pub(crate) window: RestartWindow,
    pub(crate) rng: SplitMix64,
    /// Lives that may still be heard of. An answer about any other life changes nothing.
    pub(crate) incarnations: IdMap<Incarnation, ChildKey>,
    next_incarnation: u64,
    /// The work under way; at most one child of it starts or stops at a time.
    pub(crate) transition: Option<Transition>,
    pub(crate) in_transition: Option<ChildKey>,
    /// What waits until the work under way is done.
    pub(crate) queue: VecDeque<QueuedEvent>,
    /// Ends of backoffs.
    pub(crate) backoff_deadlines: BTreeSet<(Time, ChildKey)>,
    /// When a shutdown that waits for a start waits no longer.
    pub(crate) start_deadline: Option<Time>,
    pub(crate) actions: VecDeque<Action>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    New,
    FirstStart,
    Running,
    /// On the way out, with this reason at the end.
    ShuttingDown(ExitReason),
    Terminated,
}

/// What waits in the inbox, in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) enum QueuedEvent {
    Exited(ChildKey, Incarnation),
    /// A restart failed; try again, after what was queued before.
    Retry(ChildKey, ExitReason),
    /// The backoff that was to end then is over.
    BackoffExpired(ChildKey, Time),
    Request(RequestId, Request),
    Shutdown(ExitReason),
}

/// The work under way.
#[derive(Clone, Debug)]
pub(crate) struct Transition {
    range: Range<usize>,
    /// Going down: everything from here to the end of the range is down. Going up: everything before is up.
    next: usize,
    direction: Direction,
    pub(crate) kind: TransitionKind,
    /// Who is told how it went with this child.
    pub(crate) requester: Option<(RequestId, ChildKey)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Stop,
    Start,
}

/// Why, and so what follows when it is done and when a start fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransitionKind {
    /// All up, in order; a failure ends the supervisor.
    FirstStart,
    /// Down, then up again; a failure is retried.
    Restart,
    /// Down; a wake-up will bring it up.
    StopForBackoff,
    /// One up because somebody asked; a failure is the answer, and nothing is kept of a child that was added.
    Start { added: bool },
    /// One down because somebody asked.
    Terminate,
    /// All down, then exit.
    Shutdown,
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
            window: RestartWindow::default(),
            rng: SplitMix64::default(),
            incarnations: IdMap::default(),
            next_incarnation: 1,
            transition: None,
            in_transition: None,
            queue: VecDeque::new(),
            backoff_deadlines: BTreeSet::new(),
            start_deadline: None,
            actions: VecDeque::new(),
        })
    }

    /// Gives it the number from which the jitter of all backoffs follows. Without it the number is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = SplitMix64(seed);
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

    /// The flags it follows.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// Everybody, in start order.
    pub fn child_statuses(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        self.children.iter().map(Child::status)
    }

    /// Tells what has happened. Drain [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Start => self.begin(),
            Event::Started(incarnation) => self.started(now, incarnation),
            Event::Ignored(incarnation) => self.ignored(now, incarnation),
            Event::StartFailed(incarnation, reason) | Event::Exited(incarnation, reason) => {
                self.exited(now, incarnation, reason)
            }
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
        if self.phase == Phase::Terminated {
            return self.refuse(id, RequestError::ShuttingDown);
        }
        self.queue.push_back(QueuedEvent::Request(id, request));
        self.advance(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let child = self.in_transition_at().map(|at| &self.children[at].state);
        let in_transition = child.and_then(|incarnation| match incarnation {
            RunState::Starting { deadline, timed_out: false }
            | RunState::Stopping { deadline, timed_out: false } => *deadline,
            _ => None,
        });
        let start_deadline = self.start_deadline.filter(|_| matches!(child, Some(RunState::Starting { .. })));
        let woken = self.backoff_deadlines.first().map(|(time, _)| *time);
        [in_transition, start_deadline, woken].into_iter().flatten().min()
    }

    fn begin(&mut self) {
        if self.phase == Phase::New {
            self.phase = Phase::FirstStart;
            self.transition = Some(Transition::start(0..self.children.len(), TransitionKind::FirstStart));
        }
    }

    /// The position of the child that starts or stops.
    pub(crate) fn in_transition_at(&self) -> Option<usize> {
        self.in_transition.and_then(|key| self.children.position(key))
    }

    pub(crate) fn new_incarnation(&mut self, key: ChildKey) -> Incarnation {
        let incarnation = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.incarnations.insert(incarnation, key);
        incarnation
    }

    fn timeout(&mut self, now: Time) {
        self.check_in_transition(now);
        self.check_start_deadline(now);
        while let Some(&(time, key)) = self.backoff_deadlines.first()
            && time <= now
        {
            self.backoff_deadlines.pop_first();
            self.queue.push_back(QueuedEvent::BackoffExpired(key, time));
        }
    }
}

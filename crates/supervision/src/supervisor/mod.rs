//! The static supervisor: children in a fixed order, one start or stop at a time.
//!
//! `mod.rs` holds the state and the public API. The `impl` blocks are in the other files:
//!
//! * `children`: the list of children and the run state of each.
//! * `transition`: stops a range of children in reverse, then starts it in order.
//! * `exits`: what follows from queued events; shutdown and auto-shutdown.
//! * `restart`: restarts, retries and backoffs.
//! * `requests`: requests of an operator or of user code.
//! * `lifecycle`: answers about incarnations, and time-outs.
//!
//! It knows `policy` and the data of the root. It knows neither `dynamic` nor `pool`.

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

/// A supervisor of a list of children: started in order, stopped in reverse, restarted by a [`Strategy`].
///
/// As in OTP, at most one child starts or stops at a time. Events and requests that arrive meanwhile are queued in
/// their order, so a driver may pass them at any time.
///
/// [`Strategy`]: crate::Strategy
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
    flags: Flags,
    children: Children,
    phase: Phase,
    window: RestartWindow,
    /// Draws the jitter of all backoffs.
    rng: SplitMix64,
    /// The incarnations that have not exited. An event about any other changes nothing.
    incarnations: IdMap<Incarnation, ChildKey>,
    next_incarnation: u64,
    /// The transition under way. Queued events wait for its end.
    transition: Option<Transition>,
    /// The child that starts or stops now. `advance` does nothing while it is set.
    in_transition: Option<ChildKey>,
    queue: VecDeque<QueuedEvent>,
    /// The ends of all backoffs: `Child::not_before` of each child that has one.
    backoff_deadlines: BTreeSet<(Time, ChildKey)>,
    /// The deadline of a start under way, set when a shutdown is requested. The start is stopped then.
    start_deadline: Option<Time>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    /// Before `Event::Start`.
    New,
    /// Until all first children are started.
    FirstStart,
    Running,
    /// All children are being stopped; the supervisor exits with this reason.
    ShuttingDown(ExitReason),
    /// `Action::Exit` was queued.
    Terminated,
}

/// What is handled when no transition is under way, in the order of arrival.
#[derive(Clone, Debug)]
enum QueuedEvent {
    /// The child exited without a request.
    Exited(ChildKey, Incarnation),
    /// A restart failed for this reason and is retried.
    Retry(ChildKey, ExitReason),
    /// The backoff with this deadline expired.
    BackoffExpired(ChildKey, Time),
    Request(RequestId, Request),
    Shutdown(ExitReason),
}

/// Work on a range of children: all are stopped in reverse, or all are started in order.
#[derive(Clone, Debug)]
struct Transition {
    /// Positions of the children.
    range: Range<usize>,
    /// Stopping: the children from here to the end of the range are down. Starting: those before it are started.
    next: usize,
    direction: Direction,
    kind: TransitionKind,
    /// The request to answer when this child has started or stopped.
    requester: Option<(RequestId, ChildKey)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Stop,
    Start,
}

/// Decides what follows at the end of the transition and when a start fails in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransitionKind {
    /// Starts all children. A failed start ends the supervisor.
    FirstStart,
    /// Stops the range, then starts it. A failed start is retried.
    Restart,
    /// Stops the range. The end of the backoff restarts it.
    StopForBackoff,
    /// Starts one child on request. A failed start is the reply; a child that was `added` is removed.
    Start { added: bool },
    /// Stops one child on request.
    Terminate,
    /// Stops all children, then the supervisor exits.
    Shutdown,
}

impl Supervisor {
    /// Checks flags and specs (OTP: `check_childspecs`). [`Event::Start`] starts the children.
    ///
    /// # Errors
    ///
    /// A [`SpecError`] that names the child and the invalid value.
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

    /// Sets the seed of the random numbers in backoffs. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = SplitMix64(seed);
        self
    }

    /// The keys of all children, in start order.
    pub fn keys(&self) -> impl Iterator<Item = ChildKey> + '_ {
        self.children.iter().map(|child| child.key)
    }

    /// The spec of the child with this key; `None` after [`Action::Forget`].
    pub fn spec(&self, key: ChildKey) -> Option<&ChildRules> {
        self.children.position(key).map(|at| &self.children[at].spec)
    }

    /// The flags.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// The state of every child, in start order.
    pub fn child_statuses(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        self.children.iter().map(Child::status)
    }

    /// Handles an event. Drain [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Start => self.begin(),
            Event::Started(incarnation) => self.started(now, incarnation),
            Event::Ignored(incarnation) => self.ignored(now, incarnation),
            Event::StartFailed(incarnation, reason) | Event::Exited(incarnation, reason) => {
                self.exited(now, incarnation, reason);
            }
            Event::Shutdown(reason) => self.shutdown(now, reason),
            Event::Timeout => self.timeout(now),
        }
        self.advance(now);
    }

    /// Queues a request. Exactly one [`Action::Reply`] with this id follows, now or later.
    ///
    /// It is handled after earlier events, while no child starts or stops, and not before [`Event::Start`]. A request
    /// that is queued when the supervisor exits is refused with [`RequestError::ShuttingDown`].
    pub fn request(&mut self, now: Time, id: RequestId, request: Request) {
        if self.phase == Phase::Terminated {
            return self.refuse(id, RequestError::ShuttingDown);
        }
        self.queue.push_back(QueuedEvent::Request(id, request));
        self.advance(now);
    }

    /// The next action; `None` when all are taken.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to pass [`Event::Timeout`], unless another event comes first. `None`: no timer is needed.
    pub fn poll_timeout(&self) -> Option<Time> {
        let child = self.in_transition_at().map(|at| &self.children[at].state);
        let in_transition = child.and_then(|state| match state {
            RunState::Starting { deadline, timed_out: false }
            | RunState::Stopping { deadline, timed_out: false } => *deadline,
            _ => None,
        });
        let start_deadline = self.start_deadline.filter(|_| matches!(child, Some(RunState::Starting { .. })));
        let backoff = self.backoff_deadlines.first().map(|(time, _)| *time);
        [in_transition, start_deadline, backoff].into_iter().flatten().min()
    }

    fn begin(&mut self) {
        if self.phase == Phase::New {
            self.phase = Phase::FirstStart;
            self.transition = Some(Transition::start(0..self.children.len(), TransitionKind::FirstStart));
        }
    }

    /// The position of the child that starts or stops now.
    fn in_transition_at(&self) -> Option<usize> {
        self.in_transition.and_then(|key| self.children.position(key))
    }

    fn new_incarnation(&mut self, key: ChildKey) -> Incarnation {
        let incarnation = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.incarnations.insert(incarnation, key);
        incarnation
    }

    fn timeout(&mut self, now: Time) {
        self.check_child_deadline(now);
        self.check_start_deadline(now);
        while let Some(&(time, key)) = self.backoff_deadlines.first()
            && time <= now
        {
            self.backoff_deadlines.pop_first();
            self.queue.push_back(QueuedEvent::BackoffExpired(key, time));
        }
    }
}

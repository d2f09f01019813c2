//! The dynamic supervisor: any number of instances of one template, started on request, stopped in parallel.
//!
//! `mod.rs` holds the state and the public API. The `impl` blocks are in `lifecycle` (starts, exits, restarts) and
//! `stopping` (stops, time-outs, shutdown). `instance` is the state of one instance.
//!
//! It knows `policy` and the data of the root. It knows neither `supervisor` nor `pool`.

mod instance;
mod lifecycle;
mod stopping;

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::event::{Action, Event};
use crate::id::{ChildKey, Incarnation};
use crate::id_map::IdMap;
use crate::policy::intensity::RestartWindow;
use crate::policy::rng::SplitMix64;
use crate::policy::spec::{ChildKind, ChildRules, Flags};
use crate::policy::spec_error::SpecError;
use crate::reason::ExitReason;
use crate::request::{ChildInfo, Counts, Reply, RequestError, RequestId};
use crate::status::ChildStatus;
use crate::time::Time;
use instance::{Instance, State};

/// A supervisor of instances of one template (OTP: `simple_one_for_one`; Elixir: `DynamicSupervisor`).
///
/// * Instances start and stop independently; one that is slow delays no other.
/// * At shutdown all instances are requested to stop at the same time, and share one deadline.
/// * The driver keeps the arguments of an instance under its [`ChildKey`], until [`Action::Forget`].
///
/// Each event costs constant or logarithmic time in the number of instances, except a shutdown and the exit of a
/// significant instance under [`AllSignificant`](crate::AutoShutdown::AllSignificant), which are linear.
///
/// ```
/// use impresario_supervision::{
///     Action, ChildRules, DynamicSupervisor, Event, Flags, Reply, RequestError, RequestId, Time,
/// };
///
/// let now = Time::START;
/// let mut rules = DynamicSupervisor::new(Flags::default(), ChildRules::worker("session"), Some(1)).unwrap();
/// rules.handle(now, Event::Start);
/// assert_eq!(rules.poll_action(), Some(Action::Ready));
///
/// let key = rules.start_child(now, RequestId(1)).unwrap();
/// let Some(Action::Start(started, first)) = rules.poll_action() else { panic!() };
/// assert_eq!(started, key);
/// rules.handle(now, Event::Started(first));
/// assert_eq!(rules.poll_action(), Some(Action::Reply(RequestId(1), Reply::Started(key, first))));
/// assert_eq!(rules.start_child(now, RequestId(2)), Err(RequestError::MaxChildren(1)));
/// ```
#[doc(alias = "simple_one_for_one")]
#[derive(Clone, Debug)]
pub struct DynamicSupervisor {
    flags: Flags,
    template: ChildRules,
    max_children: Option<usize>,
    phase: Phase,
    window: RestartWindow,
    /// Draws the jitter of all backoffs.
    rng: SplitMix64,
    /// A hash map, because a B-tree that is filled with increasing keys uses only about half of its memory.
    instances: IdMap<ChildKey, Instance>,
    /// The incarnations that have not exited. An event about any other changes nothing.
    incarnations: IdMap<Incarnation, ChildKey>,
    next_key: u64,
    next_incarnation: u64,
    /// The `Instance::timer` of each instance that has one. Its state tells which time-out it is.
    timers: BTreeSet<(Time, ChildKey)>,
    /// A significant instance exited without a request when no other was present, and none has become ready since.
    last_significant_exited: bool,
    /// Unexpected exit reasons during the shutdown, each with the number of instances that gave it.
    unexpected: HashMap<ExitReason, usize>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    Running,
    ShuttingDown { reason: ExitReason, deadline: Option<Time> },
    Terminated,
}

impl DynamicSupervisor {
    /// Checks flags and template. `max_children` is a hard limit on instances; `None`: no limit.
    ///
    /// # Errors
    ///
    /// A [`SpecError`] that names the template and the invalid value. The strategy in `flags` has no effect.
    pub fn new(flags: Flags, template: ChildRules, max_children: Option<usize>) -> Result<Self, SpecError> {
        check(&flags, &template, max_children)?;
        Ok(Self {
            flags,
            template,
            max_children,
            phase: Phase::New,
            window: RestartWindow::default(),
            rng: SplitMix64::default(),
            instances: IdMap::default(),
            incarnations: IdMap::default(),
            next_key: 0,
            next_incarnation: 1,
            timers: BTreeSet::new(),
            last_significant_exited: false,
            unexpected: HashMap::new(),
            actions: VecDeque::new(),
        })
    }

    /// Sets the seed of the random numbers in backoffs. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = SplitMix64(seed);
        self
    }

    /// The template (OTP: `get_childspec`).
    #[doc(alias = "get_childspec")]
    pub fn template(&self) -> &ChildRules {
        &self.template
    }

    /// The number of instances in any state.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether there are no instances.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// The key of the instance that runs as this incarnation.
    pub fn key_of(&self, incarnation: Incarnation) -> Option<ChildKey> {
        self.incarnations.get(&incarnation).copied()
    }

    /// Handles an event. Drain [`poll_action`](Self::poll_action) afterwards.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Start => {
                if let Phase::New = self.phase {
                    self.phase = Phase::Running;
                    self.actions.push_back(Action::Ready);
                }
            }
            Event::Started(incarnation) => self.started(now, incarnation),
            Event::Ignored(incarnation) => self.ignored(now, incarnation),
            Event::StartFailed(incarnation, reason) | Event::Exited(incarnation, reason) => {
                self.exited(now, incarnation, reason);
            }
            Event::Shutdown(reason) => self.begin_shutdown(now, reason),
            Event::Timeout => self.timeout(now),
        }
        self.check_auto_shutdown(now);
        self.exit_if_empty();
    }

    /// The next action; `None` when all are taken.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to pass [`Event::Timeout`], unless another event comes first. `None`: no timer is needed.
    ///
    /// A time that is not in the future: pass it after the events that have already happened. A failed restart without
    /// backoff is retried then.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = match self.phase {
            Phase::ShuttingDown { deadline, .. } => deadline,
            _ => None,
        };
        let timer = self.timers.first().map(|(time, _)| *time);
        deadline.into_iter().chain(timer).min()
    }

    /// Starts an instance. Exactly one [`Action::Reply`] with this id follows when it is ready or has failed.
    ///
    /// Returns the key before [`Action::Start`] carries it, so that the driver can store the arguments under it.
    ///
    /// # Errors
    ///
    /// [`RequestError::MaxChildren`] and [`RequestError::ShuttingDown`]; then no action follows.
    pub fn start_child(&mut self, now: Time, by: RequestId) -> Result<ChildKey, RequestError> {
        if !matches!(self.phase, Phase::Running) {
            return Err(RequestError::ShuttingDown);
        }
        if let Some(max) = self.max_children.filter(|&max| self.instances.len() >= max) {
            return Err(RequestError::MaxChildren(max));
        }
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        self.instances.insert(key, Instance::requested_by(by));
        self.start(now, key, true);
        Ok(key)
    }

    /// Stops an instance and removes it. Exactly one [`Action::Reply`] with this id follows when it has exited.
    ///
    /// The reply is [`Reply::Done`] also for an instance that was removed before; [`RequestError::NotFound`] for a key
    /// that was never assigned.
    pub fn terminate_child(&mut self, now: Time, by: RequestId, key: ChildKey) {
        let Some(instance) = self.instances.get_mut(&key) else {
            let ever = key.number() < self.next_key;
            let reply = if ever { Reply::Done } else { Reply::Error(RequestError::NotFound) };
            return self.actions.push_back(Action::Reply(by, reply));
        };
        instance.stop_requesters.push(by);
        if let Some(start_requester) = instance.start_requester.take() {
            let reply = Reply::Error(RequestError::StartFailed(ExitReason::Shutdown));
            self.actions.push_back(Action::Reply(start_requester, reply));
        }
        self.stop(now, key, true);
        self.exit_if_empty();
    }

    /// Restarts an instance without waiting for its backoff. Exactly one [`Action::Reply`] with this id follows.
    ///
    /// Refused with [`RequestError::Running`] unless the instance waits for a restart, and with
    /// [`RequestError::Restarting`] if that restart is a retry without backoff or is under way.
    pub fn restart_child(&mut self, now: Time, by: RequestId, key: ChildKey) {
        let error = match self.instances.get_mut(&key) {
            None => RequestError::NotFound,
            Some(Instance { state: State::Waiting { uncounted: None }, start_requester, .. }) => {
                *start_requester = Some(by);
                return self.start(now, key, false);
            }
            Some(instance) if instance.is_restarting() => RequestError::Restarting,
            Some(_) => RequestError::Running,
        };
        self.actions.push_back(Action::Reply(by, Reply::Error(error)));
    }

    /// Replaces flags, template and limit (OTP: `code_change`). No instance starts or stops.
    ///
    /// Running instances follow the new template. The restarts counted so far still count.
    ///
    /// # Errors
    ///
    /// A [`SpecError`] as in [`new`](Self::new); then nothing is replaced.
    #[doc(alias = "code_change")]
    pub fn replace(
        &mut self,
        flags: Flags,
        template: ChildRules,
        max_children: Option<usize>,
    ) -> Result<(), SpecError> {
        check(&flags, &template, max_children)?;
        (self.flags, self.template, self.max_children) = (flags, template, max_children);
        Ok(())
    }

    /// All instances, oldest first, under the template's id. One is not listed before its first start is done.
    pub fn which_children(&self) -> Vec<ChildInfo> {
        let info = |key: ChildKey| {
            let (id, kind) = (self.template.id.clone(), self.template.kind);
            Some(ChildInfo { id, key, kind, state: self.instances.get(&key)?.public_state()? })
        };
        self.oldest_first().into_iter().filter_map(info).collect()
    }

    /// The state of every instance, oldest first.
    pub fn child_statuses(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        let status = |key| Some(self.instances.get(&key)?.status(key, &self.template));
        self.oldest_first().into_iter().filter_map(status)
    }

    fn oldest_first(&self) -> Vec<ChildKey> {
        let mut keys: Vec<_> = self.instances.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// The number of instances. `specs` is 1: the template.
    pub fn count_children(&self) -> Counts {
        let all = self.instances.values().filter(|instance| instance.public_state().is_some()).count();
        let restarting = self.instances.values().filter(|instance| instance.is_restarting()).count();
        let is_supervisor = self.template.kind == ChildKind::Supervisor;
        Counts {
            specs: 1,
            active: all - restarting,
            supervisors: if is_supervisor { all } else { 0 },
            workers: if is_supervisor { 0 } else { all },
        }
    }
}

fn check(flags: &Flags, template: &ChildRules, max_children: Option<usize>) -> Result<(), SpecError> {
    flags.check()?;
    template.check(flags.auto_shutdown)?;
    if max_children == Some(0) {
        return Err(SpecError::ZeroMaxChildren { child: template.id.clone() });
    }
    Ok(())
}

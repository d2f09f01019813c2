//! The dynamic supervisor: any number of children of one kind, started on request, stopped all at once.

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
/// Instances start and stop independently of each other, so a slow one is in nobody's way. At shutdown all are
/// told at once and share one deadline. What starts an instance (its arguments) stays with the driver, under the
/// instance's [`ChildKey`], until [`Action::Forget`].
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
/// let Some(Action::Start(started, life)) = rules.poll_action() else { panic!() };
/// assert_eq!(started, key);
/// rules.handle(now, Event::Started(life));
/// assert_eq!(rules.poll_action(), Some(Action::Reply(RequestId(1), Reply::Started(key, life))));
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
    rng: SplitMix64,
    /// Not sorted: a tree leaves nearly half of its room empty when keys only grow, and there may be very many.
    instances: IdMap<ChildKey, Instance>,
    incarnations: IdMap<Incarnation, ChildKey>,
    next_key: u64,
    next_incarnation: u64,
    /// Ends of start time-outs, shutdown time-outs and backoffs; the instance's state tells which.
    timers: BTreeSet<(Time, ChildKey)>,
    /// A significant instance ended by itself when no other was present, and none has become ready since.
    last_significant_exited: bool,
    /// Reasons that nobody expected while all were stopped together, with how many gave them.
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
    /// Checks everything, starts nothing. `max_children` is a hard limit; `None` means none.
    ///
    /// # Errors
    ///
    /// A [`SpecError`] that names the template and the value. The strategy of `flags` is not looked at.
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

    /// Gives it the number from which the jitter of all backoffs follows. Without it the number is 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = SplitMix64(seed);
        self
    }

    /// What is done about each instance (OTP: `get_childspec`).
    #[doc(alias = "get_childspec")]
    pub fn template(&self) -> &ChildRules {
        &self.template
    }

    /// How many instances there are, in whatever state.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether there is no instance.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// The key of the instance that lives as `life`.
    pub fn key_of(&self, incarnation: Incarnation) -> Option<ChildKey> {
        self.incarnations.get(&incarnation).copied()
    }

    /// Tells what has happened. Drain [`poll_action`](Self::poll_action) afterwards.
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
                self.exited(now, incarnation, reason)
            }
            Event::Shutdown(reason) => self.begin_shutdown(now, reason),
            Event::Timeout => self.timeout(now),
        }
        self.check_auto_shutdown(now);
        self.exit_if_empty();
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`] if nothing else happens before. A time that is not in the future
    /// means: after what has happened by now, which is when a failed restart is tried again.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = match self.phase {
            Phase::ShuttingDown { deadline, .. } => deadline,
            _ => None,
        };
        let timer = self.timers.first().map(|(time, _)| *time);
        deadline.into_iter().chain(timer).min()
    }

    /// Starts one more instance; exactly one [`Action::Reply`] with this id tells how it went.
    ///
    /// The key is known before the [`Action::Start`] that carries it, so the driver can keep the arguments under it.
    ///
    /// # Errors
    ///
    /// [`RequestError::MaxChildren`] and [`RequestError::ShuttingDown`], at once and without an action.
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

    /// Stops an instance and drops it; exactly one [`Action::Reply`] with this id answers when it is gone. That it
    /// is gone already is no error.
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

    /// Starts an instance that waits for its backoff at once; exactly one [`Action::Reply`] with this id answers. One
    /// that is between two tries without backoff is refused with [`RequestError::Restarting`].
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

    /// Goes on with these flags, this template and this limit; the restarts counted so far still count. Instances
    /// stay as they are, and follow the new template from now on (OTP: `code_change`).
    ///
    /// # Errors
    ///
    /// A [`SpecError`] as in [`new`](Self::new); nothing is changed then.
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

    /// Every instance, oldest first, under the template's id; one whose first start is under way is none yet.
    pub fn which_children(&self) -> Vec<ChildInfo> {
        let info = |key: ChildKey| {
            let (id, kind) = (self.template.id.clone(), self.template.kind);
            Some(ChildInfo { id, key, kind, state: self.instances.get(&key)?.public_state()? })
        };
        self.oldest_first().into_iter().filter_map(info).collect()
    }

    /// Every instance, oldest first.
    pub fn child_statuses(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        let status = |key| Some(self.instances.get(&key)?.status(key, &self.template));
        self.oldest_first().into_iter().filter_map(status)
    }

    fn oldest_first(&self) -> Vec<ChildKey> {
        let mut keys: Vec<_> = self.instances.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// How many there are; `specs` is 1, the template.
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

//! The dynamic supervisor: any number of children of one kind, started on request, stopped all at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::backoff::Row;
use crate::children::is_expected_stop;
use crate::intensity::Window;
use crate::{
    Action, AutoShutdown, ChildInfo, ChildKey, ChildKind, ChildSpec, ChildState, Counts, Event, ExitReason,
    Flags, Incarnation, Reply, Report, ReportKind, RequestError, RequestId, Restart, Shutdown, SpecError,
    Time,
};

/// A supervisor of instances of one template (OTP: `simple_one_for_one`; Elixir: `DynamicSupervisor`).
///
/// Instances start and stop independently of each other, so a slow one is in nobody's way. At shutdown all are
/// told at once and share one deadline. What starts an instance (its arguments) stays with the driver, under the
/// instance's [`ChildKey`], until [`Action::Forget`].
#[derive(Clone, Debug)]
pub struct DynamicSupervisor {
    flags: Flags,
    template: ChildSpec,
    max_children: Option<usize>,
    phase: Phase,
    window: Window,
    instances: BTreeMap<ChildKey, Instance>,
    lives: HashMap<Incarnation, ChildKey>,
    next_key: u64,
    next_incarnation: u64,
    /// Ends of start time-outs, shutdown time-outs and backoffs; the instance's state tells which.
    timers: BTreeSet<(Time, ChildKey)>,
    /// Reasons that nobody expected during shutdown, with how many gave them.
    unexpected: Vec<(ExitReason, usize)>,
    actions: VecDeque<Action>,
}

#[derive(Clone, Debug)]
enum Phase {
    New,
    Running,
    Leaving { reason: ExitReason, deadline: Option<Time> },
    Gone,
}

#[derive(Clone, Debug)]
struct Instance {
    incarnation: Incarnation,
    state: State,
    /// Who waits for the start, or for the end, of this instance.
    asker: Option<RequestId>,
    timer: Option<Time>,
    row: Row,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `first`: somebody asked for it; otherwise it is a restart.
    Starting {
        first: bool,
        timed_out: bool,
    },
    Running {
        since: Time,
    },
    Stopping {
        timed_out: bool,
    },
    /// Waits for its backoff.
    Waiting,
}

impl DynamicSupervisor {
    /// Checks everything, starts nothing. `max_children` is a hard limit; `None` means none.
    ///
    /// # Errors
    ///
    /// A [`SpecError`] that names the template and the value. The strategy of `flags` is not looked at.
    pub fn new(flags: Flags, template: ChildSpec, max_children: Option<usize>) -> Result<Self, SpecError> {
        flags.check()?;
        template.check(flags.auto_shutdown)?;
        Ok(Self {
            flags,
            template,
            max_children,
            phase: Phase::New,
            window: Window::default(),
            instances: BTreeMap::new(),
            lives: HashMap::new(),
            next_key: 0,
            next_incarnation: 1,
            timers: BTreeSet::new(),
            unexpected: Vec::new(),
            actions: VecDeque::new(),
        })
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
    pub fn key_of(&self, life: Incarnation) -> Option<ChildKey> {
        self.lives.get(&life).copied()
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
            Event::Started(life) => self.started(now, life),
            Event::Ignored(life) => self.ignored(life),
            Event::StartFailed(life, reason) | Event::Exited(life, reason) => self.ended(now, life, reason),
            Event::Shutdown(reason) => self.leave(now, reason),
            Event::Timeout => self.timeout(now),
        }
        self.exit_if_empty();
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = match self.phase {
            Phase::Leaving { deadline, .. } => deadline,
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
        let instance = Instance {
            incarnation: Incarnation(0),
            state: State::Waiting,
            asker: Some(by),
            timer: None,
            row: Row::default(),
        };
        self.instances.insert(key, instance);
        self.start(now, key, true);
        Ok(key)
    }

    /// Stops an instance and drops it; exactly one [`Action::Reply`] with this id answers when it is gone.
    pub fn terminate_child(&mut self, now: Time, by: RequestId, key: ChildKey) {
        let Some(instance) = self.instances.get_mut(&key) else {
            let reply = Reply::Error(RequestError::NotFound);
            return self.actions.push_back(Action::Reply(by, reply));
        };
        if let Some(earlier) = instance.asker.replace(by) {
            let reply = Reply::Error(RequestError::StartFailed(ExitReason::Shutdown));
            self.actions.push_back(Action::Reply(earlier, reply));
        }
        if instance.state == State::Waiting {
            self.drop_instance(key, Reply::Done);
        } else {
            self.stop(now, key, true);
        }
        self.exit_if_empty();
    }

    /// Every instance, oldest first, under the template's id.
    pub fn which_children(&self) -> Vec<ChildInfo> {
        let info = |(key, instance): (&ChildKey, &Instance)| ChildInfo {
            id: self.template.id.clone(),
            key: *key,
            kind: self.template.kind,
            state: match instance.state {
                State::Waiting | State::Starting { first: false, .. } => ChildState::Restarting,
                _ => ChildState::Running(instance.incarnation),
            },
        };
        self.instances.iter().map(info).collect()
    }

    /// How many there are; `specs` is 1, the template.
    pub fn count_children(&self) -> Counts {
        let all = self.instances.len();
        let waiting = self.instances.values().filter(|instance| instance.state == State::Waiting).count();
        let is_supervisor = self.template.kind == ChildKind::Supervisor;
        Counts {
            specs: 1,
            active: all - waiting,
            supervisors: if is_supervisor { all } else { 0 },
            workers: if is_supervisor { 0 } else { all },
        }
    }

    fn start(&mut self, now: Time, key: ChildKey, first: bool) {
        let life = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.lives.insert(life, key);
        let timer = self.template.start_timeout.map(|after| now + after);
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.incarnation = life;
            instance.state = State::Starting { first, timed_out: false };
        }
        self.set_timer(key, timer);
        self.actions.push_back(Action::Start(key, life));
    }

    fn set_timer(&mut self, key: ChildKey, timer: Option<Time>) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut instance.timer, timer) {
            self.timers.remove(&(old, key));
        }
        self.timers.extend(timer.map(|time| (time, key)));
    }

    /// Asks (or kills) one instance; with `alone`, it has its own deadline.
    fn stop(&mut self, now: Time, key: ChildKey, alone: bool) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        let life = instance.incarnation;
        let (action, deadline) = match (instance.state, self.template.shutdown) {
            (State::Stopping { .. } | State::Waiting, _) => return,
            (State::Starting { timed_out: true, .. }, _) => {
                instance.state = State::Stopping { timed_out: true };
                return;
            }
            (_, Shutdown::Kill) => (Action::Kill(life), None),
            (_, Shutdown::Timeout(after)) => (Action::Stop(life), Some(now + after)),
            (_, Shutdown::Infinity) => (Action::Stop(life), None),
        };
        instance.state = State::Stopping { timed_out: false };
        self.set_timer(key, deadline.filter(|_| alone));
        self.actions.push_back(action);
    }

    /// The instance that starts as this life, and whether somebody asked for it.
    fn starting(&mut self, life: Incarnation) -> Option<(ChildKey, bool)> {
        let key = *self.lives.get(&life)?;
        match self.instances.get(&key)?.state {
            State::Starting { first, timed_out: false } => Some((key, first)),
            _ => None,
        }
    }

    fn started(&mut self, now: Time, life: Incarnation) {
        let Some((key, _)) = self.starting(life) else { return };
        self.set_timer(key, None);
        let Some(instance) = self.instances.get_mut(&key) else { return };
        instance.state = State::Running { since: now };
        if let Some(by) = instance.asker.take() {
            self.actions.push_back(Action::Reply(by, Reply::Started(key, life)));
        }
    }

    /// Nothing is kept of an instance that is not needed, neither at first nor at a restart (unlike OTP, whose
    /// supervisor then counts a child that does not exist).
    fn ignored(&mut self, life: Incarnation) {
        let Some((key, _)) = self.starting(life) else { return };
        self.lives.remove(&life);
        self.drop_instance(key, Reply::Ignored);
    }

    fn drop_instance(&mut self, key: ChildKey, reply: Reply) {
        self.set_timer(key, None);
        let Some(instance) = self.instances.remove(&key) else { return };
        self.actions.push_back(Action::Forget(key));
        if let Some(by) = instance.asker {
            self.actions.push_back(Action::Reply(by, reply));
        }
    }

    fn ended(&mut self, now: Time, life: Incarnation, reason: ExitReason) {
        let Some(key) = self.lives.remove(&life) else { return };
        let Some(state) = self.instances.get(&key).map(|instance| instance.state) else { return };
        self.set_timer(key, None);
        match state {
            State::Starting { first, timed_out } => {
                let reason = if timed_out { ExitReason::StartTimeout } else { reason };
                self.start_failed(now, key, life, first, reason);
            }
            State::Running { since } => self.exited(now, key, life, since, reason),
            State::Stopping { timed_out } => self.stopped(key, life, timed_out, reason),
            State::Waiting => {}
        }
    }

    fn start_failed(&mut self, now: Time, key: ChildKey, life: Incarnation, first: bool, reason: ExitReason) {
        if first {
            let reply = Reply::Error(RequestError::StartFailed(reason));
            self.drop_instance(key, reply);
        } else {
            self.report(ReportKind::StartError, Some(life), 1, reason.clone());
            self.restart(now, key, life, None, reason);
        }
    }

    fn exited(&mut self, now: Time, key: ChildKey, life: Incarnation, since: Time, reason: ExitReason) {
        let wanted = match self.template.restart {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_clean(),
            Restart::Temporary => false,
        };
        if wanted || !reason.is_clean() {
            self.report(ReportKind::ChildTerminated, Some(life), 1, reason.clone());
        }
        if wanted {
            return self.restart(now, key, life, Some(since), reason);
        }
        self.drop_instance(key, Reply::Done);
        let ends = match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => self.instances.is_empty(),
        };
        if ends && self.template.significant {
            self.leave(now, ExitReason::Shutdown);
        }
    }

    fn restart(
        &mut self,
        now: Time,
        key: ChildKey,
        life: Incarnation,
        since: Option<Time>,
        reason: ExitReason,
    ) {
        if !self.window.allow(now, self.flags.intensity) {
            self.report(ReportKind::GaveUp, Some(life), 1, reason.clone());
            self.drop_instance(key, Reply::Done);
            let child = self.template.id.clone();
            return self.leave(now, ExitReason::GaveUp { child, reason: Box::new(reason) });
        }
        let Some(instance) = self.instances.get_mut(&key) else { return };
        let delay = match self.template.backoff {
            Some(backoff) => instance.row.failed(now, since, &backoff),
            None => std::time::Duration::ZERO,
        };
        if delay.is_zero() {
            self.start(now, key, false);
        } else {
            instance.state = State::Waiting;
            self.set_timer(key, Some(now + delay));
        }
    }

    fn stopped(&mut self, key: ChildKey, life: Incarnation, timed_out: bool, reason: ExitReason) {
        if timed_out || !is_expected_stop(&self.template, &reason) {
            if !matches!(self.phase, Phase::Leaving { .. }) {
                self.report(ReportKind::ShutdownError, Some(life), 1, reason);
            } else if let Some((_, lives)) = self.unexpected.iter_mut().find(|(same, _)| *same == reason) {
                *lives += 1;
            } else {
                self.unexpected.push((reason, 1));
            }
        }
        self.drop_instance(key, Reply::Done);
    }

    /// From here on nothing is started: everybody is told at once, then the supervisor exits.
    fn leave(&mut self, now: Time, reason: ExitReason) {
        if let Phase::Leaving { .. } | Phase::Gone = self.phase {
            return;
        }
        let deadline = match self.template.shutdown {
            Shutdown::Timeout(after) => Some(now + after),
            Shutdown::Kill | Shutdown::Infinity => None,
        };
        self.phase = Phase::Leaving { reason, deadline };
        let keys: Vec<ChildKey> = self.instances.keys().copied().collect();
        for key in keys {
            if self.instances.get(&key).is_some_and(|instance| instance.state == State::Waiting) {
                self.drop_instance(key, Reply::Done);
            } else {
                self.stop(now, key, false);
            }
        }
    }

    fn exit_if_empty(&mut self) {
        if !self.instances.is_empty() || !matches!(self.phase, Phase::Leaving { .. }) {
            return;
        }
        for (reason, lives) in std::mem::take(&mut self.unexpected) {
            self.report(ReportKind::ShutdownError, None, lives, reason);
        }
        if let Phase::Leaving { reason, .. } = std::mem::replace(&mut self.phase, Phase::Gone) {
            self.actions.push_back(Action::Exit(reason));
        }
    }

    fn timeout(&mut self, now: Time) {
        if let Phase::Leaving { deadline, .. } = &mut self.phase
            && deadline.is_some_and(|time| time <= now)
        {
            *deadline = None;
            let keys: Vec<ChildKey> = self.instances.keys().copied().collect();
            keys.into_iter().for_each(|key| self.kill(key));
        }
        while let Some(&(time, key)) = self.timers.first()
            && time <= now
        {
            self.set_timer(key, None);
            match self.instances.get(&key).map(|instance| instance.state) {
                Some(State::Waiting) => self.start(now, key, false),
                Some(_) => self.kill(key),
                None => {}
            }
        }
    }

    /// Its time is over: kill it, once.
    fn kill(&mut self, key: ChildKey) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        if let State::Starting { timed_out, .. } | State::Stopping { timed_out } = &mut instance.state
            && !std::mem::replace(timed_out, true)
        {
            self.actions.push_back(Action::Kill(instance.incarnation));
        }
    }

    fn report(&mut self, kind: ReportKind, life: Option<Incarnation>, lives: usize, reason: ExitReason) {
        let child = self.template.id.clone();
        self.actions.push_back(Action::Report(Report { kind, child, incarnation: life, lives, reason }));
    }
}

#[cfg(test)]
#[path = "dynamic_tests.rs"]
mod tests;

//! How instances come to life, fail, and come back.

use std::time::Duration;

use super::instance::{Instance, State};
use super::{DynamicSupervisor, Phase};
use crate::event::Action;
use crate::id::{ChildKey, Incarnation};
use crate::policy::spec::AutoShutdown;
use crate::reason::ExitReason;
use crate::report::{Report, ReportKind};
use crate::request::{Reply, RequestError};
use crate::time::Time;

impl DynamicSupervisor {
    /// Begins a life; `first` if somebody asked for the instance, and not if it is a restart.
    pub(super) fn start(&mut self, now: Time, key: ChildKey, first: bool) {
        let incarnation = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.incarnations.insert(incarnation, key);
        let timer = self.template.start_timeout.map(|after| now + after);
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.incarnation = incarnation;
            instance.starts = instance.starts.saturating_add(1);
            instance.state = State::Starting { first, timed_out: false };
        }
        self.set_timer(key, timer);
        self.actions.push_back(Action::Start(key, incarnation));
    }

    pub(super) fn set_timer(&mut self, key: ChildKey, timer: Option<Time>) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut instance.timer, timer) {
            self.timers.remove(&(old, key));
        }
        self.timers.extend(timer.map(|time| (time, key)));
    }

    /// The instance that starts as this life.
    fn starting(&self, incarnation: Incarnation) -> Option<ChildKey> {
        let key = *self.incarnations.get(&incarnation)?;
        let state = &self.instances.get(&key)?.state;
        matches!(state, State::Starting { timed_out: false, .. }).then_some(key)
    }

    pub(super) fn started(&mut self, now: Time, incarnation: Incarnation) {
        let Some(key) = self.starting(incarnation) else { return };
        self.set_timer(key, None);
        let Some(instance) = self.instances.get_mut(&key) else { return };
        instance.state = State::Running { since: now };
        self.last_significant_exited = false;
        if let Some(start_requester) = instance.start_requester.take() {
            self.actions.push_back(Action::Reply(start_requester, Reply::Started(key, incarnation)));
        }
    }

    /// Nothing is kept of an instance that is not needed, neither at first nor at a restart (unlike OTP, whose
    /// supervisor then counts a child that does not exist).
    pub(super) fn ignored(&mut self, now: Time, incarnation: Incarnation) {
        let Some(key) = self.starting(incarnation) else { return self.ignored_late(now, incarnation) };
        self.incarnations.remove(&incarnation);
        self.drop_instance(key, Reply::Ignored);
    }

    /// It was told to end when it said that it is not needed: it has, as it was told.
    fn ignored_late(&mut self, now: Time, incarnation: Incarnation) {
        let state = self
            .incarnations
            .get(&incarnation)
            .and_then(|key| self.instances.get(key))
            .map(|known| &known.state);
        if let Some(State::Stopping { .. } | State::Starting { .. }) = state {
            self.exited(now, incarnation, self.template.shutdown.expected_reason());
        }
    }

    /// The instance is gone: who waited for its start gets `reply`, who waited for its end is told that it is done.
    pub(super) fn drop_instance(&mut self, key: ChildKey, reply: Reply) {
        self.set_timer(key, None);
        let Some(instance) = self.instances.remove(&key) else { return };
        self.actions.push_back(Action::Forget(key));
        let start_requester =
            instance.start_requester.map(|start_requester| Action::Reply(start_requester, reply));
        let done = instance.stop_requesters.into_iter().map(|by| Action::Reply(by, Reply::Done));
        self.actions.extend(start_requester.into_iter().chain(done));
    }

    /// A life is over, or never began.
    pub(super) fn exited(&mut self, now: Time, incarnation: Incarnation, reason: ExitReason) {
        let Some(key) = self.incarnations.remove(&incarnation) else { return };
        let Some(state) = self.instances.get(&key).map(|instance| instance.state.clone()) else { return };
        self.set_timer(key, None);
        match state {
            State::Starting { first, timed_out } => {
                let reason = if timed_out { ExitReason::StartTimeout } else { reason };
                self.start_failed(now, key, first, reason);
            }
            State::Running { since } => self.running_exited(now, key, since, reason),
            State::Stopping { .. } => self.stopped(key, reason),
            // It has no life that could end.
            State::Waiting { .. } => {}
        }
    }

    fn start_failed(&mut self, now: Time, key: ChildKey, first: bool, reason: ExitReason) {
        let reply = Reply::Error(RequestError::StartFailed(reason.clone()));
        if first {
            return self.drop_instance(key, reply);
        }
        self.report(ReportKind::StartError, key, reason.clone());
        let start_requester =
            self.instances.get_mut(&key).and_then(|instance| instance.start_requester.take());
        self.actions.extend(start_requester.map(|start_requester| Action::Reply(start_requester, reply)));
        let delay = self.delay(now, key, None);
        if delay.is_zero() {
            // After what has happened by now, and counted then, as in OTP.
            self.wait(key, now, Some(reason));
        } else if self.window.allow(now, self.flags.intensity) {
            self.wait(key, now + delay, None);
        } else {
            self.give_up(now, key, reason);
        }
    }

    fn running_exited(&mut self, now: Time, key: ChildKey, since: Time, reason: ExitReason) {
        let wanted = self.template.restart.should_restart(&reason);
        if wanted || !reason.is_clean() {
            self.report(ReportKind::ChildTerminated, key, reason.clone());
        }
        if wanted {
            return self.restart(now, key, since, reason);
        }
        self.drop_instance(key, Reply::Done);
        // The others are looked at only where it matters: there may be very many.
        self.last_significant_exited = self.template.significant
            && self.flags.auto_shutdown == AutoShutdown::AllSignificant
            && !self.instances.values().any(Instance::is_present);
        if self.template.significant && self.flags.auto_shutdown == AutoShutdown::AnySignificant {
            self.begin_shutdown(now, ExitReason::Shutdown);
        }
    }

    /// The last significant one has ended by itself, and no start that was under way then brought another one.
    pub(super) fn check_auto_shutdown(&mut self, now: Time) {
        let all = self.flags.auto_shutdown == AutoShutdown::AllSignificant && self.last_significant_exited;
        if all && self.instances.is_empty() {
            self.begin_shutdown(now, ExitReason::Shutdown);
        }
    }

    fn restart(&mut self, now: Time, key: ChildKey, since: Time, reason: ExitReason) {
        if !self.window.allow(now, self.flags.intensity) {
            return self.give_up(now, key, reason);
        }
        let delay = self.delay(now, key, Some(since));
        if delay.is_zero() {
            self.start(now, key, false);
        } else {
            self.wait(key, now + delay, None);
        }
    }

    fn delay(&mut self, now: Time, key: ChildKey, since: Option<Time>) -> Duration {
        let Some(instance) = self.instances.get_mut(&key) else { return Duration::ZERO };
        match self.template.backoff {
            Some(backoff) => instance.backoff_state.failed(now, since, &backoff, &mut self.rng),
            None => Duration::ZERO,
        }
    }

    fn wait(&mut self, key: ChildKey, until: Time, uncounted: Option<ExitReason>) {
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.state = State::Waiting { uncounted: uncounted.map(Box::new) };
        }
        self.set_timer(key, Some(until));
    }

    /// The wait of an instance is over.
    pub(super) fn backoff_expired(&mut self, now: Time, key: ChildKey, uncounted: Option<ExitReason>) {
        match uncounted {
            Some(reason) if !self.window.allow(now, self.flags.intensity) => self.give_up(now, key, reason),
            _ => self.start(now, key, false),
        }
    }

    fn give_up(&mut self, now: Time, key: ChildKey, reason: ExitReason) {
        self.report(ReportKind::GaveUp, key, reason.clone());
        self.drop_instance(key, Reply::Done);
        let child = self.template.id.clone();
        self.begin_shutdown(now, ExitReason::GaveUp { child, reason: Box::new(reason) });
    }

    pub(super) fn report(&mut self, kind: ReportKind, key: ChildKey, reason: ExitReason) {
        let incarnation = self.instances.get(&key).map(|instance| instance.incarnation);
        self.actions.push_back(Action::Report(Report::new(kind, &self.template, incarnation, reason)));
    }

    pub(super) const fn is_shutting_down(&self) -> bool {
        matches!(self.phase, Phase::ShuttingDown { .. })
    }
}

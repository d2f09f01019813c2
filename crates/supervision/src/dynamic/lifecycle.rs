//! Starts, exits and restarts of instances, and what follows from them.

use std::time::Duration;

use super::instance::{Instance, State};
use super::{DynamicSupervisor, Phase};
use crate::event::Action;
use crate::id::{ChildKey, Incarnation};
use crate::policy::backoff::DelayedRestart;
use crate::policy::spec::AutoShutdown;
use crate::reason::ExitReason;
use crate::report::{Report, ReportKind};
use crate::request::{Reply, RequestError};
use crate::time::Time;

impl DynamicSupervisor {
    /// Starts a new incarnation of an instance. `first`: its first start, on request; otherwise a restart.
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

    /// Sets or clears the instance's timer, here and in `timers`.
    pub(super) fn set_timer(&mut self, key: ChildKey, timer: Option<Time>) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut instance.timer, timer) {
            self.timers.remove(&(old, key));
        }
        self.timers.extend(timer.map(|time| (time, key)));
    }

    /// The instance that starts as this incarnation and has not timed out.
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
        if let Some(requester) = instance.start_requester.take() {
            self.actions.push_back(Action::Reply(requester, Reply::Started(key, incarnation)));
        }
    }

    /// Removes an instance that is not needed, at its first start and at a restart.
    ///
    /// OTP keeps it after a restart, and then counts a child that does not run.
    pub(super) fn ignored(&mut self, now: Time, incarnation: Incarnation) {
        let Some(key) = self.starting(incarnation) else { return self.ignored_late(now, incarnation) };
        self.incarnations.remove(&incarnation);
        self.drop_instance(key, Reply::Ignored);
    }

    /// Handles `Ignored` that crossed a stop or a kill: it is the exit that was requested.
    fn ignored_late(&mut self, now: Time, incarnation: Incarnation) {
        let key = self.incarnations.get(&incarnation);
        let state = key.and_then(|key| self.instances.get(key)).map(|instance| &instance.state);
        if let Some(State::Stopping { .. } | State::Starting { .. }) = state {
            self.exited(now, incarnation, self.template.shutdown.expected_reason());
        }
    }

    /// Removes the instance. A pending start request gets `reply`; pending stop requests get [`Reply::Done`].
    pub(super) fn drop_instance(&mut self, key: ChildKey, reply: Reply) {
        self.set_timer(key, None);
        let Some(instance) = self.instances.remove(&key) else { return };
        self.actions.push_back(Action::Forget(key));
        let started = instance.start_requester.map(|requester| Action::Reply(requester, reply));
        let stopped = instance.stop_requesters.into_iter().map(|by| Action::Reply(by, Reply::Done));
        self.actions.extend(started.into_iter().chain(stopped));
    }

    /// Handles `Exited` and `StartFailed`.
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
            // Unreachable: an instance that waits has no entry in `incarnations`.
            State::Waiting { .. } => {}
        }
    }

    fn start_failed(&mut self, now: Time, key: ChildKey, first: bool, reason: ExitReason) {
        let reply = Reply::Error(RequestError::StartFailed(reason.clone()));
        if first {
            return self.drop_instance(key, reply);
        }
        let restart = self.next_restart(now, key, None);
        let delayed = !restart.delay.is_zero();
        let refused = delayed && !self.window.allow(now, self.flags.intensity);
        let reported = Some(restart).filter(|_| delayed && !refused);
        self.report_failure(ReportKind::StartError, key, reason.clone(), reported);
        let requester = self.instances.get_mut(&key).and_then(|instance| instance.start_requester.take());
        self.actions.extend(requester.map(|requester| Action::Reply(requester, reply)));
        if refused {
            self.give_up(now, key, reason);
        } else if delayed {
            self.wait(key, now + restart.delay, None);
        } else {
            // Retried after the events that have happened by now, and counted then, as in OTP.
            self.wait(key, now, Some(reason));
        }
    }

    fn running_exited(&mut self, now: Time, key: ChildKey, since: Time, reason: ExitReason) {
        if self.template.restart.should_restart(&reason) {
            return self.restart(now, key, since, reason);
        }
        if !reason.is_clean() {
            self.report(ReportKind::ChildTerminated, key, reason);
        }
        self.drop_instance(key, Reply::Done);
        // The scan is linear in the number of instances, so it runs only under `AllSignificant`.
        self.last_significant_exited = self.template.significant
            && self.flags.auto_shutdown == AutoShutdown::AllSignificant
            && !self.instances.values().any(Instance::is_present);
        if self.template.significant && self.flags.auto_shutdown == AutoShutdown::AnySignificant {
            self.begin_shutdown(now, ExitReason::Shutdown);
        }
    }

    /// Shuts down when the last significant instance exited and no start that was under way then became ready.
    pub(super) fn check_auto_shutdown(&mut self, now: Time) {
        let all = self.flags.auto_shutdown == AutoShutdown::AllSignificant && self.last_significant_exited;
        if all && self.instances.is_empty() {
            self.begin_shutdown(now, ExitReason::Shutdown);
        }
    }

    fn restart(&mut self, now: Time, key: ChildKey, since: Time, reason: ExitReason) {
        if !self.window.allow(now, self.flags.intensity) {
            self.report(ReportKind::ChildTerminated, key, reason.clone());
            return self.give_up(now, key, reason);
        }
        let restart = self.next_restart(now, key, Some(since));
        let delayed = Some(restart).filter(|restart| !restart.delay.is_zero());
        self.report_failure(ReportKind::ChildTerminated, key, reason, delayed);
        match delayed {
            None => self.start(now, key, false),
            Some(restart) => self.wait(key, now + restart.delay, None),
        }
    }

    /// Records the failure in the instance's backoff; the delay is zero without one.
    fn next_restart(&mut self, now: Time, key: ChildKey, since: Option<Time>) -> DelayedRestart {
        match (self.instances.get_mut(&key), self.template.backoff) {
            (Some(instance), Some(backoff)) => {
                instance.backoff_state.failed(now, since, &backoff, &mut self.rng)
            }
            _ => DelayedRestart { delay: Duration::ZERO, attempt: 1 },
        }
    }

    fn wait(&mut self, key: ChildKey, until: Time, uncounted: Option<ExitReason>) {
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.state = State::Waiting { uncounted: uncounted.map(Box::new) };
        }
        self.set_timer(key, Some(until));
    }

    /// Restarts an instance at the end of its wait. A retry that was not counted yet counts now.
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
        self.report_failure(kind, key, reason, None);
    }

    fn report_failure(
        &mut self,
        kind: ReportKind,
        key: ChildKey,
        reason: ExitReason,
        delayed_restart: Option<DelayedRestart>,
    ) {
        let incarnation = self.instances.get(&key).map(|instance| instance.incarnation);
        let report = Report::new(kind, &self.template, incarnation, reason);
        self.actions.push_back(Action::Report(Report { delayed_restart, ..report }));
    }

    pub(super) const fn is_shutting_down(&self) -> bool {
        matches!(self.phase, Phase::ShuttingDown { .. })
    }
}

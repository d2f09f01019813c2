//! Stops: of one instance on request, of all at shutdown; and time-outs.

use super::instance::State;
use super::{DynamicSupervisor, Phase};
use crate::event::Action;
use crate::id::ChildKey;
use crate::policy::spec::Shutdown;
use crate::reason::ExitReason;
use crate::report::{Report, ReportKind};
use crate::request::{Reply, RequestError};
use crate::time::Time;

impl DynamicSupervisor {
    /// Stops or kills one instance, as the template says. `alone`: on request, with a deadline of its own.
    pub(super) fn stop(&mut self, now: Time, key: ChildKey, alone: bool) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        let incarnation = instance.incarnation;
        let (action, deadline) = match (&instance.state, self.template.shutdown) {
            (State::Waiting { .. }, _) => return self.drop_instance(key, Reply::Done),
            (State::Stopping { .. }, _) => return,
            // It was killed when its start timed out. An incarnation is killed at most once.
            (State::Starting { timed_out: true, .. }, _) => {
                instance.state = State::Stopping { timed_out: true };
                return;
            }
            (_, Shutdown::Kill) => (Action::Kill(incarnation), None),
            (_, Shutdown::Timeout(after)) => (Action::Stop(incarnation), Some(now + after)),
            (_, Shutdown::Infinity) => (Action::Stop(incarnation), None),
        };
        instance.state = State::Stopping { timed_out: false };
        self.set_timer(key, deadline.filter(|_| alone));
        self.actions.push_back(action);
    }

    /// Handles the exit of an instance that was requested to stop.
    pub(super) fn stopped(&mut self, key: ChildKey, reason: ExitReason) {
        if !self.template.is_expected_stop(&reason) {
            if self.is_shutting_down() {
                *self.unexpected.entry(reason).or_default() += 1;
            } else {
                self.report(ReportKind::ShutdownError, key, reason);
            }
        }
        self.drop_instance(key, Reply::Done);
    }

    /// Stops all instances at the same time. No instance is started from here on.
    pub(super) fn begin_shutdown(&mut self, now: Time, reason: ExitReason) {
        if let Phase::ShuttingDown { .. } | Phase::Terminated = self.phase {
            return;
        }
        let deadline = match self.template.shutdown {
            Shutdown::Timeout(after) => Some(now + after),
            Shutdown::Kill | Shutdown::Infinity => None,
        };
        self.phase = Phase::ShuttingDown { reason, deadline };
        for key in self.oldest_first() {
            let requester = self.instances.get_mut(&key).and_then(|instance| instance.start_requester.take());
            let reply = Reply::Error(RequestError::ShuttingDown);
            self.actions.extend(requester.map(|requester| Action::Reply(requester, reply)));
            self.stop(now, key, false);
        }
    }

    pub(super) fn exit_if_empty(&mut self) {
        if !self.instances.is_empty() || !self.is_shutting_down() {
            return;
        }
        // The order of a hash map is random; OTP sorts by reason too.
        let mut unexpected: Vec<_> = std::mem::take(&mut self.unexpected).into_iter().collect();
        unexpected.sort_by_cached_key(|(reason, _)| reason.to_string());
        for (reason, count) in unexpected {
            let report = Report::new(ReportKind::ShutdownError, &self.template, None, reason);
            self.actions.push_back(Action::Report(Report { instances: count, ..report }));
        }
        if let Phase::ShuttingDown { reason, .. } = std::mem::replace(&mut self.phase, Phase::Terminated) {
            self.actions.push_back(Action::Exit(reason));
        }
    }

    /// Handles all deadlines that have passed: of the shutdown, of starts and stops, of backoffs.
    pub(super) fn timeout(&mut self, now: Time) {
        if let Phase::ShuttingDown { deadline, .. } = &mut self.phase
            && deadline.is_some_and(|time| time <= now)
        {
            *deadline = None;
            self.oldest_first().into_iter().for_each(|key| self.kill(key));
        }
        while let Some(&(time, key)) = self.timers.first()
            && time <= now
        {
            self.set_timer(key, None);
            match self.instances.get(&key).map(|instance| instance.state.clone()) {
                Some(State::Waiting { uncounted }) => {
                    self.backoff_expired(now, key, uncounted.map(|reason| *reason));
                }
                _ => self.kill(key),
            }
        }
    }

    /// Kills an instance, unless it was killed before.
    fn kill(&mut self, key: ChildKey) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        if let State::Starting { timed_out, .. } | State::Stopping { timed_out } = &mut instance.state
            && !std::mem::replace(timed_out, true)
        {
            self.actions.push_back(Action::Kill(instance.incarnation));
        }
    }
}

//! Where a process with children is in its life; every path that starts something asks here first.

use std::time::Duration;

use impresario_supervision::Time;

/// How long killed processes are waited for. The kernel ends them in milliseconds; one that cannot be ended (it
/// hangs in a driver) must not hold up everything else.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(1);

/// The four phases, in order; none comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The first children are on their way.
    Starting,
    /// All of them were ready once.
    Running,
    /// Nothing new; what there is may finish.
    Draining,
    /// Nothing new; what there is was killed.
    Killing,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownRequest {
    /// Drain, as long as it takes.
    Quit,
    /// Drain, but not for ever; asked twice, at once.
    Terminate,
    /// It failed: what is left drains, but not for ever.
    GiveUp,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseChange {
    /// Nothing.
    Unchanged,
    /// Tell the children to leave.
    Drain,
    /// Go on draining, but with a deadline now.
    StartDeadline,
    /// Kill everything that is left.
    Kill(KillCause),
    /// Killed processes are not gone after [`KILL_WAIT`]; do not wait for them any longer.
    StopWaiting,
}

/// Why everything that is left is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillCause {
    /// The shutdown time-out is over.
    Deadline,
    /// It was asked for twice.
    SecondSignal,
    /// The parent is gone, or its port is broken.
    Orphaned,
}

impl KillCause {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Deadline => "the shutdown time-out is over",
            Self::SecondSignal => "second signal",
            Self::Orphaned => "the parent is gone",
        }
    }
}

/// The phase and what moves it.
#[derive(Clone, Debug)]
pub(crate) struct PhaseMachine {
    phase: Phase,
    timeout: Option<Duration>,
    deadline: Option<Time>,
    terminating: bool,
    killed: Option<KillCause>,
}

impl PhaseMachine {
    /// `timeout` is how long a drain may take if it has a deadline; `None` means that somebody above has one.
    pub(crate) const fn new(timeout: Option<Duration>) -> Self {
        Self { phase: Phase::Starting, timeout, deadline: None, terminating: false, killed: None }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether anything may be started.
    pub(crate) fn may_start(&self) -> bool {
        self.phase < Phase::Draining
    }

    /// Why everything was killed, if it was.
    pub(crate) const fn killed(&self) -> Option<KillCause> {
        self.killed
    }

    /// All first children are ready.
    pub(crate) fn ready(&mut self) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Running;
        }
    }

    pub(crate) fn stop(&mut self, now: Time, stop: ShutdownRequest) -> PhaseChange {
        let terminating = stop == ShutdownRequest::Terminate;
        match self.phase {
            Phase::Starting | Phase::Running => {
                self.phase = Phase::Draining;
                self.terminating = terminating;
                if stop != ShutdownRequest::Quit {
                    self.deadline = self.timeout.map(|timeout| now + timeout);
                }
                PhaseChange::Drain
            }
            Phase::Draining if terminating && self.terminating => self.kill(now, KillCause::SecondSignal),
            Phase::Draining if terminating => {
                self.terminating = true;
                self.deadline = self.deadline.or(self.timeout.map(|timeout| now + timeout));
                PhaseChange::StartDeadline
            }
            Phase::Draining | Phase::Killing => PhaseChange::Unchanged,
        }
    }

    pub(crate) fn orphaned(&mut self, now: Time) -> PhaseChange {
        if self.phase == Phase::Killing {
            PhaseChange::Unchanged
        } else {
            self.kill(now, KillCause::Orphaned)
        }
    }

    fn kill(&mut self, now: Time, cause: KillCause) -> PhaseChange {
        self.phase = Phase::Killing;
        self.killed = Some(cause);
        self.deadline = Some(now + KILL_WAIT);
        PhaseChange::Kill(cause)
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Time> {
        self.deadline
    }

    pub(crate) fn timeout(&mut self, now: Time) -> PhaseChange {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return PhaseChange::Unchanged;
        }
        if self.phase == Phase::Killing {
            self.deadline = None;
            return PhaseChange::StopWaiting;
        }
        self.kill(now, KillCause::Deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    const fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn running() -> PhaseMachine {
        let mut phases = PhaseMachine::new(Some(TIMEOUT));
        phases.ready();
        phases
    }

    #[test]
    fn a_stop_while_starting_is_a_stop() {
        let mut phases = PhaseMachine::new(Some(TIMEOUT));
        assert_eq!(phases.stop(at(0), ShutdownRequest::Terminate), PhaseChange::Drain);
        phases.ready();
        assert_eq!(phases.phase(), Phase::Draining);
        assert!(!phases.may_start());
    }

    #[test]
    fn terminate_drains_then_kills() {
        let mut phases = running();
        assert!(phases.may_start());
        assert_eq!(phases.stop(at(1), ShutdownRequest::Terminate), PhaseChange::Drain);
        assert_eq!(phases.poll_timeout(), Some(at(11)));
        assert_eq!(phases.timeout(at(10)), PhaseChange::Unchanged);
        assert_eq!(phases.timeout(at(11)), PhaseChange::Kill(KillCause::Deadline));
        assert_eq!(phases.stop(at(11), ShutdownRequest::Terminate), PhaseChange::Unchanged);
        assert_eq!(phases.timeout(at(12)), PhaseChange::StopWaiting);
        assert_eq!(phases.timeout(at(13)), PhaseChange::Unchanged);
        assert_eq!(phases.killed(), Some(KillCause::Deadline));
    }

    #[test]
    fn a_second_signal_kills_at_once() {
        let mut phases = running();
        phases.stop(at(1), ShutdownRequest::Terminate);
        assert_eq!(phases.stop(at(2), ShutdownRequest::Quit), PhaseChange::Unchanged);
        assert_eq!(
            phases.stop(at(2), ShutdownRequest::Terminate),
            PhaseChange::Kill(KillCause::SecondSignal)
        );
    }

    #[test]
    fn quit_has_no_deadline_until_somebody_is_in_a_hurry() {
        let mut phases = running();
        assert_eq!(phases.stop(at(1), ShutdownRequest::Quit), PhaseChange::Drain);
        assert_eq!(phases.poll_timeout(), None);
        assert_eq!(phases.stop(at(100), ShutdownRequest::Terminate), PhaseChange::StartDeadline);
        assert_eq!(phases.poll_timeout(), Some(at(110)));
        assert_eq!(
            phases.stop(at(101), ShutdownRequest::Terminate),
            PhaseChange::Kill(KillCause::SecondSignal)
        );
    }

    #[test]
    fn giving_up_has_a_deadline_and_one_signal_does_not_shorten_it() {
        let mut phases = running();
        assert_eq!(phases.stop(at(1), ShutdownRequest::GiveUp), PhaseChange::Drain);
        assert_eq!(phases.stop(at(2), ShutdownRequest::Terminate), PhaseChange::StartDeadline);
        assert_eq!(phases.poll_timeout(), Some(at(11)));
        assert_eq!(phases.orphaned(at(3)), PhaseChange::Kill(KillCause::Orphaned));
        assert_eq!(phases.orphaned(at(3)), PhaseChange::Unchanged);
    }
}

//! The phases of a parent process. Every path that starts a child asks [`PhaseMachine::may_start`] first.

use std::time::Duration;

use impresario_supervision::Time;

/// How long killed processes are waited for. The kernel ends a process within milliseconds of SIGKILL, unless
/// it is in an uninterruptible system call; such a process must not block the shutdown.
pub(crate) const KILL_WAIT: Duration = Duration::from_secs(1);

/// The phases, in order. No phase is entered twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The first starts are in progress.
    Starting,
    /// All children have been ready.
    Running,
    /// No child is started; running children may complete their work.
    Draining,
    /// No child is started; all children have been sent SIGKILL.
    Killing,
}

/// Why a shutdown is requested, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShutdownRequest {
    /// Drain without a deadline: SIGQUIT, or QUIT from the parent.
    Quit,
    /// Drain with a deadline: SIGTERM or SIGINT. The second one kills immediately.
    Terminate,
    /// The process gives up: drain with a deadline.
    GiveUp,
}

/// What a request, a lost parent or an expired deadline leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseChange {
    /// No action.
    Unchanged,
    /// Ask the children to stop.
    Drain,
    /// Continue to drain, with a deadline from now on.
    StartDeadline,
    /// Kill all remaining processes.
    Kill(KillCause),
    /// Killed processes have not exited within [`KILL_WAIT`]: stop waiting for them.
    StopWaiting,
}

/// Why all remaining processes are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillCause {
    /// The shutdown timeout has expired.
    Deadline,
    /// A second SIGTERM or SIGINT.
    SecondSignal,
    /// The parent has exited, or its port failed.
    Orphaned,
}

impl KillCause {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Deadline => "shutdown timeout expired",
            Self::SecondSignal => "second signal",
            Self::Orphaned => "the parent has exited",
        }
    }
}

/// The phase of a parent process and its deadline. Pure: the caller passes the time and carries out the
/// changes.
#[derive(Clone, Debug)]
pub(crate) struct PhaseMachine {
    phase: Phase,
    timeout: Option<Duration>,
    /// End of the drain, or of the wait for killed processes.
    deadline: Option<Time>,
    /// A [`ShutdownRequest::Terminate`] was received; the next one kills.
    terminating: bool,
    killed: Option<KillCause>,
}

impl PhaseMachine {
    /// `timeout` bounds a drain with a deadline. `None` in a prototype: main's deadline bounds it.
    pub(crate) const fn new(timeout: Option<Duration>) -> Self {
        Self { phase: Phase::Starting, timeout, deadline: None, terminating: false, killed: None }
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether a child may be started.
    pub(crate) fn may_start(&self) -> bool {
        self.phase < Phase::Draining
    }

    /// Why all processes were killed; `None` if they were not.
    pub(crate) const fn killed(&self) -> Option<KillCause> {
        self.killed
    }

    /// All children have been ready.
    pub(crate) fn ready(&mut self) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Running;
        }
    }

    pub(crate) fn shut_down(&mut self, now: Time, request: ShutdownRequest) -> PhaseChange {
        let terminating = request == ShutdownRequest::Terminate;
        match self.phase {
            Phase::Starting | Phase::Running => {
                self.phase = Phase::Draining;
                self.terminating = terminating;
                if request != ShutdownRequest::Quit {
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

    /// The parent has exited or cannot be reached.
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

    /// Handles an expired deadline, if there is one.
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
    fn a_shutdown_request_while_starting_drains() {
        let mut phases = PhaseMachine::new(Some(TIMEOUT));
        assert_eq!(phases.shut_down(at(0), ShutdownRequest::Terminate), PhaseChange::Drain);
        phases.ready();
        assert_eq!(phases.phase(), Phase::Draining);
        assert!(!phases.may_start());
    }

    #[test]
    fn terminate_drains_then_kills_at_the_deadline() {
        let mut phases = running();
        assert!(phases.may_start());
        assert_eq!(phases.shut_down(at(1), ShutdownRequest::Terminate), PhaseChange::Drain);
        assert_eq!(phases.poll_timeout(), Some(at(11)));
        assert_eq!(phases.timeout(at(10)), PhaseChange::Unchanged);
        assert_eq!(phases.timeout(at(11)), PhaseChange::Kill(KillCause::Deadline));
        assert_eq!(phases.shut_down(at(11), ShutdownRequest::Terminate), PhaseChange::Unchanged);
        assert_eq!(phases.timeout(at(12)), PhaseChange::StopWaiting);
        assert_eq!(phases.timeout(at(13)), PhaseChange::Unchanged);
        assert_eq!(phases.killed(), Some(KillCause::Deadline));
    }

    #[test]
    fn a_second_terminate_kills_immediately() {
        let mut phases = running();
        phases.shut_down(at(1), ShutdownRequest::Terminate);
        assert_eq!(phases.shut_down(at(2), ShutdownRequest::Quit), PhaseChange::Unchanged);
        assert_eq!(
            phases.shut_down(at(2), ShutdownRequest::Terminate),
            PhaseChange::Kill(KillCause::SecondSignal)
        );
    }

    #[test]
    fn quit_has_no_deadline_until_terminate_sets_one() {
        let mut phases = running();
        assert_eq!(phases.shut_down(at(1), ShutdownRequest::Quit), PhaseChange::Drain);
        assert_eq!(phases.poll_timeout(), None);
        assert_eq!(phases.shut_down(at(100), ShutdownRequest::Terminate), PhaseChange::StartDeadline);
        assert_eq!(phases.poll_timeout(), Some(at(110)));
        assert_eq!(
            phases.shut_down(at(101), ShutdownRequest::Terminate),
            PhaseChange::Kill(KillCause::SecondSignal)
        );
    }

    #[test]
    fn give_up_has_a_deadline_that_one_signal_does_not_move() {
        let mut phases = running();
        assert_eq!(phases.shut_down(at(1), ShutdownRequest::GiveUp), PhaseChange::Drain);
        assert_eq!(phases.shut_down(at(2), ShutdownRequest::Terminate), PhaseChange::StartDeadline);
        assert_eq!(phases.poll_timeout(), Some(at(11)));
        assert_eq!(phases.orphaned(at(3)), PhaseChange::Kill(KillCause::Orphaned));
        assert_eq!(phases.orphaned(at(3)), PhaseChange::Unchanged);
    }
}

//! One child process, as its parent holds it.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use impresario_supervision::{ExitReason, Incarnation, Time};
use impresario_sys::{ExitStatus, ForkedChild, Pid, PidFd, Signal, wait_readable};

use super::port::Port;
use crate::exit::ProcessExit;
use crate::identity::ProcessIdentity;

/// How long a child may run after it has closed its port; then it is killed. A process closes its port when
/// it exits, and one with much memory needs some time from there until its pidfd is readable.
pub(super) const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A child process that has not been reaped.
#[derive(Debug)]
pub(crate) struct Child {
    /// What the rules call this run of the child.
    pub(crate) incarnation: Incarnation,
    pub(crate) identity: ProcessIdentity,
    pub(crate) pid: Pid,
    pub(crate) pidfd: Rc<PidFd>,
    /// `None` once it is closed: by the child, or by the parent before it kills the child.
    pub(crate) port: Option<Port>,
    /// When a child that has closed its port is killed.
    pub(crate) exit_by: Option<Time>,
    /// The router's end of a port to the child; it is sent up when the child is ready.
    pub(crate) router_port: Option<OwnedFd>,
    pub(crate) ready: bool,
    /// The reason of its last FAILED message.
    pub(crate) failure: Option<String>,
    stop: StopState,
}

/// What the parent did to make a child exit.
#[derive(Debug, Default)]
struct StopState {
    /// A QUIT message was sent.
    quit: bool,
    /// SIGTERM was sent.
    terminated: bool,
    /// SIGKILL was sent.
    killed: bool,
    /// Why it was killed, if it violated the protocol of its port.
    broken: Option<String>,
}

impl Child {
    pub(crate) fn new(
        incarnation: Incarnation,
        identity: ProcessIdentity,
        forked: ForkedChild,
        port: Port,
    ) -> Self {
        Self {
            incarnation,
            identity,
            pid: forked.pid,
            pidfd: Rc::new(forked.pidfd),
            port: Some(port),
            exit_by: None,
            router_port: None,
            ready: false,
            failure: None,
            stop: StopState::default(),
        }
    }

    /// The number of its incarnation.
    pub(crate) fn id(&self) -> u64 {
        self.incarnation.number()
    }

    /// Its pid, as messages carry it.
    pub(crate) fn process(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The next deadline: of its port, or of its exit after it has closed its port.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.port.as_ref().and_then(Port::poll_timeout).into_iter().chain(self.exit_by).min()
    }

    /// Records that the child is asked to quit. False if it was asked before.
    pub(crate) fn mark_quit_sent(&mut self) -> bool {
        !std::mem::replace(&mut self.stop.quit, true)
    }

    /// Whether it is ready and was not asked to quit.
    pub(crate) fn is_serving(&self) -> bool {
        self.ready && !self.stop.quit
    }

    pub(crate) fn terminate(&mut self) {
        self.stop.terminated = true;
        self.signal(Signal::SIGTERM);
    }

    pub(crate) fn kill(&mut self) {
        self.stop.killed = true;
        self.signal(Signal::SIGKILL);
    }

    /// Kills it because it violated the protocol of its port. The first reason stays.
    pub(crate) fn kill_broken(&mut self, reason: String) {
        self.stop.broken.get_or_insert(reason);
        self.kill();
    }

    fn signal(&self, signal: Signal) {
        // It fails only if the process has exited, and the pidfd reports that.
        let _ = self.pidfd.send_signal(signal);
    }

    /// The exit reason for the rules.
    pub(crate) fn exit_reason(&self, status: ExitStatus) -> ExitReason {
        self.stop.exit_reason(status, self.ready, self.failure.as_deref())
    }
}

impl StopState {
    fn exit_reason(&self, status: ExitStatus, ready: bool, failure: Option<&str>) -> ExitReason {
        match status {
            ExitStatus::Signal { number, .. } if self.killed && number == Signal::SIGKILL as i32 => {
                self.broken.clone().map_or(ExitReason::Killed, ExitReason::Error)
            }
            ExitStatus::Signal { number, .. } if self.terminated && number == Signal::SIGTERM as i32 => {
                ExitReason::Shutdown
            }
            ExitStatus::Signal { number, core_dumped } => ExitReason::Signal { number, core_dumped },
            ExitStatus::Code(0) if self.quit => ExitReason::Shutdown,
            ExitStatus::Code(0) if ready => ExitReason::Normal,
            ExitStatus::Code(0) => ExitReason::Error("it exited before it was ready".to_owned()),
            ExitStatus::Code(code) => {
                failure.map_or(ExitReason::Code(code), |reason| ExitReason::Error(reason.to_owned()))
            }
        }
    }
}

/// Whether this exit status is [`ProcessExit::Fatal`].
pub(crate) fn is_fatal(status: ExitStatus) -> bool {
    status == ExitStatus::Code(ProcessExit::Fatal.code())
}

/// Waits for a process to exit, at most `timeout`. False if it has not exited, or if a signal interrupted the
/// wait. True if the pidfd cannot be polled: there is nothing to wait for then.
pub(crate) fn wait_exit(pidfd: &PidFd, timeout: Duration) -> bool {
    match wait_readable(pidfd, Some(timeout)) {
        Ok(exited) => exited,
        Err(error) => error.kind() != ErrorKind::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: ExitStatus = ExitStatus::Signal { number: 9, core_dumped: false };
    const TERM: ExitStatus = ExitStatus::Signal { number: 15, core_dumped: false };
    const ABORT: ExitStatus = ExitStatus::Signal { number: 6, core_dumped: true };

    fn error(text: &str) -> ExitReason {
        ExitReason::Error(text.to_owned())
    }

    #[test]
    fn exit_without_a_stop_request_is_reported_as_it_is() {
        let stop = StopState::default();
        assert_eq!(stop.exit_reason(ExitStatus::Code(0), true, None), ExitReason::Normal);
        assert_eq!(
            stop.exit_reason(ExitStatus::Code(0), false, None),
            error("it exited before it was ready")
        );
        assert_eq!(stop.exit_reason(ExitStatus::Code(3), false, Some("no database")), error("no database"));
        assert_eq!(stop.exit_reason(ExitStatus::Code(7), true, None), ExitReason::Code(7));
        for (status, number) in [(KILL, 9), (TERM, 15)] {
            let expected = ExitReason::Signal { number, core_dumped: false };
            assert_eq!(stop.exit_reason(status, true, None), expected);
        }
    }

    #[test]
    fn exit_after_quit_or_term_is_shutdown() {
        let stop = StopState { quit: true, terminated: true, ..StopState::default() };
        assert_eq!(stop.exit_reason(ExitStatus::Code(0), true, None), ExitReason::Shutdown);
        assert_eq!(stop.exit_reason(TERM, false, None), ExitReason::Shutdown);
        let aborted = ExitReason::Signal { number: 6, core_dumped: true };
        assert_eq!(stop.exit_reason(ABORT, true, None), aborted);
        assert_eq!(stop.exit_reason(ExitStatus::Code(1), true, None), ExitReason::Code(1));
    }

    #[test]
    fn exit_after_kill_has_the_reason_of_the_kill() {
        let mut stop = StopState { killed: true, ..StopState::default() };
        assert_eq!(stop.exit_reason(KILL, true, None), ExitReason::Killed);
        stop.broken = Some("it sent a malformed frame".to_owned());
        assert_eq!(stop.exit_reason(KILL, true, None), error("it sent a malformed frame"));
        // It exited before SIGKILL arrived.
        assert_eq!(stop.exit_reason(ExitStatus::Code(1), true, None), ExitReason::Code(1));
    }

    #[test]
    fn only_exit_code_2_is_fatal() {
        assert!(is_fatal(ExitStatus::Code(2)));
        assert!(
            !is_fatal(ExitStatus::Code(3)) && !is_fatal(ExitStatus::Signal { number: 2, core_dumped: false })
        );
    }
}

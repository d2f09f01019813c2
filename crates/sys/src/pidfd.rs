//! A process named by a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::unistd::Pid;
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};

use crate::Signal;

/// A process named by a descriptor, which is readable (as `poll` sees it) once the process is over.
///
/// Unlike a pid it never comes to mean another process, and it can be sent to others.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It left with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The number of the signal.
        number: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

impl PidFd {
    /// Names the process that has this pid now. Certain only for a child that was not waited for yet.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is no such process, `EMFILE` when there is no descriptor left.
    #[doc(alias = "pidfd_open")]
    pub fn open(pid: Pid) -> io::Result<Self> {
        let pid = rustix::process::Pid::from_raw(pid.as_raw())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "pid 0 names no process"))?;
        Ok(Self(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    ///
    /// `ESRCH` when it has been waited for, `EPERM` when it belongs to somebody else.
    #[doc(alias = "pidfd_send_signal")]
    pub fn send_signal(&self, signal: Signal) -> io::Result<()> {
        let signal = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no signal {signal}")))?;
        Ok(rustix::process::pidfd_send_signal(&self.0, signal)?)
    }

    /// How the process ended, or `None` while it runs. The answer comes once: it reaps the process.
    ///
    /// # Errors
    ///
    /// `ECHILD` when it is not a child of this process or has been waited for.
    #[doc(alias = "waitid")]
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = loop {
            match rustix::process::waitid(WaitId::PidFd(self.0.as_fd()), options) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result?,
            }
        };
        let Some(status) = status else { return Ok(None) };
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ok(Some(ExitStatus::Code(code))),
            (_, Some(number)) => Ok(Some(ExitStatus::Signal { number, core_dumped: status.dumped() })),
            (None, None) => {
                Err(io::Error::other(format!("waitid gave an unknown code {}", status.raw_code())))
            }
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for PidFd {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<PidFd> for OwnedFd {
    fn from(pidfd: PidFd) -> Self {
        pidfd.0
    }
}

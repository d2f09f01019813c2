//! Descriptors of processes: signals and exit status.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};

/// Descriptor of a process. `poll` reports it as readable once the process has exited.
///
/// Unlike a pid, it never refers to another process. It can be sent to another process.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

/// How a process exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called `exit` with this code.
    Code(i32),
    /// A signal killed it.
    Signal {
        /// Number of the signal.
        number: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

impl PidFd {
    /// Opens the process that has this pid now. Only for a child that has not been waited for, the pid is certain to be
    /// the intended process.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is no such process, `EMFILE` when this process has no free descriptor.
    #[doc(alias = "pidfd_open")]
    pub fn open(pid: Pid) -> io::Result<Self> {
        let pid = rustix::process::Pid::from_raw(pid.as_raw())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "pid 0 is no process"))?;
        Ok(Self(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    ///
    /// `ESRCH` when the process has been waited for, `EPERM` when this process may not signal it.
    #[doc(alias = "pidfd_send_signal")]
    pub fn send_signal(&self, signal: Signal) -> io::Result<()> {
        let signal = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no signal {signal}")))?;
        Ok(rustix::process::pidfd_send_signal(&self.0, signal)?)
    }

    /// Exit status of the process, or `None` while it runs. Does not block. Reaps the process, so the status is returned
    /// once.
    ///
    /// # Errors
    ///
    /// `ECHILD` when the process is no child of this one, or has been waited for.
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
                Err(io::Error::other(format!("waitid returned an unknown code {}", status.raw_code())))
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

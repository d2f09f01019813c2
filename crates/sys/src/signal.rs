//! Signals: `signalfd`, default dispositions, and the parent-death signal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd as NixSignalFd};
use nix::unistd::Pid;

/// Highest signal number on Linux.
const LAST_SIGNAL: i32 = 64;

/// Descriptor that signals are read from. `poll` reports it as readable while one is pending.
#[derive(Debug)]
pub struct SignalFd(NixSignalFd);

impl SignalFd {
    /// Masks **all** signals in this thread and opens a non-blocking `signalfd` for the listed ones.
    ///
    /// With all signals masked, none interrupts a system call or takes its default action. `SIGKILL` and `SIGSTOP` cannot
    /// be masked, and faults such as `SIGSEGV` still kill the process. Threads and programs that this thread starts inherit
    /// the mask, see [`reset_signals`].
    ///
    /// # Errors
    ///
    /// `EMFILE` when this process has no free descriptor.
    #[doc(alias = "signalfd")]
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        SigSet::all().thread_set_mask()?;
        let wanted: SigSet = signals.iter().copied().collect();
        Ok(Self(NixSignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next pending signal, or `None`. Does not block.
    ///
    /// # Errors
    ///
    /// The error of `read`, or a signal number that [`Signal`] does not have.
    pub fn read(&self) -> io::Result<Option<Signal>> {
        let Some(info) = self.0.read_signal()? else { return Ok(None) };
        let number = i32::try_from(info.ssi_signo).map_err(io::Error::other)?;
        Ok(Some(Signal::try_from(number)?))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Resets signals to what a program expects at its start: default dispositions, only `SIGPIPE` ignored (as std does), and
/// an empty mask.
///
/// The mask is cleared last, so that an inherited handler cannot run.
///
/// # Errors
///
/// The error of `signal` or `pthread_sigmask`.
pub fn reset_signals() -> io::Result<()> {
    for number in 1..=LAST_SIGNAL {
        let disposition = if number == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL };
        match set_disposition(number, disposition) {
            // SIGKILL, SIGSTOP and the two that the C library reserves.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            result => result?,
        }
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Sets a signal's disposition to `SIG_DFL` or `SIG_IGN`.
fn set_disposition(number: i32, disposition: libc::sighandler_t) -> io::Result<()> {
    debug_assert!(matches!(disposition, libc::SIG_DFL | libc::SIG_IGN));
    // SAFETY: takes integers. SIG_DFL and SIG_IGN install no function.
    let result = unsafe { libc::signal(number, disposition) };
    if result == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Requests `signal` for this process when its parent dies (`PR_SET_PDEATHSIG`), and checks that the parent is still
/// `expected_parent`.
///
/// Call it again after a change of credentials, which clears the setting. The kernel sends the signal when the thread that
/// forked exits, so fork only from a process with one thread.
///
/// # Errors
///
/// `NotFound` when the parent is not `expected_parent`: it has died before the call, and no signal will come. Exit then.
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn set_parent_death_signal(signal: Signal, expected_parent: Pid) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(signal as i32);
    rustix::process::set_parent_process_death_signal(signal)?;
    let parent = Pid::parent();
    if parent == expected_parent {
        return Ok(());
    }
    let message = format!("parent {expected_parent} has exited, the parent is now {parent}");
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

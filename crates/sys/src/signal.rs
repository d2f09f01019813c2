//! Signals: read them, reset them, and die with the parent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd as NixSignalFd};
use nix::unistd::Pid;

use crate::Signal;

/// The highest signal number of Linux.
const LAST_SIGNAL: i32 = 64;

/// Signals as something to read; readable (as `poll` sees it) when one is pending.
#[derive(Debug)]
pub struct SignalFd(NixSignalFd);

impl SignalFd {
    /// Blocks **all** signals in this thread and reads the listed ones from now on. Does not block.
    ///
    /// Everything is blocked, so that no signal interrupts a system call or takes its default action; `KILL` and
    /// `STOP` cannot be, and faults of the program itself still end it. Threads and programs started from here
    /// inherit the mask: see [`reset_signals`].
    ///
    /// # Errors
    ///
    /// `EMFILE` when there is no descriptor left.
    #[doc(alias = "signalfd")]
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        SigSet::all().thread_set_mask()?;
        let wanted: SigSet = signals.iter().copied().collect();
        Ok(Self(NixSignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// The next pending signal, or `None`.
    ///
    /// # Errors
    ///
    /// What the kernel says to the read.
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

/// Makes signals what a program expects at its birth: every disposition default, only `SIGPIPE` ignored (as std
/// has it), then nothing blocked.
///
/// In this order: a handler inherited from a parent can never run, because signals stay blocked until it is gone.
///
/// # Errors
///
/// What the kernel says.
pub fn reset_signals() -> io::Result<()> {
    for number in 1..=LAST_SIGNAL {
        let disposition = if number == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL };
        match set_disposition(number, disposition) {
            // KILL, STOP and the two that the C library keeps to itself.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            result => result?,
        }
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Sets what happens on a signal to one of the two dispositions that run no code.
fn set_disposition(number: i32, disposition: libc::sighandler_t) -> io::Result<()> {
    debug_assert!(matches!(disposition, libc::SIG_DFL | libc::SIG_IGN));
    // SAFETY: takes integers; SIG_DFL and SIG_IGN install no function that could be called.
    let result = unsafe { libc::signal(number, disposition) };
    if result == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks the kernel to send `signal` to this process when its parent dies, and makes sure that it has not yet.
///
/// To be called after every change of credentials, which clears it. "The parent" is the parent's thread that
/// forked, one more reason to fork only from a process with a single thread.
///
/// # Errors
///
/// `NotFound` when the parent is not `expected_parent` (any more): it died before this was armed, leave at once.
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn set_parent_death_signal(signal: Signal, expected_parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(signal)?;
    let parent = Pid::parent();
    if parent == expected_parent {
        return Ok(());
    }
    let message = format!("parent {expected_parent} is gone, the parent is now {parent}");
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

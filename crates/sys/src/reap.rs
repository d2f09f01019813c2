//! Exited children without a pidfd.

use std::io;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

// Of rustix and nix, only the `waitid` of nix returns the pid of a child that stays unreaped.

/// A child that has exited and was not reaped. It stays so. Does not block; `None` if there is none.
///
/// # Errors
///
/// `ECHILD` when this process has no child, `EINTR` when a signal handler ran.
#[doc(alias = "waitid")]
pub fn exited_child() -> io::Result<Option<Pid>> {
    let status = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT)?;
    Ok(WaitStatus::pid(&status))
}

/// Reaps the child with this pid if it has exited, and drops its exit status. Does not block.
///
/// # Errors
///
/// `ECHILD` when there is no such child, `EINTR` when a signal handler ran.
#[doc(alias = "waitid")]
pub fn reap(pid: Pid) -> io::Result<()> {
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG)?;
    Ok(())
}

//! `fork` of a process with one thread, and the exit of the child.

use std::io;

use nix::unistd::{ForkResult, Pid};
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

use crate::pidfd::PidFd;

/// The side of a [`fork`] that the caller is on.
#[derive(Debug)]
pub enum Fork {
    /// The process that called `fork`.
    Parent(ForkedChild),
    /// The new process.
    Child,
}

/// A child right after the fork, as its parent sees it.
#[derive(Debug)]
pub struct ForkedChild {
    /// Its pid. Valid until the child is waited for.
    pub pid: Pid,
    /// Its pidfd. Never refers to another process.
    pub pidfd: PidFd,
}

/// Why [`fork`] failed. There is no child then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// The process has more than one thread. The child would have only one, and locks of the others would stay locked.
    #[error(
        "cannot fork: this process has {count} threads; fork before any thread or async runtime is started"
    )]
    Threads {
        /// Number of threads.
        count: usize,
    },
    /// The threads could not be counted.
    #[error("cannot fork: /proc/self/task cannot be read ({0}); {remedy}", remedy = remedy(.0))]
    Count(#[source] io::Error),
    /// The system call failed.
    #[error("cannot fork: {0}; look at the limits on processes and memory")]
    Fork(#[source] io::Error),
    /// `pidfd_open` of the new child failed. The child has been killed and reaped.
    #[error("cannot fork: no pidfd for the child ({0}); look at the limit on open files")]
    PidFd(#[source] io::Error),
}

/// Advice for the operator when `/proc/self/task` cannot be opened.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "look at the limit on open files",
        _ => "mount /proc",
    }
}

/// Forks this process. Returns in both processes.
///
/// The child runs on a copy of the parent's stack. It must exit by [`exit_now`], never by returning.
///
/// # Errors
///
/// [`ForkError`]; in particular [`ForkError::Threads`] when the process has more than one thread.
pub fn fork() -> Result<Fork, ForkError> {
    let count = std::fs::read_dir("/proc/self/task").map_err(ForkError::Count)?.count();
    if count != 1 {
        return Err(ForkError::Threads { count });
    }
    match fork_single_threaded().map_err(|error| ForkError::Fork(error.into()))? {
        ForkResult::Child => Ok(Fork::Child),
        ForkResult::Parent { child: pid } => match PidFd::open(pid) {
            Ok(pidfd) => Ok(Fork::Parent(ForkedChild { pid, pidfd })),
            Err(error) => {
                kill_and_reap(pid);
                Err(ForkError::PidFd(error))
            }
        },
    }
}

/// The system call. The caller has checked that there is one thread.
fn fork_single_threaded() -> nix::Result<ForkResult> {
    // SAFETY: this is the only thread, so no lock is held by a thread that is missing in the child, and the child may run
    // any code. No thread can start between check and fork, because only this thread could start it.
    unsafe { nix::unistd::fork() }
}

/// Kills and reaps a child without a pidfd. Its pid is still valid, because it has not been waited for.
fn kill_and_reap(pid: Pid) {
    let Some(pid) = rustix::process::Pid::from_raw(pid.as_raw()) else { return };
    let _ = kill_process(pid, Signal::KILL);
    while let Err(rustix::io::Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
}

/// Ends this process by `_exit`: without destructors, `atexit` handlers and flushing of buffers.
///
/// A forked child must exit this way. Any other way would repeat clean-up that belongs to the parent.
#[doc(alias = "_exit")]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_depends_on_the_errno() {
        let text = |code| ForkError::Count(io::Error::from_raw_os_error(code)).to_string();
        assert!(text(libc::EMFILE).ends_with("look at the limit on open files"));
        assert!(text(libc::ENFILE).ends_with("look at the limit on open files"));
        assert!(text(libc::ENOENT).ends_with("mount /proc"));
    }
}

//! Being born and leaving.

use std::io;

use nix::unistd::{ForkResult, Pid};

use crate::{PidFd, Signal};

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub enum Fork {
    /// The process that forked.
    Parent(ForkedChild),
    /// The new process.
    Child,
}

/// A process that was just born, as its parent holds it.
#[derive(Debug)]
pub struct ForkedChild {
    /// Its number; valid until it is waited for.
    pub pid: Pid,
    /// Its name that no other process will ever have.
    pub pidfd: PidFd,
}

/// Why a [`fork`] was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// The process runs more than one thread; in the child the others are gone, with the locks they held.
    #[error(
        "cannot fork: this process has {count} threads; fork before any thread or async runtime is started"
    )]
    Threads {
        /// How many there are.
        count: usize,
    },
    /// The threads could not be counted.
    #[error("cannot fork: /proc/self/task cannot be read ({0}); {remedy}", remedy = remedy(.0))]
    Count(#[source] io::Error),
    /// The kernel refused.
    #[error("cannot fork: {0}; look at the limits on processes and memory")]
    Fork(#[source] io::Error),
    /// The child was born but there was no descriptor left to name it; it was killed again.
    #[error("cannot fork: no pidfd for the child ({0}); look at the limit on open files")]
    PidFd(#[source] io::Error),
}

/// What helps when a file of the kernel cannot be opened.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "look at the limit on open files",
        _ => "mount /proc",
    }
}

/// Splits this process in two; returns in both.
///
/// The child runs on a copy of the parent's stack and must leave by [`exit_now`], never by returning.
///
/// # Errors
///
/// Refuses when the process has more than one thread, see [`ForkError::Threads`]. On an error there is no child.
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
                discard(pid);
                Err(ForkError::PidFd(error))
            }
        },
    }
}

/// The system call, once the caller has seen that there is one thread.
fn fork_single_threaded() -> nix::Result<ForkResult> {
    // SAFETY: this is the only thread, so no lock is held by a thread that the child will not have, and the child
    // may go on with any code. No thread can appear in between: there is nobody else to start one.
    unsafe { nix::unistd::fork() }
}

/// Ends and reaps a child that its parent cannot hold. Its pid is safe to use: nobody has waited for it yet.
fn discard(pid: Pid) {
    let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
    while nix::sys::wait::waitpid(pid, None) == Err(nix::errno::Errno::EINTR) {}
}

/// Ends this process at once: no destructors, no `atexit` handlers, no flushing of inherited buffers.
///
/// The only way out of a forked child: anything else would run a second time what belongs to the parent.
#[doc(alias = "_exit")]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_what_happened() {
        let text = |code| ForkError::Count(io::Error::from_raw_os_error(code)).to_string();
        assert!(text(libc::EMFILE).ends_with("look at the limit on open files"));
        assert!(text(libc::ENFILE).ends_with("look at the limit on open files"));
        assert!(text(libc::ENOENT).ends_with("mount /proc"));
    }
}
